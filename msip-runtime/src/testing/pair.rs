//! A client and a server, connected in memory, for one test.

use std::{
    fmt, io,
    ops::Deref,
    sync::atomic::{AtomicU64, Ordering},
};

use thiserror::Error;
use tokio::{
    sync::oneshot,
    task::{JoinError, JoinHandle},
};

use super::relay::Relay;
use crate::{
    BindError, Broadcast, Client, ClientBuilder, ConnectError, ConnectWith, DrainReport, Peer,
    PeerId, Protocol, ServeWith, Server, ServerBuilder, error::debug_with_causes,
    transport::ServiceUrl,
};

/// The number of pairs in this process so far, so that each has its own addresses.
static PAIRS: AtomicU64 = AtomicU64::new(1);

/// A pair could not be created: a setting is invalid, or the client and server could not connect.
#[derive(Error)]
#[non_exhaustive]
pub enum PairError {
    /// The server could not listen.
    #[error("the server of a pair cannot listen")]
    Bind(#[from] BindError),
    /// The client could not connect.
    #[error("the client of a pair cannot connect")]
    Connect(#[from] ConnectError),
    /// The relay between them could not listen.
    #[error("the relay of a pair cannot listen")]
    Line(#[source] io::Error),
}

debug_with_causes!(PairError);

/// A server, and a client that is connected to it, in memory.
///
/// Both are real, with their tasks, sessions and limits; only the network is missing. Under a paused clock
/// (`#[tokio::test(start_paused = true)]`, with tokio's feature `test-util`) timeouts take no time, and runs are
/// reproducible. It dereferences to its [`Client`]. Dropping it breaks every connection and stops the server.
///
/// # Examples
///
/// ```
/// # mod greet {
/// #     use msip_runtime::{ClientToServer, Message, ServerToClient};
/// #     #[derive(ClientToServer)]
/// #     #[msip(protocol = "greet")]
/// #     pub enum ClientToServer {
/// #         #[msip(tag = 1)]
/// #         HelloReq(HelloReq),
/// #     }
/// #     #[derive(ServerToClient)]
/// #     pub enum ServerToClient {
/// #         #[msip(tag = 1)]
/// #         HelloRsp(HelloRsp),
/// #     }
/// #     #[derive(Message)]
/// #     pub struct HelloReq {
/// #         #[msip(tag = 1)]
/// #         pub name: String,
/// #     }
/// #     #[derive(Message)]
/// #     pub struct HelloRsp {
/// #         #[msip(tag = 1)]
/// #         pub greeting: String,
/// #     }
/// # }
/// use std::{future::pending, time::Duration};
/// use greet::{Greet, HandleClientToServer, HelloReq, HelloRsp, SendClientToServer as _};
/// use msip_runtime::{CallError, Peer, Status, testing::Pair};
///
/// /// A server that never answers.
/// struct Thinker;
///
/// impl HandleClientToServer for Thinker {
///     async fn on_hello_req(&self, _: &Peer<Greet>, _: HelloReq) -> Result<HelloRsp, Status> {
///         pending().await
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), msip_runtime::testing::PairError> {
/// let pair = Pair::<Greet>::connect(Thinker, ()).await?;
/// let answer = pair.hello_req(HelloReq { name: "ada".into() }).await;
/// // Half a minute, but the clock is paused.
/// let timeout = Duration::from_secs(30);
/// assert!(matches!(answer, Err(CallError::DeadlineExceeded { timeout: waited }) if waited == timeout));
/// # Ok(())
/// # }
/// ```
pub struct Pair<P: Protocol> {
    client: Client<P>,
    everyone: Broadcast<P>,
    url: String,
    relay: Relay,
    server: ServerTask,
    shutdown: oneshot::Sender<()>,
}

impl<P: Protocol> Pair<P> {
    /// Starts a server with the first handler and connects a client with the second, which may be `()`.
    ///
    /// # Errors
    ///
    /// [`PairError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends both.
    pub async fn connect<S, C>(server: S, client: C) -> Result<Self, PairError>
    where
        P: ServeWith<S> + ConnectWith<C>,
        S: Send + Sync + 'static,
        C: Send + Sync + 'static,
    {
        Self::builder().connect(server, client).await
    }

    /// Configures the two ends before they connect.
    pub fn builder() -> PairBuilder<P> {
        PairBuilder::new()
    }

    /// The client.
    pub fn client(&self) -> &Client<P> {
        &self.client
    }

    /// The client as the server sees it; `None` while it is not connected.
    pub fn peer(&self) -> Option<Peer<P>> {
        let id = self.client.connection().peer_id();
        self.everyone.peer(PeerId::new(id))
    }

    /// All clients of the server.
    pub fn everyone(&self) -> &Broadcast<P> {
        &self.everyone
    }

    /// The URL for further clients: `Client::<Chat>::connect(pair.url())`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Breaks every connection; data in flight is lost. The clients notice and reconnect, which
    /// [`watch`](crate::ConnectionInfo::watch) reports.
    pub fn cut(&self) {
        self.relay.cut();
    }

    /// Shuts the server down gracefully, as [`Server::serve_until`] does, and returns when it has ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future breaks every connection.
    pub async fn shut_down(self) -> DrainReport {
        let Self {
            mut server,
            shutdown,
            relay: _relay,
            client: _client,
            ..
        } = self;
        // Fails if the server has ended already.
        let _ = shutdown.send(());
        match (&mut server.0).await.map_err(JoinError::try_into_panic) {
            Ok(report) => report,
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            // The runtime is shutting down.
            Err(Err(_)) => DrainReport::default(),
        }
    }
}

impl<P: Protocol> Deref for Pair<P> {
    type Target = Client<P>;

    fn deref(&self) -> &Client<P> {
        &self.client
    }
}

impl<P: Protocol> fmt::Debug for Pair<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair")
            .field("client", &self.client)
            .field("url", &self.url())
            .finish_non_exhaustive()
    }
}

/// Configures the two ends of a [`Pair`]; from [`Pair::builder`].
///
/// # Examples
///
/// ```
/// # mod chat {
/// #     use msip_runtime::{ClientToServer, Message, ServerToClient};
/// #     #[derive(ClientToServer)]
/// #     #[msip(protocol = "chat")]
/// #     pub enum ClientToServer { #[msip(tag = 1)] WhoReq(Name) }
/// #     #[derive(ServerToClient)]
/// #     pub enum ServerToClient { #[msip(tag = 1)] WhoRsp(Name) }
/// #     #[derive(Debug, Default, PartialEq, Message)]
/// #     pub struct Name { #[msip(tag = 1)] pub name: String }
/// # }
/// # use chat::{Chat, HandleClientToServer, Name, SendClientToServer as _};
/// use std::time::Duration;
/// use msip_runtime::{ConnectRequest, Identity, Peer, Status, middleware::Timeout, testing::Pair};
///
/// # struct Room;
/// # impl HandleClientToServer for Room {
/// #     async fn on_who_req(&self, peer: &Peer<Chat>, _: Name) -> Result<Name, Status> {
/// #         Ok(Name { name: peer.identity().map(|it| it.user.clone()).unwrap_or_default() })
/// #     }
/// # }
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pair = Pair::<Chat>::builder()
///     .server(|server| {
///         server
///             .session_expiry(Duration::ZERO)
///             .incoming(Timeout::new(Duration::from_secs(5)))
///             .authenticate(|client: ConnectRequest| async move {
///                 let user = String::from_utf8_lossy(client.credential()).into_owned();
///                 Ok(Identity::new("test").with_user(user))
///             })
///     })
///     .client(|client| client.credential("ada"))
///     .connect(Room, ())
///     .await?;
/// assert_eq!(pair.who_req(Name::default()).await?.name, "ada");
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct PairBuilder<P: Protocol> {
    server: Configure<ServerBuilder<P>>,
    client: Configure<ClientBuilder<P, ()>>,
}

/// What a test does to a builder.
type Configure<B> = Box<dyn FnOnce(B) -> B + Send>;

impl<P: Protocol> PairBuilder<P> {
    fn new() -> Self {
        Self {
            server: Box::new(|server| server),
            client: Box::new(|client| client),
        }
    }

    /// Configures the server: its settings, middleware, authentication, further protocols.
    pub fn server(
        mut self,
        configure: impl FnOnce(ServerBuilder<P>) -> ServerBuilder<P> + Send + 'static,
    ) -> Self {
        let before = self.server;
        self.server = Box::new(|server| configure(before(server)));
        self
    }

    /// Configures the client: its settings, middleware, name and credential.
    pub fn client(
        mut self,
        configure: impl FnOnce(ClientBuilder<P, ()>) -> ClientBuilder<P, ()> + Send + 'static,
    ) -> Self {
        let before = self.client;
        self.client = Box::new(|client| configure(before(client)));
        self
    }

    /// Starts a server with the first handler and connects a client with the second, which may be `()`.
    ///
    /// # Errors
    ///
    /// [`PairError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends both.
    pub async fn connect<S, C>(self, server: S, client: C) -> Result<Pair<P>, PairError>
    where
        P: ServeWith<S> + ConnectWith<C>,
        S: Send + Sync + 'static,
        C: Send + Sync + 'static,
    {
        let number = PAIRS.fetch_add(1, Ordering::Relaxed);
        let place = format!("mem://msip-testing-pair-{number}");
        let bound = (self.server)(Server::<P>::builder(&place)).bind().await?;
        let everyone = bound.broadcast();
        let (shutdown, stop) = oneshot::channel();
        let serving = bound.serve_until(server, async {
            // If the pair is dropped, its task is aborted before this matters.
            let _ = stop.await;
        });
        let server = ServerTask(tokio::spawn(serving));
        let url = format!("{place}-relay");
        let parse = |url: &str| ServiceUrl::parse(url).map_err(ConnectError::from);
        let relay = Relay::listen(&parse(&url)?, parse(&place)?)
            .await
            .map_err(PairError::Line)?;
        let client = (self.client)(Client::<P>::builder(&url))
            .handler(client)
            .connect()
            .await?;
        Ok(Pair {
            client,
            everyone,
            url,
            relay,
            server,
            shutdown,
        })
    }
}

impl<P: Protocol> fmt::Debug for PairBuilder<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PairBuilder").finish_non_exhaustive()
    }
}

/// The server's task, aborted with the pair.
#[derive(Debug)]
struct ServerTask(JoinHandle<DrainReport>);

impl Drop for ServerTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}
