//! A client and a server that talk within one test.

use std::{
    fmt, io,
    ops::Deref,
    sync::atomic::{AtomicU64, Ordering},
};

use thiserror::Error;
use tokio::{
    sync::{oneshot, watch},
    task::{AbortHandle, JoinError, JoinHandle, JoinSet},
};

use crate::{
    BindError, Broadcast, Client, ConnectError, ConnectWith, DrainReport, Peer, Protocol,
    ServeWith, Server,
    transport::{self, Incoming, Listener, ServiceUrl},
};

/// Numbers the pairs of this process, so that each has addresses of its own.
static PAIRS: AtomicU64 = AtomicU64::new(1);

/// Why a pair could not be made: a setting makes no sense, or the two did not come together.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PairError {
    /// The server does not listen.
    #[error("the server of a pair cannot listen")]
    Bind(#[from] BindError),
    /// The client does not connect.
    #[error("the client of a pair cannot connect")]
    Connect(#[from] ConnectError),
    /// The line between them cannot be laid.
    #[error("the line of a pair cannot be laid")]
    Line(#[source] io::Error),
}

/// A server, and a client that is connected to it, in memory.
///
/// Both are real, with their tasks, sessions and limits; only the network is not. Under a paused clock
/// (`#[tokio::test(start_paused = true)]`, with tokio's feature `test-util`) timeouts take no time, and one run is like
/// another. It can be used as the [`Client`] that it holds. Dropping it breaks every connection and ends the
/// server.
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
/// /// A server that thinks for ever.
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
/// // Half a minute, in no time.
/// let timeout = Duration::from_secs(30);
/// assert!(matches!(answer, Err(CallError::DeadlineExceeded { timeout: waited }) if waited == timeout));
/// # Ok(())
/// # }
/// ```
pub struct Pair<P: Protocol> {
    client: Client<P>,
    everyone: Broadcast<P>,
    line: Line,
    server: Serving,
    shutdown: oneshot::Sender<()>,
}

impl<P: Protocol> Pair<P> {
    /// A server with the first handler, and a client with the second, which may be `()`.
    ///
    /// # Errors
    ///
    /// [`PairError`].
    pub async fn connect<S, C>(server: S, client: C) -> Result<Self, PairError>
    where
        P: ServeWith<S> + ConnectWith<C>,
        S: Send + Sync + 'static,
        C: Send + Sync + 'static,
    {
        PairSettings::default().connect(server, client).await
    }

    /// The client.
    pub fn client(&self) -> &Client<P> {
        &self.client
    }

    /// The client as the server sees it; `None` while it is not connected.
    pub fn peer(&self) -> Option<Peer<P>> {
        let id = self.client.connection().peer_id();
        let peers = self.everyone.peers();
        peers.into_iter().find(|peer| peer.id().number() == id)
    }

    /// Everyone who is connected to the server.
    pub fn everyone(&self) -> &Broadcast<P> {
        &self.everyone
    }

    /// Where further clients connect to: `Client::<Chat>::connect(pair.url())`.
    pub fn url(&self) -> &str {
        &self.line.url
    }

    /// Breaks every connection; what is under way is lost. The clients notice, and connect again by themselves, which
    /// [`watch`](crate::ConnectionInfo::watch) tells.
    pub fn cut(&self) {
        self.line.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Stops the server, as [`Server::serve_until`] does, and returns when it has ended.
    pub async fn shut_down(self) -> DrainReport {
        let Self {
            mut server,
            shutdown,
            line: _line,
            client: _client,
            ..
        } = self;
        // Where the server has ended already, nobody hears it.
        let _ = shutdown.send(());
        match (&mut server.0).await.map_err(JoinError::try_into_panic) {
            Ok(report) => report,
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            // The runtime shuts down.
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

/// How the two sides of a [`Pair`] are set, in the words of an address's query.
///
/// ```
/// use msip_runtime::testing::PairSettings;
///
/// let json = PairSettings::new().client("codec=json&call_timeout=5s").server("session_expiry=0s");
/// # let _ = json;
/// ```
#[derive(Debug, Clone, Default)]
pub struct PairSettings {
    server: String,
    client: String,
}

impl PairSettings {
    /// Everything as it is by default.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The server's settings: `session_expiry=0s&ping_interval=1s`.
    #[must_use]
    pub fn server(mut self, settings: impl Into<String>) -> Self {
        self.server = settings.into();
        self
    }

    /// The client's settings.
    #[must_use]
    pub fn client(mut self, settings: impl Into<String>) -> Self {
        self.client = settings.into();
        self
    }

    /// A server with the first handler, and a client with the second, with these settings.
    ///
    /// # Errors
    ///
    /// [`PairError`].
    pub async fn connect<P, S, C>(self, server: S, client: C) -> Result<Pair<P>, PairError>
    where
        P: ServeWith<S> + ConnectWith<C>,
        S: Send + Sync + 'static,
        C: Send + Sync + 'static,
    {
        let number = PAIRS.fetch_add(1, Ordering::Relaxed);
        let place = format!("mem://msip-testing-pair-{number}");
        let bound = Server::<P>::bind(with_settings(&place, &self.server)).await?;
        let everyone = bound.broadcast();
        let (shutdown, stop) = oneshot::channel();
        let serving = bound.serve_until(server, async {
            // Dropped with the pair, which ends the task before it would wait for this.
            let _ = stop.await;
        });
        let server = Serving(tokio::spawn(serving));
        let line = Line::lay(format!("{place}-line"), place).await?;
        let client = Client::<P>::builder(with_settings(&line.url, &self.client))
            .handler(client)
            .connect()
            .await?;
        Ok(Pair {
            client,
            everyone,
            line,
            server,
            shutdown,
        })
    }
}

fn with_settings(place: &str, settings: &str) -> String {
    if settings.is_empty() {
        place.to_owned()
    } else {
        format!("{place}?{settings}")
    }
}

/// The server's task, which ends with the pair.
#[derive(Debug)]
struct Serving(JoinHandle<DrainReport>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Carries connections to the server, until it is told to break them.
#[derive(Debug)]
struct Line {
    url: String,
    /// Counts the cuts: each connection of an earlier count is broken.
    cuts: watch::Sender<u64>,
    task: AbortHandle,
}

impl Line {
    async fn lay(url: String, to: String) -> Result<Self, PairError> {
        let from = ServiceUrl::parse(&url).map_err(ConnectError::from)?;
        let to = ServiceUrl::parse(&to).map_err(ConnectError::from)?;
        let listener = Listener::bind(&from).await.map_err(PairError::Line)?;
        let cuts = watch::Sender::new(0);
        let task = tokio::spawn(carry_all(listener, to, cuts.subscribe())).abort_handle();
        Ok(Self { url, cuts, task })
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry_all(listener: Listener, to: ServiceUrl, cuts: watch::Receiver<u64>) {
    let mut connections = JoinSet::new();
    while let Ok(incoming) = listener.accept().await {
        let cuts = cuts.clone();
        let to = to.clone();
        connections.spawn(async move {
            // Both ends notice by themselves when it is over.
            let _ = carry(incoming, &to, cuts).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn carry(
    client: Incoming,
    to: &ServiceUrl,
    mut cuts: watch::Receiver<u64>,
) -> io::Result<()> {
    let cut = *cuts.borrow_and_update();
    let mut client = client.upgrade().await?;
    let mut server = transport::connect(to).await?;
    tokio::select! {
        ended = tokio::io::copy_bidirectional(&mut client.stream, &mut server.stream) => {
            ended.map(|_| ())
        }
        // Where the sender is gone, so is the pair.
        _ = cuts.wait_for(|cuts| *cuts != cut) => Ok(()),
    }
}
