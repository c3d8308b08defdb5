//! zstd: one frame.

use std::cell::RefCell;

use zstd::{
    bulk::{Compressor, Decompressor},
    stream::read::Decoder,
    zstd_safe::{find_frame_compressed_size, get_frame_content_size},
};

use super::{Compression, InflateError, stream};

/// zstd's own default.
const LEVEL: i32 = 3;

/// How far back a frame may refer, in powers of two: 1 KiB at least, as every frame may, and 8 MiB at most. The
/// inflater keeps that much beside its output.
const WINDOW_LOG: std::ops::RangeInclusive<u32> = 10..=23;

thread_local! {
    /// A compressor has tables of more than a megabyte, which are not worth making for each message.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    /// A decompressor has 100 KiB of them.
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

pub(super) fn compress(body: &[u8]) -> Option<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|slot| {
        let compressor = match slot {
            Some(compressor) => compressor,
            None => slot.insert(Compressor::new(LEVEL).ok()?),
        };
        // What does not get smaller does not fit.
        let mut compressed = vec![0; body.len()];
        let (_, frame) = compressed.split_first_mut()?;
        let len = compressor.compress_to_buffer(body, frame).ok()?;
        compressed.truncate(1 + len);
        Some(compressed)
    })
}

pub(super) fn inflate(data: &[u8], max: usize) -> Result<Vec<u8>, InflateError> {
    let declared = get_frame_content_size(data).ok().flatten();
    let declared = declared.map(|declared| usize::try_from(declared).unwrap_or(usize::MAX));
    match declared {
        // A size over the limit is believed; one within it has to come true.
        Some(declared) if declared > max => Err(InflateError::TooLarge { max }),
        Some(declared) => inflate_at_once(data, declared),
        None => inflate_by_parts(data, max),
    }
}

/// Inflates a frame straight into its place. So it needs no window; and a size that is a lie costs no more than one
/// that is true.
fn inflate_at_once(data: &[u8], len: usize) -> Result<Vec<u8>, InflateError> {
    let frame_len = find_frame_compressed_size(data)
        .map_err(|code| malformed(&zstd::zstd_safe::get_error_name(code)))?;
    stream::check_rest(Compression::Zstd, data.get(frame_len..).unwrap_or_default())?;
    DECOMPRESSOR.with_borrow_mut(|slot| {
        let decompressor = match slot {
            Some(decompressor) => decompressor,
            None => slot.insert(Decompressor::new().map_err(|error| malformed(&error))?),
        };
        let mut body = vec![0; len];
        match decompressor.decompress_to_buffer(data, body.as_mut_slice()) {
            Ok(found) if found == len => Ok(body),
            Ok(found) => Err(malformed(&format_args!(
                "a body of {found} bytes, and {len} were announced"
            ))),
            Err(error) => Err(malformed(&error)),
        }
    })
}

/// Inflates a frame that does not say how large it is.
fn inflate_by_parts(data: &[u8], max: usize) -> Result<Vec<u8>, InflateError> {
    let mut decoder = Decoder::with_buffer(data)
        .map_err(|error| malformed(&error))?
        .single_frame();
    // A window larger than all that may come out of it serves nobody.
    let needed = max
        .checked_next_power_of_two()
        .map_or(u32::MAX, usize::trailing_zeros);
    decoder
        .window_log_max(needed.clamp(*WINDOW_LOG.start(), *WINDOW_LOG.end()))
        .map_err(|error| malformed(&error))?;
    let body = stream::read_all(Compression::Zstd, &mut decoder, data.len(), max)?;
    stream::check_rest(Compression::Zstd, decoder.finish())?;
    Ok(body)
}

fn malformed(reason: &dyn std::fmt::Display) -> InflateError {
    stream::malformed(Compression::Zstd, reason)
}
