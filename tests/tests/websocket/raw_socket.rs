//! A client's end of a WebSocket by hand: requests and frames as a test wants them.

use msip_runtime::transport::ServiceUrl;
use msip_tests::soon;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

pub(crate) const CONTINUES: u8 = 0x00;
pub(crate) const BINARY_BEGINS: u8 = 0x02;
pub(crate) const ENDS: u8 = 0x80;
pub(crate) const TEXT: u8 = 0x81;
pub(crate) const BINARY: u8 = 0x82;
pub(crate) const CLOSE: u8 = 0x88;
pub(crate) const PING: u8 = 0x89;
pub(crate) const PONG: u8 = 0x8a;

/// The fields of a request that is taken, each in a line of its own.
pub(crate) const FIELDS: &str = "Host: localhost
Upgrade: websocket
Connection: Upgrade
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
Sec-WebSocket-Version: 13
Sec-WebSocket-Protocol: msip.1
";

/// A request in bytes.
pub(crate) fn request(line: &str, fields: &str) -> Vec<u8> {
    format!("{line}\n{fields}\n")
        .replace('\n', "\r\n")
        .into_bytes()
}

/// A frame as a client sends it, with a first byte of any kind.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let mut bytes = head(first, 0x80, payload.len());
    bytes.extend(mask);
    let masks = mask.iter().cycle();
    bytes.extend(payload.iter().zip(masks).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// A frame as a server sends it.
pub(crate) fn unmasked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = head(first, 0, payload.len());
    bytes.extend(payload);
    bytes
}

fn head(first: u8, mask: u8, len: usize) -> Vec<u8> {
    let mut bytes = vec![first];
    match (u8::try_from(len), u16::try_from(len)) {
        (Ok(len @ 0..=125), _) => bytes.push(mask | len),
        (_, Ok(len)) => {
            bytes.push(mask | 126);
            bytes.extend(len.to_be_bytes());
        }
        _ => {
            bytes.push(mask | 127);
            bytes.extend(u64::try_from(len).expect("fits").to_be_bytes());
        }
    }
    bytes
}

/// A TCP connection to a WebSocket listener.
pub(crate) struct RawSocket(pub(crate) TcpStream);

impl RawSocket {
    pub(crate) async fn dial(url: &ServiceUrl) -> Self {
        let connecting = TcpStream::connect(url.address().authority());
        Self(soon("a connection", connecting).await.expect("connects"))
    }

    /// Connects, and upgrades.
    pub(crate) async fn upgraded(url: &ServiceUrl) -> Self {
        let mut socket = Self::dial(url).await;
        let line = format!("GET {} HTTP/1.1", url.address().path());
        socket.say(&request(&line, FIELDS)).await;
        let head = socket.hear_head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        socket
    }

    /// Writes bytes, as far as they are taken before the peer closes.
    pub(crate) async fn say(&mut self, bytes: &[u8]) {
        let _ = soon("the other end reads", self.0.write_all(bytes)).await;
    }

    /// Reads up to and with an empty line.
    pub(crate) async fn hear_head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match soon("a head", self.0.read_u8()).await {
                Ok(byte) => head.push(byte),
                Err(_) => break,
            }
        }
        String::from_utf8(head).expect("text")
    }

    /// Reads a frame; `None` at the end.
    pub(crate) async fn hear(&mut self) -> Option<(u8, Vec<u8>)> {
        let reading = async {
            let first = self.0.read_u8().await?;
            let len = match self.0.read_u8().await? {
                126 => usize::from(self.0.read_u16().await?),
                127 => usize::try_from(self.0.read_u64().await?).expect("fits"),
                len => usize::from(len),
            };
            let mut payload = vec![0; len];
            self.0.read_exact(&mut payload).await?;
            std::io::Result::Ok((first, payload))
        };
        soon("a frame, or the end", reading).await.ok()
    }

    /// Reads until the end, and returns what came of it.
    pub(crate) async fn hear_to_the_end(&mut self) -> Vec<u8> {
        let mut heard = Vec::new();
        // A reset is an end too.
        let _ = soon("the end", self.0.read_to_end(&mut heard)).await;
        heard
    }
}
