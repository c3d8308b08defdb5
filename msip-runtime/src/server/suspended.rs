//! What a session without a connection waits for.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll},
};

use super::{
    permits::ConnectionPermit,
    resumed::{Resumed, ResumedReceiver},
};
use crate::{connection::ConnectionShared, service::Inbox};

/// A connection that was taken over and is being closed gracefully. It holds its place until it is closed.
pub(super) struct Closing {
    pub(super) closed: Pin<Box<dyn Future<Output = ()> + Send>>,
    pub(super) permit: ConnectionPermit,
}

/// What is idle in a session without a connection, where its handlers have nothing more to do.
pub(super) struct Idle<'a> {
    pub(super) connection: &'a ConnectionShared,
    /// `None` where the handlers are not there.
    pub(super) inbox: Option<&'a Inbox>,
}

impl Idle<'_> {
    fn is_idle(&self) -> bool {
        self.inbox.is_none_or(Inbox::is_idle) && self.connection.is_served()
    }
}

/// What happens in a session without a connection.
pub(super) enum SuspendedStep {
    /// A further connection; `None` where none can come any more.
    Arrival(Option<Box<Resumed>>),
    /// Its handlers have nothing more to do.
    Idle,
}

/// The next connection, or that the handlers have become idle, where that is asked for.
///
/// # Cancel safety
///
/// Dropping the future loses nothing.
pub(super) async fn suspended_step(
    (resumed, closing): (&mut Option<ResumedReceiver>, &mut Option<Box<Closing>>),
    idle: Option<Idle<'_>>,
) -> SuspendedStep {
    poll_fn(|task| {
        if let Poll::Ready(arrival) = poll_resumed(resumed, closing, task) {
            return Poll::Ready(SuspendedStep::Arrival(arrival));
        }
        if idle.as_ref().is_some_and(Idle::is_idle) {
            return Poll::Ready(SuspendedStep::Idle);
        }
        Poll::Pending
    })
    .await
}

/// The next connection of a session; meanwhile the one before is being closed. `None` when none can come any more; never
/// ready where none ever can.
pub(super) fn poll_resumed(
    resumed: &mut Option<ResumedReceiver>,
    closing: &mut Option<Box<Closing>>,
    task: &mut Context<'_>,
) -> Poll<Option<Box<Resumed>>> {
    if let Some(it) = closing
        && it.closed.as_mut().poll(task).is_ready()
    {
        *closing = None;
    }
    match resumed {
        Some(resumed) => resumed.poll_next(task),
        None => Poll::Pending,
    }
}
