//! The server: one handler for all clients.

mod about_client;
mod accept;
mod acceptor;
mod admission;
mod at_topic;
mod attached;
mod authenticate;
mod begin;
mod bind_error;
mod broadcast;
mod builder;
mod channel_connection;
mod channels;
mod connection;
mod expiry;
mod failure_limiter;
mod handoff;
mod introduction;
mod lanes;
mod listeners;
mod log_limiter;
mod members;
mod outbound;
mod parked;
mod peer;
mod peer_connection;
mod peer_turns;
mod permits;
mod protocols;
mod registry;
mod reloader;
mod resumed;
mod room;
mod serve_with;
mod sessions;
mod shared;
#[cfg(feature = "testing")]
mod stub;
mod suspended;
mod untyped;

use std::{
    future::{Future, pending},
    marker::PhantomData,
    sync::Arc,
};

pub use accept::DrainReport;
pub use acceptor::{AcceptError, Acceptor};
pub(crate) use attached::{AttachedClients, AttachedService, ServiceTerms};
pub use authenticate::{Authenticator, ConnectRequest};
pub use bind_error::BindError;
pub use broadcast::Broadcast;
pub use builder::ServerBuilder;
pub use handoff::{HandedOff, Handoff, HandoffPermit};
pub use members::RoomError;
pub use peer::Peer;
pub use peer_connection::PeerConnection;
pub use protocols::UntypedProtocol;
pub use reloader::{ReloadError, Reloader};
pub use room::Room;
pub use serve_with::ServeWith;
#[cfg(feature = "testing")]
pub(crate) use stub::StubOutbound;
pub use untyped::UntypedServer;

use crate::{
    Answered, DisconnectReason, Draining, MemoryUse, Metadata, PeerId, Protocol, Status, Streaming,
    call::Serving,
    dispatch::Dispatch,
    middleware::{RemotePeer, Stack, Stacks},
    settings::Settings,
    transport::ServiceUrl,
};
use accept::Offering;
use acceptor::IncomingConnections;
use authenticate::Authenticators;
use handoff::Handoffs;
use protocols::{Offer, ProtocolTable, TypedOffer};
use registry::Registry;

/// A server of the protocol `P`, which is listening but not serving yet.
///
/// Connections that arrive before [`serve`](Self::serve) wait. To stop, drop the future of `serve`, which breaks every
/// connection, or use [`serve_until`](Self::serve_until), which shuts down gracefully.
///
/// # Examples
///
/// ```
/// # mod greet {
/// #     use msip_runtime::{ClientToServer, Message, ServerToClient};
/// #     #[derive(Debug, ClientToServer)]
/// #     #[msip(protocol = "greet")]
/// #     pub enum ClientToServer {
/// #         #[msip(tag = 1)]
/// #         HelloReq(HelloReq),
/// #     }
/// #     #[derive(Debug, ServerToClient)]
/// #     pub enum ServerToClient {
/// #         #[msip(tag = 1)]
/// #         HelloRsp(HelloRsp),
/// #         #[msip(tag = 2)]
/// #         ArrivedInd(ArrivedInd),
/// #     }
/// #     #[derive(Debug, Message)]
/// #     pub struct HelloReq {
/// #         #[msip(tag = 1)]
/// #         pub name: String,
/// #     }
/// #     #[derive(Debug, Message)]
/// #     pub struct HelloRsp {
/// #         #[msip(tag = 1)]
/// #         pub greeting: String,
/// #     }
/// #     #[derive(Debug, Message)]
/// #     pub struct ArrivedInd {
/// #         #[msip(tag = 1)]
/// #         pub name: String,
/// #     }
/// # }
/// use greet::{Greet, HandleClientToServer, HelloReq, HelloRsp};
/// use msip_runtime::prelude::*;
/// use tokio::sync::oneshot;
/// # use greet::SendClientToServer as _;
///
/// struct Greeter;
///
/// impl HandleClientToServer for Greeter {
///     async fn on_hello_req(&self, _: &Peer<Greet>, request: HelloReq) -> Result<HelloRsp, Status> {
///         Ok(HelloRsp { greeting: format!("hello, {}", request.name) })
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::<Greet>::bind("tcp://127.0.0.1:0").await?;
/// println!("listening at {}", server.local_url());
/// # let url = server.local_url().to_string();
///
/// let (stop, stopped) = oneshot::channel::<()>();
/// let serving = tokio::spawn(server.serve_until(Greeter, async {
///     let _ = stopped.await;
/// }));
/// # let client = Client::<Greet>::connect(&url).await?;
/// # assert_eq!(client.hello_req(HelloReq { name: "ada".into() }).await?.greeting, "hello, ada");
/// # drop(client);
///
/// // Later: a graceful shutdown, which lets open calls finish.
/// let _ = stop.send(());
/// let report = serving.await?;
/// assert_eq!(report.cut_off, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Server<P: Protocol> {
    incoming: IncomingConnections,
    settings: Settings,
    authenticators: Authenticators,
    stacks: Stacks,
    name: String,
    registry: Arc<Registry<Peer<P>>>,
    /// What it offers besides `P`.
    others: ProtocolTable,
    handoffs: Handoffs,
}

impl<P: Protocol> Server<P> {
    /// Listens at `tcp://host:port`, where port 0 lets the system choose one, or at `mem://name`, with the default
    /// settings.
    ///
    /// # Errors
    ///
    /// The address or a setting in it is invalid, or the system refuses: see [`BindError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes what it listens at.
    pub async fn bind(url: impl AsRef<str>) -> Result<Self, BindError> {
        Self::builder(url).bind().await
    }

    /// Configures a server that listens at this address.
    pub fn builder(url: impl AsRef<str>) -> ServerBuilder<P> {
        ServerBuilder::new(url.as_ref())
    }

    /// The address at which it listens, with the port that the system chose; clients connect to its text form. Where it
    /// listens at several, the first.
    pub fn local_url(&self) -> &ServiceUrl {
        self.incoming.local_url()
    }

    /// The addresses at which it listens: that of its URL, and those of [`also`](ServerBuilder::also) in their order.
    pub fn local_urls(&self) -> impl Iterator<Item = &ServiceUrl> {
        self.incoming.local_urls()
    }

    /// Reads certificates and keys again, as [`Reloader::reload_tls`] does.
    ///
    /// # Errors
    ///
    /// What is wrong with them. Those of before stay in use, and the log says so.
    pub fn reload_tls(&self) -> Result<(), ReloadError> {
        self.reloader().reload_tls()
    }

    /// Reads the certificates of this server again while it serves.
    #[must_use]
    pub fn reloader(&self) -> Reloader {
        self.incoming.reloader()
    }

    /// The memory that the sessions of this server hold, together with others that share its `max_memory`.
    #[must_use]
    pub fn memory(&self) -> MemoryUse {
        MemoryUse::of(&self.settings.budget)
    }

    /// Passes connections that were accepted elsewhere to this server, in addition to those that it accepts itself.
    pub fn acceptor(&self) -> Acceptor {
        self.incoming.acceptor()
    }

    /// A future that is ready once the server shuts down, for tasks of its own; get it before
    /// [`serve_until`](Self::serve_until). See [`Draining`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub fn draining(&self) -> Draining {
        self.incoming.draining()
    }

    /// A broadcast to all clients: those that are connected at the moment of each send.
    pub fn broadcast(&self) -> Broadcast<P> {
        Broadcast::everyone(&self.registry)
    }

    /// Serves clients with `handler`, an implementation of the generated `HandleClientToServer`, until the future is
    /// dropped. [`serve_until`](Self::serve_until) ends gracefully.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future breaks every connection.
    pub async fn serve<H>(self, handler: H)
    where
        P: ServeWith<H>,
        H: Send + Sync + 'static,
    {
        self.serve_until(handler, pending()).await;
    }

    /// Serves clients until `shutdown` is ready; then stops accepting, sends CLOSE to every client, refuses what is new, lets
    /// open calls finish within `drain_timeout` and calls with streams within `stream_drain`, and returns when all tasks
    /// have ended. Handlers hear of it: [`Call::draining`](crate::Call::draining). Connections that have not said who they
    /// are yet are closed at once.
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
            incoming,
            settings,
            authenticators,
            stacks,
            name,
            registry,
            others: mut protocols,
            handoffs,
        } = self;
        protocols.push_first(typed_offer(handler, stacks, registry));
        let offering = Offering {
            name,
            authenticators,
            protocols,
            handoffs,
        };
        accept::serve(incoming, settings, offering, shutdown)
    }
}

/// A typed protocol with its handler, for the table of a server.
fn typed_offer<P, H>(handler: H, stacks: Stacks, registry: Arc<Registry<Peer<P>>>) -> Box<dyn Offer>
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

    fn connection(context: &Peer<P>, sender: Option<&Arc<Metadata>>) -> Peer<P> {
        context.serving(Serving {
            metadata: sender.cloned(),
            ..Serving::default()
        })
    }

    fn complete(context: &Peer<P>, serving: &mut Serving) {
        context.complete(serving);
    }

    #[inline]
    fn serving(context: &Peer<P>, serving: Serving) -> Peer<P> {
        if serving.metadata.is_some() || context.knows_sender() {
            context.serving_for_sender(serving)
        } else {
            context.serving(serving)
        }
    }

    fn peer(context: &Peer<P>) -> Option<Arc<dyn RemotePeer>> {
        Some(context.remote_peer())
    }

    fn dispatch(
        &self,
        context: &Peer<P>,
        message: P::ClientToServer,
    ) -> impl Future<Output = Result<Answered<P::ServerToClient>, Status>> + Send {
        P::dispatch(&self.handler, context, message)
    }

    fn cleared(
        &self,
        context: &Peer<P>,
        state: P::ClientToServer,
    ) -> impl Future<Output = ()> + Send {
        P::cleared(&self.handler, context, state)
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
