//! The service of raw exchanges.

use std::{future::Future, sync::Arc};

use super::{Inbound, Readiness, UntypedMessage, UntypedPeer};
use crate::service::{self, Receiver, caught, log_panic};

/// Something that consumes what sessions receive, as exchanges whose bodies are bytes.
///
/// `serve` is called once for each session, and runs inside the task of its connection: while it waits, messages, answers and
/// pings go on. What takes long belongs in a task of the service's own. A session outlives its connections: see
/// [`Event::Connected`](super::Event::Connected).
///
/// ```
/// use msip_runtime::untyped::{Event, Inbound, UntypedPeer, Reply, Service};
///
/// /// Answers every call with its own request.
/// struct Echo;
///
/// impl Service for Echo {
///     async fn serve(&self, _: UntypedPeer, mut inbound: Inbound) {
///         while let Some(event) = inbound.next().await {
///             if let Event::Exchange(exchange) = event
///                 && let Reply::Call(responder) = exchange.reply
///             {
///                 responder.answer(&exchange.message);
///             }
///         }
///     }
/// }
/// ```
pub trait Service: Send + Sync + 'static {
    /// Consumes what one session receives, until [`Inbound::next`] returns `None`. The session goes on without a consumer
    /// where it returns earlier: what comes then is not handled.
    fn serve(&self, peer: UntypedPeer, inbound: Inbound) -> impl Future<Output = ()> + Send;
}

/// In place of a protocol where none is known at compile time.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Untyped;

/// A raw service as a service of sessions, which is told of a connection when it is ready.
pub(crate) struct RawService<S>(pub(crate) Arc<S>, pub(crate) Option<Readiness>);

impl<S: Service> service::SessionService for RawService<S> {
    type Context = UntypedPeer;
    type Answer = UntypedMessage;

    fn serve(
        self: Arc<Self>,
        peer: UntypedPeer,
        receiver: Receiver<UntypedMessage>,
    ) -> impl Future<Output = ()> + Send {
        let successor = receiver.successor();
        let inbound = Inbound::new(receiver, self.1.clone());
        // In a box, which goes where it is taken out: a future holds what it is given twice, and there are many of these.
        let given = Box::new((peer, inbound));
        // A box that is taken apart where it lies is freed with the variable that it was in, and that is at the end.
        let unbox = |given: Box<(UntypedPeer, Inbound)>| *given;
        async move {
            let (peer, inbound) = unbox(given);
            let serving = Box::pin(self.0.serve(peer, inbound));
            if let Err(panic) = caught(serving).await {
                log_panic("the service of a session", &panic);
            }
            // What comes after a service has returned is discarded: responders answer by themselves.
            let rest = async {
                let mut rest = Inbound::new(successor(), None);
                while rest.next().await.is_some() {}
            };
            Box::pin(rest).await;
        }
    }
}
