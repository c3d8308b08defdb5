//! Deliveries that were not sent, since there was no connection: they go before all that comes later, in their order.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use msip_runtime::{CallOptions, untyped::UntypedMessage};

use crate::router::Delivery;

/// A message that is to be acknowledged.
#[derive(Debug)]
pub(super) struct Acknowledged {
    /// Those before it have smaller ones, whenever they were tried last.
    pub(super) number: u64,
    pub(super) delivery: Delivery,
    /// Its frame, one of the publication's.
    pub(super) frame: Bytes,
    pub(super) message: UntypedMessage,
    pub(super) options: CallOptions,
}

/// What the writer has begun and could not send. Those that were begun together find out in any order.
///
/// It is bounded by what a session may have open.
#[derive(Debug, Default)]
pub(super) struct Unsent(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    deliveries: BTreeMap<u64, Acknowledged>,
    /// The writer, where it waits for one.
    writer: Option<Waker>,
}

impl Unsent {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One was not sent.
    pub(super) fn put(&self, delivery: Acknowledged) {
        let writer = {
            let mut waiting = self.lock();
            waiting.deliveries.insert(delivery.number, delivery);
            waiting.writer.take()
        };
        if let Some(writer) = writer {
            writer.wake();
        }
    }

    /// The one that is to be sent first.
    pub(super) fn pop(&self) -> Option<Acknowledged> {
        let first = self.lock().deliveries.pop_first();
        first.map(|(_, delivery)| delivery)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().deliveries.is_empty()
    }

    pub(super) fn contains(&self, number: u64) -> bool {
        self.lock().deliveries.contains_key(&number)
    }

    /// Ready where there is one.
    pub(super) fn poll_some(&self, task: &Context<'_>) -> Poll<()> {
        let mut waiting = self.lock();
        if !waiting.deliveries.is_empty() {
            return Poll::Ready(());
        }
        waiting.writer = Some(task.waker().clone());
        Poll::Pending
    }
}
