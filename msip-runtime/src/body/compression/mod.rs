//! Compressed bodies: the algorithm's number, then what it made of the body (docs/protocol.md, "Body").
//!
//! Inflating never makes more than the limit and one byte, whatever the input says of its size, and takes all of its
//! input or fails.

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

use super::choice::{Choice as _, Compression};

/// Why a body cannot be inflated.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum InflateError {
    /// It becomes larger than allowed.
    #[cfg_attr(
        not(any(feature = "gzip", feature = "lz4", feature = "zstd")),
        expect(dead_code, reason = "nothing inflates")
    )]
    #[error("it inflates to more than {max} bytes (max_body)")]
    TooLarge { max: usize },
    /// Its first byte names another algorithm than was agreed on.
    #[error("it is marked as {found}, and {agreed} was agreed")]
    Algorithm { found: String, agreed: Compression },
    /// The rest of it is not what the algorithm makes.
    #[error("no {algorithm}: {reason}")]
    Malformed {
        algorithm: Compression,
        reason: String,
    },
}

/// What the body of a COMPRESSED frame holds for this body; `None` where it would not get smaller.
pub(crate) fn compress(algorithm: Compression, body: &[u8]) -> Option<Vec<u8>> {
    let number = u8::try_from(algorithm.number()).ok()?;
    // Each leaves room for the number. (A tuple, so that none of it goes unused whatever is built.)
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

/// The body that the body of a COMPRESSED frame stands for, of at most `max` bytes.
pub(crate) fn inflate(
    agreed: Compression,
    body: &[u8],
    max: usize,
) -> Result<Vec<u8>, InflateError> {
    let Some((number, data)) = body.split_first() else {
        return Err(InflateError::Malformed {
            algorithm: agreed,
            reason: "it is empty".to_owned(),
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
        // Only what is built can be agreed on.
        (algorithm, ..) => Err(InflateError::Malformed {
            algorithm,
            reason: "not built in".to_owned(),
        }),
    }
}
