//! The frame header: the 24 bytes in front of every payload.

use std::fmt;

use msip_schema::MsgKind;
use thiserror::Error;

use super::{Escaped, Flags, FrameType, MsgId};

/// The length of a header in bytes.
pub const HEADER_LEN: usize = 24;

/// The first four bytes of every frame.
pub const MAGIC: [u8; 4] = *b"MSIP";

/// The version of the protocol, the fifth byte of every frame.
pub const VERSION: u8 = 1;

/// The fields of a header as its bytes have them, with nothing checked: what MIP and MSIP have in common
/// (docs/protocol.md, "Header"). [`Header`] is what a valid one means in the MSIP dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawHeader {
    /// [`MAGIC`] where this is a header.
    pub magic: [u8; 4],
    /// [`VERSION`] where this version can read it.
    pub version: u8,
    /// The bits of its flags.
    pub flags: u8,
    /// The number of the frame's type.
    pub frame_type: u16,
    /// The number of its kind.
    pub kind: u16,
    /// The number of its variant, a field that MIP calls reserved.
    pub variant: u16,
    /// How many bytes follow the header.
    pub payload_len: u32,
    /// The number of its message id.
    pub msg_id: u64,
}

impl RawHeader {
    /// A header without flags, kind, variant and payload.
    pub const fn new(frame_type: FrameType, msg_id: u64) -> Self {
        Self {
            magic: MAGIC,
            version: VERSION,
            flags: 0,
            frame_type: frame_type.number(),
            kind: 0,
            variant: 0,
            payload_len: 0,
            msg_id,
        }
    }

    /// Whether the bytes are those of a header of this version, as far as magic and version tell.
    pub fn is_frame(&self) -> bool {
        self.magic == MAGIC && self.version == VERSION
    }

    /// Splits the bytes into fields.
    #[inline(always)]
    pub const fn split(bytes: &[u8; HEADER_LEN]) -> Self {
        // A pattern instead of indices: that the parts fit is checked when this is compiled.
        let [
            m0,
            m1,
            m2,
            m3,
            version,
            flags,
            t0,
            t1,
            k0,
            k1,
            v0,
            v1,
            l0,
            l1,
            l2,
            l3,
            i0,
            i1,
            i2,
            i3,
            i4,
            i5,
            i6,
            i7,
        ] = *bytes;
        Self {
            magic: [m0, m1, m2, m3],
            version,
            flags,
            frame_type: u16::from_be_bytes([t0, t1]),
            kind: u16::from_be_bytes([k0, k1]),
            variant: u16::from_be_bytes([v0, v1]),
            payload_len: u32::from_be_bytes([l0, l1, l2, l3]),
            msg_id: u64::from_be_bytes([i0, i1, i2, i3, i4, i5, i6, i7]),
        }
    }

    /// The bytes of these fields.
    #[inline(always)]
    pub const fn join(&self) -> [u8; HEADER_LEN] {
        let [m0, m1, m2, m3] = self.magic;
        let [t0, t1] = self.frame_type.to_be_bytes();
        let [k0, k1] = self.kind.to_be_bytes();
        let [v0, v1] = self.variant.to_be_bytes();
        let [l0, l1, l2, l3] = self.payload_len.to_be_bytes();
        let [i0, i1, i2, i3, i4, i5, i6, i7] = self.msg_id.to_be_bytes();
        [
            m0,
            m1,
            m2,
            m3,
            self.version,
            self.flags,
            t0,
            t1,
            k0,
            k1,
            v0,
            v1,
            l0,
            l1,
            l2,
            l3,
            i0,
            i1,
            i2,
            i3,
            i4,
            i5,
            i6,
            i7,
        ]
    }
}

/// A header that is valid as far as a header alone can be (docs/protocol.md, "Header").
///
/// Its kind may be one that this version does not know: such a message is answered, and the connection continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The frame's flags.
    pub flags: Flags,
    /// The frame's type.
    pub frame_type: FrameType,
    /// How the frame's message is delivered.
    pub kind: RawKind,
    /// The number of the oneof member that the body holds; 0 where there is none.
    pub variant: u16,
    /// How many bytes follow the header.
    pub payload_len: u32,
    /// The exchange that the frame belongs to.
    pub msg_id: MsgId,
}

impl Header {
    /// A header without flags, variant and payload, of kind STATE, as frames have that carry no message.
    pub const fn control(frame_type: FrameType, msg_id: MsgId) -> Self {
        Self {
            flags: Flags::NONE,
            frame_type,
            kind: RawKind::STATE,
            variant: 0,
            payload_len: 0,
            msg_id,
        }
    }

    /// Reads a header.
    ///
    /// # Errors
    ///
    /// The first fault in the order of the bytes; after it no further frame can be found in the stream, so
    /// each of them ends the connection.
    #[inline]
    pub fn parse(bytes: &[u8; HEADER_LEN]) -> Result<Self, HeaderError> {
        let raw = RawHeader::split(bytes);
        if raw.magic != MAGIC {
            Self::check_magic(&raw.magic)?;
        }
        if raw.version != VERSION {
            return Err(HeaderError::UnsupportedVersion(raw.version));
        }
        let flags = Flags::from_bits(raw.flags).ok_or(HeaderError::UnknownFlags(raw.flags))?;
        let frame_type = FrameType::from_number(raw.frame_type)
            .ok_or(HeaderError::UnknownFrameType(raw.frame_type))?;
        Ok(Self {
            flags,
            frame_type,
            kind: RawKind::new(raw.kind),
            variant: raw.variant,
            payload_len: raw.payload_len,
            msg_id: MsgId::new(raw.msg_id),
        })
    }

    /// Whether bytes can begin a header, be they ever so few.
    ///
    /// # Errors
    ///
    /// [`HeaderError::BadMagic`] from the first byte on that no header has there.
    #[inline]
    pub fn check_magic(bytes: &[u8]) -> Result<(), HeaderError> {
        let found = bytes.get(..MAGIC.len()).unwrap_or(bytes);
        if MAGIC.starts_with(found) {
            return Ok(());
        }
        Err(HeaderError::BadMagic {
            found: found.to_vec(),
        })
    }

    /// Writes the header.
    #[inline]
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        RawHeader {
            magic: MAGIC,
            version: VERSION,
            flags: self.flags.bits(),
            frame_type: self.frame_type.number(),
            kind: self.kind.number(),
            variant: self.variant,
            payload_len: self.payload_len,
            msg_id: self.msg_id.number(),
        }
        .join()
    }
}

/// The number of a kind as a header has it, known to this version or not.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RawKind(u16);

impl RawKind {
    /// The kind of frames that carry no message.
    pub const STATE: Self = Self(MsgKind::State.number());

    /// The kind with this number.
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// The number in the header.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// The kind, where this version knows it.
    ///
    /// # Errors
    ///
    /// [`UnknownKind`], whose text is what the peer is answered.
    pub const fn known(self) -> Result<MsgKind, UnknownKind> {
        match MsgKind::from_number(self.0) {
            Some(kind) => Ok(kind),
            None => Err(UnknownKind(self.0)),
        }
    }
}

impl From<MsgKind> for RawKind {
    fn from(kind: MsgKind) -> Self {
        Self(kind.number())
    }
}

impl fmt::Display for RawKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.known() {
            Ok(kind) => f.write_str(kind.name()),
            Err(UnknownKind(number)) => write!(f, "kind {number}"),
        }
    }
}

impl fmt::Debug for RawKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawKind({self})")
    }
}

/// A kind that this version does not know. The message is answered; the connection continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("unknown msg_kind {0}: 1 (EVENT) to 5 (METRIC) are understood")]
pub struct UnknownKind(pub u16);

/// Why 24 bytes are no header. Each of them ends the connection.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The peer speaks something else.
    #[error("bad magic {} ({}): frames begin with 4d534950 (MSIP){}", hex(.found), Escaped::new(&String::from_utf8_lossy(.found)), remedy(.found))]
    BadMagic {
        /// The first four bytes, or as many as had come.
        found: Vec<u8>,
    },
    /// The peer speaks another version.
    #[error("unsupported version {0}: version 1 is understood")]
    UnsupportedVersion(u8),
    /// A flag that this version does not know.
    #[error("unknown flags 0x{0:02x}: 0x7f are understood")]
    UnknownFlags(u8),
    /// A frame type that this version does not know.
    #[error("unknown frame_type {0}: 1 (HELLO) to 12 (CANCEL) are understood")]
    UnknownFrameType(u16),
}

/// What to do about a peer that is recognized by its first bytes.
fn remedy(found: &[u8]) -> &'static str {
    match found {
        b"GET " => "; a WebSocket needs a listener at ws://",
        _ => "",
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
