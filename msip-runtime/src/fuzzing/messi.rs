//! Messi's peers as a fuzz target: what they send, in any pieces, beside a session that does as it should.

use std::{collections::VecDeque, time::Duration};

use bytes::{Buf as _, BytesMut};
use msip_session::wire::{
    Credit, Decoder, Flags, Frame, FrameType, HEADER_LEN, Header, Hello, MsgId, SECRET_LEN,
    SessionId, Side, Welcome, begin_frame, finish_frame, write_hello, write_welcome,
};

use super::kitchen::Kitchen;
use crate::{
    dialect::{
        Dialect, DialectProtocol, MAX_KEPT, Output,
        messi::{ClientConfig, MessiClient, MessiServer, ServerConfig},
    },
    settings::Settings,
    transport::ServiceUrl,
};

const MAX_BODY: usize = 1024;

/// How many calls the session takes.
const MAX_CALLS: u32 = 8;

/// Reads the first byte as whom the peer is, and what follows as pieces: how many bytes, and these.
pub fn messi(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else {
        return;
    };
    let Ok(url) = "messi://127.0.0.1:1".parse::<ServiceUrl>() else {
        return;
    };
    let (protocol, settings) = (DialectProtocol::of::<Kitchen>(), Settings::default());
    let Some(id) = SessionId::new(7) else {
        return;
    };
    let hello = Hello {
        protocol: "kitchen".to_owned(),
        session_secret: vec![0; SECRET_LEN],
        max_body: 1024,
        ..Hello::default()
    };
    if first % 2 == 0 {
        let options = url.transport_options(Side::Accepting);
        let Ok(config) = ServerConfig::of(&options, &settings) else {
            return;
        };
        let server = MessiServer::new(&config, protocol, None, MAX_BODY, (id, hello));
        Talk::new(server, Side::Connecting).run(rest);
    } else {
        let options = url.transport_options(Side::Connecting);
        let Ok(config) = ClientConfig::of(&options, &settings) else {
            return;
        };
        let client = MessiClient::new(&config, protocol, None, MAX_BODY);
        let mut talk = Talk::new(client, Side::Accepting);
        let mut payload = Vec::new();
        write_hello(&mut payload, id, &hello);
        talk.say(Header::control(FrameType::Hello, MsgId::new(1)), &payload);
        talk.run(rest);
    }
}

/// A conversation of a dialect with its session.
struct Talk<D> {
    dialect: D,
    output: Output,
    now: Duration,
    /// Whose ids the dialect chooses.
    plays: Side,
    /// The calls of the peer that are open.
    calls: VecDeque<MsgId>,
    window: Window,
    asked: u64,
}

/// What the session allows the peer.
struct Window {
    items: u64,
    bytes: i64,
}

impl<D: Dialect> Talk<D> {
    fn new(dialect: D, plays: Side) -> Self {
        let start = Credit::CONNECTION_START;
        let mut talk = Self {
            dialect,
            output: Output::default(),
            now: Duration::ZERO,
            plays,
            calls: VecDeque::new(),
            window: Window {
                items: start.items.into(),
                bytes: start.bytes.into(),
            },
            asked: 0,
        };
        talk.dialect.handle_start(talk.now, &mut talk.output);
        talk.hear();
        talk
    }

    fn run(&mut self, mut pieces: &[u8]) {
        let mut input = BytesMut::new();
        while pieces.has_remaining() {
            let choice = pieces.get_u8();
            match choice {
                // The session does something.
                250..=251 => self.answer(),
                252 => self.grant(),
                253 => self.ask(),
                254 => {
                    self.now += Duration::from_millis(900);
                    let is_due = self.dialect.poll_timeout().is_some_and(|at| at <= self.now);
                    if is_due
                        && self
                            .dialect
                            .handle_timeout(self.now, &mut self.output)
                            .is_err()
                    {
                        return;
                    }
                }
                255 => self.say(
                    Header::control(FrameType::Close, MsgId::CONNECTION),
                    b"OK: ",
                ),
                len => {
                    let (piece, rest) = pieces.split_at(usize::from(len).min(pieces.len()));
                    pieces = rest;
                    input.extend_from_slice(piece);
                }
            }
            if self.dialect.wants_bytes()
                && self
                    .dialect
                    .handle_bytes(&mut input, self.now, &mut self.output)
                    .is_err()
            {
                return;
            }
            self.hear();
            // What is announced and allowed, and not all there.
            let waits = !self.dialect.wants_bytes() || input.len() < MAX_BODY + 4;
            assert!(waits, "{} bytes are left", input.len());
        }
    }

    fn say(&mut self, header: Header, payload: &[u8]) {
        let mut bytes = Vec::new();
        let mark = begin_frame(&mut bytes, &header);
        bytes.extend_from_slice(payload);
        let _ = finish_frame(&mut bytes, mark);
        let header = bytes.first_chunk::<HEADER_LEN>().map(Header::parse);
        if let Some(Ok(header)) = header {
            let _ = self
                .dialect
                .handle_frame(&header, payload, self.now, &mut self.output);
        }
        self.hear();
    }

    /// Looks at what the session is given.
    fn hear(&mut self) {
        let mut decoder = Decoder::new(u32::MAX);
        let given = std::mem::take(&mut self.output.to_session);
        decoder.buffer().extend_from_slice(&given);
        while let Ok(Some(frame)) = decoder.decode() {
            self.given(&frame);
        }
        assert!(!decoder.is_mid_frame(), "half a frame");
        // Four bytes for each frame of the peer's.
        assert!(self.output.to_peer.len() <= 64 * (MAX_KEPT + MAX_BODY));
        self.output.to_peer.clear();
    }

    fn given(&mut self, frame: &Frame) {
        let Header {
            frame_type,
            flags,
            msg_id,
            payload_len,
            ..
        } = frame.header;
        match frame_type {
            FrameType::Hello => {
                let terms = Welcome {
                    codec: 1,
                    max_open_calls: MAX_CALLS,
                    max_body: 1024,
                    ..Welcome::default()
                };
                let mut payload = Vec::new();
                if let Some(id) = SessionId::new(7) {
                    write_welcome(&mut payload, id, &terms);
                }
                self.say(Header::control(FrameType::Ack, msg_id), &payload);
            }
            FrameType::Publish | FrameType::Event => {
                assert_eq!(msg_id.chosen_by(), self.plays);
                if flags.contains(Flags::ACK_REQUIRED) {
                    self.calls.push_back(msg_id);
                    let max = match self.plays {
                        Side::Connecting => MAX_CALLS,
                        // A server may ask as much as it wants.
                        Side::Accepting => u32::MAX,
                    };
                    assert!(u32::try_from(self.calls.len()).is_ok_and(|open| open <= max));
                } else {
                    let has_credit = self.window.items > 0 && self.window.bytes > 0;
                    assert!(has_credit, "beyond the credit");
                    self.window.items -= 1;
                    self.window.bytes -= i64::from(payload_len);
                }
            }
            _ => {}
        }
    }

    /// Answers the oldest call of the peer.
    fn answer(&mut self) {
        if let Some(id) = self.calls.pop_front() {
            let header = Header {
                variant: 2,
                ..Header::control(FrameType::Ack, id)
            };
            self.say(header, &[0x12, 0]);
        }
    }

    fn grant(&mut self) {
        let credit = Credit {
            items: 100,
            bytes: 10_000,
        };
        self.window.items += 100;
        self.window.bytes += 10_000;
        let header = Header::control(FrameType::Credit, MsgId::CONNECTION);
        self.say(header, &credit.encode());
    }

    /// The session asks, where there is something to ask for.
    fn ask(&mut self) {
        self.asked += 1;
        let (side, frame_type) = match self.plays {
            Side::Connecting => (Side::Accepting, FrameType::Event),
            Side::Accepting => (Side::Connecting, FrameType::Publish),
        };
        let header = Header {
            flags: Flags::ACK_REQUIRED,
            variant: 5,
            ..Header::control(frame_type, MsgId::exchange(side, self.asked))
        };
        self.say(header, &[0, 0, 0x2a, 0]);
    }
}
