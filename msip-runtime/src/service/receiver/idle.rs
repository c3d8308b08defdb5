//! A receiver of a session that is silent, in little memory.

use std::{
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
};

use super::{Inbox, Receiver};
use crate::connection::{ConnectionShared, Outgoing, Terms};

/// What is kept of a [`Receiver`] that has nothing.
#[derive(Debug)]
pub(crate) struct IdleReceiver {
    connection: Arc<ConnectionShared>,
    inbox: Arc<Inbox>,
    /// Those of the connection by which the last of what was taken came.
    terms: Terms,
}

impl<A: Outgoing> Receiver<A> {
    /// What goes on in its place, until something is received. `None` where it has something still.
    pub(crate) fn to_idle(&self) -> Option<IdleReceiver> {
        let has_something = self.has_more()
            || self.completions.has_some()
            || self.is_refusing
            || self.is_message_counted.load(Ordering::Relaxed);
        (!has_something).then(|| IdleReceiver {
            connection: Arc::clone(&self.connection),
            inbox: Arc::clone(&self.inbox),
            terms: self.completions.terms.clone(),
        })
    }
}

impl IdleReceiver {
    /// Ready when there is something to be looked at by [`Receiver::poll_next`]. Nothing is taken.
    pub(crate) fn poll_ready(&self, task: &Context<'_>) -> Poll<()> {
        self.inbox.poll_ready(task)
    }

    /// The receiver, as it was.
    pub(crate) fn wake<A: Outgoing>(&self) -> Receiver<A> {
        let (connection, inbox) = (Arc::clone(&self.connection), Arc::clone(&self.inbox));
        Receiver::of(connection, inbox, self.terms.clone())
    }
}
