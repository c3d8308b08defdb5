//! The published clients of MIP, unchanged, against the broker, and our own client at `mip://`.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

mod own;
mod python;
mod rust;
mod typescript;

use std::net::SocketAddr;

use msip_broker::Broker;
use msip_tests::soon;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// A broker as it is without any setting, at a port of its own.
async fn broker() -> SocketAddr {
    let broker = Broker::builder().listen("tcp://127.0.0.1:0").bind().await;
    let broker = broker.expect("listens");
    let url = broker.local_urls().next().expect("listens").to_string();
    tokio::spawn(broker.serve_until(std::future::pending()));
    let address = url.strip_prefix("tcp://").expect("is one of TCP");
    address.parse().expect("an address")
}

/// Bytes that a client would send, over a bare connection.
struct Bytes(TcpStream);

impl Bytes {
    async fn dial(address: SocketAddr) -> Self {
        let stream = soon("a connection", TcpStream::connect(address)).await;
        Self(stream.expect("connects"))
    }

    async fn say(&mut self, bytes: &[u8]) {
        let written = soon("it is read", self.0.write_all(bytes)).await;
        written.expect("is connected");
    }

    /// What comes next, which has to be this.
    async fn hears(&mut self, expected: &[u8]) {
        let mut heard = vec![0; expected.len()];
        let read = soon("an answer", self.0.read_exact(&mut heard)).await;
        read.expect("is connected");
        assert_eq!(heard, expected, "{}", heard.escape_ascii());
    }

    /// Nothing more comes.
    async fn is_let_go(&mut self) {
        let mut rest = Vec::new();
        let _ = soon("the end", self.0.read_to_end(&mut rest)).await;
        assert!(rest.is_empty(), "{}", rest.escape_ascii());
    }
}
