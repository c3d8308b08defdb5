//! Both ends as values: every line that was recorded between Messi's own peers, and the times of its keepalive.

mod client;
mod server;
mod texts;

use std::time::Duration;

use bytes::BytesMut;
use msip_session::wire::{
    Decoder, Flags, Frame, FrameType, HEADER_LEN, Header, MsgId, Side, begin_frame, finish_frame,
};

use super::*;
use crate::dialect::{Dialect, DialectError, DialectProtocol, Output};

/// Messi's example of a chat, and its protocol of empty messages with a question of the server, in one.
mod chat {
    #![expect(unreachable_pub, reason = "the derives generate public items")]

    use crate::{ClientToServer, Message, ServerToClient};

    #[derive(Debug, ClientToServer)]
    #[msip(protocol = "chat")]
    pub enum ClientToServer {
        #[msip(tag = 1)]
        ConnectReq(ConnectReq),
        #[msip(tag = 2)]
        MessageInd(MessageInd),
        #[msip(tag = 3)]
        FieRsp,
    }

    #[derive(Debug, ServerToClient)]
    pub enum ServerToClient {
        #[msip(tag = 1)]
        ConnectRsp,
        #[msip(tag = 2)]
        MessageInd(MessageInd),
        #[msip(tag = 3)]
        FieReq,
    }

    #[derive(Debug, Message)]
    pub struct ConnectReq {
        #[msip(tag = 1)]
        pub user: String,
    }

    #[derive(Debug, Message)]
    pub struct MessageInd {
        #[msip(tag = 1)]
        pub user: String,
        #[msip(tag = 2)]
        pub text: String,
    }
}

/// Messages of the clients: what the recorded lines hold behind `type` and length.
const ERIK: &str = "0a 06 0a 04 45 72 69 6b";
const HELLO: &str = "12 0d 0a 04 45 72 69 6b 12 05 48 65 6c 6c 6f";
const EMPTY_MEMBER: &str = "0a 00";

/// One end, and what it says to each of the two.
struct End<D> {
    dialect: D,
    output: Output,
    now: Duration,
    next: u64,
}

impl<D: Dialect> End<D> {
    fn new(dialect: D) -> Self {
        let mut end = Self {
            dialect,
            output: Output::default(),
            now: Duration::ZERO,
            next: 1,
        };
        end.dialect.handle_start(end.now, &mut end.output);
        end
    }

    /// The session sends a frame.
    fn try_say(&mut self, header: Header, payload: &[u8]) -> Result<(), DialectError> {
        let mut bytes = Vec::new();
        let mark = begin_frame(&mut bytes, &header);
        bytes.extend_from_slice(payload);
        finish_frame(&mut bytes, mark).unwrap();
        let header = Header::parse(bytes.first_chunk::<HEADER_LEN>().unwrap()).unwrap();
        self.dialect
            .handle_frame(&header, payload, self.now, &mut self.output)
    }

    fn say(&mut self, header: Header, payload: &[u8]) {
        self.try_say(header, payload).unwrap();
    }

    /// The session of this side begins an exchange.
    fn send(&mut self, side: Side, flags: Flags, variant: u16, body: &str) -> MsgId {
        let id = MsgId::exchange(side, self.next);
        self.next += 1;
        let frame_type = match side {
            Side::Connecting => FrameType::Publish,
            Side::Accepting => FrameType::Event,
        };
        let header = Header {
            flags,
            variant,
            ..Header::control(frame_type, id)
        };
        self.say(header, &[&[0, 0], &*bytes(body)].concat());
        id
    }

    /// The session answers a call of the peer.
    fn answer(&mut self, id: MsgId, variant: u16, body: &str) {
        let header = Header {
            variant,
            ..Header::control(FrameType::Ack, id)
        };
        self.say(header, &bytes(body));
    }

    fn try_hear(&mut self, hex: &str) -> Result<(), DialectError> {
        let mut input = BytesMut::from(&*bytes(hex));
        self.dialect
            .handle_bytes(&mut input, self.now, &mut self.output)
    }

    /// The peer sends whole frames.
    fn hear(&mut self, hex: &str) {
        self.try_hear(hex).unwrap();
    }

    /// What the peer was told, in hexadecimal.
    fn told(&mut self) -> String {
        let told = std::mem::take(&mut self.output.to_peer);
        let told: Vec<_> = told.iter().map(|byte| format!("{byte:02x}")).collect();
        told.join(" ")
    }

    /// What the session was told: type, id, variant and body of each frame.
    fn given(&mut self) -> Vec<(FrameType, MsgId, u16, Vec<u8>)> {
        let bytes = std::mem::take(&mut self.output.to_session);
        let mut decoder = Decoder::new(1 << 25);
        decoder.buffer().extend_from_slice(&bytes);
        std::iter::from_fn(|| decoder.decode().unwrap())
            .map(|Frame { header, payload }| {
                let is_message = matches!(header.frame_type, FrameType::Publish | FrameType::Event);
                let topic_len = if is_message { 2 } else { 0 };
                let body = payload[topic_len..].to_vec();
                (header.frame_type, header.msg_id, header.variant, body)
            })
            .collect()
    }

    /// Lets time pass, and runs what is due.
    fn wait_until(&mut self, until: Duration) -> Result<(), DialectError> {
        while let Some(at) = self.dialect.poll_timeout().filter(|at| *at <= until) {
            self.now = at.max(self.now);
            self.dialect.handle_timeout(self.now, &mut self.output)?;
        }
        self.now = until;
        Ok(())
    }
}

/// The bytes of a line: `01 0a`, where `ff*3` is three of them.
fn bytes(hex: &str) -> Vec<u8> {
    hex.split_whitespace()
        .flat_map(|word| {
            let (byte, count) = word.split_once('*').unwrap_or((word, "1"));
            vec![u8::from_str_radix(byte, 16).unwrap(); count.parse().unwrap()]
        })
        .collect()
}

fn protocol() -> DialectProtocol {
    DialectProtocol::of::<chat::Chat>()
}

const fn seconds(tenths: u64) -> Duration {
    Duration::from_millis(tenths * 100)
}
