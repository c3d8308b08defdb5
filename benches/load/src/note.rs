//! The message that is sent: a number and padding.

use bytes::Bytes;

use crate::Failure;

/// A number and padding; every contender converts it to a message type of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Tells one note from another.
    pub number: u64,
    /// Makes the message as long as the load asks.
    pub data: Bytes,
}

/// How many notes came, and what their numbers add up to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// Their numbers, added up.
    pub sum: u64,
}

impl Tally {
    /// Counts one more.
    pub fn add(&mut self, number: u64) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(number);
    }
}

/// What makes a note `size` bytes long in protobuf: text, which a compression can make something of.
///
/// The number takes 9 bytes (a fixed 64-bit field), the weight a tag, its length and itself.
#[must_use]
pub fn data_of(size: usize) -> Bytes {
    const WORDS: &[u8] = b"the quick brown fox jumps over the lazy dog, and 0123456789 more; ";
    let mut len = size.saturating_sub(9 + 1 + 1);
    let mut limit = 1 << 7;
    while len >= limit {
        len -= 1;
        limit <<= 7;
    }
    let mut text: Vec<u8> = WORDS.iter().copied().cycle().take(len).collect();
    // No two lines alike, or a compression would find one line over and over.
    for (line, bytes) in text.chunks_mut(64).enumerate() {
        let stamp = (line as u64)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .to_be_bytes();
        let at = bytes.len().min(stamp.len());
        bytes[..at].copy_from_slice(&stamp[..at]);
    }
    Bytes::from(text)
}

/// Compares what came back with what was sent: the number, the length, and the bytes at both ends.
///
/// # Errors
///
/// They differ.
pub fn expect_same(sent: u64, data: &[u8], got: u64, got_data: &[u8]) -> Result<(), Failure> {
    if sent != got || data.len() != got_data.len() {
        return Err(Failure::Wrong {
            sent,
            sent_len: data.len(),
            got,
            got_len: got_data.len(),
        });
    }
    let end = data.len().min(16);
    let tail = data.len() - end;
    if data[..end] != got_data[..end] || data[tail..] != got_data[tail..] {
        return Err(Failure::Garbled { number: sent });
    }
    Ok(())
}

/// Compares what came with what was sent.
///
/// # Errors
///
/// Something was lost, or came more than once.
pub fn check_tally(sent: Tally, came: Tally) -> Result<(), Failure> {
    if sent == came {
        return Ok(());
    }
    Err(Failure::Lost {
        sent: sent.count,
        came: came.count,
        sent_sum: sent.sum,
        came_sum: came.sum,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The length of a protobuf varint.
    fn varint_len(value: usize) -> usize {
        let bits = usize::BITS - value.leading_zeros();
        bits.max(1).div_ceil(7) as usize
    }

    #[test]
    fn a_note_is_as_long_as_asked() {
        for size in [32, 137, 138, 140, 1024, 16 * 1024, 65_536, 3_000_000] {
            let len = data_of(size).len();
            assert_eq!(9 + 1 + varint_len(len) + len, size, "size {size}");
        }
    }

    #[test]
    fn what_differs_is_told() {
        let data = data_of(64);
        expect_same(1, &data, 1, &data).expect("the same note");
        assert!(matches!(
            expect_same(1, &data, 2, &data),
            Err(Failure::Wrong {
                sent: 1,
                got: 2,
                ..
            })
        ));
        let mut other = data.to_vec();
        *other.last_mut().expect("a byte") ^= 1;
        assert!(matches!(
            expect_same(1, &data, 1, &other),
            Err(Failure::Garbled { number: 1 })
        ));
        let mut came = Tally::default();
        came.add(7);
        assert!(matches!(
            check_tally(Tally { count: 2, sum: 7 }, came),
            Err(Failure::Lost {
                sent: 2,
                came: 1,
                ..
            })
        ));
    }
}
