//! The endpoint of a client: the handler or service that consumes its sessions.

use std::{future::Future, sync::Arc};

use super::{Client, ClientSide, ConnectWith, Reconnect};
use crate::{
    ConnectError, DisconnectReason, LostExchange,
    connection::ConnectionShared,
    dispatch::{Dispatch as _, Typed},
    driver::HandlerTask,
    raw,
    service::{self, Inbox},
};
use msip_session::Lost;

/// The consumer of a client's sessions: a typed handler, or an untyped service.
pub(super) trait Endpoint: Send + Sync + 'static {
    /// Begins a session.
    fn begin(&self, connection: &Arc<ConnectionShared>, inbox: &Arc<Inbox>) -> HandlerTask;

    /// The last connection of a session was lost.
    fn disconnected(&self, reason: DisconnectReason) -> impl Future<Output = ()> + Send;

    /// An attempt to connect has failed: what next?
    fn connect_failure(
        &self,
        error: &ConnectError,
        attempt: u32,
    ) -> impl Future<Output = Reconnect> + Send;

    /// What was open when a session was lost, in terms of the protocol.
    fn lost(&self, lost: &[Lost]) -> Vec<LostExchange>;
}

/// A typed handler.
pub(super) struct TypedEndpoint<P: ConnectWith<H>, H> {
    pub(super) side: Arc<ClientSide<P, H>>,
    pub(super) client: Client<P>,
}

impl<P, H> Endpoint for TypedEndpoint<P, H>
where
    P: ConnectWith<H>,
    H: Send + Sync + 'static,
{
    fn begin(&self, connection: &Arc<ConnectionShared>, inbox: &Arc<Inbox>) -> HandlerTask {
        Box::pin(service::run(
            Arc::new(Typed(Arc::clone(&self.side))),
            self.client.clone(),
            Arc::clone(connection),
            Arc::clone(inbox),
        ))
    }

    fn disconnected(&self, reason: DisconnectReason) -> impl Future<Output = ()> + Send {
        self.side.disconnected(&self.client, reason)
    }

    fn connect_failure(
        &self,
        error: &ConnectError,
        attempt: u32,
    ) -> impl Future<Output = Reconnect> + Send {
        P::connect_failure(&self.side.handler, error, attempt)
    }

    fn lost(&self, lost: &[Lost]) -> Vec<LostExchange> {
        LostExchange::of::<P::ClientToServer>(lost)
    }
}

/// An untyped service.
pub(super) struct UntypedEndpoint<S> {
    pub(super) service: Arc<S>,
    pub(super) peer: raw::UntypedPeer,
}

impl<S: raw::Service> Endpoint for UntypedEndpoint<S> {
    fn begin(&self, connection: &Arc<ConnectionShared>, inbox: &Arc<Inbox>) -> HandlerTask {
        Box::pin(service::run(
            Arc::new(raw::RawService(Arc::clone(&self.service))),
            self.peer.clone(),
            Arc::clone(connection),
            Arc::clone(inbox),
        ))
    }

    /// Its service sees that its session has ended.
    async fn disconnected(&self, _: DisconnectReason) {}

    async fn connect_failure(&self, _: &ConnectError, _: u32) -> Reconnect {
        Reconnect::Backoff
    }

    /// Each caller has received its error; their variants have no names here.
    fn lost(&self, _: &[Lost]) -> Vec<LostExchange> {
        Vec::new()
    }
}
