//! From bodies to handlers: one-way messages one after the other, calls side by side.
//!
//! The loop here runs inside the connection's own task, so that a message costs no task of its own. A call is
//! polled once in place, and only if it is not done by then does it move to a task, which this loop owns.

mod completion_batch;
mod decode;
mod handlers;
mod inbox;
mod panics;
mod responder;
mod slow_path;
mod with_middleware;

use std::future::Future;

pub(crate) use handlers::run;
pub(crate) use inbox::{Inbox, ReceivedMessages};
pub(crate) use panics::caught;

use crate::{
    Answered, DisconnectReason, Envelope, PeerId, Status, Streaming, call::Serving,
    middleware::Stack,
};

/// One side of a protocol with its handler: what a message becomes a method call of.
pub(crate) trait Dispatch: Send + Sync + 'static {
    /// What the other side says.
    type In: Envelope;
    /// What this side answers with.
    type Out: Envelope;
    /// What a handler is given beside the message: the peer, or the client.
    type Context: Clone + Send + Sync + 'static;

    /// The middleware around what comes in.
    fn incoming(&self) -> Option<&Stack>;

    /// The context of one exchange.
    fn serving(context: &Self::Context, serving: Serving) -> Self::Context;

    /// The client that a server's context is of.
    fn peer(_: &Self::Context) -> Option<PeerId> {
        None
    }

    /// Hands a message to its handler method.
    fn dispatch(
        &self,
        context: &Self::Context,
        message: Self::In,
    ) -> impl Future<Output = Result<Answered<Self::Out>, Status>> + Send;

    /// Hands a stream of requests to the handler method of this variant.
    fn dispatch_stream(
        &self,
        context: &Self::Context,
        variant: u16,
        requests: Streaming<Self::In>,
    ) -> impl Future<Output = Result<Answered<Self::Out>, Status>> + Send;

    /// The connection is there.
    fn connected(&self, context: &Self::Context) -> impl Future<Output = ()> + Send;

    /// The connection is gone.
    fn disconnected(
        &self,
        context: &Self::Context,
        reason: DisconnectReason,
    ) -> impl Future<Output = ()> + Send;
}
