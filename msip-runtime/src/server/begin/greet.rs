//! What comes before the answer to a HELLO: the transport's upgrade, the handshake, and who the client is.

use std::{io, sync::Arc};

use bytes::BytesMut;
use tokio::time::{Instant, timeout_at};

use crate::{
    Identity,
    connection::ConnectionShared,
    dialect::ServerDialect,
    driver::{HandshakeError, first_bytes, handshake, nothing_early, refuse, while_deciding},
    instruments::{RefusedHandshake, handshake_refused},
    server::{
        authenticate::{ConnectRequest, Refusal},
        handoff::{Foreign, begins_with_hello},
        listeners::AcceptedConnection,
        peer_connection::Remote,
        shared::ServerShared,
    },
    transport::{PeerAddress, Stream},
};
use msip_session::{
    Event, Session,
    wire::{Decoder, Escaped, HelloFrame},
};

/// A connection whose HELLO was read and is not answered.
pub(super) struct Greeted {
    pub(super) connection: Arc<ConnectionShared>,
    pub(super) stream: Stream,
    pub(super) decoder: Decoder,
    pub(super) session: Session,
    pub(super) remote: Remote,
    /// The address of this end.
    pub(super) local: PeerAddress,
    /// What the client speaks, where that is not MSIP.
    pub(super) dialect: Option<Arc<ServerDialect>>,
}

/// What a connection begins with.
pub(super) enum First {
    Hello(Box<Greeted>, Box<HelloFrame>),
    Foreign(Foreign),
}

/// Upgrades a connection and reads its HELLO, or what shows that it does not speak MSIP, both until `deadline`.
pub(super) async fn greet(
    accepted: AcceptedConnection,
    shared: &ServerShared,
    deadline: Instant,
) -> Option<First> {
    let settings = &shared.settings;
    let AcceptedConnection { incoming, dialect } = accepted;
    let address = incoming.peer().clone();
    let fails = |error: &HandshakeError| log_failure(error, shared, &address);
    let mut accepted = match timeout_at(deadline, incoming.upgrade()).await {
        Ok(Ok(accepted)) => accepted,
        Ok(Err(error)) => {
            log_failed_upgrade(&error, shared, &address);
            return None;
        }
        Err(_) => {
            fails(&HandshakeError::TimedOut);
            return None;
        }
    };
    let config = Arc::clone(&shared.session_config);
    let mut decoder = Decoder::new(config.limits.max_hello);
    if let Some(dialect) = &dialect {
        // Whoever speaks it is no client of MSIP, nor a stranger that says so by its first bytes.
        match dialect.wrap(accepted.stream) {
            Ok(wrapped) => accepted.stream = wrapped,
            Err(error) => {
                log_failed_upgrade(&error, shared, &address);
                return None;
            }
        }
    } else if !shared.handoffs.is_empty() {
        if let Some(handoff) = shared.handoffs.claiming(&accepted.local) {
            return Some(First::Foreign(Foreign {
                connection: accepted,
                received: BytesMut::new(),
                handoff,
            }));
        }
        let first = first_bytes(&mut accepted.stream, &mut decoder, begins_with_hello);
        match timeout_at(deadline, first).await {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => {
                let received = decoder.buffer();
                if let Some(handoff) = shared.handoffs.find(received) {
                    return Some(First::Foreign(Foreign {
                        connection: accepted,
                        received: BytesMut::from(&**received),
                        handoff,
                    }));
                }
            }
            Ok(Err(error)) => {
                fails(&error);
                return None;
            }
            Err(_) => {
                fails(&HandshakeError::TimedOut);
                return None;
            }
        }
    }
    let remote = Remote::from(&accepted);
    let local = accepted.local;
    let mut stream = accepted.stream;
    let connection = ConnectionShared::new(settings);
    let connection = Arc::new(match &dialect {
        Some(dialect) => connection.carrying(dialect.carries(), dialect.texts()),
        None => connection,
    });
    let mut session = Session::accepting(config, connection.now());
    let event = handshake(
        &mut stream,
        &mut decoder,
        &mut session,
        &connection,
        deadline.saturating_duration_since(Instant::now()),
    )
    .await;
    let hello = match event {
        Ok(Event::Hello(hello)) => hello,
        Ok(_) => {
            tracing::debug!("no HELLO");
            return None;
        }
        Err(error) => {
            fails(&error);
            return None;
        }
    };
    if let Err(fault) = nothing_early(&mut decoder, &mut session, &connection) {
        fails(&HandshakeError::Fault(fault.clone()));
        session.handle_fault(&fault);
        refuse(&mut stream, &mut session).await;
        return None;
    }
    let greeted = Greeted {
        connection,
        stream,
        decoder,
        session,
        remote,
        local,
        dialect,
    };
    Some(First::Hello(Box::new(greeted), hello))
}

/// Asks the authenticators who a client is, within what is left of `handshake_timeout`. `None` where the client leaves, or
/// breaks a rule, before they know.
pub(super) async fn identify(
    greeted: &mut Greeted,
    request: &ConnectRequest,
    shared: &ServerShared,
    deadline: Instant,
) -> Option<Result<Identity, Refusal>> {
    let Greeted {
        connection,
        stream,
        decoder,
        session,
        remote,
        ..
    } = greeted;
    let max_failures = shared.settings.max_auth_failures;
    let identifying = shared
        .authenticators
        .identify(request, deadline, max_failures);
    match while_deciding(stream, decoder, session, connection, identifying).await {
        Ok(identified) => Some(identified),
        Err(error) => {
            log_failure(&error, shared, &remote.address);
            if let HandshakeError::Fault(fault) = &error {
                session.handle_fault(fault);
                refuse(stream, session).await;
            }
            None
        }
    }
}

fn log_failure(error: &HandshakeError, shared: &ServerShared, peer: &PeerAddress) {
    handshake_refused(match error {
        HandshakeError::Eof | HandshakeError::Io(_) => RefusedHandshake::Closed,
        HandshakeError::TimedOut => RefusedHandshake::TimedOut,
        HandshakeError::Fault(_) => RefusedHandshake::Protocol,
    });
    let rule = match error {
        // A port scan, or a health check.
        HandshakeError::Eof => return tracing::debug!("closed before HELLO"),
        HandshakeError::Io(error) => return tracing::debug!(%error, "broke before HELLO"),
        HandshakeError::TimedOut => "it did not come in time",
        HandshakeError::Fault(fault) => &*fault.rule,
    };
    if shared.log_limiter.may_log_refused(peer) {
        tracing::info!(rule = %Escaped::new(rule), "no HELLO");
    }
}

fn log_failed_upgrade(error: &io::Error, shared: &ServerShared, peer: &PeerAddress) {
    handshake_refused(RefusedHandshake::Transport);
    if shared.log_limiter.may_log_refused(peer) {
        let error = error.to_string();
        tracing::info!(error = %Escaped::new(&error), "the transport's handshake failed");
    }
}
