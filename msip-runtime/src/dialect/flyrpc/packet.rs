//! The packets of FlyRPC: `flag u8, seq u16, code, 00, length, payload`, in big endian.

use super::{super::DialectError, NAME};

/// The bits of a flag. The others are ignored, as the reference does.
const RESPONSE: u8 = 0x80;
const WANTS_RESPONSE: u8 = 0x40;
const LENGTH_WIDTH: u8 = 0x03;

/// Where the code begins.
const CODE_AT: usize = 3;

/// The longest code that any packet may have, in bytes: that of an error.
pub(super) const MAX_CODE: usize = 255;

/// What a packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PacketKind {
    /// A request whose sender waits for the response.
    Request,
    /// A request whose sender only hears of an error.
    Notice,
    /// A response; an error where it has a code.
    Response,
}

impl PacketKind {
    const fn of(flag: u8) -> Self {
        if flag & RESPONSE != 0 {
            Self::Response
        } else if flag & WANTS_RESPONSE != 0 {
            Self::Request
        } else {
            Self::Notice
        }
    }

    const fn flag(self) -> u8 {
        match self {
            Self::Request => WANTS_RESPONSE,
            Self::Notice => 0,
            Self::Response => RESPONSE,
        }
    }
}

/// All of a packet but its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head<'a> {
    pub(super) kind: PacketKind,
    pub(super) seq: u16,
    pub(super) code: &'a [u8],
    /// Where the payload begins.
    pub(super) len: usize,
    /// Any number: whoever reads the payload compares it first.
    pub(super) payload_len: u64,
}

impl<'a> Head<'a> {
    /// The head that the bytes begin with, where all of it is there.
    ///
    /// # Errors
    ///
    /// The code has no end within `max_code` bytes.
    pub(super) fn parse(bytes: &'a [u8], max_code: usize) -> Result<Option<Self>, DialectError> {
        let Some((&[flag, high, low], rest)) = bytes.split_first_chunk::<CODE_AT>() else {
            return Ok(None);
        };
        let code_end = rest
            .iter()
            .take(max_code.saturating_add(1))
            .position(|byte| *byte == 0);
        let Some(code_end) = code_end else {
            return if rest.len() > max_code {
                Err(fault(format!(
                    "a code without an end: {max_code} bytes are allowed"
                )))
            } else {
                Ok(None)
            };
        };
        let (code, rest) = rest.split_at_checked(code_end).unwrap_or_default();
        // Behind the code there is the zero that was found.
        let rest = rest.get(1..).unwrap_or_default();
        let width = 1 << (flag & LENGTH_WIDTH);
        let Some(length) = rest.get(..width) else {
            return Ok(None);
        };
        Ok(Some(Self {
            kind: PacketKind::of(flag),
            seq: u16::from_be_bytes([high, low]),
            code,
            len: CODE_AT + code_end + 1 + width,
            payload_len: length
                .iter()
                .fold(0, |len, byte| len << 8 | u64::from(*byte)),
        }))
    }
}

/// Appends a packet, its length in as few bytes as possible. The code holds no zero.
pub(super) fn write_packet(
    output: &mut Vec<u8>,
    kind: PacketKind,
    seq: u16,
    code: &str,
    payload: &[u8],
) {
    let len = payload.len();
    let flag = kind.flag();
    output.reserve(CODE_AT + code.len() + 9 + len);
    let mut head = |width: u8| {
        output.push(flag | width);
        output.extend_from_slice(&seq.to_be_bytes());
        output.extend_from_slice(code.as_bytes());
        output.push(0);
    };
    if let Ok(len) = u8::try_from(len) {
        head(0);
        output.push(len);
    } else if let Ok(len) = u16::try_from(len) {
        head(1);
        output.extend_from_slice(&len.to_be_bytes());
    } else if let Ok(len) = u32::try_from(len) {
        head(2);
        output.extend_from_slice(&len.to_be_bytes());
    } else {
        head(3);
        output.extend_from_slice(&(len as u64).to_be_bytes());
    }
    output.extend_from_slice(payload);
}

pub(super) fn fault(rule: String) -> DialectError {
    DialectError {
        dialect: NAME,
        rule,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_when_all_of_it_is_there() {
        let packet = b"\x42\x01\x02add\0\0\x01\0\0rest";
        for len in 0..11 {
            assert_eq!(Head::parse(&packet[..len], 255), Ok(None), "{len}");
        }
        let head = Head {
            kind: PacketKind::Request,
            seq: 0x0102,
            code: b"add",
            len: 11,
            payload_len: 65_536,
        };
        assert_eq!(Head::parse(packet, 255), Ok(Some(head)));
        assert_eq!(Head::parse(packet, 3), Ok(Some(head)));
        assert!(Head::parse(packet, 2).is_err());
    }

    #[test]
    fn flags_that_mean_nothing_are_ignored() {
        for (flag, kind) in [
            (0xbc, PacketKind::Response),
            (0xfc, PacketKind::Response),
            (0x7c, PacketKind::Request),
            (0x3c, PacketKind::Notice),
        ] {
            let packet = [flag, 0, 1, 0, 0];
            let head = Head::parse(&packet, 255).unwrap().unwrap();
            assert_eq!((head.kind, head.payload_len), (kind, 0), "{flag:02x}");
        }
    }

    #[test]
    fn the_largest_length_is_a_number_like_any_other() {
        let head = Head::parse(b"\x43\0\x01\0\xff\xff\xff\xff\xff\xff\xff\xff", 255);
        assert_eq!(head.unwrap().unwrap().payload_len, u64::MAX);
    }

    #[test]
    fn a_code_without_an_end_is_refused_as_soon_as_that_can_be_seen() {
        let endless = [b'a'; 300];
        assert_eq!(Head::parse(&endless[..3 + 255], 255), Ok(None));
        let refused = Head::parse(&endless[..3 + 256], 255).unwrap_err();
        assert_eq!(refused.rule, "a code without an end: 255 bytes are allowed");
    }

    #[test]
    fn the_shortest_length_is_written() {
        for (len, head) in [
            (0, &b"\x40\0\x03echo\0\0"[..]),
            (255, b"\x40\0\x03echo\0\xff"),
            (256, b"\x41\0\x03echo\0\x01\0"),
            (65_535, b"\x41\0\x03echo\0\xff\xff"),
            (65_536, b"\x42\0\x03echo\0\0\x01\0\0"),
        ] {
            let mut output = Vec::new();
            write_packet(&mut output, PacketKind::Request, 3, "echo", &vec![7; len]);
            assert!(output.starts_with(head), "{len}");
            assert_eq!(output.len(), head.len() + len);
        }
    }
}
