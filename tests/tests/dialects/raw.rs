//! Peers of other systems, byte by byte.

use std::{net::SocketAddr, panic::Location};

use msip_tests::soon;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// One end of a connection, as bytes: a peer that is written from its wire.
pub(crate) struct Raw(pub(crate) TcpStream);

impl Raw {
    pub(crate) async fn dial(address: SocketAddr) -> Self {
        let stream = soon("a connection", TcpStream::connect(address)).await;
        Self(stream.expect("connects"))
    }

    pub(crate) async fn accept(listener: &TcpListener) -> Self {
        let accepted = soon("a client", listener.accept()).await;
        Self(accepted.expect("accepts").0)
    }

    pub(crate) async fn say(&mut self, bytes: &[u8]) {
        let written = soon("it is read", self.0.write_all(bytes)).await;
        written.expect("is connected");
    }

    /// What comes next, which has to be this.
    #[track_caller]
    pub(crate) fn hears(&mut self, expected: &[u8]) -> impl Future<Output = ()> {
        self.hears_at(expected, Location::caller())
    }

    async fn hears_at(&mut self, expected: &[u8], caller: &Location<'_>) {
        let mut heard = vec![0; expected.len()];
        let read = soon("an answer", self.0.read_exact(&mut heard)).await;
        read.unwrap_or_else(|error| panic!("at {caller}: {error}"));
        let (heard, expected) = (heard.escape_ascii(), expected.escape_ascii());
        assert_eq!(heard.to_string(), expected.to_string(), "at {caller}");
    }

    /// Says these bytes, in hexadecimal.
    pub(crate) async fn say_hex(&mut self, hex: &str) {
        self.say(&bytes(hex)).await;
    }

    /// What comes next, which has to be this, in hexadecimal.
    #[track_caller]
    pub(crate) fn hears_hex(&mut self, expected: &str) -> impl Future<Output = ()> {
        let (expected, caller) = (bytes(expected), Location::caller());
        async move { self.hears_at(&expected, caller).await }
    }

    /// Nothing more comes, and the connection is closed.
    pub(crate) async fn is_let_go(&mut self) {
        let mut rest = Vec::new();
        let _ = soon("the end", self.0.read_to_end(&mut rest)).await;
        assert!(rest.is_empty(), "{}", rest.escape_ascii());
    }
}

/// The bytes of a line: `01 0a0b`, where `ff*3` is three of them.
pub(crate) fn bytes(hex: &str) -> Vec<u8> {
    let word = |word: &str| {
        let (digits, count) = word.split_once('*').unwrap_or((word, "1"));
        let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).expect("two digits");
        let bytes: Vec<_> = (0..digits.len()).step_by(2).map(byte).collect();
        bytes.repeat(count.parse().expect("a number"))
    };
    hex.split_whitespace().flat_map(word).collect()
}
