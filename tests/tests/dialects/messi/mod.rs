//! Messi: its clients against our server, and our client against its servers.

mod server;

use std::net::SocketAddr;

use msip_runtime::{Peer, Server, Status};
use msip_tests::{
    messi_chat::{
        BroadcastServerToClient as _, Chat, ConnectReq, ConnectRsp, HandleClientToServer,
        MessageInd,
    },
    soon,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Messi's example of a server: it welcomes everybody, and repeats what anybody says to all.
struct ChatServer;

impl HandleClientToServer for ChatServer {
    async fn on_connect_req(&self, _: &Peer<Chat>, _: ConnectReq) -> Result<ConnectRsp, Status> {
        Ok(ConnectRsp {})
    }

    async fn on_message_ind(&self, peer: &Peer<Chat>, message: MessageInd) {
        peer.everyone().message_ind(message);
    }
}

/// A server of the chat at a port for MSIP, and one for Messi.
async fn chat(settings: &str) -> (String, SocketAddr) {
    chat_at("messi://127.0.0.1:0", settings).await
}

async fn chat_at(url: &str, settings: &str) -> (String, SocketAddr) {
    let server = Server::<Chat>::builder(format!("tcp://127.0.0.1:0?{settings}"))
        .also(url)
        .bind()
        .await
        .expect("listens");
    let mut urls = server.local_urls().map(ToString::to_string);
    let native = urls.next().expect("listens");
    let messi = urls.next().expect("listens at two");
    drop(urls);
    let address = messi.strip_prefix("messi://").expect("is Messi's");
    let address = address.parse().expect("an address");
    tokio::spawn(server.serve(ChatServer));
    (native, address)
}

/// One end of a connection, as bytes: a peer of Messi's that is written from its wire.
struct Bytes(TcpStream);

impl Bytes {
    async fn dial(address: SocketAddr) -> Self {
        let stream = soon("a connection", TcpStream::connect(address)).await;
        Self(stream.expect("connects"))
    }

    /// Says these bytes, in hexadecimal.
    async fn say(&mut self, hex: &str) {
        let written = soon("it is read", self.0.write_all(&bytes(hex))).await;
        written.expect("is connected");
    }

    /// What comes next, which has to be this.
    async fn hears(&mut self, expected: &str) {
        let expected = bytes(expected);
        let mut heard = vec![0; expected.len()];
        let read = soon("an answer", self.0.read_exact(&mut heard)).await;
        read.expect("is connected");
        assert_eq!(heard, expected, "{}", heard.escape_ascii());
    }

    /// Nothing more comes, and the connection is closed.
    async fn is_let_go(&mut self) {
        let mut rest = Vec::new();
        let _ = soon("the end", self.0.read_to_end(&mut rest)).await;
        assert!(rest.is_empty(), "{}", rest.escape_ascii());
    }
}

/// The bytes of a line: `01 0a`, where `ff*3` is three of them.
fn bytes(hex: &str) -> Vec<u8> {
    hex.split_whitespace()
        .flat_map(|word| {
            let (byte, count) = word.split_once('*').unwrap_or((word, "1"));
            let byte = u8::from_str_radix(byte, 16).expect("two digits");
            vec![byte; count.parse().expect("a number")]
        })
        .collect()
}
