//! The receive buffer of a stream: the items that were received and not read yet.

use std::{
    collections::VecDeque,
    task::{Context, Poll, Waker},
};

use super::wake_list::{WakeList, store_waker};
use crate::sync::{AtomicBool, Mutex, MutexGuard, Ordering, lock};
use msip_session::{Item, Outcome, StreamSide};

/// Memory for so many items is kept while nothing comes.
const KEPT_ITEMS: usize = 64;

/// The items of one stream. Its window bounds them, together with those that its reader took out at once: 4,096 items
/// and 256 KiB, plus one item.
///
/// Where the connection is locked too, it is locked first.
#[derive(Debug, Default)]
pub(crate) struct RecvBuffer {
    state: Mutex<RecvBufferState>,
    /// The sender waits for credit: the reader is to say with the next item what it has read.
    is_credit_wanted: AtomicBool,
}

#[derive(Debug, Default)]
struct RecvBufferState {
    items: VecDeque<Item>,
    /// How the exchange ended; nothing more comes.
    outcome: Option<Outcome>,
    /// Which exchange of the session it is, while that is open.
    end: Option<StreamSide>,
    reader: Option<Waker>,
}

impl RecvBuffer {
    fn lock(&self) -> MutexGuard<'_, RecvBufferState> {
        lock(&self.state)
    }

    /// The sender waits for credit.
    pub(super) fn want_credit(&self) {
        self.is_credit_wanted.store(true, Ordering::Relaxed);
    }

    /// Whether the sender waits for credit; says so once.
    #[inline]
    pub(super) fn take_credit_wanted(&self) -> bool {
        self.is_credit_wanted.load(Ordering::Relaxed)
            && self.is_credit_wanted.swap(false, Ordering::Relaxed)
    }

    /// The exchange is open.
    pub(super) fn open(&self, end: StreamSide) {
        self.lock().end = Some(end);
    }

    /// Items were received. Leaves `items` empty.
    pub(super) fn extend(&self, items: &mut VecDeque<Item>, wakes: &mut WakeList) {
        let mut state = self.lock();
        state.items.append(items);
        wakes.extend(state.reader.take());
    }

    /// An item was received.
    pub(super) fn push(&self, item: Item, wakes: &mut WakeList) {
        let mut state = self.lock();
        state.items.push_back(item);
        wakes.extend(state.reader.take());
    }

    /// The stream has ended, though its exchange may be open still.
    pub(super) fn complete(&self, outcome: Outcome, wakes: &mut WakeList) {
        let mut state = self.lock();
        state.outcome.get_or_insert(outcome);
        wakes.extend(state.reader.take());
    }

    /// The exchange has ended, and with it the stream.
    pub(super) fn close(&self, outcome: Outcome, wakes: &mut WakeList) {
        self.lock().end = None;
        self.complete(outcome, wakes);
    }

    /// The exchange, while it is open.
    pub(super) fn end(&self) -> Option<StreamSide> {
        self.lock().end
    }

    /// Takes out all items that are there, into `items`, which is empty; or else the end.
    pub(super) fn poll_next(
        &self,
        items: &mut VecDeque<Item>,
        task: &mut Context<'_>,
    ) -> Poll<Option<Outcome>> {
        let mut state = self.lock();
        if !state.items.is_empty() {
            std::mem::swap(&mut state.items, items);
            return Poll::Ready(None);
        }
        if let Some(outcome) = state.outcome.take() {
            if matches!(&outcome, Outcome::Answer { body, .. } if !body.is_empty()) {
                // A last item came with the end, which follows.
                state.outcome = Some(Outcome::NOTHING);
            }
            return Poll::Ready(Some(outcome));
        }
        store_waker(&mut state.reader, task.waker());
        state.items.shrink_to(KEPT_ITEMS);
        items.shrink_to(KEPT_ITEMS);
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use bytes::Bytes;

    use super::*;

    /// Counts how often it was woken.
    #[derive(Debug, Default)]
    struct Woken(AtomicUsize);

    impl std::task::Wake for Woken {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn items(variants: std::ops::Range<u16>) -> VecDeque<Item> {
        let item = |variant| Item {
            variant,
            body: Bytes::from_static(b"body"),
            compressed: false,
            payload_len: 4,
            metadata: None,
        };
        variants.map(item).collect()
    }

    fn variants(items: &VecDeque<Item>) -> Vec<u16> {
        items.iter().map(|item| item.variant).collect()
    }

    #[test]
    fn all_that_is_there_is_taken_at_once_and_the_reader_woken_once() {
        let woken = std::sync::Arc::new(Woken::default());
        let waker = Waker::from(std::sync::Arc::clone(&woken));
        let mut context = Context::from_waker(&waker);
        let recv_buffer = RecvBuffer::default();
        let mut wakes = WakeList::default();
        let mut taken = VecDeque::new();
        assert!(recv_buffer.poll_next(&mut taken, &mut context).is_pending());
        for first in [0, 100] {
            recv_buffer.extend(&mut items(first..first + 100), &mut wakes);
            wakes.wake_all();
        }
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert!(matches!(
            recv_buffer.poll_next(&mut taken, &mut context),
            Poll::Ready(None)
        ));
        assert_eq!(variants(&taken), (0..200).collect::<Vec<u16>>());
        taken.clear();
        assert!(recv_buffer.poll_next(&mut taken, &mut context).is_pending());
        assert!(taken.capacity() <= KEPT_ITEMS, "while nothing comes");
    }

    #[test]
    fn what_has_come_before_the_end_is_taken_before_it() {
        let mut context = Context::from_waker(Waker::noop());
        let recv_buffer = RecvBuffer::default();
        let mut wakes = WakeList::default();
        recv_buffer.extend(&mut items(0..3), &mut wakes);
        recv_buffer.close(Outcome::Lost { sent: true }, &mut wakes);
        recv_buffer.push(items(3..4).remove(0).unwrap(), &mut wakes);
        assert!(wakes.is_empty(), "nobody has asked");
        let mut taken = VecDeque::new();
        assert!(matches!(
            recv_buffer.poll_next(&mut taken, &mut context),
            Poll::Ready(None)
        ));
        assert_eq!(variants(&taken), [0, 1, 2, 3]);
        taken.clear();
        assert!(matches!(
            recv_buffer.poll_next(&mut taken, &mut context),
            Poll::Ready(Some(Outcome::Lost { sent: true }))
        ));
    }
}
