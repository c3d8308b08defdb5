//! One attempt to connect: opening a connection, and the handshake over it.

use std::{borrow::Cow, error::Error, sync::Arc, time::Duration};

use tokio::time::{sleep, timeout};

#[cfg(feature = "datagram")]
use super::udp_channel::UdpChannel;
use super::{
    credential::{Credential, CredentialSource},
    topic::ClientTopic,
};
use crate::{
    Code, ConnectError,
    body::Encoding,
    channel::{ChannelClaims, ChannelPlan},
    compatibility::PeerSchemas,
    connection::ConnectionShared,
    dialect::{ClientDialect, DialectError},
    driver::{HandshakeError, handshake},
    error::WithCauses,
    middleware::Stacks,
    negotiation::{self, Translations},
    settings::Settings,
    transport::{Address, Addresses, Connection, Connector, ServiceUrl, Stream},
};
use msip_session::{
    Event, FaultKind, Session,
    wire::{
        CHANNEL, CHANNELS, Decoder, Hello, SCHEMA_DESCRIPTION, SECRET_LEN, SessionId, Side,
        Welcome, WelcomeFrame,
    },
};

/// How often a client whose handlers are behind checks whether they have caught up.
const BEHIND: Duration = Duration::from_millis(50);

/// What a client's HELLO says of its protocol.
#[derive(Debug, Clone)]
pub(super) struct ProtocolId {
    pub(super) name: Cow<'static, str>,
    pub(super) fingerprint: u64,
}

/// Where a client connects to, and how.
pub(super) struct Target {
    pub(super) protocol: ProtocolId,
    /// The topic of a broker at which it speaks.
    pub(super) topic: Option<ClientTopic>,
    pub(super) url: ServiceUrl,
    pub(super) connector: Connector,
    /// What is spoken there, where that is not MSIP.
    pub(super) dialect: Option<ClientDialect>,
    pub(super) settings: Settings,
    pub(super) stacks: Stacks,
    pub(super) name: String,
    pub(super) translations: Arc<Translations>,
    /// `None` where this client has no schema.
    pub(super) schemas: Option<Arc<PeerSchemas>>,
    pub(super) credential: CredentialSource,
    pub(super) channels: Vec<ChannelPlan>,
    /// Where messages go by datagrams over UDP.
    #[cfg(feature = "datagram")]
    pub(super) udp: Option<UdpChannel>,
    /// What a channel is claimed by, where this is one.
    pub(super) claims: Option<ChannelClaims>,
}

/// The id and secret by which a session is resumed, as the client chose them.
#[derive(Clone)]
pub(super) struct Identity {
    pub(super) id: SessionId,
    secret: [u8; SECRET_LEN],
}

/// A connection whose handshake is done.
pub(super) struct Established {
    pub(super) address: Address,
    pub(super) stream: Stream,
    pub(super) decoder: Decoder,
    pub(super) session: Session,
    pub(super) encoding: Encoding,
    pub(super) welcome: Box<WelcomeFrame>,
    pub(super) identity: Identity,
    /// Whether only both ends can read what is sent.
    pub(super) is_confidential: bool,
}

/// Connects to the first address that answers, to resume the session of `identity` or to begin one.
pub(super) async fn establish(
    target: &Target,
    addresses: &mut Addresses,
    connection: &ConnectionShared,
    identity: Option<&Identity>,
) -> Result<Established, ConnectError> {
    let ask = || async {
        let limit = target.settings.connect_timeout;
        let asked = timeout(limit, target.credential.ask()).await;
        asked.unwrap_or_else(|_| Err(credential_timed_out(limit)))
    };
    let mut credential = ask().await?;
    let mut may_change = target.credential.may_change();
    let mut failures = Vec::new();
    for (index, address) in addresses.round() {
        let attempt = |credential| {
            let address = address.clone();
            establish_at(target, address, connection, identity, credential)
        };
        let mut established = attempt(credential.clone()).await;
        let is_refused = |error: &ConnectError| error.is_refused_with(Code::Unauthenticated);
        if may_change && established.as_ref().is_err_and(is_refused) {
            // It may have run out since it was asked for; asked anew once.
            may_change = false;
            credential = ask().await?;
            established = attempt(credential.clone()).await;
        }
        match established {
            Ok(established) => {
                addresses.connected(index);
                return Ok(established);
            }
            Err(error) => {
                tracing::debug!(error = %WithCauses(&error), "cannot connect to an address");
                failures.push(error);
            }
        }
    }
    addresses.failed();
    Err(ConnectError::of_addresses(failures))
}

/// Opens a connection to one address and does the handshake, to resume a session or to begin one.
async fn establish_at(
    target: &Target,
    address: Address,
    connection: &ConnectionShared,
    resuming: Option<&Identity>,
    credential: Option<Credential>,
) -> Result<Established, ConnectError> {
    let settings = &target.settings;
    while resuming.is_some() && connection.is_behind() {
        // Another connection brings another window of messages; those already received are handled first.
        sleep(BEHIND).await;
    }
    let opened = open(target, &address).await?;
    if credential.is_some() && !opened.is_confidential && !settings.insecure {
        let url = address.to_string();
        return Err(ConnectError::NotConfidential { url });
    }
    #[cfg(feature = "datagram")]
    let udp = match &target.udp {
        Some(channel) => {
            let server = opened.peer.ip();
            let preparing = channel.prepare(opened.is_confidential, server);
            Some(Box::pin(preparing).await?)
        }
        None => None,
    };
    let is_confidential = opened.is_confidential;
    let mut stream = opened.stream;
    if let Some(dialect) = &target.dialect {
        let wrapped = dialect.wrap(stream);
        stream = wrapped.map_err(|error| ConnectError::transport(&address, error))?;
    }
    let identity = match resuming {
        Some(identity) => identity.clone(),
        None => new_session().map_err(|error| ConnectError::transport(&address, error))?,
    };
    let mut hello = hello(target, &identity, resuming.and(Some(connection)));
    if let Some(credential) = credential {
        hello.credential = credential.as_bytes().to_vec();
    }
    #[cfg(feature = "datagram")]
    if let Some(udp) = &udp {
        udp.ask(&mut hello);
    }
    let config = settings.session(Side::Connecting);
    let mut decoder = Decoder::new(config.limits.max_payload());
    let (id, now) = (identity.id, connection.now());
    let again = connection
        .lock()
        .session()
        .filter(|_| resuming.is_some())
        .map(|session| session.reconnecting(id, &hello, now));
    let mut session = again.unwrap_or_else(|| Session::connecting(config, id, &hello, now));
    let event = handshake(
        &mut stream,
        &mut decoder,
        &mut session,
        connection,
        settings.handshake_timeout,
    )
    .await
    .map_err(|error| handshake_failed(&address, settings, error))?;
    let welcome = check_answer(event, &address, id, resuming.is_some())?;
    check_topic(target, &address, &welcome.welcome)?;
    if target.claims.is_some() && !welcome.welcome.extensions.contains_key(CHANNEL) {
        let rule = "began a session of its own instead of the channel of one".to_owned();
        return Err(broken(&address, rule));
    }
    let encoding = target
        .translations
        .accept(&welcome.welcome, settings)
        .map_err(|rule| broken(&address, rule))?;
    #[cfg(feature = "datagram")]
    if let Some(udp) = udp {
        stream = Box::pin(udp.add_lane(stream, &welcome.welcome)).await;
    }
    Ok(Established {
        address,
        stream,
        decoder,
        session,
        encoding,
        welcome,
        identity,
        is_confidential,
    })
}

/// Checks that a typed client has a topic if its server is a broker, and only then.
fn check_topic(target: &Target, address: &Address, welcome: &Welcome) -> Result<(), ConnectError> {
    let url = address.to_string();
    match &target.topic {
        Some(topic) if !welcome.broker => Err(ConnectError::NoBroker {
            url,
            topic: topic.name().as_str().to_owned(),
        }),
        None if welcome.broker && target.schemas.is_some() => Err(ConnectError::NoTopic {
            url,
            protocol: target.protocol.name.to_string(),
        }),
        _ => Ok(()),
    }
}

/// Opens a connection within `connect_timeout`.
async fn open(target: &Target, address: &Address) -> Result<Connection, ConnectError> {
    let limit = target.settings.connect_timeout;
    let connecting = timeout(limit, target.connector.connect(address)).await;
    let connected = connecting.map_err(|_| ConnectError::TimedOut {
        url: address.to_string(),
        timeout: limit,
    })?;
    connected.map_err(|error| ConnectError::transport(address, error))
}

fn credential_timed_out(limit: Duration) -> ConnectError {
    let text = format!("there was no answer within {limit:?} (connect_timeout)");
    ConnectError::Credential {
        source: Arc::from(Box::<dyn Error + Send + Sync>::from(text)),
    }
}

/// The HELLO that begins a session, or resumes the one of `resuming`.
fn hello(target: &Target, identity: &Identity, resuming: Option<&ConnectionShared>) -> Hello {
    let settings = &target.settings;
    let mut hello = Hello {
        protocol: target.protocol.name.to_string(),
        fingerprint: target.protocol.fingerprint,
        keepalive_ms: u32::try_from(settings.ping_interval.as_millis()).unwrap_or(u32::MAX),
        max_body: u32::try_from(settings.max_body).unwrap_or(u32::MAX),
        client_name: negotiation::cut_name(&target.name),
        session_secret: identity.secret.to_vec(),
        awaited: resuming.map_or_else(Vec::new, ConnectionShared::awaited),
        ..Hello::default()
    };
    if target.schemas.is_some() {
        let extension = (SCHEMA_DESCRIPTION.to_owned(), Vec::new());
        hello.extensions.extend([extension]);
    }
    if let Some(claims) = &target.claims {
        let extension = (CHANNEL.to_owned(), claims.next());
        hello.extensions.extend([extension]);
    }
    let sessions = target.channels.iter().filter(|plan| plan.is_session());
    let kinds: Vec<u8> = sessions.map(|plan| plan.kinds.to_byte()).collect();
    if !kinds.is_empty() {
        hello.extensions.extend([(CHANNELS.to_owned(), kinds)]);
    }
    negotiation::offer(&mut hello, settings);
    hello
}

/// Checks that the server welcomes the session `id`.
fn check_answer(
    event: Event,
    address: &Address,
    id: SessionId,
    is_resuming: bool,
) -> Result<Box<WelcomeFrame>, ConnectError> {
    match event {
        Event::Welcome(welcome) if welcome.session_id != id => {
            let answered = welcome.session_id;
            let rule =
                format!("the answer to HELLO is for session {answered}, and {id} was asked for");
            Err(broken(address, rule))
        }
        Event::Welcome(welcome) if welcome.welcome.resumed && !is_resuming => Err(broken(
            address,
            format!("resumed session {id}, which is new"),
        )),
        Event::Welcome(welcome) => Ok(welcome),
        Event::Refused(text) => Err(ConnectError::Refused {
            url: address.to_string(),
            status: text.into(),
        }),
        event => Err(broken(address, format!("answered HELLO with {event:?}"))),
    }
}

/// The server breaks a rule of the protocol.
fn broken(address: &Address, rule: String) -> ConnectError {
    ConnectError::Protocol {
        url: address.to_string(),
        rule,
    }
}

fn handshake_failed(url: &Address, settings: &Settings, error: HandshakeError) -> ConnectError {
    let url = url.to_string();
    match error {
        HandshakeError::Io(error) => match DialectError::of(&error) {
            Some(DialectError { dialect, rule }) => ConnectError::Dialect {
                url,
                dialect,
                rule: rule.clone(),
            },
            None => ConnectError::transport(url, error),
        },
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
        HandshakeError::Fault(fault) if fault.kind == FaultKind::TlsPeer => {
            ConnectError::TlsPeer { url }
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
