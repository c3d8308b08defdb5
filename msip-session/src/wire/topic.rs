//! Topics: where a broker routes a message.

use std::fmt;
use std::str;

use bytes::Bytes;
use thiserror::Error;

use super::Escaped;

/// A topic: UTF-8 without control characters. It is empty on a direct connection.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Topic(Bytes);

impl Topic {
    /// The empty topic.
    pub const EMPTY: Self = Self(Bytes::new());

    /// The topic in these bytes, which it keeps.
    ///
    /// # Errors
    ///
    /// See [`TopicError`]; `max_len` is in bytes.
    pub fn new(bytes: Bytes, max_len: u16) -> Result<Self, TopicError> {
        if bytes.len() > usize::from(max_len) {
            return Err(TopicError::TooLong {
                len: bytes.len(),
                max: max_len,
            });
        }
        if is_plain(&bytes) {
            return Ok(Self(bytes));
        }
        let text = str::from_utf8(&bytes).map_err(|_| TopicError::NotUtf8)?;
        match text.chars().find(|character| character.is_control()) {
            Some(character) => Err(TopicError::ControlCharacter(character)),
            None => Ok(Self(bytes)),
        }
    }

    /// Whether these bytes are a topic, whatever their number.
    #[must_use]
    pub fn is_valid(bytes: &[u8]) -> bool {
        is_plain(bytes)
            || str::from_utf8(bytes).is_ok_and(|text| !text.chars().any(char::is_control))
    }

    /// The bytes of the topic.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The topic as text.
    pub fn as_str(&self) -> &str {
        // `new` has seen that it is UTF-8, so the default is never taken.
        str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Whether it is the topic of a direct connection.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// Whether all of these are printable ASCII, as nearly all topics are: eight are looked at together.
fn is_plain(bytes: &[u8]) -> bool {
    const EACH: u64 = u64::MAX / 0xff;
    let (words, rest) = bytes.as_chunks();
    let is_plain_word = |word: &[u8; 8]| {
        let word = u64::from_le_bytes(*word);
        // The upper bit of each byte: set where it is not ASCII, where it is the last one, DEL, and where it is before the space.
        let beyond = word | word.wrapping_add(EACH);
        let before = word.wrapping_sub(EACH * 0x20) & !word;
        (beyond | before) & (EACH * 0x80) == 0
    };
    words.iter().all(is_plain_word) && rest.iter().all(|byte| (b' '..=b'~').contains(byte))
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Escaped::with_max_len(self.as_str(), usize::from(u16::MAX)).fmt(f)
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Topic({:?})", self.as_str())
    }
}

/// Why bytes are no topic. The message is answered with `INVALID_ARGUMENT`; the connection goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TopicError {
    /// It is longer than the connection allows.
    #[error("the topic has {len} bytes: {max} are allowed")]
    TooLong {
        /// Its length in bytes.
        len: usize,
        /// The most that is allowed.
        max: u16,
    },
    /// It is not text.
    #[error("the topic is not UTF-8")]
    NotUtf8,
    /// It holds a NUL or another control character.
    #[error("the topic holds the control character U+{:04X}", u32::from(*.0))]
    ControlCharacter(char),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_counts_the_same_wherever_it_is() {
        for byte in 0..=u8::MAX {
            for len in [1, 7, 8, 9, 16, 20] {
                for at in 0..len {
                    for other in [b' ', b'a', b'~', 0x7f, 0xff] {
                        let mut bytes = vec![other; len];
                        bytes[at] = byte;
                        let expected = bytes.iter().all(|byte| (b' '..=b'~').contains(byte));
                        assert_eq!(is_plain(&bytes), expected, "{byte:#x} at {at} of {bytes:?}");
                    }
                }
            }
        }
    }
}
