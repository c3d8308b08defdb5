//! zstd: one frame.

use std::cell::RefCell;

use zstd::{
    bulk::{Compressor, Decompressor},
    stream::read::Decoder,
    zstd_safe::{find_frame_compressed_size, get_frame_content_size},
};

use super::{Compression, InflateError, stream};

/// The default of zstd.
const LEVEL: i32 = 3;

/// The window that a frame may ask for, as a power of two: 1 KiB, which every frame may use, to 8 MiB. The decompressor
/// keeps that much in addition to its output.
const WINDOW_LOG: std::ops::RangeInclusive<u32> = 10..=23;

thread_local! {
    /// A compressor has tables of more than a megabyte, too much to allocate for each message.
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
        // A frame that is not smaller does not fit, which is an error.
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
        // A declared size over the limit is refused; one within it must be the actual size.
        Some(declared) if declared > max => Err(InflateError::TooLarge { max }),
        Some(declared) => inflate_at_once(data, declared),
        None => inflate_by_parts(data, max),
    }
}

/// Decompresses a frame of declared size directly into the output. It needs no window, and a wrong size costs no more
/// than a right one.
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
                "declared {len} bytes, contained {found}"
            ))),
            Err(error) => Err(malformed(&error)),
        }
    })
}

/// Decompresses a frame of undeclared size.
fn inflate_by_parts(data: &[u8], max: usize) -> Result<Vec<u8>, InflateError> {
    let mut decoder = Decoder::with_buffer(data)
        .map_err(|error| malformed(&error))?
        .single_frame();
    // A window larger than the largest output is of no use.
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
