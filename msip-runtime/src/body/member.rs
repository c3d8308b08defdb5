//! The encoding of one member of an envelope in protobuf: key, length, message.

use bytes::{Buf, Bytes};
use prost::encoding::{
    DecodeContext, WireType, decode_key, decode_varint, encode_key, encode_varint,
    encoded_len_varint, key_len, skip_field,
};

use super::{Body, BodyError, Message, depth};

/// The length of a body that holds `message` as the member `number`, in bytes.
pub fn member_len<M: Message>(number: u16, message: &M) -> usize {
    let len = message.body_len();
    key_len(u32::from(number)) + encoded_len_varint(len as u64) + len
}

/// Appends a body that holds `message` as the member `number`.
pub fn encode_member<M: Message>(number: u16, message: &M, buffer: &mut Vec<u8>) {
    let len = message.body_len();
    match (u8::try_from(number), u8::try_from(len)) {
        // The fast path: one byte each.
        (Ok(number @ ..=15), Ok(len @ ..=127)) => {
            buffer.extend_from_slice(&[number << 3 | WireType::LengthDelimited as u8, len]);
        }
        _ => {
            encode_key(u32::from(number), WireType::LengthDelimited, buffer);
            encode_varint(len as u64, buffer);
        }
    }
    message.encode_body(buffer);
}

/// Reads the member `number` from a body.
///
/// # Errors
///
/// The body does not hold that member, or its bytes are not of type `M`.
#[inline]
pub fn decode_member<M: Message>(number: u16, body: Body<'_>) -> Result<M, BodyError> {
    let merged;
    let mut member = body;
    match only_member(number, body.rest()) {
        Some(start) => member.advance(start),
        None => {
            merged = merge_members(number, body.to_bytes())?;
            member = Body::from(&merged);
        }
    }
    if !depth::prost_limits_depth() {
        depth::check(member.rest()).map_err(|depth::TooDeep| BodyError::TooDeep {
            variant: number.into(),
            max: depth::MAX,
        })?;
    }
    M::decode_body(member).map_err(|reason| BodyError::malformed(number, reason))
}

/// Looks at the bytes of the member `number` of a body, as they are decoded.
///
/// # Errors
///
/// The body does not hold that member.
pub(super) fn with_member<R>(
    number: u16,
    body: Body<'_>,
    look: impl FnOnce(&[u8]) -> R,
) -> Result<R, BodyError> {
    match only_member(number, body.rest()) {
        Some(start) => Ok(look(body.rest().get(start..).unwrap_or_default())),
        None => merge_members(number, body.to_bytes()).map(|merged| look(&merged)),
    }
}

/// The length of a body that holds the member `number` without data, in bytes.
#[must_use]
pub fn unit_len(number: u16) -> usize {
    key_len(u32::from(number)) + 1
}

/// Appends a body that holds the member `number` without data.
pub fn encode_unit(number: u16, buffer: &mut Vec<u8>) {
    encode_key(u32::from(number), WireType::LengthDelimited, buffer);
    encode_varint(0, buffer);
}

/// Reads a member without data. Fields inside it are ignored: a newer peer may have given it some.
///
/// # Errors
///
/// The body does not hold that member.
pub fn decode_unit(number: u16, body: Body<'_>) -> Result<(), BodyError> {
    match only_member(number, body.rest()) {
        Some(_) => Ok(()),
        None => merge_members(number, body.to_bytes()).map(|_| ()),
    }
}

/// The bytes of the member `number`. Several occurrences are merged, as protobuf requires, which for encoded messages
/// means to concatenate them.
#[cold]
fn merge_members(number: u16, mut body: Bytes) -> Result<Bytes, BodyError> {
    let mut first: Option<Bytes> = None;
    // The concatenation, if there are several. It grows in place: copying it for each occurrence would let one body take
    // minutes.
    let mut merged: Vec<u8> = Vec::new();
    while body.has_remaining() {
        let (tag, wire_type) =
            decode_key(&mut body).map_err(|error| BodyError::malformed(number, error))?;
        if tag != u32::from(number) {
            skip_field(wire_type, tag, &mut body, DecodeContext::default())
                .map_err(|error| BodyError::malformed(number, error))?;
            continue;
        }
        if wire_type != WireType::LengthDelimited {
            return Err(BodyError::malformed(
                number,
                format_args!("expected a message, found wire type {wire_type:?}"),
            ));
        }
        let len = decode_varint(&mut body).map_err(|error| BodyError::malformed(number, error))?;
        let Some(len) = usize::try_from(len)
            .ok()
            .filter(|len| *len <= body.remaining())
        else {
            return Err(BodyError::malformed(
                number,
                format_args!(
                    "length {len} exceeds the remaining {} bytes",
                    body.remaining()
                ),
            ));
        };
        let part = body.split_to(len);
        match &first {
            None => first = Some(part),
            Some(first) => {
                if merged.is_empty() {
                    merged.extend_from_slice(first);
                }
                merged.extend_from_slice(&part);
            }
        }
    }
    match first {
        Some(first) if merged.is_empty() => Ok(first),
        Some(_) => Ok(merged.into()),
        None => Err(BodyError::MemberMissing {
            variant: number.into(),
        }),
    }
}

/// The offset of the data of the member, if the body holds that member once and nothing else, as nearly every body does.
#[inline]
fn only_member(number: u16, body: &[u8]) -> Option<usize> {
    if let (Ok(number @ ..=15), [key, len @ ..=127, rest @ ..]) = (u8::try_from(number), body)
        && *key == number << 3 | WireType::LengthDelimited as u8
        && rest.len() == usize::from(*len)
    {
        // The fast path: one byte each.
        return Some(2);
    }
    only_member_of_any(number, body)
}

/// The same, however long the member is.
#[inline(never)]
fn only_member_of_any(number: u16, body: &[u8]) -> Option<usize> {
    let mut rest = body;
    let (tag, wire_type) = decode_key(&mut rest).ok()?;
    let len = decode_varint(&mut rest).ok()?;
    let is_all = u64::try_from(rest.len()) == Ok(len);
    (is_all && tag == u32::from(number) && wire_type == WireType::LengthDelimited)
        .then(|| body.len() - rest.len())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[derive(Clone, PartialEq, prost::Message)]
    struct Note {
        #[prost(string, tag = "1")]
        text: String,
        #[prost(uint32, repeated, tag = "2")]
        marks: Vec<u32>,
    }

    fn body(number: u16, line: &Note) -> Vec<u8> {
        let mut buffer = Vec::new();
        encode_member(number, line, &mut buffer);
        assert_eq!(buffer.len(), member_len(number, line));
        buffer
    }

    #[test]
    fn a_member_comes_back_as_it_went() {
        let line = Note {
            text: "hi".into(),
            marks: vec![1, 300],
        };
        for number in [1, 15, 16, 65_535] {
            for len in [2, 123, 124, 127, 128, 255, 256, 16_384] {
                let line = Note {
                    text: "x".repeat(len),
                    ..line.clone()
                };
                assert_eq!(
                    decode_member::<Note>(number, Body::from(&Bytes::from(body(number, &line)))),
                    Ok(line),
                    "{len} bytes as member {number}"
                );
            }
        }
    }

    #[test]
    fn unknown_fields_beside_the_member_are_skipped() {
        let mut bytes = vec![0x9a, 0x06, 0x02, b'n', b'o'];
        bytes.extend(body(
            2,
            &Note {
                text: "hi".into(),
                marks: vec![],
            },
        ));
        bytes.extend([0xa0, 0x06, 0x01]);
        assert_eq!(
            decode_member::<Note>(2, Body::from(&Bytes::from(bytes))).map(|line| line.text),
            Ok("hi".to_owned())
        );
    }

    #[test]
    fn a_member_that_occurs_twice_is_merged() {
        let mut bytes = body(
            2,
            &Note {
                text: "first".into(),
                marks: vec![1],
            },
        );
        bytes.extend(body(
            2,
            &Note {
                text: "second".into(),
                marks: vec![2],
            },
        ));
        assert_eq!(
            decode_member::<Note>(2, Body::from(&Bytes::from(bytes))),
            Ok(Note {
                text: "second".into(),
                marks: vec![1, 2]
            })
        );
    }

    #[test]
    fn a_member_that_occurs_a_million_times_takes_no_time() {
        // Each with one byte of the message: a million of 0x12 are 50,000 lists of 18 marks.
        let bytes = [0x0a, 1, 0x12].repeat(1_000_000);
        let before = processor_time();
        let line = decode_member::<Note>(1, Body::from(&Bytes::from(bytes)));
        assert_eq!(line.map(|line| line.marks.len()), Ok(900_000));
        if let Some((before, after)) = before.zip(processor_time()) {
            assert!(after - before < Duration::from_secs(5));
        }
    }

    /// The time that this thread has had a processor for: the load of the machine is no part of it. Only Linux says so.
    fn processor_time() -> Option<Duration> {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        let nanos = text.split_whitespace().next()?.parse().ok()?;
        Some(Duration::from_nanos(nanos))
    }

    #[test]
    fn a_unit_member_is_its_key_and_a_zero() {
        let mut bytes = Vec::new();
        encode_unit(3, &mut bytes);
        assert_eq!(bytes, [0x1a, 0]);
        assert_eq!(unit_len(3), 2);
        assert_eq!(decode_unit(3, Body::from(&Bytes::from(bytes))), Ok(()));
        assert_eq!(
            decode_unit(3, Body::from(&Bytes::new())),
            Err(BodyError::MemberMissing { variant: 3.into() })
        );
    }

    #[test]
    fn bad_bodies_are_errors_that_say_why() {
        let cases: [(&str, &[u8], &str); 5] = [
            (
                "empty",
                &[],
                "the body does not contain variant 1, which its header names",
            ),
            (
                "another member",
                &[0x12, 0],
                "the body does not contain variant 1, which its header names",
            ),
            (
                "a number instead of a message",
                &[0x08, 1],
                "malformed body of variant 1: expected a message, found wire type Varint",
            ),
            (
                "longer than the body",
                &[0x0a, 200, 1, 0],
                "malformed body of variant 1: length 200 exceeds the remaining 1 bytes",
            ),
            (
                "text that is not UTF-8",
                &[0x0a, 3, 0x0a, 1, 0xff],
                "malformed body of variant 1: ",
            ),
        ];
        for (name, bytes, text) in cases {
            let error = decode_member::<Note>(1, Body::from(&Bytes::copy_from_slice(bytes)))
                .expect_err(name);
            assert!(error.to_string().starts_with(text), "{name}: {error}");
        }
    }
}
