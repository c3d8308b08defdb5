//! The head of an HTTP request or response, as far as an upgrade needs it.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio_tungstenite::tungstenite::http::{HeaderMap, HeaderValue};

/// The longest head in bytes. The library's parser allows 124 fields in it.
const MAX_HEAD_LEN: usize = 16 * 1024;

/// How many bytes are read at once.
const READ_LEN: usize = 2 * 1024;

/// Frames of MSIP begin with this, and so does no method of HTTP that anybody uses.
const MSIP: &[u8] = b"MSIP";

/// A TLS record of a handshake, and one of an alert.
const TLS: [[u8; 2]; 2] = [[0x16, 3], [0x15, 3]];

/// What a peer has sent where a head is expected.
#[derive(Debug)]
pub(super) enum Head {
    /// A head, up to and with its empty line, and the bytes that came with it.
    Http { head: Vec<u8>, rest: Vec<u8> },
    /// The head has no end within its limit.
    TooLong,
    /// Frames of MSIP, without a WebSocket.
    Msip,
    /// TLS.
    Tls,
    /// Something else, which began with these bytes.
    Other(Vec<u8>),
    /// The end of input.
    Cut,
}

/// Reads until it is known what the peer sends.
///
/// # Cancel safety
///
/// Dropping the future loses what it has read.
pub(super) async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Head> {
    let mut bytes = Vec::new();
    loop {
        if let Some(kind) = other_protocol(&bytes) {
            return Ok(kind);
        }
        if let Some(end) = end_of_head(&bytes) {
            let rest = bytes.split_off(end);
            return Ok(Head::Http { head: bytes, rest });
        }
        if bytes.len() >= MAX_HEAD_LEN {
            return Ok(Head::TooLong);
        }
        bytes.reserve(READ_LEN.min(MAX_HEAD_LEN - bytes.len()));
        let len = MAX_HEAD_LEN - bytes.len();
        let read = (&mut *stream)
            .take(u64::try_from(len.min(READ_LEN)).unwrap_or(1))
            .read_buf(&mut bytes)
            .await?;
        if read == 0 {
            return Ok(Head::Cut);
        }
    }
}

/// The protocol of bytes that begin no head, as soon as they tell.
fn other_protocol(bytes: &[u8]) -> Option<Head> {
    let (first, _) = bytes.split_first()?;
    if bytes.starts_with(MSIP) {
        return Some(Head::Msip);
    }
    if let Some(two) = bytes.first_chunk::<2>()
        && TLS.contains(two)
    {
        return Some(Head::Tls);
    }
    let may_be_tls = bytes.len() == 1 && TLS.iter().any(|[tls, _]| tls == first);
    // A method, or the `HTTP/1.1` of a response.
    let is_other = !first.is_ascii_uppercase() && !may_be_tls;
    is_other.then(|| Head::Other(bytes.to_vec()))
}

/// Where the empty line ends.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let at = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some(at + 4)
}

/// The elements of a comma-separated field, which may be there several times.
pub(super) fn elements<'a>(
    fields: &'a HeaderMap,
    name: &'static str,
) -> impl Iterator<Item = &'a [u8]> {
    fields
        .get_all(name)
        .into_iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
}

/// Whether a comma-separated field has this element, in any case.
pub(super) fn has_element(fields: &HeaderMap, name: &'static str, element: &str) -> bool {
    elements(fields, name).any(|other| other.eq_ignore_ascii_case(element.as_bytes()))
}

/// Whether a field is there once, with this value.
pub(super) fn has_only(fields: &HeaderMap, name: &'static str, value: &str) -> bool {
    let values = fields.get_all(name).into_iter();
    values.map(HeaderValue::as_bytes).eq([value.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(mut bytes: &[u8]) -> String {
        match read_head(&mut bytes).await.unwrap() {
            Head::Http { head, rest } => format!("head of {} and {}", head.len(), rest.len()),
            Head::TooLong => "too long".to_owned(),
            Head::Msip => "msip".to_owned(),
            Head::Tls => "tls".to_owned(),
            Head::Other(bytes) => format!("other {}", bytes.len()),
            Head::Cut => "cut".to_owned(),
        }
    }

    #[tokio::test]
    async fn a_head_is_told_from_what_is_none() {
        let long = [b"GET / HTTP/1.1\r\nA: ".as_slice(), &[b'a'; 100_000]].concat();
        let cases: [(&[u8], &str); 9] = [
            (b"GET / HTTP/1.1\r\n\r\n", "head of 18 and 0"),
            (b"GET / HTTP/1.1\r\n\r\nmore", "head of 18 and 4"),
            (b"GET / HTTP/1.1\r\n", "cut"),
            (b"", "cut"),
            (&long, "too long"),
            (b"MSIP\x01\0", "msip"),
            (b"\x16\x03\x01", "tls"),
            (b"\x16\x04", "other 2"),
            (b"\0hello", "other 6"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(read(bytes).await, expected);
        }
    }
}
