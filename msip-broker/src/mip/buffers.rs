//! The buffers that a thread's connections read into. A connection that sleeps holds none.

use std::cell::RefCell;

use bytes::BytesMut;

/// How much a read is offered, in bytes.
pub(super) const READ_LEN: usize = 64 * 1024;

/// How many buffers a thread keeps. What was published from one is in use until the slowest subscriber has it.
const MAX_KEPT: usize = 8;

/// The largest buffer that is kept.
const MAX_LEN: usize = 2 * READ_LEN;

thread_local! {
    static KEPT: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer of [`READ_LEN`] bytes or more, which nothing else uses.
pub(super) fn borrow() -> BytesMut {
    let kept = KEPT.try_with(|kept| {
        let mut kept = kept.try_borrow_mut().ok()?;
        // The last one that was returned is the likeliest to be in the processor's caches.
        let free = kept
            .iter_mut()
            .rposition(|buffer| buffer.try_reclaim(READ_LEN))?;
        Some(kept.swap_remove(free))
    });
    // A thread that is ending keeps none any more.
    let kept = kept.ok().flatten();
    kept.unwrap_or_else(|| BytesMut::with_capacity(READ_LEN))
}

/// Gives one back; what was taken out of it may be in use yet.
pub(super) fn give_back(mut buffer: BytesMut) {
    buffer.clear();
    if buffer.capacity() > MAX_LEN {
        return;
    }
    let _ = KEPT.try_with(|kept| {
        if let Ok(mut kept) = kept.try_borrow_mut() {
            if kept.len() >= MAX_KEPT {
                kept.remove(0);
            }
            kept.push(buffer);
        }
    });
}

/// Makes place for more: the rest of a frame of which `missing` bytes have not come, or whatever comes next. The buffer
/// of a long frame grows with what was received.
pub(super) fn make_place(buffer: &mut BytesMut, missing: usize) {
    let spare = buffer.capacity() - buffer.len();
    if spare >= missing.max(READ_LEN / 2) {
        return;
    }
    if missing > READ_LEN || buffer.len() > READ_LEN / 2 {
        if spare < READ_LEN / 2 {
            buffer.reserve(READ_LEN.max(missing.min(buffer.len())));
        }
        return;
    }
    let mut next = borrow();
    next.extend_from_slice(buffer);
    give_back(std::mem::replace(buffer, next));
}

/// Gives back what is not needed while nothing comes: all of it, or all but a part of a frame.
pub(super) fn release(buffer: &mut BytesMut) {
    if buffer.capacity() == 0 {
        return;
    }
    if buffer.is_empty() {
        give_back(std::mem::take(buffer));
    } else if buffer.len() < buffer.capacity() / 4 {
        let part = BytesMut::from(&**buffer);
        give_back(std::mem::replace(buffer, part));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_whose_content_is_in_use_is_not_lent_again() {
        let mut first = borrow();
        first.extend_from_slice(b"in use");
        let place = first.as_ptr().addr();
        let in_use = first.split_to(6).freeze();
        give_back(first);
        let other = borrow();
        assert_ne!(other.as_ptr().addr(), place);
        drop(other);
        drop(in_use);
        assert_eq!(borrow().as_ptr().addr(), place);
    }

    #[test]
    fn what_waits_for_the_rest_of_a_frame_keeps_no_more_than_that() {
        let mut buffer = borrow();
        buffer.extend_from_slice(b"a part");
        release(&mut buffer);
        assert_eq!(&*buffer, b"a part");
        assert!(buffer.capacity() < 64);
        make_place(&mut buffer, 100);
        assert_eq!(&*buffer, b"a part");
        assert!(buffer.capacity() - buffer.len() >= 100);
    }

    #[test]
    fn the_buffer_of_a_long_frame_grows_with_what_has_come() {
        let mut buffer = borrow();
        make_place(&mut buffer, 100 << 20);
        assert!(buffer.capacity() <= MAX_LEN);
        buffer.resize(buffer.capacity(), 0);
        make_place(&mut buffer, 100 << 20);
        assert!(buffer.capacity() <= 4 * READ_LEN);
    }
}
