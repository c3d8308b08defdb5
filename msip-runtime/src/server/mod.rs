//! The accepting side: one handler for all clients.

mod accept;
mod broadcast;
mod builder;
mod connection;
mod extensions;
mod log_limiter;
mod outbound;
mod peer;
mod protocols;
mod registry;
mod resumed;
mod serve_with;
mod sessions;
#[cfg(feature = "testing")]
mod stub;
mod untyped;

use std::{
    future::{Future, pending},
    marker::PhantomData,
    sync::Arc,
};

pub use accept::DrainReport;
pub use broadcast::Broadcast;
pub use builder::{BindError, ServerBuilder};
pub use extensions::Extensions;
pub use peer::{Peer, PeerConnection};
pub use protocols::UntypedProtocol;
pub use serve_with::ServeWith;
#[cfg(feature = "testing")]
pub(crate) use stub::StubOutbound;
pub use untyped::UntypedServer;

use crate::{
    Answered, DisconnectReason, MemoryUse, PeerId, Protocol, Status, Streaming,
    call::Serving,
    dispatch::Dispatch,
    middleware::{Stack, Stacks},
    settings::Settings,
    transport::{Listener, ServiceUrl},
};
use protocols::{Offer, ProtocolTable, TypedOffer};
use registry::Registry;

/// A server of the protocol `P`, which listens and does not serve yet.
///
/// Connections that come in before [`serve`](Self::serve) wait. To stop, drop the future of `serve`, which breaks
/// every connection, or use [`serve_until`](Self::serve_until), which says goodbye first.
#[derive(Debug)]
pub struct Server<P: Protocol> {
    listener: Listener,
    settings: Settings,
    stacks: Stacks,
    name: String,
    registry: Arc<Registry<P>>,
    /// What it offers besides `P`.
    others: ProtocolTable,
}

impl<P: Protocol> Server<P> {
    /// Listens at `tcp://host:port`, where port 0 lets the system choose one, or `mem://name`.
    ///
    /// # Errors
    ///
    /// The address or a setting in it makes no sense, or the system refuses: see [`BindError`].
    pub async fn bind(url: impl AsRef<str>) -> Result<Self, BindError> {
        Self::builder(url).bind().await
    }

    /// Listens with other settings than the defaults.
    pub fn builder(url: impl AsRef<str>) -> ServerBuilder<P> {
        ServerBuilder::new(url.as_ref())
    }

    /// Where it listens, with the port that the system chose; a client connects to its text.
    pub fn local_url(&self) -> &ServiceUrl {
        self.listener.local_url()
    }

    /// How much memory the sessions of this server hold, with those that share its `max_memory`.
    #[must_use]
    pub fn memory(&self) -> MemoryUse {
        MemoryUse::of(&self.settings.budget)
    }

    /// Every client that is connected, at the moment of each send: to say something to all of them.
    pub fn broadcast(&self) -> Broadcast<P> {
        Broadcast::everyone(&self.registry)
    }

    /// Serves clients with `handler`, an implementation of the generated `HandleClientToServer`, until the future is
    /// dropped, which breaks every connection.
    pub async fn serve<H>(self, handler: H)
    where
        P: ServeWith<H>,
        H: Send + Sync + 'static,
    {
        self.serve_until(handler, pending()).await;
    }

    /// Serves clients until `shutdown` is ready; then accepts nobody any more, tells every client that it goes away,
    /// lets open calls finish within `drain_timeout`, and returns when all tasks have ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future breaks every connection.
    pub fn serve_until<H>(
        self,
        handler: H,
        shutdown: impl Future<Output = ()> + Send,
    ) -> impl Future<Output = DrainReport> + Send
    where
        P: ServeWith<H>,
        H: Send + Sync + 'static,
    {
        let Self {
            listener,
            settings,
            stacks,
            name,
            registry,
            others: mut protocols,
        } = self;
        protocols.push_first(typed_offer(handler, stacks, registry));
        accept::serve(listener, settings, name, protocols, shutdown)
    }
}

/// A typed protocol with its handler, for the table of a server.
fn typed_offer<P, H>(handler: H, stacks: Stacks, registry: Arc<Registry<P>>) -> Box<dyn Offer>
where
    P: ServeWith<H>,
    H: Send + Sync + 'static,
{
    let side = ServerSide {
        handler,
        incoming: stacks.incoming,
        protocol: PhantomData,
    };
    Box::new(TypedOffer::new(Arc::new(side), stacks.outgoing, registry))
}

/// A server's handler, as the dispatcher sees it.
struct ServerSide<P, H> {
    handler: H,
    incoming: Stack,
    protocol: PhantomData<fn() -> P>,
}

impl<P: ServeWith<H>, H> ServerSide<P, H> {
    /// The client's session has ended for good.
    fn gone(&self, peer: &Peer<P>) -> impl Future<Output = ()> + Send {
        P::gone(&self.handler, peer)
    }
}

impl<P, H> Dispatch for ServerSide<P, H>
where
    P: ServeWith<H>,
    H: Send + Sync + 'static,
{
    type In = P::ClientToServer;
    type Out = P::ServerToClient;
    type Context = Peer<P>;

    fn incoming(&self) -> Option<&Stack> {
        self.incoming.installed()
    }

    fn serving(context: &Peer<P>, serving: Serving) -> Peer<P> {
        context.serving(serving)
    }

    fn peer(context: &Peer<P>) -> Option<PeerId> {
        Some(context.id())
    }

    fn dispatch(
        &self,
        context: &Peer<P>,
        message: P::ClientToServer,
    ) -> impl Future<Output = Result<Answered<P::ServerToClient>, Status>> + Send {
        P::dispatch(&self.handler, context, message)
    }

    fn dispatch_stream(
        &self,
        context: &Peer<P>,
        variant: u16,
        requests: Streaming<P::ClientToServer>,
    ) -> impl Future<Output = Result<Answered<P::ServerToClient>, Status>> + Send {
        P::dispatch_stream(&self.handler, context, variant, requests)
    }

    fn connected(&self, context: &Peer<P>) -> impl Future<Output = ()> + Send {
        P::connected(&self.handler, context)
    }

    fn disconnected(
        &self,
        context: &Peer<P>,
        reason: DisconnectReason,
    ) -> impl Future<Output = ()> + Send {
        P::disconnected(&self.handler, context, reason)
    }
}
