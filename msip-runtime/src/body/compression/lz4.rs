//! lz4: the length of the body as a little-endian `u32`, then one block; most libraries call that a block with stored
//! size.

use lz4_flex::block::{compress_into, decompress_into, get_maximum_output_size};

use super::{Compression, InflateError};

const LEN_LEN: usize = size_of::<u32>();

/// The highest compression ratio of a block.
const MAX_RATIO: usize = 255;

pub(super) fn compress(body: &[u8]) -> Option<Vec<u8>> {
    let head = 1 + LEN_LEN;
    let mut out = vec![0; head + get_maximum_output_size(body.len())];
    let (_, rest) = out.split_first_mut()?;
    let (len, block) = rest.split_first_chunk_mut()?;
    *len = u32::try_from(body.len()).ok()?.to_le_bytes();
    let block_len = compress_into(body, block).ok()?;
    out.truncate(head + block_len);
    Some(out)
}

pub(super) fn inflate(data: &[u8], max: usize) -> Result<Vec<u8>, InflateError> {
    let malformed = |reason: String| InflateError::Malformed {
        algorithm: Compression::Lz4,
        reason,
    };
    let Some((len, block)) = data.split_first_chunk::<LEN_LEN>() else {
        return Err(malformed("truncated length".to_owned()));
    };
    let len = usize::try_from(u32::from_le_bytes(*len)).unwrap_or(usize::MAX);
    if len > max {
        return Err(InflateError::TooLarge { max });
    }
    if len > block.len().saturating_mul(MAX_RATIO) {
        return Err(malformed(format!(
            "{} bytes cannot contain the declared {len}",
            block.len()
        )));
    }
    let mut body = vec![0; len];
    match decompress_into(block, &mut body) {
        Ok(found) if found == len => Ok(body),
        Ok(found) => Err(malformed(format!(
            "declared {len} bytes, contained {found}"
        ))),
        Err(error) => Err(malformed(error.to_string())),
    }
}
