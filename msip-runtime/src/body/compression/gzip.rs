//! gzip: one member (RFC 1952).

use std::{cell::RefCell, io::Write as _};

use flate2::{Crc, bufread::GzDecoder, write::DeflateEncoder};

use super::{Compression, DecompressError, stream};

/// The default of zlib.
const LEVEL: u32 = 6;

/// A member without a name, a time and the system that it comes from.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

thread_local! {
    /// An encoder has tables of 300 KiB. Allocated for each message, they would leave holes of that size between what lives
    /// longer.
    static ENCODER: RefCell<Option<DeflateEncoder<Vec<u8>>>> = const { RefCell::new(None) };
}

pub(super) fn compress(body: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(body.len() / 2 + HEADER.len());
    out.push(0);
    out.extend_from_slice(&HEADER);
    let mut out = ENCODER.with_borrow_mut(|slot| {
        // One that has failed is not put back.
        let mut encoder = match slot.take() {
            Some(mut encoder) => {
                encoder.reset(out).ok()?;
                encoder
            }
            None => DeflateEncoder::new(out, flate2::Compression::new(LEVEL)),
        };
        encoder.write_all(body).ok()?;
        let out = encoder.reset(Vec::new()).ok()?;
        *slot = Some(encoder);
        Some(out)
    })?;
    let mut crc = Crc::new();
    crc.update(body);
    out.extend_from_slice(&crc.sum().to_le_bytes());
    // The length modulo 2^32, which `Crc` counts so.
    out.extend_from_slice(&crc.amount().to_le_bytes());
    Some(out)
}

pub(super) fn decompress(data: &[u8], max: usize) -> Result<Vec<u8>, DecompressError> {
    let mut decoder = GzDecoder::new(data);
    let body = stream::read_all(Compression::Gzip, &mut decoder, data.len(), max)?;
    stream::check_rest(Compression::Gzip, decoder.into_inner())?;
    Ok(body)
}
