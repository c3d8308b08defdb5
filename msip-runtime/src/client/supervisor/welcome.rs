//! What the outcome of a handshake does to a client: its session is attached, and what the server told is kept.

use std::sync::PoisonError;

use super::super::{
    ClientShared,
    connection::Welcomed,
    establish::{Established, Identity, Target},
};
use crate::{
    channel::{ChannelKey, KindSet},
    compatibility::describes,
    negotiation,
    transport::{Address, Stream},
};
use msip_session::{
    PeerTerms, is_resumed,
    wire::{CHANNELS, Decoder, Welcome},
};

/// A connection that is ready to run, its session, and the number of its login.
/// And the key of its channels, where it has any.
pub(super) type Ready = (Stream, Decoder, Identity, u64, Option<ChannelKey>);

/// Whether the server goes on with the session that this client has.
pub(super) fn is_same_session(shared: &ClientShared, welcome: &Welcome) -> bool {
    let welcomed = shared
        .info
        .welcomed
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    is_resumed(welcome, welcomed.peer_id)
}

/// Makes a new session the client's, and says what it learned.
pub(super) fn attach(target: &Target, shared: &ClientShared, established: Established) -> Ready {
    let Established {
        address,
        stream,
        decoder,
        mut session,
        encoding,
        welcome,
        identity,
        is_confidential,
    } = established;
    remember(shared, &welcome.welcome, &address, is_confidential);
    if welcome.welcome.session_expiry_ms > 0 {
        session.keep_when_lost();
    }
    if welcome.welcome.resumed {
        // The server has begun it, and may wait for answers.
        let agreed = agreed(&welcome.welcome);
        // It has no calls yet, so nothing is to be cancelled.
        let _ = session.resume(&agreed, shared.connection.now());
    }
    let reads_error_metadata = negotiation::reads_error_metadata(&welcome.welcome.extensions);
    negotiation::agree(&mut session, reads_error_metadata, &encoding);
    let is_same_schema = target.protocol.fingerprint == welcome.welcome.fingerprint;
    if target.schemas.is_some() && target.topic.is_none() && is_same_schema {
        session.expect_readable();
    }
    if welcome.welcome.broker {
        session.allow_topics();
    }
    let key = begin_channels(target, shared, &welcome.welcome);
    let login = shared.connection.attach_for_login(session, encoding);
    shared.begin_session(target);
    if target.topic.is_none()
        && let Some(schemas) = &target.schemas
    {
        shared.begin_schema_check(schemas, target.settings.handshake_timeout, login);
    }
    (stream, decoder, identity, login, key)
}

/// The session has the channels of its client, where the server takes them: returns the key of their tokens.
fn begin_channels(target: &Target, shared: &ClientShared, welcome: &Welcome) -> Option<ChannelKey> {
    let sessions = target.channels.iter().filter(|plan| plan.is_session());
    let mut kinds: Vec<KindSet> = sessions.map(|plan| plan.kinds).collect();
    let key = welcome.extensions.get(CHANNELS);
    let key = key.and_then(|key| ChannelKey::from_bytes(key));
    if key.is_none() && !kinds.is_empty() {
        tracing::warn!("the server takes no channels: all goes by the connection of the client");
        kinds.clear();
    }
    shared.connection.begin_channels(&kinds);
    shared.channels_changed();
    key
}

/// What the server agreed on for its session.
pub(super) fn agreed(welcome: &Welcome) -> PeerTerms<'_> {
    PeerTerms {
        peer_max_body: welcome.max_body,
        max_calls: welcome.max_open_calls,
        awaited: &welcome.awaited,
    }
}

/// Keeps the outcome of the handshake.
pub(super) fn remember(
    shared: &ClientShared,
    welcome: &Welcome,
    address: &Address,
    is_confidential: bool,
) {
    let mut welcomed = shared
        .info
        .welcomed
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let (server_fingerprint, server_describes) = match &shared.topic {
        // They are those of a service, of which the broker tells by the topic.
        Some(_) => (welcomed.server_fingerprint, welcomed.server_describes),
        None => (welcome.fingerprint, describes(&welcome.extensions)),
    };
    *welcomed = Welcomed {
        address: Some(address.clone()),
        is_confidential,
        is_broker: welcome.broker,
        peer_id: welcome.peer_id,
        server_name: welcome.server_name.clone(),
        server_fingerprint,
        server_describes,
        resumed: welcome.resumed,
    };
}
