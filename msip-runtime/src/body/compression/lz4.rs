//! lz4: one block, without a frame and without a length in front that could lie.

use lz4_flex::block::{DecompressError, compress_into, decompress_into, get_maximum_output_size};

use super::{Compression, InflateError};

/// No block inflates to more than this many times its length.
const MAX_RATIO: usize = 255;

pub(super) fn compress(number: u8, body: &[u8]) -> Option<Vec<u8>> {
    let mut out = vec![0; 1 + get_maximum_output_size(body.len())];
    let (first, block) = out.split_first_mut()?;
    *first = number;
    let len = compress_into(body, block).ok()?;
    out.truncate(1 + len);
    Some(out)
}

pub(super) fn inflate(data: &[u8], max: usize) -> Result<Vec<u8>, InflateError> {
    let most = data.len().saturating_mul(MAX_RATIO);
    let full = most.min(max.saturating_add(1));
    let mut room = data.len().saturating_mul(4).min(full);
    loop {
        // Zeroed pages cost nothing until they are written.
        let mut out = vec![0; room];
        match decompress_into(data, &mut out) {
            Ok(len) if len > max => return Err(InflateError::TooLarge { max }),
            Ok(len) => {
                out.truncate(len);
                if out.capacity() / 2 > len {
                    // The body may be kept for long.
                    out.shrink_to_fit();
                }
                return Ok(out);
            }
            Err(DecompressError::OutputTooSmall { .. }) if room < full => {
                room = room.saturating_mul(4).min(full);
            }
            Err(DecompressError::OutputTooSmall { .. }) if full > max => {
                return Err(InflateError::TooLarge { max });
            }
            Err(error) => {
                return Err(InflateError::Malformed {
                    algorithm: Compression::Lz4,
                    reason: error.to_string(),
                });
            }
        }
    }
}
