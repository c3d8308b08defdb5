//! Compression of bodies: the number of the algorithm, then its output (docs/protocol.md, "Body").
//!
//! Decompression never produces more than one byte over the limit, whatever size the input declares, and fails unless it
//! consumes all of its input.

#[cfg(feature = "gzip")]
mod gzip;
#[cfg(feature = "lz4")]
mod lz4;
#[cfg(any(feature = "gzip", feature = "zstd"))]
mod stream;
#[cfg(feature = "zstd")]
mod zstd;

#[cfg(test)]
mod tests;

use thiserror::Error;

use super::choice::{Compression, Negotiable as _};

/// A body cannot be decompressed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum InflateError {
    /// It is larger than allowed.
    #[cfg_attr(
        not(any(feature = "gzip", feature = "lz4", feature = "zstd")),
        expect(dead_code, reason = "nothing decompresses")
    )]
    #[error("decompressed length exceeds {max} bytes (max_body)")]
    TooLarge { max: usize },
    /// Its first byte names another algorithm than the one agreed in the handshake.
    #[error("compressed with {found}, but {agreed} was negotiated")]
    Algorithm { found: String, agreed: Compression },
    /// The rest is not output of the algorithm.
    #[error("invalid {algorithm}: {reason}")]
    Malformed {
        algorithm: Compression,
        reason: String,
    },
}

/// Compresses a body for a COMPRESSED frame; `None` if that would not make it smaller.
pub(crate) fn compress(algorithm: Compression, body: &[u8]) -> Option<Vec<u8>> {
    let number = u8::try_from(algorithm.number()).ok()?;
    // Each leaves the first byte for the number. (A tuple, so that nothing is unused whatever features are on.)
    let compressed = match (algorithm, body) {
        #[cfg(feature = "gzip")]
        (Compression::Gzip, body) => gzip::compress(body),
        #[cfg(feature = "lz4")]
        (Compression::Lz4, body) => lz4::compress(body),
        #[cfg(feature = "zstd")]
        (Compression::Zstd, body) => zstd::compress(body),
        _ => None,
    };
    let mut compressed: Vec<u8> = compressed?;
    *compressed.first_mut()? = number;
    (compressed.len() < body.len()).then_some(compressed)
}

/// Decompresses the body of a COMPRESSED frame, to at most `max` bytes.
pub(crate) fn inflate(
    agreed: Compression,
    body: &[u8],
    max: usize,
) -> Result<Vec<u8>, InflateError> {
    let Some((number, data)) = body.split_first() else {
        return Err(InflateError::Malformed {
            algorithm: agreed,
            reason: "the body is empty".to_owned(),
        });
    };
    if i32::from(*number) != agreed.number() || agreed == Compression::None {
        let found = Compression::names(&[(*number).into()]);
        return Err(InflateError::Algorithm { found, agreed });
    }
    match (agreed, data, max) {
        #[cfg(feature = "gzip")]
        (Compression::Gzip, data, max) => gzip::inflate(data, max),
        #[cfg(feature = "lz4")]
        (Compression::Lz4, data, max) => lz4::inflate(data, max),
        #[cfg(feature = "zstd")]
        (Compression::Zstd, data, max) => zstd::inflate(data, max),
        // Only algorithms that are built in are negotiated.
        (algorithm, ..) => Err(InflateError::Malformed {
            algorithm,
            reason: "not built in".to_owned(),
        }),
    }
}
