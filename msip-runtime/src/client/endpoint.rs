//! The endpoint of a client: the handler or service that consumes its sessions.

use std::{future::Future, sync::Arc};

use super::{Client, ClientSide, ConnectWith, Reconnect, login_hook::LoginHook};
use crate::{
    ConnectError, DisconnectReason, LostExchange, Status,
    connection::ConnectionShared,
    dispatch::Typed,
    driver::HandlerTask,
    raw,
    service::{self, Inbox},
};
use msip_session::Lost;

/// The consumer of a client's sessions: a typed handler, or an untyped service.
pub(super) trait Endpoint: Send + Sync + 'static {
    /// Begins a session.
    fn begin(&self, connection: &Arc<ConnectionShared>, inbox: &Arc<Inbox>) -> HandlerTask;

    /// Whether what handles a session waits for the login of each connection.
    fn awaits_login(&self) -> bool {
        true
    }

    /// The client has connected: the login of this number.
    fn connected(&self, login: u64) -> impl Future<Output = Result<(), Status>> + Send;

    /// The server has closed the session with this status, which does not say what to do: come back?
    fn closed_by_server(&self, status: &Status) -> impl Future<Output = Reconnect> + Send;

    /// A connection was lost.
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
    // By itself, or what goes into the box would be a part of the stack frame of every poll of the client.
    #[inline(never)]
    fn begin(&self, connection: &Arc<ConnectionShared>, inbox: &Arc<Inbox>) -> HandlerTask {
        Box::pin(service::run(
            Arc::new(Typed(Arc::clone(&self.side))),
            self.client.clone(),
            Arc::clone(connection),
            Arc::clone(inbox),
        ))
    }

    async fn connected(&self, login: u64) -> Result<(), Status> {
        P::connected(&self.side.handler, &self.client.logging_in(login)).await
    }

    fn closed_by_server(&self, status: &Status) -> impl Future<Output = Reconnect> + Send {
        P::closed_by_server(&self.side.handler, status)
    }

    fn disconnected(&self, reason: DisconnectReason) -> impl Future<Output = ()> + Send {
        P::disconnected(&self.side.handler, &self.client, reason)
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
    /// What logs in, and how its end is waited for.
    pub(super) login: Option<(LoginHook, raw::Readiness)>,
}

impl<S: raw::Service> Endpoint for UntypedEndpoint<S> {
    // By itself, or what goes into the box would be a part of the stack frame of every poll of the client.
    #[inline(never)]
    fn begin(&self, connection: &Arc<ConnectionShared>, inbox: &Arc<Inbox>) -> HandlerTask {
        let readiness = self.login.as_ref().map(|(_, readiness)| readiness.clone());
        Box::pin(service::run(
            Arc::new(raw::RawService(Arc::clone(&self.service), readiness)),
            self.peer.clone(),
            Arc::clone(connection),
            Arc::clone(inbox),
        ))
    }

    async fn connected(&self, login: u64) -> Result<(), Status> {
        match &self.login {
            Some((hook, _)) => hook.run(self.peer.handle().logging_in(login)).await,
            None => Ok(()),
        }
    }

    async fn closed_by_server(&self, _: &Status) -> Reconnect {
        Reconnect::Stop
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
