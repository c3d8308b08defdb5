//! One client's connection, from its first byte to its end.

use std::{future::Future, sync::Arc, task::Poll};

use tokio::{
    sync::OwnedSemaphorePermit,
    task::JoinSet,
    time::{Instant, timeout_at},
};

use super::{
    Peer, PeerId, ServerSide,
    arrivals::{Arrival, Arrivals},
    complaints::Complaints,
    peer::Introduction,
    registry::Registry,
    sessions::{Claim, Registration, Sessions},
};
use crate::{
    Code, Compression, DisconnectReason, Protocol, ServeWith, Status,
    body::Encoding,
    dispatch::{self, Dispatch as _, Inbox, caught},
    driver::{
        self, Driver, Ending, Farewell, Handlers, HandshakeError, drain, part, shake_hands, tend,
    },
    link::Link,
    negotiation::{self, Translations},
    session::{Agreed, Event, Fault, Session},
    settings::{SchemaRule, Settings},
    transport::{self, PeerAddress, Stream},
    wire::{Decoder, Escaped, Hello, HelloFrame, SessionId, Side, Welcome},
};

/// What all connections of a server share.
pub(super) struct Hall<P: Protocol, H> {
    pub(super) settings: Settings,
    pub(super) name: String,
    pub(super) registry: Arc<Registry<P>>,
    pub(super) sessions: Arc<Sessions>,
    pub(super) side: Arc<ServerSide<P, H>>,
    pub(super) translations: Translations,
    pub(super) complaints: Complaints,
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
pub(super) struct Ended {
    /// How many exchanges were lost with it.
    pub(super) cut_off: usize,
}

/// Serves one client, for as long as its session lasts; a connection of a session that is known goes to that. `turn` is
/// its place among `max_handshakes`.
///
/// Most of its life a connection is silent, and there are many: what only its beginning or its end needs stands in
/// boxes, which are gone, or not there yet, meanwhile.
pub(super) fn serve<P, H>(
    connection: transport::Connection,
    seat: OwnedSemaphorePermit,
    turn: OwnedSemaphorePermit,
    hall: Arc<Hall<P, H>>,
) -> impl Future<Output = Ended> + Send
where
    P: ServeWith<H>,
    H: Send + Sync + 'static,
{
    let beginning = Box::pin(begin(connection, seat, turn, hall));
    async move {
        let begun = beginning.await;
        match begun {
            Some((session, attached)) => session.serve(attached).await,
            None => Ended::default(),
        }
    }
}

/// Shakes hands. `None` where no session begins with this connection.
async fn begin<P, H>(
    connection: transport::Connection,
    seat: OwnedSemaphorePermit,
    turn: OwnedSemaphorePermit,
    hall: Arc<Hall<P, H>>,
) -> Option<(Box<KeptSession<P, H>>, Attached)>
where
    P: ServeWith<H>,
    H: Send + Sync + 'static,
{
    let settings = &hall.settings;
    let mut stream = connection.stream;
    let link = Arc::new(Link::new(settings));
    let config = settings.session(Side::Accepting);
    let (max_hello, max_payload) = (config.limits.max_hello, config.limits.max_payload());
    let mut session = Session::accepting(config, link.now());
    let mut decoder = Decoder::new(max_hello);
    let event = shake_hands(
        &mut stream,
        &mut decoder,
        &mut session,
        &link,
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
            log_failure(&error, &hall.complaints, &connection.peer);
            return None;
        }
    };
    if let Err(fault) = nothing_early(&mut decoder, &mut session, &link) {
        let error = HandshakeError::Fault(fault.clone());
        log_failure(&error, &hall.complaints, &connection.peer);
        session.handle_fault(&fault);
        part(&mut stream, &mut session).await;
        return None;
    }
    let claimed = check::<P>(&hello.hello, settings).and_then(|()| {
        let encoding = hall.translations.take::<P>(&hello.hello, settings)?;
        let id = draw_peer_id()?;
        Ok((id, encoding, claim(&hall.sessions, settings, &hello)?))
    });
    let hello = Greeting::from(*hello);
    // The handshake is done, but for words.
    drop(turn);
    let (id, encoding, claimed) = match claimed {
        Ok(claimed) => claimed,
        Err(status) => {
            if let Some(unsaid) = hall.complaints.may_log(&connection.peer) {
                tracing::info!(%status, unsaid, "refused");
            }
            session.refuse(status.code(), status.message());
            part(&mut stream, &mut session).await;
            return None;
        }
    };
    decoder.set_max_payload(max_payload);
    let session_id = hello.session_id;
    let (registration, arrivals) = match claimed {
        Some(Claim::New(registration, arrivals)) => (Some(registration), Some(arrivals)),
        Some(Claim::Known(arrivals)) => {
            let hello_id = session.deciding()?;
            let arrival = Box::new(Arrival {
                stream,
                decoder,
                session,
                hello_id,
                hello,
                address: connection.peer,
                seat,
            });
            // Where the session ends just now, the client comes again.
            arrivals.send(arrival);
            return None;
        }
        Some(Claim::Refused) | None => (None, None),
    };
    if registration.is_some() {
        session.keep_when_lost();
    }
    session.welcome(
        session_id,
        &welcome::<P>(id, &hall.name, settings, &encoding),
        hello.max_body,
    );
    if encoding.compression() != Compression::None {
        session.take_compressed();
    }
    link.attach(session, encoding);

    let introduction = Introduction {
        id,
        address: connection.peer,
        client_name: hello.client_name,
        client_fingerprint: hello.fingerprint,
    };
    let peer = Peer::new(introduction, Arc::clone(&link), &hall.registry);
    let inbox = Arc::new(Inbox::default());
    let handlers = Box::pin(dispatch::run(
        Arc::clone(&hall.side),
        peer.clone(),
        Arc::clone(&link),
        Arc::clone(&inbox),
    ));
    let session = KeptSession {
        hall,
        id: session_id,
        peer,
        link,
        inbox,
        handlers,
        registration,
        arrivals,
        farewells: None,
    };
    let driver = session.driver(stream, decoder);
    Some((Box::new(session), Attached { driver, seat }))
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
    hall: Arc<Hall<P, H>>,
    id: SessionId,
    peer: Peer<P>,
    link: Arc<Link>,
    inbox: Arc<Inbox>,
    handlers: Handlers,
    /// None where the session ends with its connection.
    registration: Option<Registration>,
    arrivals: Option<Arrivals>,
    /// Connections that are over, but for their last words; none before the first is.
    farewells: Option<JoinSet<()>>,
}

/// A connection that the session goes on with.
struct Attached {
    driver: Box<Driver>,
    /// Its place among `max_connections`.
    seat: OwnedSemaphorePermit,
}

impl<P, H> KeptSession<P, H>
where
    P: ServeWith<H>,
    H: Send + Sync + 'static,
{
    async fn serve(mut self: Box<Self>, mut attached: Attached) -> Ended {
        loop {
            let Attached { driver, seat } = attached;
            let (ended, arrival) = self.run(driver).await;
            let driver::Ended {
                reason,
                is_suspended,
                cut_off,
                farewell,
                lost,
            } = *ended;
            tracing::info!(peer = %self.peer.id(), %reason, is_suspended, "disconnected");
            if !is_suspended {
                // Nobody can resume it from here on.
                self.registration = None;
                self.arrivals = None;
                self.inbox.close();
                self.link.close();
                self.peer.ended(&lost);
                Box::pin(self.finish(farewell, reason)).await;
                return Ended { cut_off };
            }
            self.farewells.get_or_insert_default().spawn(farewell.bid());
            self.inbox.disconnected(reason);
            drop(seat);
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
            Arc::clone(&self.link),
            Arc::clone(&self.inbox),
            self.hall.settings.write_timeout,
        ))
    }

    /// Runs one connection to its end, or until another one comes.
    async fn run(&mut self, mut driver: Box<Driver>) -> (Box<driver::Ended>, Option<Box<Arrival>>) {
        let hall = Arc::clone(&self.hall);
        let _registered = Registered::new(&hall.registry, self.peer.clone());
        self.tell_connected();
        self.inbox.connected(self.link.terms());
        loop {
            tokio::select! {
                ending = driver.run(&mut self.handlers) => return (Box::new(driver.end(ending)), None),
                Some(arrival) = next_arrival(&mut self.arrivals) => {
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
    async fn finish(self: Box<Self>, farewell: Farewell, reason: DisconnectReason) {
        farewell.bid().await;
        drain(self.handlers, self.hall.settings.drain_timeout).await;
        tell_disconnected(&self.hall.side, &self.peer, reason).await;
        tell_gone(&self.hall.side, &self.peer).await;
    }

    /// Waits for the next connection. `None` when the session is over before one comes.
    async fn await_arrival(&mut self) -> Option<Box<Arrival>> {
        let registration = self.registration.as_ref()?;
        registration.detached();
        let ending = registration.ending();
        self.link
            .with_session(|session| session.may_be_ended(ending));
        let expiry = Instant::now() + self.hall.settings.session_expiry;
        loop {
            let next = timeout_at(expiry, next_arrival(&mut self.arrivals));
            let arrival = tend(&self.link, &mut self.handlers, next).await?.ok()??;
            if let Some(arrival) = self.unless_behind(arrival) {
                return Some(arrival);
            }
        }
    }

    /// Refuses a connection while too much of what came by earlier ones is not handled.
    fn unless_behind(&mut self, arrival: Box<Arrival>) -> Option<Box<Arrival>> {
        let farewells = self.farewells.get_or_insert_default();
        while farewells.try_join_next().is_some() {}
        let is_behind = self
            .link
            .with_session(|session| session.is_behind())
            .unwrap_or(false);
        if !is_behind {
            return Some(arrival);
        }
        let Arrival {
            mut stream,
            mut session,
            seat,
            ..
        } = *arrival;
        session.refuse(
            Code::ResourceExhausted,
            "messages of earlier connections of this session are not handled yet",
        );
        farewells.spawn(async move {
            part(&mut stream, &mut session).await;
            drop(seat);
        });
        None
    }

    /// Goes on with another connection.
    fn resume(&mut self, arrival: Box<Arrival>) -> Attached {
        let Arrival {
            stream,
            decoder,
            hello_id,
            hello,
            address,
            seat,
            ..
        } = *arrival;
        if let Some(registration) = &self.registration {
            registration.attached();
        }
        self.peer.comes_back(address);
        let welcome = Welcome {
            resumed: true,
            awaited: self.link.awaited(),
            ..welcome::<P>(
                self.peer.id(),
                &self.hall.name,
                &self.hall.settings,
                &self.link.terms().encoding,
            )
        };
        let agreed = Agreed {
            peer_max_body: hello.max_body,
            max_calls: 0,
            awaited: &hello.awaited,
        };
        self.link.welcome_back(hello_id, self.id, &welcome, &agreed);
        let driver = self.driver(stream, decoder);
        Attached { driver, seat }
    }

    /// Ends the session, for which no connection has come.
    async fn expire(mut self: Box<Self>) -> Ended {
        self.registration = None;
        let cut_off = self
            .link
            .with_session(|session| session.open_exchanges())
            .unwrap_or(0);
        // First, so that whoever waits hears that it is for good.
        self.link.close();
        let lost = self.link.lose_session();
        self.peer.ended(&lost);
        tracing::info!(peer = %self.peer.id(), unanswered = lost.len(), cut_off, "the session has ended");
        self.inbox.close();
        drain(self.handlers, self.hall.settings.drain_timeout).await;
        tell_gone(&self.hall.side, &self.peer).await;
        Ended { cut_off }
    }
}

/// The next connection of a session. `None` when none can come any more; never ready where none ever can.
async fn next_arrival(arrivals: &mut Option<Arrivals>) -> Option<Box<Arrival>> {
    std::future::poll_fn(|task| match arrivals {
        Some(arrivals) => arrivals.poll_next(task),
        None => Poll::Pending,
    })
    .await
}

/// Whether the client waits for the answer to its HELLO, as far as can be seen: what is still on its way cannot.
fn nothing_early(decoder: &mut Decoder, session: &mut Session, link: &Link) -> Result<(), Fault> {
    match decoder.decode()? {
        Some(frame) => session.handle_frame(frame, link.now()).map(|_| ()),
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

fn log_failure(error: &HandshakeError, complaints: &Complaints, peer: &PeerAddress) {
    let rule = match error {
        // A port scan, or a health check.
        HandshakeError::Eof => return tracing::debug!("closed before HELLO"),
        HandshakeError::Io(error) => return tracing::debug!(%error, "broke before HELLO"),
        HandshakeError::TimedOut => "it did not come in time",
        HandshakeError::Fault(fault) => &*fault.rule,
    };
    if let Some(unsaid) = complaints.may_log(peer) {
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
