//! Streaming decompression, with a limit on the size of the output.

use std::io::{ErrorKind, Read};

use super::{Compression, DecompressError};

/// The least initial size of the buffer.
const MIN_BUFFER: usize = 1024;

/// Reads `decompressor`, which reads `input_len` bytes, until its end or until there are more than `max` bytes.
pub(super) fn read_all(
    algorithm: Compression,
    decompressor: &mut impl Read,
    input_len: usize,
    max: usize,
) -> Result<Vec<u8>, DecompressError> {
    let full = max.saturating_add(1);
    let mut out = vec![
        0;
        input_len
            .saturating_mul(4)
            .clamp(MIN_BUFFER.min(full), full)
    ];
    let mut len = 0;
    loop {
        if len == out.len() {
            if len > max {
                return Err(DecompressError::TooLarge { max });
            }
            let larger = len.saturating_mul(2).min(full);
            // Exact, since doubling could exceed the limit.
            out.reserve_exact(larger.saturating_sub(len));
            out.resize(larger, 0);
        }
        match decompressor.read(out.get_mut(len..).unwrap_or_default()) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(malformed(algorithm, &error)),
        }
    }
    out.truncate(len);
    if out.capacity() / 2 > len {
        // The body may be kept for a long time.
        out.shrink_to_fit();
    }
    Ok(out)
}

/// Fails if any input is left.
pub(super) fn check_rest(algorithm: Compression, rest: &[u8]) -> Result<(), DecompressError> {
    if rest.is_empty() {
        return Ok(());
    }
    Err(malformed(
        algorithm,
        &format_args!("{} bytes after the end", rest.len()),
    ))
}

pub(super) fn malformed(algorithm: Compression, reason: &dyn std::fmt::Display) -> DecompressError {
    DecompressError::Malformed {
        algorithm,
        reason: reason.to_string(),
    }
}
