//! gzip: one member (RFC 1952).

use std::io::Write as _;

use flate2::{bufread::GzDecoder, write::GzEncoder};

use super::{Compression, InflateError, stream};

/// The default of zlib.
const LEVEL: u32 = 6;

pub(super) fn compress(body: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(body.len() / 2);
    out.push(0);
    let mut encoder = GzEncoder::new(out, flate2::Compression::new(LEVEL));
    encoder.write_all(body).ok()?;
    encoder.finish().ok()
}

pub(super) fn inflate(data: &[u8], max: usize) -> Result<Vec<u8>, InflateError> {
    let mut decoder = GzDecoder::new(data);
    let body = stream::read_all(Compression::Gzip, &mut decoder, data.len(), max)?;
    stream::check_rest(Compression::Gzip, decoder.into_inner())?;
    Ok(body)
}
