//! The task of a client: it connects, runs the connection, and connects again.

use std::{
    marker::PhantomData,
    sync::{Arc, PoisonError},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tracing::Instrument as _;

use super::{
    Client, ClientSide, ConnectionState, KeepOpen, Reconnect, Shared,
    backoff::Backoff,
    connection::{self, Welcomed},
    lost::{LostExchange, SessionLost},
};
use crate::{
    Code, Compression, ConnectError, ConnectWith, Protocol,
    body::Encoding,
    call::Serving,
    dispatch::{self, Dispatch as _, Inbox, caught},
    driver::{Driver, Handlers, HandshakeError, drain, shake_hands, tend},
    link::Link,
    negotiation::{self, Translations},
    session::{Agreed, Event, FaultKind, Lost, Session, goes_on},
    settings::Settings,
    transport::{self, ServiceUrl, Stream},
    wire::{Decoder, Hello, SECRET_LEN, SessionId, Side, Welcome, WelcomeFrame},
};

/// How long a client that is behind with its handlers waits before it looks again.
const BEHIND: Duration = Duration::from_millis(50);

/// Where a client connects to, and how.
pub(super) struct Target {
    pub(super) url: ServiceUrl,
    pub(super) settings: Settings,
    pub(super) name: String,
    pub(super) translations: Translations,
}

/// A session of the client's own choice.
#[derive(Clone)]
struct Identity {
    id: SessionId,
    secret: [u8; SECRET_LEN],
}

/// A connection whose handshake is done.
struct Established {
    stream: Stream,
    decoder: Decoder,
    session: Session,
    encoding: Encoding,
    welcome: Box<WelcomeFrame>,
    identity: Identity,
}

/// Connects for the first time, and leaves the rest to a task.
pub(super) async fn start<P, H>(target: Target, handler: Arc<H>) -> Result<Client<P>, ConnectError>
where
    P: ConnectWith<H>,
    H: Send + Sync + 'static,
{
    let link = Arc::new(Link::new(&target.settings));
    let established = establish::<P>(&target, &link, None).await?;
    let shared = Arc::new(Shared {
        link,
        state: watch::Sender::new(ConnectionState::Connected),
        stop: watch::Sender::new(false),
        info: connection::Shared::default(),
    });
    // Attached here already, so that the client that is returned can send at once.
    let connection = attach::<P>(&shared, established);
    let span = tracing::info_span!("client", protocol = P::NAME, url = %target.url);
    let side = Arc::new(ClientSide::<P, H> {
        handler,
        protocol: PhantomData,
    });
    let client = Client::<P>::weak(&shared);
    let supervisor = Supervisor {
        backoff: Backoff::new(&target.settings),
        target,
        side,
        client,
    };
    // It ends by itself, within `drain_timeout`, once the last handle is gone; `close` waits for that.
    tokio::spawn(supervisor.supervise(connection).instrument(span));
    let keep = Some(Arc::new(KeepOpen(Arc::clone(&shared))));
    Ok(Client {
        shared,
        keep,
        serving: Serving::default(),
        protocol: PhantomData,
    })
}

/// A connection that can be run, and the session that it belongs to.
type Ready = (Stream, Decoder, Identity);

/// What comes after a session's last connection.
enum Next {
    /// Another session, on this connection.
    Session(Box<Established>),
    /// Nothing is there, and another session is to be had.
    Nothing,
    /// The client is closed.
    Stop,
}

/// What came of waiting for the next connection of a session.
enum Reconnected {
    Resumed(Stream, Decoder),
    Other(Next, &'static str),
}

/// The task of a client.
struct Supervisor<P: Protocol, H> {
    target: Target,
    side: Arc<ClientSide<P, H>>,
    client: Client<P>,
    backoff: Backoff,
}

impl<P, H> Supervisor<P, H>
where
    P: ConnectWith<H>,
    H: Send + Sync + 'static,
{
    /// Runs one session after the other until the client is closed, or its handler gives up.
    async fn supervise(mut self, first: Ready) {
        let shared = Arc::clone(&self.client.shared);
        let mut stop = shared.stop.subscribe();
        let mut ready = first;
        loop {
            let mut next = self.run_session(ready).await;
            if matches!(next, Next::Nothing) && !*stop.borrow() {
                let mut backoff = self.backoff.clone();
                tokio::select! {
                    // Dropping a half-made connection loses nothing.
                    established = self.reconnect(&mut backoff, None) => {
                        next = established.map_or(Next::Stop, |established| Next::Session(Box::new(established)));
                    }
                    // The sender lives in `shared`, which we hold.
                    _ = stop.wait_for(|stop| *stop) => next = Next::Stop,
                }
                self.backoff = backoff;
            }
            let Next::Session(established) = next else {
                break;
            };
            ready = attach::<P>(&shared, *established);
            self.is_connected();
        }
        shared.link.close();
        shared.state.send_replace(ConnectionState::Closed);
    }

    /// Runs a session, through as many connections as it takes.
    async fn run_session(&mut self, (mut stream, mut decoder, identity): Ready) -> Next {
        let shared = Arc::clone(&self.client.shared);
        let link = &shared.link;
        let inbox = Arc::new(Inbox::default());
        let mut handlers: Handlers = Box::pin(dispatch::run(
            Arc::clone(&self.side),
            self.client.clone(),
            Arc::clone(link),
            Arc::clone(&inbox),
        ));
        let Settings {
            write_timeout,
            drain_timeout,
            ping_interval,
            ..
        } = self.target.settings;
        loop {
            let since = Instant::now();
            tracing::info!(resumed = link.terms().connection > 1, "connected");
            inbox.connected(link.terms());
            let mut driver = Driver::new(
                stream,
                decoder,
                Arc::clone(link),
                Arc::clone(&inbox),
                write_timeout,
            );
            let ending = driver.run(&mut handlers).await;
            let ended = driver.end(ending);
            let reason = ended.reason;
            tracing::info!(%reason, is_suspended = ended.is_suspended, "disconnected");
            self.backoff.connected_for(since.elapsed());
            let is_stopped = *shared.stop.borrow();
            if is_stopped {
                link.close();
            } else {
                shared
                    .state
                    .send_replace(ConnectionState::Reconnecting { failed_attempts: 0 });
            }
            if !ended.is_suspended || is_stopped {
                if ended.is_suspended {
                    link.lose_session();
                }
                inbox.close();
                ended.farewell.bid().await;
                drain(handlers, drain_timeout).await;
                if !is_stopped {
                    self.report(reason.to_string(), &ended.lost);
                }
                if let Err(panic) = caught(self.side.disconnected(&self.client, reason)).await {
                    tracing::error!(panic, "on_disconnected panicked");
                }
                return if is_stopped {
                    Next::Stop
                } else {
                    Next::Nothing
                };
            }
            drop(ended.farewell);
            inbox.disconnected(reason);
            let (next, why) = match self.resume(&identity, &mut handlers).await {
                Reconnected::Resumed(resumed_stream, resumed_decoder) => {
                    (stream, decoder) = (resumed_stream, resumed_decoder);
                    self.is_connected();
                    continue;
                }
                Reconnected::Other(next, why) => (next, why),
            };
            let lost = link.lose_session();
            if matches!(next, Next::Stop) {
                link.close();
            } else {
                self.report(why.to_owned(), &lost);
            }
            inbox.close();
            // The next connection may be there already, and is not answered meanwhile.
            drain(handlers, drain_timeout.min(ping_interval)).await;
            return next;
        }
    }

    /// Connects again, while the handlers of the session that waits go on.
    async fn resume(&mut self, identity: &Identity, handlers: &mut Handlers) -> Reconnected {
        let shared = Arc::clone(&self.client.shared);
        let link = &shared.link;
        let mut stop = shared.stop.subscribe();
        let mut backoff = self.backoff.clone();
        let reconnecting = async {
            tokio::select! {
                established = self.reconnect(&mut backoff, Some(identity)) => established,
                _ = stop.wait_for(|stop| *stop) => None,
            }
        };
        let reconnected = tend(link, handlers, reconnecting).await;
        self.backoff = backoff;
        match reconnected {
            Some(Some(established)) if is_same_session(&shared, &established.welcome.welcome) => {
                let welcome = &established.welcome.welcome;
                link.resume(&agreed(welcome));
                remember::<P>(&shared, welcome);
                Reconnected::Resumed(established.stream, established.decoder)
            }
            Some(Some(established)) => Reconnected::Other(
                Next::Session(Box::new(established)),
                "the server does not know the session any more",
            ),
            Some(None) => Reconnected::Other(Next::Stop, "closed"),
            None if *shared.stop.borrow() => Reconnected::Other(Next::Stop, "closed"),
            None => Reconnected::Other(
                Next::Nothing,
                "more replies than `session_buffer` were kept for the server",
            ),
        }
    }

    /// A connection is there again.
    fn is_connected(&self) {
        let shared = &self.client.shared;
        shared.state.send_replace(ConnectionState::Connected);
        if *shared.stop.borrow() {
            // The wish to close came before there was a session to close.
            shared.request_stop();
        }
    }

    /// Tells the user that a session is lost.
    fn report(&self, reason: String, lost: &[Lost]) {
        let shared = &self.client.shared;
        let exchanges = LostExchange::of::<P::ClientToServer>(lost);
        tracing::warn!(reason, open = exchanges.len(), "the session is lost");
        let dropped = shared.link.dropped();
        shared.info.lost.send_modify(|last| {
            let count = last.as_ref().map_or(0, |last| last.count) + 1;
            *last = Some(SessionLost {
                count,
                reason,
                exchanges,
                dropped,
            });
        });
    }

    /// Tries until it succeeds, or the handler gives up: to resume a session, or to begin one.
    async fn reconnect(
        &self,
        backoff: &mut Backoff,
        mut identity: Option<&Identity>,
    ) -> Option<Established> {
        let shared = &self.client.shared;
        // The first attempt waits too: thousands of clients may have lost the same server.
        let mut wait = backoff.next(random().unwrap_or(u32::MAX));
        for attempt in 1_u32.. {
            sleep(wait).await;
            let error = match establish::<P>(&self.target, &shared.link, identity).await {
                Ok(established) => return Some(established),
                Err(error) => error,
            };
            if let ConnectError::Refused { status, .. } = &error
                && status.code() == Code::Unauthenticated
            {
                // The session is another's by now. What was open in it is told when the next one is there.
                identity = None;
            }
            tracing::warn!(attempt, error = %Chain(&error), "cannot connect");
            shared.state.send_replace(ConnectionState::Reconnecting {
                failed_attempts: attempt,
            });
            let answer = caught(P::connect_failure(&self.side.handler, &error, attempt)).await;
            wait = match answer {
                Ok(Reconnect::Stop) => return None,
                Ok(Reconnect::After(wait)) => wait,
                Ok(Reconnect::Backoff) => backoff.next(random().unwrap_or(u32::MAX)),
                Err(panic) => {
                    tracing::error!(panic, "on_connect_failure panicked");
                    backoff.next(random().unwrap_or(u32::MAX))
                }
            };
        }
        None
    }
}

/// Whether the server goes on with the session that this client has.
fn is_same_session(shared: &Shared, welcome: &Welcome) -> bool {
    let welcomed = shared
        .info
        .welcomed
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    goes_on(welcome, welcomed.peer_id)
}

/// Makes a new session the client's, and says what it learned.
fn attach<P: Protocol>(shared: &Shared, established: Established) -> Ready {
    let Established {
        stream,
        decoder,
        mut session,
        encoding,
        welcome,
        identity,
    } = established;
    remember::<P>(shared, &welcome.welcome);
    if welcome.welcome.session_expiry_ms > 0 {
        session.keep_when_lost();
    }
    if welcome.welcome.resumed {
        // The server has begun it already, and may wait for answers.
        let agreed = agreed(&welcome.welcome);
        // It has none of its calls yet, and nothing to cancel.
        let _ = session.resume(&agreed, shared.link.now());
    }
    if encoding.compression() != Compression::None {
        session.take_compressed();
    }
    shared.link.attach(session, encoding);
    (stream, decoder, identity)
}

fn agreed(welcome: &Welcome) -> Agreed<'_> {
    Agreed {
        peer_max_body: welcome.max_body,
        max_calls: welcome.max_open_calls,
        awaited: &welcome.awaited,
    }
}

/// Keeps what the handshake told.
fn remember<P: Protocol>(shared: &Shared, welcome: &Welcome) {
    if welcome.fingerprint != P::fingerprint() {
        tracing::warn!(
            ours = format_args!("{:016x}", P::fingerprint()),
            theirs = format_args!("{:016x}", welcome.fingerprint),
            "the server has another version of the schema"
        );
    }
    let welcomed = Welcomed {
        peer_id: welcome.peer_id,
        server_name: welcome.server_name.clone(),
        server_fingerprint: welcome.fingerprint,
        resumed: welcome.resumed,
    };
    *shared
        .info
        .welcomed
        .lock()
        .unwrap_or_else(PoisonError::into_inner) = welcomed;
}

/// Connects and shakes hands, once: to resume a session, or to begin one.
async fn establish<P: Protocol>(
    target: &Target,
    link: &Link,
    identity: Option<&Identity>,
) -> Result<Established, ConnectError> {
    let Target {
        url,
        settings,
        name,
        translations,
    } = target;
    let is_resuming = identity.is_some();
    while is_resuming && link.is_behind() {
        // Another connection brings another window of messages; those that came already are handled first.
        sleep(BEHIND).await;
    }
    let connecting = timeout(settings.connect_timeout, transport::connect(url)).await;
    let connected = connecting.map_err(|_| ConnectError::TimedOut {
        url: url.to_string(),
        timeout: settings.connect_timeout,
    })?;
    let mut stream = connected
        .map_err(|error| ConnectError::transport(url, error))?
        .stream;

    let identity = match identity {
        Some(identity) => identity.clone(),
        None => new_session().map_err(|error| ConnectError::transport(url, error))?,
    };
    let id = identity.id;
    let mut hello = Hello {
        protocol: P::NAME.to_owned(),
        fingerprint: P::fingerprint(),
        keepalive_ms: u32::try_from(settings.ping_interval.as_millis()).unwrap_or(u32::MAX),
        max_body: u32::try_from(settings.max_body).unwrap_or(u32::MAX),
        client_name: name.clone(),
        session_secret: identity.secret.to_vec(),
        awaited: if is_resuming {
            link.awaited()
        } else {
            Vec::new()
        },
        ..Hello::default()
    };
    negotiation::offer(&mut hello, settings);
    let config = settings.session(Side::Connecting);
    let mut decoder = Decoder::new(config.limits.max_payload());
    let now = link.now();
    let again = link
        .lock()
        .session()
        .filter(|_| is_resuming)
        .map(|session| session.shake_hands_again(id, &hello, now));
    let mut session = again.unwrap_or_else(|| Session::connecting(config, id, &hello, now));
    let event = shake_hands(
        &mut stream,
        &mut decoder,
        &mut session,
        link,
        settings.handshake_timeout,
    )
    .await
    .map_err(|error| refused(url, settings, error))?;
    match event {
        Event::Welcome(welcome) if welcome.session_id != id => Err(ConnectError::Protocol {
            url: url.to_string(),
            rule: format!(
                "the answer to HELLO is for session {}, and {id} was asked for",
                welcome.session_id
            ),
        }),
        Event::Welcome(welcome) if welcome.welcome.resumed && !is_resuming => {
            Err(ConnectError::Protocol {
                url: url.to_string(),
                rule: format!("resumed session {id}, which is new"),
            })
        }
        Event::Welcome(welcome) => {
            let encoding = translations
                .accept::<P>(&welcome.welcome, settings)
                .map_err(|rule| ConnectError::Protocol {
                    url: url.to_string(),
                    rule,
                })?;
            Ok(Established {
                stream,
                decoder,
                session,
                encoding,
                welcome,
                identity,
            })
        }
        Event::Refused(text) => Err(ConnectError::Refused {
            url: url.to_string(),
            status: text.into(),
        }),
        event => Err(ConnectError::Protocol {
            url: url.to_string(),
            rule: format!("answered HELLO with {event:?}"),
        }),
    }
}

fn refused(url: &ServiceUrl, settings: &Settings, error: HandshakeError) -> ConnectError {
    let url = url.to_string();
    match error {
        HandshakeError::Io(error) => ConnectError::transport(url, error),
        HandshakeError::Eof => ConnectError::Protocol {
            url,
            rule: "closed the connection instead of answering HELLO".to_owned(),
        },
        HandshakeError::TimedOut => ConnectError::TimedOut {
            url,
            timeout: settings.handshake_timeout,
        },
        HandshakeError::Fault(fault) if fault.kind == FaultKind::MipPeer => {
            ConnectError::MipPeer { url }
        }
        HandshakeError::Fault(fault) => ConnectError::Protocol {
            url,
            rule: fault.rule,
        },
    }
}

/// A session's id and secret, both random.
fn new_session() -> std::io::Result<Identity> {
    let mut secret = [0; SECRET_LEN];
    getrandom::fill(&mut secret).map_err(std::io::Error::other)?;
    loop {
        // Zero is drawn once in 2^64 times, and is no id.
        if let Some(id) = SessionId::new(getrandom::u64().map_err(std::io::Error::other)?) {
            return Ok(Identity { id, secret });
        }
    }
}

fn random() -> Option<u32> {
    getrandom::u32().ok()
}

/// An error with its causes, in one line.
struct Chain<'a>(&'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
