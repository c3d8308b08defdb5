//! One client's connection, from its first byte to its end.

use std::{future::Future, sync::Arc, task::Poll};

use tokio::{
    sync::OwnedSemaphorePermit,
    task::JoinSet,
    time::{Instant, timeout_at},
};

use super::{
    Peer, PeerId, ServerSide,
    log_limiter::LogLimiter,
    peer::Introduction,
    registry::Registry,
    resumed::{Resumed, ResumedReceiver},
    sessions::{Claim, Registration, Sessions},
};
use crate::{
    Code, Compression, DisconnectReason, Protocol, ServeWith, Status,
    body::Encoding,
    connection::ConnectionShared,
    dispatch::{self, Dispatch as _, Inbox, caught},
    driver::{
        self, Driver, Ending, GracefulClose, Handlers, HandshakeError, drain, graceful_close,
        handshake, run_suspended,
    },
    middleware::Stack,
    negotiation::{self, Translations},
    settings::{SchemaRule, Settings},
    transport::{self, PeerAddress, Stream},
};
use msip_session::{
    Event, Fault, PeerTerms, Session,
    wire::{Decoder, Escaped, Hello, HelloFrame, SessionId, Side, Welcome},
};

/// What all connections of a server share.
pub(super) struct ServerShared<P: Protocol, H> {
    pub(super) settings: Settings,
    /// The middleware around what goes out.
    pub(super) outgoing: Stack,
    pub(super) name: String,
    pub(super) registry: Arc<Registry<P>>,
    pub(super) sessions: Arc<Sessions>,
    pub(super) side: Arc<ServerSide<P, H>>,
    pub(super) translations: Translations,
    pub(super) log_limiter: LogLimiter,
}

/// What is kept of a HELLO that has been answered. All of it could be twenty times as large as it was on the wire, and
/// no connection may hold that.
#[derive(Debug)]
pub(super) struct Greeting {
    session_id: SessionId,
    max_body: u32,
    awaited: Vec<u64>,
    client_name: String,
    fingerprint: u64,
}

impl From<HelloFrame> for Greeting {
    fn from(HelloFrame { session_id, hello }: HelloFrame) -> Self {
        Self {
            session_id,
            max_body: hello.max_body,
            awaited: hello.awaited,
            client_name: hello.client_name,
            fingerprint: hello.fingerprint,
        }
    }
}

/// What became of a connection, and of its session.
#[derive(Debug, Default)]
pub(super) struct ConnectionEnd {
    /// How many exchanges were lost with it.
    pub(super) cut_off: usize,
}

/// Serves one client, for as long as its session lasts; a connection of a session that is known goes to that. `handshake_permit` is
/// its place among `max_handshakes`.
///
/// Most of its life a connection is silent, and there are many: what only its beginning or its end needs stands in
/// boxes, which are gone, or not there yet, meanwhile.
pub(super) fn serve<P, H>(
    connection: transport::Connection,
    permit: OwnedSemaphorePermit,
    handshake_permit: OwnedSemaphorePermit,
    shared: Arc<ServerShared<P, H>>,
) -> impl Future<Output = ConnectionEnd> + Send
where
    P: ServeWith<H>,
    H: Send + Sync + 'static,
{
    let beginning = Box::pin(begin(connection, permit, handshake_permit, shared));
    async move {
        let begun = beginning.await;
        match begun {
            Some((session, attached)) => session.serve(attached).await,
            None => ConnectionEnd::default(),
        }
    }
}

/// Shakes hands. `None` where no session begins with this connection.
async fn begin<P, H>(
    accepted: transport::Connection,
    permit: OwnedSemaphorePermit,
    handshake_permit: OwnedSemaphorePermit,
    shared: Arc<ServerShared<P, H>>,
) -> Option<(Box<KeptSession<P, H>>, Attached)>
where
    P: ServeWith<H>,
    H: Send + Sync + 'static,
{
    let settings = &shared.settings;
    let transport::Connection {
        mut stream,
        peer: address,
        ..
    } = accepted;
    let connection = Arc::new(ConnectionShared::new(settings));
    let config = settings.session(Side::Accepting);
    let (max_hello, max_payload) = (config.limits.max_hello, config.limits.max_payload());
    let mut session = Session::accepting(config, connection.now());
    let mut decoder = Decoder::new(max_hello);
    let event = handshake(
        &mut stream,
        &mut decoder,
        &mut session,
        &connection,
        settings.handshake_timeout,
    )
    .await;
    let hello = match event {
        Ok(Event::Hello(hello)) => hello,
        Ok(_) => {
            tracing::debug!("no HELLO");
            return None;
        }
        Err(error) => {
            log_failure(&error, &shared.log_limiter, &address);
            return None;
        }
    };
    if let Err(fault) = nothing_early(&mut decoder, &mut session, &connection) {
        let error = HandshakeError::Fault(fault.clone());
        log_failure(&error, &shared.log_limiter, &address);
        session.handle_fault(&fault);
        graceful_close(&mut stream, &mut session).await;
        return None;
    }
    let claimed = check::<P>(&hello.hello, settings).and_then(|()| {
        let encoding = shared.translations.take::<P>(&hello.hello, settings)?;
        let id = draw_peer_id()?;
        Ok((id, encoding, claim(&shared.sessions, settings, &hello)?))
    });
    let hello = Greeting::from(*hello);
    // The handshake is done, but for words.
    drop(handshake_permit);
    let (id, encoding, claimed) = match claimed {
        Ok(claimed) => claimed,
        Err(status) => {
            if let Some(unsaid) = shared.log_limiter.may_log(&address) {
                tracing::info!(%status, unsaid, "refused");
            }
            session.refuse(status.code(), status.message());
            graceful_close(&mut stream, &mut session).await;
            return None;
        }
    };
    decoder.set_max_payload(max_payload);
    let session_id = hello.session_id;
    let (registration, resumed) = match claimed {
        Some(Claim::New(registration, resumed)) => (Some(registration), Some(resumed)),
        Some(Claim::Known(resumed)) => {
            let hello_id = session.pending_hello()?;
            let arrival = Box::new(Resumed {
                stream,
                decoder,
                session,
                hello_id,
                hello,
                address,
                permit,
            });
            // Where the session ends just now, the client comes again.
            resumed.send(arrival);
            return None;
        }
        Some(Claim::Refused) | None => (None, None),
    };
    if registration.is_some() {
        session.keep_when_lost();
    }
    session.welcome(
        session_id,
        &welcome::<P>(id, &shared.name, settings, &encoding),
        hello.max_body,
    );
    if encoding.compression() != Compression::None {
        session.allow_compressed();
    }
    connection.attach(session, encoding);

    let introduction = Introduction {
        id,
        address,
        client_name: hello.client_name,
        client_fingerprint: hello.fingerprint,
    };
    let peer = Peer::new(
        introduction,
        Arc::clone(&connection),
        shared.outgoing.clone(),
        &shared.registry,
    );
    let inbox = Arc::new(Inbox::default());
    let handlers = Box::pin(dispatch::run(
        Arc::clone(&shared.side),
        peer.clone(),
        Arc::clone(&connection),
        Arc::clone(&inbox),
    ));
    let session = KeptSession {
        shared,
        id: session_id,
        peer,
        connection,
        inbox,
        handlers,
        registration,
        resumed,
        farewells: None,
    };
    let driver = session.driver(stream, decoder);
    Some((Box::new(session), Attached { driver, permit }))
}

/// The session that a HELLO names, begun or found. `None` where sessions are not kept.
fn claim(
    sessions: &Arc<Sessions>,
    settings: &Settings,
    hello: &HelloFrame,
) -> Result<Option<Claim>, Status> {
    if settings.session_expiry.is_zero() {
        return Ok(None);
    }
    match sessions.claim(hello.session_id, &hello.hello.session_secret) {
        Claim::Refused => Err(Status::new(
            Code::Unauthenticated,
            "the session cannot be resumed",
        )),
        claim => Ok(Some(claim)),
    }
}

/// A session, through all of its connections.
struct KeptSession<P: Protocol, H> {
    shared: Arc<ServerShared<P, H>>,
    id: SessionId,
    peer: Peer<P>,
    connection: Arc<ConnectionShared>,
    inbox: Arc<Inbox>,
    handlers: Handlers,
    /// None where the session ends with its connection.
    registration: Option<Registration>,
    resumed: Option<ResumedReceiver>,
    /// Connections that are over, but for their last words; none before the first is.
    farewells: Option<JoinSet<()>>,
}

/// A connection that the session goes on with.
struct Attached {
    driver: Box<Driver>,
    /// Its place among `max_connections`.
    permit: OwnedSemaphorePermit,
}

impl<P, H> KeptSession<P, H>
where
    P: ServeWith<H>,
    H: Send + Sync + 'static,
{
    async fn serve(mut self: Box<Self>, mut attached: Attached) -> ConnectionEnd {
        loop {
            let Attached { driver, permit } = attached;
            let (ended, arrival) = self.run(driver).await;
            let driver::ConnectionEnd {
                reason,
                is_suspended,
                cut_off,
                graceful_close,
                lost,
            } = *ended;
            tracing::info!(peer = %self.peer.id(), %reason, is_suspended, "disconnected");
            if !is_suspended {
                // Nobody can resume it from here on.
                self.registration = None;
                self.resumed = None;
                self.inbox.close();
                self.connection.close();
                self.peer.ended(&lost);
                Box::pin(self.finish(graceful_close, reason)).await;
                return ConnectionEnd { cut_off };
            }
            self.farewells
                .get_or_insert_default()
                .spawn(graceful_close.bid());
            self.inbox.disconnected(reason);
            drop(permit);
            let arrival = match arrival {
                Some(arrival) => Some(arrival),
                None => Box::pin(self.await_arrival()).await,
            };
            let Some(arrival) = arrival else {
                return Box::pin(self.expire()).await;
            };
            attached = self.resume(arrival);
        }
    }

    fn driver(&self, stream: Stream, decoder: Decoder) -> Box<Driver> {
        Box::new(Driver::new(
            stream,
            decoder,
            Arc::clone(&self.connection),
            Arc::clone(&self.inbox),
            self.shared.settings.write_timeout,
        ))
    }

    /// Runs one connection to its end, or until another one comes.
    async fn run(
        &mut self,
        mut driver: Box<Driver>,
    ) -> (Box<driver::ConnectionEnd>, Option<Box<Resumed>>) {
        let shared = Arc::clone(&self.shared);
        let _registered = Registered::new(&shared.registry, self.peer.clone());
        self.tell_connected();
        self.inbox.connected(self.connection.terms());
        loop {
            tokio::select! {
                ending = driver.run(&mut self.handlers) => return (Box::new(driver.end(ending)), None),
                Some(arrival) = next_resumed(&mut self.resumed) => {
                    if let Some(arrival) = self.unless_behind(arrival) {
                        return (Box::new(driver.end(Ending::TakenOver)), Some(arrival));
                    }
                }
            }
        }
    }

    fn tell_connected(&self) {
        let client = Escaped::new(self.peer.connection().client_name()).to_string();
        tracing::info!(peer = %self.peer.id(), %client, resumed = self.peer.resumed(), "connected");
    }

    /// Says the last words, and lets the handlers come to their end.
    async fn finish(self: Box<Self>, graceful_close: GracefulClose, reason: DisconnectReason) {
        graceful_close.bid().await;
        drain(self.handlers, self.shared.settings.drain_timeout).await;
        tell_disconnected(&self.shared.side, &self.peer, reason).await;
        tell_gone(&self.shared.side, &self.peer).await;
    }

    /// Waits for the next connection. `None` when the session is over before one comes.
    async fn await_arrival(&mut self) -> Option<Box<Resumed>> {
        let registration = self.registration.as_ref()?;
        registration.detached();
        let ending = registration.ending();
        self.connection
            .with_session(|session| session.allow_eviction(ending));
        let expiry = Instant::now() + self.shared.settings.session_expiry;
        loop {
            let next = timeout_at(expiry, next_resumed(&mut self.resumed));
            let arrival = run_suspended(&self.connection, &mut self.handlers, next)
                .await?
                .ok()??;
            if let Some(arrival) = self.unless_behind(arrival) {
                return Some(arrival);
            }
        }
    }

    /// Refuses a connection while too much of what came by earlier ones is not handled.
    fn unless_behind(&mut self, arrival: Box<Resumed>) -> Option<Box<Resumed>> {
        let farewells = self.farewells.get_or_insert_default();
        while farewells.try_join_next().is_some() {}
        let is_behind = self
            .connection
            .with_session(|session| session.is_behind())
            .unwrap_or(false);
        if !is_behind {
            return Some(arrival);
        }
        let Resumed {
            mut stream,
            mut session,
            permit,
            ..
        } = *arrival;
        session.refuse(
            Code::ResourceExhausted,
            "messages of earlier connections of this session are not handled yet",
        );
        farewells.spawn(async move {
            graceful_close(&mut stream, &mut session).await;
            drop(permit);
        });
        None
    }

    /// Goes on with another connection.
    fn resume(&mut self, arrival: Box<Resumed>) -> Attached {
        let Resumed {
            stream,
            decoder,
            hello_id,
            hello,
            address,
            permit,
            ..
        } = *arrival;
        if let Some(registration) = &self.registration {
            registration.attached();
        }
        self.peer.comes_back(address);
        let welcome = Welcome {
            resumed: true,
            awaited: self.connection.awaited(),
            ..welcome::<P>(
                self.peer.id(),
                &self.shared.name,
                &self.shared.settings,
                &self.connection.terms().encoding,
            )
        };
        let agreed = PeerTerms {
            peer_max_body: hello.max_body,
            max_calls: 0,
            awaited: &hello.awaited,
        };
        self.connection
            .welcome_back(hello_id, self.id, &welcome, &agreed);
        let driver = self.driver(stream, decoder);
        Attached { driver, permit }
    }

    /// Ends the session, for which no connection has come.
    async fn expire(mut self: Box<Self>) -> ConnectionEnd {
        self.registration = None;
        let cut_off = self
            .connection
            .with_session(|session| session.open_exchanges())
            .unwrap_or(0);
        // First, so that whoever waits hears that it is for good.
        self.connection.close();
        let lost = self.connection.lose_session();
        self.peer.ended(&lost);
        tracing::info!(peer = %self.peer.id(), unanswered = lost.len(), cut_off, "the session has ended");
        self.inbox.close();
        drain(self.handlers, self.shared.settings.drain_timeout).await;
        tell_gone(&self.shared.side, &self.peer).await;
        ConnectionEnd { cut_off }
    }
}

/// The next connection of a session. `None` when none can come any more; never ready where none ever can.
async fn next_resumed(resumed: &mut Option<ResumedReceiver>) -> Option<Box<Resumed>> {
    std::future::poll_fn(|task| match resumed {
        Some(resumed) => resumed.poll_next(task),
        None => Poll::Pending,
    })
    .await
}

/// Whether the client waits for the answer to its HELLO, as far as can be seen: what is still on its way cannot.
fn nothing_early(
    decoder: &mut Decoder,
    session: &mut Session,
    connection: &ConnectionShared,
) -> Result<(), Fault> {
    match decoder.decode()? {
        Some(frame) => session.handle_frame(frame, connection.now()).map(|_| ()),
        None => Ok(()),
    }
}

/// Tells the handler that a client's session has ended.
async fn tell_gone<P, H>(side: &ServerSide<P, H>, peer: &Peer<P>)
where
    P: ServeWith<H>,
    H: Send + Sync + 'static,
{
    if let Err(panic) = caught(side.gone(peer)).await {
        tracing::error!(panic, "on_client_gone panicked");
    }
}

/// Tells the handler that the last connection of a client has ended.
async fn tell_disconnected<P, H>(side: &ServerSide<P, H>, peer: &Peer<P>, reason: DisconnectReason)
where
    P: ServeWith<H>,
    H: Send + Sync + 'static,
{
    if let Err(panic) = caught(side.disconnected(peer, reason)).await {
        tracing::error!(panic, "on_client_disconnected panicked");
    }
}

/// Whether this client is to be served.
fn check<P: Protocol>(hello: &Hello, settings: &Settings) -> Result<(), Status> {
    if hello.protocol != P::NAME {
        let text = format!(
            "this server speaks `{}`, not `{}`",
            P::NAME,
            Escaped::new(&hello.protocol)
        );
        return Err(Status::failed_precondition(text));
    }
    if hello.fingerprint != P::fingerprint() {
        let (ours, theirs) = (P::fingerprint(), hello.fingerprint);
        if settings.schema == SchemaRule::Strict {
            let text = format!(
                "the server's schema has the fingerprint {ours:016x}, the client's {theirs:016x}"
            );
            return Err(Status::failed_precondition(text));
        }
        tracing::warn!(
            ours = format_args!("{ours:016x}"),
            theirs = format_args!("{theirs:016x}"),
            "the client has another version of the schema"
        );
    }
    Ok(())
}

fn welcome<P: Protocol>(
    id: PeerId,
    name: &str,
    settings: &Settings,
    encoding: &Encoding,
) -> Welcome {
    let mut welcome = Welcome {
        fingerprint: P::fingerprint(),
        keepalive_ms: u32::try_from(settings.ping_interval.as_millis()).unwrap_or(u32::MAX),
        max_body: u32::try_from(settings.max_body).unwrap_or(u32::MAX),
        max_open_calls: u32::try_from(settings.max_calls).unwrap_or(u32::MAX),
        peer_id: id.number(),
        session_expiry_ms: u32::try_from(settings.session_expiry.as_millis()).unwrap_or(u32::MAX),
        server_name: name.to_owned(),
        ..Welcome::default()
    };
    negotiation::tell(&mut welcome, encoding);
    welcome
}

fn draw_peer_id() -> Result<PeerId, Status> {
    let number = getrandom::u64()
        .map_err(|error| Status::internal(format!("no random numbers: {error}")))?;
    Ok(PeerId::new(number))
}

fn log_failure(error: &HandshakeError, log_limiter: &LogLimiter, peer: &PeerAddress) {
    let rule = match error {
        // A port scan, or a health check.
        HandshakeError::Eof => return tracing::debug!("closed before HELLO"),
        HandshakeError::Io(error) => return tracing::debug!(%error, "broke before HELLO"),
        HandshakeError::TimedOut => "it did not come in time",
        HandshakeError::Fault(fault) => &*fault.rule,
    };
    if let Some(unsaid) = log_limiter.may_log(peer) {
        tracing::info!(rule = %Escaped::new(rule), unsaid, "no HELLO");
    }
}

/// A peer that is in the registry for as long as this lives.
struct Registered<'a, P: Protocol> {
    registry: &'a Registry<P>,
    id: PeerId,
}

impl<'a, P: Protocol> Registered<'a, P> {
    fn new(registry: &'a Registry<P>, peer: Peer<P>) -> Self {
        let id = peer.id();
        registry.insert(peer);
        Self { registry, id }
    }
}

impl<P: Protocol> Drop for Registered<'_, P> {
    fn drop(&mut self) {
        self.registry.remove(self.id);
    }
}
