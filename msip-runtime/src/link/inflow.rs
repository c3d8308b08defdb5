//! The items of a stream that have come and were not taken yet.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use crate::session::{End, Item, Outcome};

/// What has come of a stream. Its window bounds it: 512 items and 256 KiB, plus one item.
///
/// Where both are locked, the link's state is locked first.
#[derive(Debug, Default)]
pub(crate) struct Inflow {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    items: VecDeque<Item>,
    /// How the exchange ended; nothing more comes.
    outcome: Option<Outcome>,
    /// Which exchange of the session it is, while that is open.
    end: Option<End>,
    reader: Option<Waker>,
}

/// The next of a stream.
#[derive(Debug)]
pub(super) enum Next {
    /// An item, and the exchange to which its credit is to be returned, where that is open still.
    Item(Item, Option<End>),
    /// The end.
    Outcome(Outcome),
}

impl Inflow {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The exchange is open.
    pub(super) fn open(&self, end: End) {
        self.lock().end = Some(end);
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
    pub(super) fn end(&self) -> Option<End> {
        self.lock().end
    }

    pub(super) fn poll_next(&self, context: &mut Context<'_>) -> Poll<Next> {
        let mut state = self.lock();
        if let Some(item) = state.items.pop_front() {
            return Poll::Ready(Next::Item(item, state.end));
        }
        if let Some(outcome) = state.outcome.take() {
            if matches!(&outcome, Outcome::Answer { body, .. } if !body.is_empty()) {
                // A last item came with the end, which follows.
                state.outcome = Some(Outcome::NOTHING);
            }
            return Poll::Ready(Next::Outcome(outcome));
        }
        match &mut state.reader {
            Some(known) => known.clone_from(context.waker()),
            unknown => *unknown = Some(context.waker().clone()),
        }
        Poll::Pending
    }
}
