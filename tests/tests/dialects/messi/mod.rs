//! Messi: its clients against our server, and our client against its servers.

mod both;
mod client;
mod listeners;
mod python;
mod server;

use std::net::SocketAddr;

use msip_runtime::{Peer, Server, Status};
use msip_tests::messi_chat::{
    BroadcastServerToClient as _, Chat, ConnectReq, ConnectRsp, HandleClientToServer, MessageInd,
};
use tokio::net::TcpListener;

use crate::raw::Raw;

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

/// A server of Messi, written from its wire, that does what a test says.
struct Fake(TcpListener);

impl Fake {
    async fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.expect("listens"))
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().expect("listens")
    }

    fn url(&self, settings: &str) -> String {
        format!("messi://{}?{settings}", self.address())
    }

    async fn accept(&self) -> Raw {
        Raw::accept(&self.0).await
    }
}
