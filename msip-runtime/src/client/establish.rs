//! One attempt to connect: a transport, and the handshake over it.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::{
    ConnectError, Protocol,
    body::Encoding,
    connection::ConnectionShared,
    driver::{HandshakeError, handshake},
    middleware::Stacks,
    negotiation::{self, Translations},
    settings::Settings,
    transport::{self, Address, Addresses, ServiceUrl, Stream},
};
use msip_session::{
    Event, FaultKind, Session,
    wire::{Decoder, Hello, SECRET_LEN, SessionId, Side, WelcomeFrame},
};

/// How long a client that is behind with its handlers waits before it looks again.
const BEHIND: Duration = Duration::from_millis(50);

/// Where a client connects to, and how.
pub(super) struct Target {
    pub(super) url: ServiceUrl,
    pub(super) settings: Settings,
    pub(super) stacks: Stacks,
    pub(super) name: String,
    pub(super) translations: Translations,
}

/// A session of the client's own choice.
#[derive(Clone)]
pub(super) struct Identity {
    id: SessionId,
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
}

/// Connects to the first address that can be connected to: to resume a session, or to begin one.
pub(super) async fn establish<P: Protocol>(
    target: &Target,
    addresses: &mut Addresses,
    connection: &ConnectionShared,
    identity: Option<&Identity>,
) -> Result<Established, ConnectError> {
    let mut failures = Vec::new();
    for (place, address) in addresses.round() {
        match establish_at::<P>(target, address, connection, identity).await {
            Ok(established) => {
                addresses.connected(place);
                return Ok(established);
            }
            Err(error) => {
                tracing::debug!(%error, "an address fails");
                failures.push(error);
            }
        }
    }
    addresses.failed();
    Err(ConnectError::of_addresses(failures))
}

/// Connects and shakes hands, once: to resume a session, or to begin one.
async fn establish_at<P: Protocol>(
    target: &Target,
    address: Address,
    connection: &ConnectionShared,
    identity: Option<&Identity>,
) -> Result<Established, ConnectError> {
    let Target {
        settings,
        name,
        translations,
        ..
    } = target;
    let url = &address;
    let is_resuming = identity.is_some();
    while is_resuming && connection.is_behind() {
        // Another connection brings another window of messages; those that came already are handled first.
        sleep(BEHIND).await;
    }
    let connecting = timeout(settings.connect_timeout, transport::connect_to(url)).await;
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
            connection.awaited()
        } else {
            Vec::new()
        },
        ..Hello::default()
    };
    negotiation::offer(&mut hello, settings);
    let config = settings.session(Side::Connecting);
    let mut decoder = Decoder::new(config.limits.max_payload());
    let now = connection.now();
    let again = connection
        .lock()
        .session()
        .filter(|_| is_resuming)
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
                address,
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

fn refused(url: &Address, settings: &Settings, error: HandshakeError) -> ConnectError {
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
