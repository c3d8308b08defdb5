//! The frames of MIP: what a peer may send, and how answers are written (docs/protocol.md, "The MIP dialect").

use msip_session::{
    MsgKind,
    wire::{Code, FrameType, HEADER_LEN, MAX_TEXT_LEN, RawHeader},
};

/// The flags of MIP. Others are ignored, and not passed on.
pub(super) const ACK_REQUIRED: u8 = 1;
pub(super) const COMPRESSED: u8 = 1 << 1;
pub(super) const URGENT: u8 = 1 << 2;

/// The longest topic, in bytes.
pub(super) const MAX_TOPIC: usize = 65_535;

/// How many bytes the length of a topic has.
pub(super) const TOPIC_LEN: usize = 2;

/// The longest name of a session, in bytes.
pub(super) const MAX_NAME: usize = 1024;

/// The most that a PING or a CLOSE may carry, which is ignored.
const MAX_IGNORED: usize = 64 * 1024;

/// What a peer may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    Hello,
    Subscribe,
    Unsubscribe,
    Publish,
    Ping,
    Close,
}

impl Request {
    /// The most that it may carry, in bytes.
    pub(super) const fn max_payload(self, max_body: usize) -> usize {
        match self {
            Self::Hello => MAX_NAME,
            Self::Subscribe | Self::Unsubscribe => MAX_TOPIC,
            Self::Publish => max_body.saturating_add(TOPIC_LEN + MAX_TOPIC),
            Self::Ping | Self::Close => MAX_IGNORED,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Hello => "HELLO",
            Self::Subscribe => "SUBSCRIBE",
            Self::Unsubscribe => "UNSUBSCRIBE",
            Self::Publish => "PUBLISH",
            Self::Ping => "PING",
            Self::Close => "CLOSE",
        }
    }
}

/// The header of a frame that a peer may send.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub(super) flags: u8,
    pub(super) request: Request,
    pub(super) kind: MsgKind,
    pub(super) payload_len: usize,
    pub(super) msg_id: u64,
}

/// Why a connection cannot go on: the ERROR that its peer is told, as the answer to a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) code: Code,
    pub(crate) text: String,
    pub(crate) msg_id: u64,
}

impl Fault {
    pub(super) const fn new(code: Code, text: String, msg_id: u64) -> Self {
        Self { code, text, msg_id }
    }
}

impl Header {
    /// Reads a header. Unknown flags and the reserved bytes are ignored.
    #[inline]
    pub(super) fn parse(bytes: &[u8; HEADER_LEN]) -> Result<Self, Fault> {
        let raw = RawHeader::split(bytes);
        let msg_id = raw.msg_id;
        let wrong = |code, text| Fault::new(code, text, msg_id);
        if !raw.is_frame() {
            let text = "this is not a frame: each begins with 4d53495001".to_owned();
            // What would be its message id is not one.
            return Err(Fault::new(Code::InvalidArgument, text, 0));
        }
        let number = raw.frame_type;
        let request = match FrameType::from_number(number) {
            Some(FrameType::Hello) => Request::Hello,
            Some(FrameType::Subscribe) => Request::Subscribe,
            Some(FrameType::Unsubscribe) => Request::Unsubscribe,
            Some(FrameType::Publish) => Request::Publish,
            Some(FrameType::Ping) => Request::Ping,
            Some(FrameType::Close) => Request::Close,
            Some(
                other @ (FrameType::Event | FrameType::Ack | FrameType::Error | FrameType::Pong),
            ) => {
                let text = format!("{other} comes from the broker, and not from a client");
                return Err(wrong(Code::InvalidArgument, text));
            }
            _ => {
                let text =
                    format!("unknown frame_type {number}: 1 (HELLO) to 10 (CLOSE) are understood");
                return Err(wrong(Code::Unimplemented, text));
            }
        };
        let number = raw.kind;
        let Some(kind) = MsgKind::from_number(number) else {
            let text = format!("unknown msg_kind {number}: 1 (EVENT) to 5 (METRIC) are understood");
            return Err(wrong(Code::Unimplemented, text));
        };
        Ok(Self {
            flags: raw.flags,
            request,
            kind,
            payload_len: usize::try_from(raw.payload_len).unwrap_or(usize::MAX),
            msg_id,
        })
    }

    pub(super) const fn wants_ack(self) -> bool {
        self.flags & ACK_REQUIRED != 0
    }
}

/// A header as the broker writes it.
pub(super) const fn header(
    frame_type: FrameType,
    kind: MsgKind,
    len: u32,
    msg_id: u64,
) -> [u8; HEADER_LEN] {
    let header = RawHeader {
        kind: kind.number(),
        payload_len: len,
        ..RawHeader::new(frame_type, msg_id)
    };
    header.join()
}

/// Appends an ACK.
#[inline]
pub(super) fn write_ack(output: &mut Vec<u8>, msg_id: u64) {
    output.extend_from_slice(&header(FrameType::Ack, MsgKind::State, 0, msg_id));
}

/// Appends the answer to a HELLO.
pub(super) fn write_welcome(output: &mut Vec<u8>, number: u64, msg_id: u64) {
    output.extend_from_slice(&header(FrameType::Ack, MsgKind::State, 8, msg_id));
    output.extend_from_slice(&number.to_be_bytes());
}

/// Appends the answer to a PING.
pub(super) fn write_pong(output: &mut Vec<u8>, msg_id: u64) {
    output.extend_from_slice(&header(FrameType::Pong, MsgKind::Event, 0, msg_id));
}

/// Appends an ERROR: `CODE: text`, cut to 256 bytes.
pub(super) fn write_error(output: &mut Vec<u8>, code: Code, text: &str, msg_id: u64) {
    let mut message = format!("{code}: {text}");
    if message.len() > MAX_TEXT_LEN {
        let mut end = MAX_TEXT_LEN;
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        message.truncate(end);
    }
    let len = u32::try_from(message.len()).unwrap_or(0);
    output.extend_from_slice(&header(FrameType::Error, MsgKind::State, len, msg_id));
    output.extend_from_slice(message.as_bytes());
}

/// Appends a CLOSE.
pub(super) fn write_close(output: &mut Vec<u8>) {
    output.extend_from_slice(&header(FrameType::Close, MsgKind::State, 0, 0));
}
