//! The beginning of a connection: the transport's upgrade, the handshake, and the session that it asks for.

mod greet;
mod open_channel;

use std::sync::Arc;

use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use super::{
    about_client::AboutClient,
    authenticate::{ConnectRequest, Refusal},
    channel_connection::BegunChannel,
    channels::{BoundChannel, ChannelHost, ChannelRequest, HostedChannels, parse_kinds},
    introduction::{Introduction, SchemaTerms},
    listeners::AcceptedConnection,
    permits::ConnectionPermit,
    protocols::{Offer, ServedPeer},
    resumed::{Greeting, Resumed, ResumedReceiver},
    sessions::{Claim, ParkedClaim, Principal, Registration, SessionKey},
    shared::ServerShared,
};
use crate::{
    Identity, PeerId, Status,
    body::Encoding,
    connection::ConnectionShared,
    driver::{HandlerTask, refuse, refuse_at_once},
    instruments::handshake_refused,
    negotiation,
    service::Inbox,
    settings::Settings,
    transport::{BoxFuture, Stream},
};
use greet::{First, Greeted, greet, identify};
use msip_session::wire::{Decoder, HelloFrame, SCHEMA_DESCRIPTION, SessionId, Welcome};
use open_channel::{ChannelTerms, bind, open_channel};

/// What begins with a connection.
pub(super) enum Beginning {
    /// A session.
    Session(Box<Begun>),
    /// A connection of a peer that does not speak MSIP: what serves it.
    HandedOff(BoxFuture<'static, ()>),
    /// A session that was parked, and the connection with which it goes on.
    Parked(ParkedClaim, Box<Resumed>),
    /// A channel of a session that exists.
    Channel(Box<BegunChannel>),
}

/// A connection with which a session begins.
pub(super) struct Begun {
    pub(super) connection: Arc<ConnectionShared>,
    pub(super) stream: Stream,
    pub(super) decoder: Decoder,
    pub(super) permit: ConnectionPermit,
    pub(super) session_id: SessionId,
    /// Where the session can be resumed.
    pub(super) kept: Option<(Registration, ResumedReceiver)>,
    /// Its channels, where it has any.
    pub(super) channels: Option<HostedChannels>,
    pub(super) about: AboutClient,
    pub(super) peer: Arc<dyn ServedPeer>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) handlers: HandlerTask,
}

/// How a client is served, unless it is refused.
struct Negotiated<'a> {
    /// What serves its protocol.
    offer: &'a dyn Offer,
    choice: negotiation::Choice,
}

/// What a HELLO is answered with, unless it is refused.
struct Accepted<'a> {
    id: PeerId,
    /// What serves its protocol.
    offer: &'a dyn Offer,
    encoding: Encoding,
    /// The session that it names; `None` where sessions are not kept.
    claim: Option<Claim>,
    identity: Option<Identity>,
    channels: Channels,
}

/// What a HELLO says of channels.
enum Channels {
    /// The session is to have these.
    Asked(Option<ChannelRequest>),
    /// It is one.
    Bound(BoundChannel),
}

/// Upgrades a connection and does the handshake. `None` where no session begins with it: it failed, was refused, or
/// belongs to a session that exists, to which it is sent.
pub(super) async fn begin(
    accepted: AcceptedConnection,
    mut permit: ConnectionPermit,
    handshake_permit: OwnedSemaphorePermit,
    shared: &ServerShared,
) -> Option<Beginning> {
    let deadline = Instant::now() + shared.settings.handshake_timeout;
    let (mut greeted, mut hello) = match greet(accepted, shared, deadline).await? {
        First::Hello(greeted, hello) => (greeted, hello),
        First::Foreign(foreign) => {
            let serving = foreign.serve(permit, handshake_permit, deadline, shared.of_handoff());
            return Some(Beginning::HandedOff(serving));
        }
    };
    hello.hello.client_name = negotiation::cut_name(&hello.hello.client_name);
    // A stranger is not told what comes of it.
    let negotiated = negotiate(&hello, shared);
    let dialect = greeted.dialect.clone();
    let request = (!shared.authenticators.is_empty() && dialect.is_none())
        .then(|| ConnectRequest::take(&mut hello, &greeted.remote, &greeted.local));
    let protocol = std::mem::take(&mut hello.hello.protocol);
    let secret = std::mem::take(&mut hello.hello.session_secret);
    let hello = Greeting::from(*hello);
    let identified = match request {
        Some(request) => identify(&mut greeted, &request, shared, deadline)
            .await?
            .map(Some),
        None => Ok(dialect.as_ref().and_then(|dialect| dialect.identity())),
    };
    let accepted = identified.and_then(|identity| {
        let key = SessionKey {
            secret: &secret,
            protocol: &protocol,
            principal: Principal::of(identity.as_ref(), &greeted.remote.credential),
        };
        let Negotiated { offer, choice } = negotiated?;
        let settings = &shared.settings;
        let choice = choice.of_client(identity.as_ref(), settings);
        let encoding = offer.translations().serve(choice, settings)?;
        let id = draw_peer_id()?;
        let (claim, channels) = match &hello.channel {
            Some(channel) => {
                let bound = bind(channel, &key, hello.fingerprint, &mut permit, shared)?;
                (None, Channels::Bound(bound))
            }
            None => {
                let kinds = parse_kinds(hello.channels.as_deref().unwrap_or_default())?;
                let asked = (!kinds.is_empty()).then(|| ChannelRequest {
                    session: hello.session_id,
                    owner: key.owner(),
                    fingerprint: hello.fingerprint,
                    kinds,
                });
                // Nobody who speaks a dialect comes back to a session.
                let is_kept = dialect.is_none();
                let claim = claim(hello.session_id, &key, is_kept, &mut permit, shared)?;
                (claim, Channels::Asked(asked))
            }
        };
        Ok(Accepted {
            id,
            offer,
            encoding,
            claim,
            identity,
            channels,
        })
    });
    // What follows takes no time, or waits for the client to read why it is refused.
    drop(handshake_permit);
    match accepted {
        Ok(accepted) => open(*greeted, hello, protocol, accepted, permit, shared),
        Err(Refusal { told, counted, why }) => {
            handshake_refused(counted);
            if shared.log_limiter.may_log_refused(&greeted.remote.address) {
                tracing::info!(status = %told, why, "client refused");
            }
            greeted.session.refuse(told.code(), told.message());
            let Greeted {
                stream, session, ..
            } = &mut *greeted;
            if permit.is_spare() {
                refuse_at_once(stream, session);
            } else {
                refuse(stream, session).await;
            }
            None
        }
    }
}

/// Opens the session that a HELLO asks for, or the channel of one. `None` where one runs: the connection is sent to it.
fn open(
    mut greeted: Greeted,
    hello: Greeting,
    protocol: String,
    accepted: Accepted<'_>,
    permit: ConnectionPermit,
    shared: &ServerShared,
) -> Option<Beginning> {
    let Accepted {
        id,
        offer,
        encoding,
        claim,
        identity,
        channels,
    } = accepted;
    let settings = &shared.settings;
    let max_payload = shared.session_config.limits.max_payload();
    greeted.decoder.set_max_payload(max_payload);
    let asked = match channels {
        Channels::Asked(asked) => asked,
        Channels::Bound(bound) => {
            let terms = ChannelTerms {
                fingerprint: offer.fingerprint().unwrap_or(hello.fingerprint),
                encoding,
                identity,
            };
            return open_channel(greeted, &hello, bound, terms, permit, shared);
        }
    };
    let Greeted {
        connection,
        stream,
        decoder,
        mut session,
        remote,
        ..
    } = greeted;
    let (kept, known) = match claim {
        Some(Claim::New(registration, resumed)) => (Some((registration, resumed)), None),
        Some(known @ (Claim::Known(_) | Claim::Parked(_))) => (None, Some(known)),
        Some(Claim::Refused | Claim::NoPlace) | None => (None, None),
    };
    if let Some(known) = known {
        let hello_id = session.pending_hello()?;
        let resumed = Box::new(Resumed {
            stream,
            decoder,
            session,
            hello_id,
            hello,
            remote,
            identity,
            permit,
        });
        return resume(known, resumed);
    }
    if kept.is_some() {
        session.keep_when_lost();
    }
    // A service for any schema has the client's.
    let fingerprint = offer.fingerprint().unwrap_or(hello.fingerprint);
    let routes_topics = offer.routes_topics();
    let mut welcome = welcome(
        id,
        (fingerprint, offer.describes()),
        &shared.name,
        settings,
        &encoding,
    );
    let lanes = &shared.lanes;
    let stream = lanes.open(hello.lane_kinds, &remote, settings, &mut welcome, stream);
    welcome.broker = routes_topics;
    let asked = asked.filter(|_| offer.has_channels());
    let key = asked.as_ref().and_then(|asked| {
        let key = shared.channels.key_for(asked.session, kept.is_some())?;
        key.tell(&mut welcome);
        Some(key)
    });
    session.welcome(hello.session_id, &welcome, hello.max_body);
    if routes_topics {
        session.allow_subscribe(connection.now());
    }
    negotiation::agree(&mut session, hello.reads_error_metadata, &encoding);
    if offer.fingerprint() == Some(hello.fingerprint) {
        session.expect_readable();
    }
    connection.attach(session, encoding);
    connection.set_sender(identity.map(|identity| identity.of_peer(id)));
    let about = AboutClient {
        id,
        name: hello.client_name.clone(),
        address: remote.address.clone(),
        fingerprint,
        describes: offer.describes(),
        routes_topics,
        resumed: false,
    };
    let introduction = Introduction {
        id,
        remote,
        protocol,
        client_name: hello.client_name,
        client_fingerprint: hello.fingerprint,
        schema_terms: SchemaTerms {
            rule: settings.schema,
            describes: hello.describes,
            limit: settings.handshake_timeout,
        },
        log_limiter: Arc::clone(&shared.log_limiter),
        schema: None,
    };
    let inbox = Arc::new(Inbox::default());
    let (peer, handlers) = offer.open(introduction, &connection, &inbox);
    let channels = asked.zip(key).map(|(asked, key)| {
        let host = ChannelHost::new(asked, key, id, &connection, &peer);
        shared.channels.host(hello.session_id, host)
    });
    Some(Beginning::Session(Box::new(Begun {
        connection,
        stream,
        decoder,
        permit,
        session_id: hello.session_id,
        kept,
        channels,
        about,
        peer,
        inbox,
        handlers,
    })))
}

/// A further connection of a session that exists: the task that runs the session is sent it, or a session that was parked goes
/// on with it.
fn resume(known: Claim, connection: Box<Resumed>) -> Option<Beginning> {
    match known {
        Claim::Known(route) => {
            // Where the session ends just now, the client connects again.
            route.send(connection);
            None
        }
        Claim::Parked(parked) => Some(Beginning::Parked(parked, connection)),
        Claim::New(..) | Claim::Refused | Claim::NoPlace => None,
    }
}

/// Decides whether a client is served, and how its bodies are encoded.
fn negotiate<'a>(hello: &HelloFrame, shared: &'a ServerShared) -> Result<Negotiated<'a>, Status> {
    let settings = &shared.settings;
    let offer = shared.protocols.find(&hello.hello, settings)?;
    let choice = negotiation::Choice::from_offer(&hello.hello, settings)?;
    Ok(Negotiated { offer, choice })
}

/// Finds or begins the session that a client names. `None` where sessions are not kept. Beyond `max_connections` none begins:
/// a client may only take over its own, whose connection makes room.
fn claim(
    id: SessionId,
    key: &SessionKey<'_>,
    is_kept: bool,
    permit: &mut ConnectionPermit,
    shared: &ServerShared,
) -> Result<Option<Claim>, Refusal> {
    let has_place = shared.permits.make_regular(permit);
    let too_many = || Refusal::too_many_connections(shared.permits.refusal());
    if !is_kept || shared.settings.session_expiry.is_zero() {
        return if has_place { Ok(None) } else { Err(too_many()) };
    }
    match shared.sessions.claim(id, key, has_place) {
        Claim::Refused => {
            let status = Status::unauthenticated("the session cannot be resumed");
            Err(Refusal::told(status))
        }
        Claim::NoPlace => Err(too_many()),
        claim => Ok(Some(claim)),
    }
}

/// The answer to a HELLO: with the schema's fingerprint, and whether the server can describe it.
pub(super) fn welcome(
    id: PeerId,
    (fingerprint, describes): (u64, bool),
    name: &str,
    settings: &Settings,
    encoding: &Encoding,
) -> Welcome {
    let mut welcome = Welcome {
        fingerprint,
        keepalive_ms: u32::try_from(settings.ping_interval.as_millis()).unwrap_or(u32::MAX),
        max_body: u32::try_from(settings.max_body).unwrap_or(u32::MAX),
        max_open_calls: u32::try_from(settings.max_calls).unwrap_or(u32::MAX),
        peer_id: id.number(),
        session_expiry_ms: u32::try_from(settings.session_expiry.as_millis()).unwrap_or(u32::MAX),
        server_name: name.to_owned(),
        ..Welcome::default()
    };
    if describes {
        let extension = (SCHEMA_DESCRIPTION.to_owned(), Vec::new());
        welcome.extensions.extend([extension]);
    }
    negotiation::tell(&mut welcome, encoding);
    welcome
}

fn draw_peer_id() -> Result<PeerId, Status> {
    let number = getrandom::u64()
        .map_err(|error| Status::internal(format!("no random numbers: {error}")))?;
    Ok(PeerId::new(number))
}
