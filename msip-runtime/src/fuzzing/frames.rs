//! Bytes as the frames of a client that is connected: each is valid by itself, whatever its body holds.

use super::kitchen::Kitchen;
use crate::{
    Codec, Compression, MsgKind, Protocol as _,
    body::{Negotiable as _, compression},
};
use msip_session::wire::{
    Credit, Flags, FrameType, Header, Hello, Metadata, MsgId, RawKind, SECRET_LEN, Side,
    write_metadata,
};

/// A body has no more bytes, before it is compressed.
const MAX_BODY: usize = 64 * 1024;

/// All frames of an input together have no more.
const MAX_LEN: usize = 1024 * 1024;

const CODECS: [Codec; 3] = [Codec::Protobuf, Codec::Json, Codec::MessagePack];

const COMPRESSIONS: [Compression; 3] = [Compression::Gzip, Compression::Zstd, Compression::Lz4];

/// The call of the protocol.
const TREE_REQ: u16 = 5;

/// Asks for the schema.
const DESCRIBE: u16 = 65_535;

/// What a client says.
pub(super) struct Script {
    pub(super) hello: Hello,
    /// The frames, one after the other.
    pub(super) frames: Vec<u8>,
}

impl Script {
    pub(super) fn read(data: &[u8]) -> Self {
        let mut choices = Choices(data);
        let codec = choices.of(&CODECS);
        let mut writer = Writer {
            compression: choices.of(&COMPRESSIONS),
            choices,
            frames: Vec::new(),
            last: 1,
            last_delivery: 0,
        };
        while !writer.choices.0.is_empty() && writer.frames.len() < MAX_LEN {
            let begun = writer.frames.len();
            writer.frame();
            writer.repeat(begun);
        }
        let hello = Hello {
            protocol: Kitchen::NAME.to_owned(),
            fingerprint: Kitchen::fingerprint(),
            codecs: vec![codec.number()],
            compressions: vec![writer.compression.number()],
            session_secret: vec![7; SECRET_LEN],
            ..Hello::default()
        };
        Self {
            hello,
            frames: writer.frames,
        }
    }
}

/// Bytes as choices.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    /// The next byte; 0 where none is left.
    fn byte(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or_default()
    }

    /// At most so many bytes.
    fn bytes(&mut self, len: usize) -> &[u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn of<T: Copy>(&mut self, all: &[T; 3]) -> T {
        all[usize::from(self.byte()) % all.len()]
    }
}

struct Writer<'a> {
    choices: Choices<'a>,
    compression: Compression,
    frames: Vec<u8>,
    /// The number of the last exchange.
    last: u64,
    last_delivery: u64,
}

impl Writer<'_> {
    /// Writes the next frame.
    fn frame(&mut self) {
        let choice = self.choices.byte();
        let call = Flags::ACK_REQUIRED;
        match choice % 12 {
            0..=2 => {
                let (variant, id) = (u16::from(self.choices.byte() % 6), self.next());
                self.message(Flags::NONE, variant, id);
            }
            3 | 4 => {
                let id = self.next();
                self.message(call, TREE_REQ, id);
            }
            5 => {
                let id = self.next();
                self.message(call.union(Flags::MORE), TREE_REQ, id);
            }
            6 => {
                let id = self.last();
                self.message(Flags::ITEM.union(Flags::MORE), TREE_REQ, id);
            }
            7 => {
                self.last_delivery += 1;
                let id = MsgId::delivery(Side::Connecting, self.last_delivery);
                self.message(call, 4, id);
            }
            8 => {
                let id = self.next();
                self.message(call, DESCRIBE, id);
            }
            9 => {
                let credit = Credit {
                    items: self.choices.byte().into(),
                    bytes: self.choices.byte().into(),
                };
                let id = self.last();
                self.control(FrameType::Credit, id, &credit.encode());
            }
            10 => {
                let types = [FrameType::Cancel, FrameType::Ping, FrameType::Pong];
                let (frame_type, id) = (self.choices.of(&types), self.last());
                self.control(frame_type, id, &[]);
            }
            _ => {
                let id = MsgId::exchange(Side::Accepting, self.choices.byte().into());
                self.control(FrameType::Ack, id, &[]);
            }
        }
    }

    /// Repeats what was written since, as it is: as often as the next byte says.
    fn repeat(&mut self, begun: usize) {
        let frame = self.frames.get(begun..).unwrap_or_default().to_vec();
        for _ in 0..self.choices.byte() % 64 {
            self.frames.extend_from_slice(&frame);
        }
    }

    fn next(&mut self) -> MsgId {
        self.last += 1;
        self.last()
    }

    const fn last(&self) -> MsgId {
        MsgId::exchange(Side::Connecting, self.last)
    }

    fn control(&mut self, frame_type: FrameType, id: MsgId, payload: &[u8]) {
        self.write(Header::control(frame_type, id), payload);
    }

    fn message(&mut self, mut flags: Flags, variant: u16, id: MsgId) {
        let mut payload = Vec::new();
        let choice = self.choices.byte();
        if choice.is_multiple_of(5) {
            flags = flags.union(Flags::META);
            let count = self.choices.byte();
            let metadata = Metadata {
                deadline_ms: Some(count.into()),
                headers: (0..count).map(|n| (n.to_string(), "x".into())).collect(),
                ..Metadata::default()
            };
            // 255 headers fit.
            let _ = write_metadata(&mut payload, &metadata, u16::MAX);
        }
        payload.extend_from_slice(&[0, 0]);
        let body = self.body();
        let compressed = (choice & 1 == 0)
            .then(|| compression::compress(self.compression, &body))
            .flatten();
        match compressed {
            Some(compressed) => {
                flags = flags.union(Flags::COMPRESSED);
                payload.extend_from_slice(&compressed);
            }
            None => payload.extend_from_slice(&body),
        }
        let kind = if flags.contains(Flags::ACK_REQUIRED) {
            MsgKind::Command
        } else {
            MsgKind::Event
        };
        let header = Header {
            flags,
            kind: RawKind::from(kind),
            variant,
            ..Header::control(FrameType::Publish, id)
        };
        self.write(header, &payload);
    }

    /// A body: as it is, the same again and again, or nested, in any codec.
    fn body(&mut self) -> Vec<u8> {
        let (choice, times) = (self.choices.byte(), usize::from(self.choices.byte()));
        let mut body = match choice % 8 {
            0 => self.choices.bytes(times).to_vec(),
            // Elements that take two bytes.
            1 => [self.choices.byte() % 8 * 8 + 2, 0].repeat(times * 64),
            2 => (0..times % 110).fold(Vec::new(), |body, _| nested(0x12, &body)),
            3 => self.choices.bytes(16).repeat(times * 8),
            4 => vec![0; times * 256],
            5 => list(br#"{"branches":["#, b"{}", b"]}", times * 32),
            6 => [
                br#"{"branches":["#.repeat(times % 60),
                b"]}".repeat(times % 60),
            ]
            .concat(),
            _ => {
                // A map of one entry, whose value is an array of empty maps.
                let mut body = b"\x81\xa8branches\xdc".to_vec();
                let count = u16::try_from(times * 64).unwrap_or(u16::MAX);
                body.extend_from_slice(&count.to_be_bytes());
                body.extend(std::iter::repeat_n(0x80, times * 64));
                body
            }
        };
        body.truncate(MAX_BODY);
        body
    }

    fn write(&mut self, header: Header, payload: &[u8]) {
        let header = Header {
            payload_len: u32::try_from(payload.len()).unwrap_or(u32::MAX),
            ..header
        };
        self.frames.extend_from_slice(&header.encode());
        self.frames.extend_from_slice(payload);
    }
}

/// A field that holds a message.
fn nested(tag: u8, message: &[u8]) -> Vec<u8> {
    let mut field = vec![tag];
    let mut len = message.len();
    while len >= 0x80 {
        field.push(u8::try_from(len & 0x7f).unwrap_or_default() | 0x80);
        len >>= 7;
    }
    field.push(u8::try_from(len).unwrap_or_default());
    field.extend_from_slice(message);
    field
}

fn list(begin: &[u8], element: &[u8], end: &[u8], count: usize) -> Vec<u8> {
    let elements = vec![element; count].join(&b","[..]);
    [begin, &elements, end].concat()
}
