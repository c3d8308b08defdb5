//! A MIP peer, byte by byte.

use std::io;

use msip_tests::soon;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

pub(crate) const HELLO: u16 = 1;
pub(crate) const SUBSCRIBE: u16 = 2;
pub(crate) const PUBLISH: u16 = 4;
pub(crate) const EVENT: u16 = 5;
pub(crate) const ACK: u16 = 6;
pub(crate) const ERROR: u16 = 7;
pub(crate) const CLOSE: u16 = 10;

/// The flag with which a publisher asks for an answer.
pub(crate) const ACK_REQUIRED: u8 = 1;

/// A frame of kind EVENT.
pub(crate) fn frame(frame_type: u16, flags: u8, msg_id: u64, payload: &[u8]) -> Vec<u8> {
    let mut frame = b"MSIP\x01".to_vec();
    frame.push(flags);
    frame.extend(frame_type.to_be_bytes());
    frame.extend([0, 1, 0, 0]);
    frame.extend(u32::try_from(payload.len()).expect("short").to_be_bytes());
    frame.extend(msg_id.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A message for a topic.
pub(crate) fn publish(flags: u8, msg_id: u64, topic: &str, body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(topic.len()).expect("short").to_be_bytes();
    frame(
        PUBLISH,
        flags,
        msg_id,
        &[&len, topic.as_bytes(), body].concat(),
    )
}

pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
}

impl Peer {
    /// Connects and says HELLO; returns once it is answered.
    pub(crate) async fn connect(address: &str) -> Self {
        let mut peer = Self::silent(address).await.expect("connects");
        peer.greet().await.expect("is greeted");
        peer
    }

    /// Connects to the session of this number.
    pub(crate) async fn numbered(address: &str, number: u64) -> Self {
        let mut peer = Self::silent(address).await.expect("connects");
        let hello = frame(HELLO, 0, 1, &number.to_be_bytes());
        peer.send(&hello).await.expect("is written");
        assert_eq!(peer.hear().await.expect("an answer").0, ACK);
        peer
    }

    pub(crate) async fn silent(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream })
    }

    pub(crate) async fn greet(&mut self) -> io::Result<()> {
        self.send(&frame(HELLO, 0, 1, &[])).await?;
        let (frame_type, _, _) = self.hear().await?;
        assert_eq!(frame_type, ACK);
        Ok(())
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        soon("written", self.stream.write_all(bytes)).await
    }

    pub(crate) async fn subscribe(&mut self, topic: &str) {
        let asked = frame(SUBSCRIBE, ACK_REQUIRED, 2, topic.as_bytes());
        self.send(&asked).await.expect("is written");
        assert_eq!(self.hear().await.expect("an answer").0, ACK);
    }

    /// The type, the id and the payload of the next frame.
    pub(crate) async fn hear(&mut self) -> io::Result<(u16, u64, Vec<u8>)> {
        soon("a frame", async {
            let mut header = [0; 24];
            self.stream.read_exact(&mut header).await?;
            let part = |range: std::ops::Range<usize>| &header[range];
            let frame_type = u16::from_be_bytes(part(6..8).try_into().expect("two bytes"));
            let len = u32::from_be_bytes(part(12..16).try_into().expect("four bytes"));
            let msg_id = u64::from_be_bytes(part(16..24).try_into().expect("eight bytes"));
            let mut payload = vec![0; usize::try_from(len).expect("short")];
            self.stream.read_exact(&mut payload).await?;
            Ok((frame_type, msg_id, payload))
        })
        .await
    }

    /// Publishes a message and waits until the broker has it.
    pub(crate) async fn publish(&mut self, msg_id: u64, topic: &str, body: &[u8]) {
        let message = publish(ACK_REQUIRED, msg_id, topic, body);
        self.send(&message).await.expect("is written");
        let (frame_type, id, _) = self.hear().await.expect("an answer");
        assert_eq!((frame_type, id), (ACK, msg_id));
    }
}
