//! The task of a client: it connects, runs the connection, and connects again.

use std::{
    marker::PhantomData,
    sync::{Arc, PoisonError},
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
};
use crate::{
    Compression, ConnectError, ConnectWith, DisconnectReason, Protocol,
    body::Encoding,
    call::Call,
    dispatch::{self, Dispatch as _, Inbox, caught},
    driver::{Driver, HandshakeError, shake_hands},
    link::Link,
    negotiation::{self, Translations},
    session::{Event, FaultKind, Session},
    settings::Settings,
    transport::{self, ServiceUrl, Stream},
    wire::{Decoder, Hello, SECRET_LEN, SessionId, Side, WelcomeFrame},
};

/// Where a client connects to, and how.
pub(super) struct Target {
    pub(super) url: ServiceUrl,
    pub(super) settings: Settings,
    pub(super) name: String,
    pub(super) translations: Translations,
}

/// A connection whose handshake is done.
struct Established {
    stream: Stream,
    decoder: Decoder,
    session: Session,
    encoding: Encoding,
    welcome: Box<WelcomeFrame>,
}

/// Connects for the first time, and leaves the rest to a task.
pub(super) async fn start<P, H>(target: Target, handler: Arc<H>) -> Result<Client<P>, ConnectError>
where
    P: ConnectWith<H>,
    H: Send + Sync + 'static,
{
    let link = Arc::new(Link::new(&target.settings));
    let established = establish::<P>(&target, &link).await?;
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
    let task = supervise(target, side, Arc::clone(&shared), connection);
    // It ends by itself, within `drain_timeout`, once the last handle is gone; `close` waits for that.
    tokio::spawn(task.instrument(span));
    let keep = Some(Arc::new(KeepOpen(Arc::clone(&shared))));
    Ok(Client {
        shared,
        keep,
        call: Call::default(),
        protocol: PhantomData,
    })
}

/// Runs one connection after the other until the client is closed, or its handler gives up.
async fn supervise<P, H>(
    target: Target,
    side: Arc<ClientSide<P, H>>,
    shared: Arc<Shared>,
    first: (Stream, Decoder),
) where
    P: ConnectWith<H>,
    H: Send + Sync + 'static,
{
    let client = Client::<P>::weak(&shared);
    let mut stop = shared.stop.subscribe();
    let mut backoff = Backoff::new(&target.settings);
    let mut next = Some(first);
    while let Some((stream, decoder)) = next.take() {
        let since = Instant::now();
        tracing::info!("connected");
        let reason = run(&target, &side, &client, stream, decoder).await;
        tracing::info!(%reason, "disconnected");
        let is_stopped = *stop.borrow();
        if !is_stopped {
            shared
                .state
                .send_replace(ConnectionState::Reconnecting { failed_attempts: 0 });
        } else {
            shared.link.close();
        }
        if let Err(panic) = caught(side.disconnected(&client, reason)).await {
            tracing::error!(panic, "on_disconnected panicked");
        }
        backoff.connected_for(since.elapsed());
        if is_stopped {
            break;
        }
        tokio::select! {
            // Dropping a half-made connection loses nothing.
            established = reconnect(&target, &side, &shared, &mut backoff) => {
                next = established.map(|established| attach::<P>(&shared, established));
            }
            // The sender lives in `shared`, which we hold.
            _ = stop.wait_for(|stop| *stop) => {}
        }
        if next.is_some() {
            shared.state.send_replace(ConnectionState::Connected);
            if *stop.borrow() {
                // The wish to close came before there was a session to close.
                shared.request_stop();
            }
        }
    }
    shared.link.close();
    shared.state.send_replace(ConnectionState::Closed);
}

/// Runs one connection to its end.
async fn run<P, H>(
    target: &Target,
    side: &Arc<ClientSide<P, H>>,
    client: &Client<P>,
    stream: Stream,
    decoder: Decoder,
) -> DisconnectReason
where
    P: ConnectWith<H>,
    H: Send + Sync + 'static,
{
    let link = &client.shared.link;
    let inbox = Arc::new(Inbox::default());
    let handlers = dispatch::run(
        Arc::clone(side),
        client.clone(),
        Arc::clone(link),
        Arc::clone(&inbox),
    );
    let Settings {
        write_timeout,
        drain_timeout,
        ..
    } = target.settings;
    let driver = Driver::new(
        stream,
        decoder,
        Arc::clone(link),
        inbox,
        Box::pin(handlers),
        write_timeout,
    );
    driver.run(drain_timeout).await.reason
}

/// Tries until it succeeds, or the handler gives up.
async fn reconnect<P, H>(
    target: &Target,
    side: &Arc<ClientSide<P, H>>,
    shared: &Shared,
    backoff: &mut Backoff,
) -> Option<Established>
where
    P: ConnectWith<H>,
    H: Send + Sync + 'static,
{
    // The first attempt waits too: thousands of clients may have lost the same server.
    let mut wait = backoff.next(random().unwrap_or(u32::MAX));
    for attempt in 1_u32.. {
        sleep(wait).await;
        let error = match establish::<P>(target, &shared.link).await {
            Ok(established) => return Some(established),
            Err(error) => error,
        };
        tracing::warn!(attempt, error = %Chain(&error), "cannot connect");
        shared.state.send_replace(ConnectionState::Reconnecting {
            failed_attempts: attempt,
        });
        let answer = caught(P::connect_failure(&side.handler, &error, attempt)).await;
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

/// Makes the session the client's, and says what it learned.
fn attach<P: Protocol>(shared: &Shared, established: Established) -> (Stream, Decoder) {
    let Established {
        stream,
        decoder,
        mut session,
        encoding,
        welcome,
    } = established;
    let welcome = welcome.welcome;
    if welcome.fingerprint != P::fingerprint() {
        tracing::warn!(
            ours = format_args!("{:016x}", P::fingerprint()),
            theirs = format_args!("{:016x}", welcome.fingerprint),
            "the server has another version of the schema"
        );
    }
    let welcomed = Welcomed {
        peer_id: welcome.peer_id,
        server_name: welcome.server_name,
        server_fingerprint: welcome.fingerprint,
    };
    *shared
        .info
        .welcomed
        .lock()
        .unwrap_or_else(PoisonError::into_inner) = welcomed;
    if encoding.compression() != Compression::None {
        session.take_compressed();
    }
    shared.link.attach(session, encoding);
    (stream, decoder)
}

/// Connects and shakes hands, once.
async fn establish<P: Protocol>(target: &Target, link: &Link) -> Result<Established, ConnectError> {
    let Target {
        url,
        settings,
        name,
        translations,
    } = target;
    let connecting = timeout(settings.connect_timeout, transport::connect(url)).await;
    let connected = connecting.map_err(|_| ConnectError::TimedOut {
        url: url.to_string(),
        timeout: settings.connect_timeout,
    })?;
    let mut stream = connected
        .map_err(|error| ConnectError::transport(url, error))?
        .stream;

    let (id, secret) = new_session().map_err(|error| ConnectError::transport(url, error))?;
    let mut hello = Hello {
        protocol: P::NAME.to_owned(),
        fingerprint: P::fingerprint(),
        keepalive_ms: u32::try_from(settings.ping_interval.as_millis()).unwrap_or(u32::MAX),
        max_body: u32::try_from(settings.max_body).unwrap_or(u32::MAX),
        client_name: name.clone(),
        session_secret: secret.to_vec(),
        ..Hello::default()
    };
    negotiation::offer(&mut hello, settings);
    let config = settings.session(Side::Connecting);
    let mut decoder = Decoder::new(config.limits.max_payload());
    let mut session = Session::connecting(config, id, &hello, link.now());
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
        Event::Welcome(welcome) if welcome.session_id == id => {
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
            })
        }
        Event::Welcome(welcome) => Err(ConnectError::Protocol {
            url: url.to_string(),
            rule: format!(
                "the answer to HELLO is for session {}, and {id} was asked for",
                welcome.session_id
            ),
        }),
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
fn new_session() -> std::io::Result<(SessionId, [u8; SECRET_LEN])> {
    let mut secret = [0; SECRET_LEN];
    getrandom::fill(&mut secret).map_err(std::io::Error::other)?;
    loop {
        // Zero is drawn once in 2^64 times, and is no id.
        if let Some(id) = SessionId::new(getrandom::u64().map_err(std::io::Error::other)?) {
            return Ok((id, secret));
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
