//! Services: the consumers of what a session receives.
//!
//! The driver puts what it has read into an [`Inbox`]. A [`SessionService`] takes it out through a [`Receiver`], in order and many at
//! a time, and runs inside the connection's own task: what it receives costs no task and no allocation. The typed dispatch is
//! one service, and every untyped one is another.

mod completion_batch;
mod inbox;
mod panics;
mod receiver;
mod responder;
mod service_turn;

use std::{future::Future, sync::Arc};

pub(crate) use inbox::{Inbox, PeerWindow, ReceivedMessages, SubscriptionEvent};
pub(crate) use panics::{caught, log_panic, panicked, poll_caught, poll_told};
pub(crate) use receiver::{IdleReceiver, Received, Receiver};
pub(crate) use responder::{Handled, SessionResponder};
pub(crate) use service_turn::{BUSY_LEN, TURN};

use crate::connection::{ConnectionShared, Outgoing};

/// Something that consumes what sessions receive.
pub(crate) trait SessionService: Send + Sync + 'static {
    /// What it needs to know of one session.
    type Context: Send;
    /// What it answers calls with.
    type Answer: Outgoing;

    /// Consumes what one session receives, until [`Receiver::poll_next`] reports that nothing is left. Calls still
    /// open then cannot be answered any more.
    fn serve(
        self: Arc<Self>,
        context: Self::Context,
        receiver: Receiver<Self::Answer>,
    ) -> impl Future<Output = ()> + Send;
}

/// Runs a service for one session.
pub(crate) fn run<S: SessionService>(
    service: Arc<S>,
    context: S::Context,
    connection: Arc<ConnectionShared>,
    inbox: Arc<Inbox>,
) -> impl Future<Output = ()> + Send {
    service.serve(context, Receiver::new(connection, inbox))
}
