//! The items of a stream that have come and were not taken yet.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use super::ConnectionInner;
use msip_session::{Item, ItemTarget, Outcome, StreamSide};

/// Room for so many items is kept while nothing comes.
const KEPT_ITEMS: usize = 64;

/// What has come of a stream. Its window bounds it, together with what its reader has taken out at once: 4,096 items
/// and 256 KiB, plus one item.
///
/// Where both are locked, the connection's state is locked first.
#[derive(Debug, Default)]
pub(crate) struct RecvBuffer {
    state: Mutex<RecvBufferState>,
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
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The exchange is open.
    pub(super) fn open(&self, end: StreamSide) {
        self.lock().end = Some(end);
    }

    /// Items have come. Leaves `items` empty. Returns whom to wake.
    pub(super) fn extend(&self, items: &mut VecDeque<Item>) -> Option<Waker> {
        let mut state = self.lock();
        state.items.append(items);
        state.reader.take()
    }

    /// An item has come. Returns whom to wake.
    pub(super) fn push(&self, item: Item) -> Option<Waker> {
        let mut state = self.lock();
        state.items.push_back(item);
        state.reader.take()
    }

    /// The stream has ended, though its exchange may be open still. Returns whom to wake.
    pub(super) fn complete(&self, outcome: Outcome) -> Option<Waker> {
        let mut state = self.lock();
        state.outcome.get_or_insert(outcome);
        state.reader.take()
    }

    /// The exchange has ended, and with it the stream. Returns whom to wake.
    pub(super) fn close(&self, outcome: Outcome) -> Option<Waker> {
        self.lock().end = None;
        self.complete(outcome)
    }

    /// The exchange, while it is open.
    pub(super) fn end(&self) -> Option<StreamSide> {
        self.lock().end
    }

    /// Takes out all items that are there, into `items`, which is empty; or else the end.
    pub(super) fn poll_next(
        &self,
        items: &mut VecDeque<Item>,
        context: &mut Context<'_>,
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
        match &mut state.reader {
            Some(known) => known.clone_from(context.waker()),
            unknown => *unknown = Some(context.waker().clone()),
        }
        state.items.shrink_to(KEPT_ITEMS);
        items.shrink_to(KEPT_ITEMS);
        Poll::Pending
    }
}

/// Items of one stream that were read together, on their way to where they are taken.
#[derive(Debug, Default)]
pub(crate) struct ReceivedItems {
    inlet: Option<ItemTarget>,
    items: VecDeque<Item>,
}

impl ConnectionInner {
    /// An item has come, which is handed over with those that follow it: by [`hand_over`](Self::hand_over), at the latest
    /// before the lock is given back, and before anything else is said of its exchange. Returns whom to wake.
    #[inline]
    pub(crate) fn arrived(
        &mut self,
        arrivals: &mut ReceivedItems,
        inlet: ItemTarget,
        item: Item,
    ) -> Option<Waker> {
        let reader = if arrivals.inlet == Some(inlet) {
            None
        } else {
            self.hand_over(arrivals)
        };
        arrivals.inlet = Some(inlet);
        arrivals.items.push_back(item);
        reader
    }

    /// Hands over what has arrived. Returns whom to wake.
    #[inline]
    pub(crate) fn hand_over(&mut self, arrivals: &mut ReceivedItems) -> Option<Waker> {
        if arrivals.items.is_empty() {
            return None;
        }
        self.hand_over_items(arrivals)
    }

    fn hand_over_items(&mut self, arrivals: &mut ReceivedItems) -> Option<Waker> {
        let recv_buffer = match arrivals.inlet.take()? {
            ItemTarget::Answers(token) => self.recv_buffer_of(token),
            ItemTarget::Requests(slot) => self.requests.get(&slot),
        };
        match recv_buffer {
            Some(recv_buffer) => recv_buffer.extend(&mut arrivals.items),
            None => {
                arrivals.items.clear();
                None
            }
        }
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
        let mut taken = VecDeque::new();
        assert!(recv_buffer.poll_next(&mut taken, &mut context).is_pending());
        for first in [0, 100] {
            let reader = recv_buffer.extend(&mut items(first..first + 100));
            reader.into_iter().for_each(Waker::wake);
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
        recv_buffer.extend(&mut items(0..3));
        recv_buffer.close(Outcome::Lost { sent: true });
        assert!(recv_buffer.push(items(3..4).remove(0).unwrap()).is_none());
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
