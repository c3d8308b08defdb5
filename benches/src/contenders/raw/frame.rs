//! Frames: 24 bytes of header, then a message.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use msip_load::Failure;
use prost::Message;
use tokio::io::{AsyncRead, ReadBuf};

/// How large a header is.
const HEADER_LEN: usize = 24;
/// How much is read at once.
const READ_LEN: usize = 256 * 1024;
/// When what is to be written is written, though more may be ready.
pub(super) const WRITE_LEN: usize = 128 * 1024;
/// The longest message.
const MAX_LEN: usize = 64 * 1024 * 1024;

/// What a frame holds.
pub(super) mod kind {
    pub(in super::super) const ECHO: u16 = 1;
    pub(in super::super) const NOTE: u16 = 2;
    pub(in super::super) const TALLY: u16 = 3;
    pub(in super::super) const FEED: u16 = 4;
    pub(in super::super) const SHOUT: u16 = 5;
}

/// A number, and weight.
#[derive(Clone, PartialEq, Message)]
pub(super) struct RawNote {
    #[prost(fixed64, tag = "1")]
    pub(super) number: u64,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) data: Vec<u8>,
}

impl RawNote {
    /// Reads a message into this one, whose memory is used again.
    pub(super) fn read(&mut self, mut body: &[u8]) -> Result<(), Failure> {
        self.number = 0;
        self.data.clear();
        self.merge(&mut body).map_err(Failure::library)
    }
}

/// How many notes came, and what their numbers add up to.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct RawTally {
    #[prost(uint64, tag = "1")]
    pub(super) count: u64,
    #[prost(uint64, tag = "2")]
    pub(super) sum: u64,
}

/// How many notes to send, and how long each is to be.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct RawFeed {
    #[prost(uint64, tag = "1")]
    pub(super) count: u64,
    #[prost(uint32, tag = "2")]
    pub(super) size: u32,
}

/// Appends a frame.
pub(super) fn put(out: &mut Vec<u8>, kind: u16, id: u64, message: &impl Message) {
    let start = out.len();
    let mut header = [0; HEADER_LEN];
    header[..4].copy_from_slice(b"MSIP");
    header[4] = 1;
    header[10..12].copy_from_slice(&kind.to_be_bytes());
    header[16..].copy_from_slice(&id.to_be_bytes());
    out.extend_from_slice(&header);
    // A `Vec` grows: encoding into it cannot fail.
    message.encode_raw(out);
    let len = u32::try_from(out.len() - start - HEADER_LEN).unwrap_or(u32::MAX);
    out[start + 12..start + 16].copy_from_slice(&len.to_be_bytes());
}

/// A frame in the buffer that it was read into.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame<'a> {
    pub(super) kind: u16,
    pub(super) id: u64,
    pub(super) body: &'a [u8],
}

/// What was read, and not yet handled.
#[derive(Debug)]
pub(super) struct Inbox {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self {
            buffer: vec![0; READ_LEN],
            start: 0,
            end: 0,
        }
    }

    /// Reads what is there. At the end of the stream nothing was received.
    pub(super) fn poll_fill(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        self.make_room();
        let mut room = ReadBuf::new(&mut self.buffer[self.end..]);
        ready!(Pin::new(stream).poll_read(context, &mut room))?;
        let len = room.filled().len();
        self.end += len;
        Poll::Ready(Ok(len))
    }

    /// What is left of a frame goes to the front, where there is no capacity for the rest of it.
    fn make_room(&mut self) {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        } else if self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            if self.end == self.buffer.len() {
                let len = self.buffer.len();
                self.buffer.resize(2 * len, 0);
            }
        }
    }

    /// The next whole frame.
    pub(super) fn next(&mut self) -> Result<Option<Frame<'_>>, Failure> {
        let Some((header, rest)) =
            self.buffer[self.start..self.end].split_first_chunk::<HEADER_LEN>()
        else {
            return Ok(None);
        };
        let [
            m0,
            m1,
            m2,
            m3,
            _,
            _,
            _,
            _,
            _,
            _,
            k0,
            k1,
            l0,
            l1,
            l2,
            l3,
            id @ ..,
        ] = *header;
        let len = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
        if [m0, m1, m2, m3] != *b"MSIP" || len > MAX_LEN {
            return Err(Failure::Protocol(format!(
                "not a frame: {:02x?}, {len} bytes",
                [m0, m1, m2, m3]
            )));
        }
        let Some(body) = rest.get(..len) else {
            return Ok(None);
        };
        self.start += HEADER_LEN + len;
        Ok(Some(Frame {
            kind: u16::from_be_bytes([k0, k1]),
            id: u64::from_be_bytes(id),
            body,
        }))
    }
}
