//! zstd: one frame.

use std::cell::RefCell;

use zstd::{bulk::Compressor, stream::read::Decoder, zstd_safe::get_frame_content_size};

use super::{Compression, InflateError, stream};

/// zstd's own default.
const LEVEL: i32 = 3;

/// How far back a frame may refer, in powers of two: 1 KiB at least, as every frame may, and 8 MiB at most. The
/// inflater keeps that much beside its output.
const WINDOW_LOG: std::ops::RangeInclusive<u32> = 10..=23;

thread_local! {
    /// A compressor has tables of more than a megabyte, which are not worth making for each message.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
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
    // A size over the limit is believed; one within it has to come true.
    let declared = get_frame_content_size(data).ok().flatten();
    let declared = declared.map(|declared| usize::try_from(declared).unwrap_or(usize::MAX));
    if declared.is_some_and(|declared| declared > max) {
        return Err(InflateError::TooLarge { max });
    }
    let malformed = |error: std::io::Error| stream::malformed(Compression::Zstd, &error);
    let mut decoder = Decoder::with_buffer(data)
        .map_err(malformed)?
        .single_frame();
    // A window larger than all that may come out of it serves nobody.
    let needed = max
        .checked_next_power_of_two()
        .map_or(u32::MAX, usize::trailing_zeros);
    decoder
        .window_log_max(needed.clamp(*WINDOW_LOG.start(), *WINDOW_LOG.end()))
        .map_err(malformed)?;
    let body = stream::read_all(Compression::Zstd, &mut decoder, data.len(), max)?;
    stream::check_rest(Compression::Zstd, decoder.finish())?;
    match declared {
        Some(declared) if declared != body.len() => {
            let reason = format_args!(
                "a body of {} bytes, and {declared} were announced",
                body.len()
            );
            Err(stream::malformed(Compression::Zstd, &reason))
        }
        _ => Ok(body),
    }
}
