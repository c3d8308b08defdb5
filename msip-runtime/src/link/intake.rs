//! The near end of a stream that comes in: what is taken out of its inflow, and of whom that is told.

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use super::{Link, exchange::failure, inflow::Inflow};
use crate::{
    CallError,
    session::{Item, Outcome, Taking},
    wire::Credit,
};

/// What a stream yields next.
#[derive(Debug)]
pub(crate) enum Taken {
    /// An item, not yet decoded.
    Item(Item),
    /// Nothing more: it is complete.
    End,
    /// Nothing more: it broke off.
    Failed(CallError),
}

/// Takes a stream's items one after the other, out of all that were there when it last looked. An item counts against the
/// stream's window until it is taken here.
#[derive(Debug)]
pub(crate) struct Intake {
    inflow: Arc<Inflow>,
    items: VecDeque<Item>,
    taking: Taking,
}

impl Intake {
    pub(crate) fn new(inflow: Arc<Inflow>) -> Self {
        Self {
            inflow,
            items: VecDeque::new(),
            taking: Taking::default(),
        }
    }

    /// What it takes from.
    pub(crate) fn inflow(&self) -> &Arc<Inflow> {
        &self.inflow
    }

    /// The next of the items that were there when it last looked; credit for it goes back to its sender.
    #[inline]
    pub(crate) fn pop(&mut self, link: &Link) -> Option<Item> {
        let item = self.items.pop_front()?;
        // What came with the opening frame took no credit.
        if item.payload_len > 0
            && let Some(taken) = self.taking.take(item.payload_len)
        {
            self.tell(link, taken);
        }
        Some(item)
    }

    /// The next of the stream.
    pub(crate) fn poll_next(
        &mut self,
        link: &Link,
        timeout: Duration,
        context: &mut Context<'_>,
    ) -> Poll<Taken> {
        loop {
            if let Some(item) = self.pop(link) {
                return Poll::Ready(Taken::Item(item));
            }
            let end = match self.inflow.poll_next(&mut self.items, context) {
                Poll::Ready(None) => continue,
                Poll::Ready(Some(outcome)) => Poll::Ready(last(outcome, timeout)),
                Poll::Pending => Poll::Pending,
            };
            if let Some(taken) = self.taking.rest() {
                self.tell(link, taken);
            }
            return end;
        }
    }

    fn tell(&mut self, link: &Link, taken: Credit) {
        let due = link.with_session(|session| {
            // The exchange cannot end while the lock is held.
            self.inflow.end().and_then(|end| session.taken(end, taken))
        });
        self.taking.told(due.flatten());
    }
}

/// What the end of the exchange means to whoever takes its items.
fn last(outcome: Outcome, timeout: Duration) -> Taken {
    match outcome {
        Outcome::Answer {
            variant,
            body,
            compressed,
            metadata,
        } if !body.is_empty() => Taken::Item(Item {
            variant,
            body,
            compressed,
            metadata,
            payload_len: 0,
        }),
        Outcome::Answer { .. } => Taken::End,
        outcome => Taken::Failed(failure(outcome, timeout)),
    }
}
