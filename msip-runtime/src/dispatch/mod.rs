//! The typed dispatch: the service that turns bodies into calls of handler methods.
//!
//! One-way messages are handled one after the other, calls concurrently. It runs inside the connection's own task, so that a
//! message costs no task of its own. A call's handler is polled once in place, and only if it is not done by then does it
//! move to a task, which the dispatch owns.

mod calls;
mod cleared;
mod decode;
mod handlers;
mod instrumented;
mod request;
mod with_middleware;

use std::{future::Future, sync::Arc};

use crate::{
    Answered, DisconnectReason, Envelope, Metadata, Status, Streaming,
    call::Serving,
    middleware::{RemotePeer, Stack},
    service::{Receiver, SessionService},
};
use msip_session::wire::broker::TopicInd;

/// The handler of one side of a protocol: what a message becomes a method call of.
pub(crate) trait Dispatch: Send + Sync + 'static {
    /// The envelope of the peer.
    type In: Envelope;
    /// What this side answers with.
    type Out: Envelope;
    /// What a handler is given with the message: the peer, or the client.
    type Context: Clone + Send + Sync + 'static;

    /// The middleware around what comes in.
    fn incoming(&self) -> Option<&Stack>;

    /// The context of one exchange.
    fn serving(context: &Self::Context, serving: Serving) -> Self::Context;

    /// The context of what comes by a new connection. `sender` is the metadata of messages without any, where it is known who
    /// sends them.
    fn connection(context: &Self::Context, sender: Option<&Arc<Metadata>>) -> Self::Context {
        let _ = sender;
        context.clone()
    }

    /// Completes what came with a message by what is known of its sender.
    fn complete(context: &Self::Context, serving: &mut Serving) {
        let _ = (context, serving);
    }

    /// A broker tells what is spoken at the topic of a client.
    fn topic_speaks(context: &Self::Context, spoken: &TopicInd) {
        let _ = (context, spoken);
    }

    /// A broker has ended the subscription to a topic.
    fn subscription_ended(context: &Self::Context, topic: &str, why: Status) {
        let _ = (context, topic, why);
    }

    /// The client that a server's context is of.
    fn peer(_: &Self::Context) -> Option<Arc<dyn RemotePeer>> {
        None
    }

    /// Hands a message to its handler method.
    fn dispatch(
        &self,
        context: &Self::Context,
        message: Self::In,
    ) -> impl Future<Output = Result<Answered<Self::Out>, Status>> + Send;

    /// Tells the handler that a STATE was cleared; of the message only the key counts.
    fn cleared(&self, context: &Self::Context, state: Self::In) -> impl Future<Output = ()> + Send {
        let _ = (context, state);
        std::future::ready(())
    }

    /// Hands a stream of requests to the handler method of this variant.
    fn dispatch_stream(
        &self,
        context: &Self::Context,
        variant: u16,
        requests: Streaming<Self::In>,
    ) -> impl Future<Output = Result<Answered<Self::Out>, Status>> + Send;

    /// The connection is there.
    fn connected(&self, context: &Self::Context) -> impl Future<Output = ()> + Send;

    /// The connection was lost.
    fn disconnected(
        &self,
        context: &Self::Context,
        reason: DisconnectReason,
    ) -> impl Future<Output = ()> + Send;
}

/// A handler as a service of sessions.
pub(crate) struct Typed<D>(pub(crate) Arc<D>);

impl<D: Dispatch> SessionService for Typed<D> {
    type Context = D::Context;
    type Answer = D::Out;

    fn serve(
        self: Arc<Self>,
        context: D::Context,
        receiver: Receiver<D::Out>,
    ) -> impl Future<Output = ()> + Send {
        handlers::run(Arc::clone(&self.0), context, receiver)
    }
}
