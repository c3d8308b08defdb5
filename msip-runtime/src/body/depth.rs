//! The limit on the nesting of messages.
//!
//! prost enforces a limit itself, unless any crate of the build enables its feature `no-recursion-limit`: then bytes from
//! a peer could overflow the stack. So it is checked once whether prost does; if not, every body is measured before it is
//! decoded.

use std::sync::OnceLock;

use prost::Message as _;

/// Messages nested deeper than this are refused (docs/protocol.md, "Limits").
pub(crate) const MAX: usize = 100;

/// Messages are nested deeper than [`MAX`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooDeep;

#[derive(Clone, PartialEq, prost::Message)]
struct Nested {
    #[prost(message, optional, boxed, tag = "1")]
    inner: Option<Box<Nested>>,
}

/// Whether prost, as built here, refuses messages that are nested too deep.
pub(crate) fn prost_limits_depth() -> bool {
    static LIMITS: OnceLock<bool> = OnceLock::new();
    *LIMITS.get_or_init(|| Nested::decode(nested(MAX + 1).as_slice()).is_err())
}

/// A message with `depth` more inside it.
fn nested(depth: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..depth {
        let mut outer = Vec::with_capacity(bytes.len() + 4);
        prost::encoding::encode_key(1, prost::encoding::WireType::LengthDelimited, &mut outer);
        prost::encoding::encode_varint(bytes.len() as u64, &mut outer);
        outer.extend_from_slice(&bytes);
        bytes = outer;
    }
    bytes
}

/// Refuses bytes that any schema could read as messages nested deeper than [`MAX`].
///
/// Without the schema any length-delimited field may be a message, so a string that looks like one counts as one: the
/// result is never too small, and too large only for strings crafted to look like messages.
pub(crate) fn check(bytes: &[u8]) -> Result<(), TooDeep> {
    fields(bytes, 0).map(|_| ())
}

/// Walks the fields of bytes that may be a message, and stops where they cannot be one. Recurses at most [`MAX`]
/// levels. Returns the bytes after an end of group.
fn fields(mut bytes: &[u8], depth: usize) -> Result<&[u8], TooDeep> {
    if depth > MAX {
        return Err(TooDeep);
    }
    while let Some((key, rest)) = varint(bytes) {
        bytes = match key & 7 {
            0 => match varint(rest) {
                Some((_, rest)) => rest,
                None => break,
            },
            1 => rest.get(8..).unwrap_or_default(),
            2 => {
                let Some((len, rest)) = varint(rest) else {
                    break;
                };
                let len = usize::try_from(len).unwrap_or(usize::MAX);
                fields(rest.get(..len).unwrap_or(rest), depth + 1)?;
                rest.get(len..).unwrap_or_default()
            }
            3 => fields(rest, depth + 1)?,
            4 => return Ok(rest),
            5 => rest.get(4..).unwrap_or_default(),
            _ => break,
        };
    }
    Ok(&[])
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(index + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prost_limits_depth_in_this_build() {
        assert!(prost_limits_depth());
    }

    #[test]
    fn depth_is_counted_through_messages_and_groups() {
        assert_eq!(check(&nested(MAX)), Ok(()));
        assert_eq!(check(&nested(MAX + 2)), Err(TooDeep));
        assert_eq!(
            check(&[0x0b; MAX + 2]),
            Err(TooDeep),
            "groups that never end"
        );
        assert_eq!(
            check(&[0x0b; 1_000_000]),
            Err(TooDeep),
            "a megabyte of them"
        );
    }

    #[test]
    fn bytes_that_cannot_be_a_message_are_not_followed() {
        assert_eq!(check(b"plain text of no depth at all"), Ok(()));
        assert_eq!(check(&[0xff; 64]), Ok(()));
        assert_eq!(check(&[]), Ok(()));
    }
}
