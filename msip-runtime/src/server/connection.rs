//! One client's connection, from its first byte to its end.

use std::sync::Arc;

use super::{Peer, PeerId, ServerSide, peer::Introduction, registry::Registry};
use crate::{
    Compression, DisconnectReason, Protocol, ServeWith, Status,
    body::Encoding,
    dispatch::{self, Dispatch as _, Inbox, caught},
    driver::{Driver, HandshakeError, part, shake_hands},
    link::Link,
    negotiation::{self, Translations},
    session::{Event, Fault, Session},
    settings::{SchemaRule, Settings},
    transport,
    wire::{Decoder, Escaped, Hello, HelloFrame, Side, Welcome},
};

/// What all connections of a server share.
pub(super) struct Hall<P: Protocol, H> {
    pub(super) settings: Settings,
    pub(super) name: String,
    pub(super) registry: Arc<Registry<P>>,
    pub(super) side: Arc<ServerSide<P, H>>,
    pub(super) translations: Translations,
}

/// What became of a connection.
#[derive(Debug, Default)]
pub(super) struct Ended {
    /// How many exchanges were lost with it.
    pub(super) cut_off: usize,
}

/// Serves one client.
pub(super) async fn serve<P, H>(connection: transport::Connection, hall: Arc<Hall<P, H>>) -> Ended
where
    P: ServeWith<H>,
    H: Send + Sync + 'static,
{
    let Hall {
        settings,
        registry,
        side,
        ..
    } = &*hall;
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
            return Ended::default();
        }
        Err(error) => {
            log_failure(&error);
            return Ended::default();
        }
    };
    if let Err(fault) = nothing_early(&mut decoder, &mut session, &link) {
        log_failure(&HandshakeError::Fault(fault.clone()));
        session.handle_fault(&fault);
        part(&mut stream, &mut session).await;
        return Ended::default();
    }
    let welcomed = check::<P>(&hello.hello, settings).and_then(|()| {
        let encoding = hall.translations.take::<P>(&hello.hello, settings)?;
        Ok((draw_peer_id()?, encoding))
    });
    let (id, encoding) = match welcomed {
        Ok(welcomed) => welcomed,
        Err(status) => {
            tracing::info!(%status, "refused");
            session.refuse(status.code(), status.message());
            part(&mut stream, &mut session).await;
            return Ended::default();
        }
    };
    let HelloFrame { session_id, hello } = *hello;
    session.welcome(
        session_id,
        &welcome::<P>(id, &hall.name, settings, &encoding),
        hello.max_body,
    );
    decoder.set_max_payload(max_payload);
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
    let peer = Peer::new(introduction, Arc::clone(&link), registry);
    let _registered = Registered::new(registry, peer.clone());
    tracing::info!(peer = %id, client = %Escaped::new(peer.connection().client_name()), "connected");

    let inbox = Arc::new(Inbox::default());
    let handlers = dispatch::run(
        Arc::clone(side),
        peer.clone(),
        Arc::clone(&link),
        Arc::clone(&inbox),
    );
    let driver = Driver::new(
        stream,
        decoder,
        Arc::clone(&link),
        inbox,
        Box::pin(handlers),
        settings.write_timeout,
    );
    let ended = driver.run(settings.drain_timeout).await;
    link.close();
    tracing::info!(peer = %id, reason = %ended.reason, "disconnected");
    farewell(side, &peer, ended.reason).await;
    Ended {
        cut_off: ended.cut_off,
    }
}

/// Whether the client waits for the answer to its HELLO, as far as can be seen: what is still on its way cannot.
fn nothing_early(decoder: &mut Decoder, session: &mut Session, link: &Link) -> Result<(), Fault> {
    match decoder.decode()? {
        Some(frame) => session.handle_frame(frame, link.now()).map(|_| ()),
        None => Ok(()),
    }
}

/// Tells the handler that a client is gone.
async fn farewell<P, H>(side: &ServerSide<P, H>, peer: &Peer<P>, reason: DisconnectReason)
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

fn log_failure(error: &HandshakeError) {
    match error {
        // A port scan, or a health check.
        HandshakeError::Eof => tracing::debug!("closed before HELLO"),
        HandshakeError::Io(error) => tracing::debug!(%error, "broke before HELLO"),
        HandshakeError::TimedOut => tracing::info!("no HELLO in time"),
        HandshakeError::Fault(fault) => {
            tracing::info!(rule = %Escaped::new(&fault.rule), "no HELLO")
        }
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
