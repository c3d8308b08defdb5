//! A connection that is a channel of a session that exists.

use std::sync::Arc;

use super::{Beginning, greet::Greeted, welcome};
use crate::{
    Identity, Status,
    body::Encoding,
    channel::ChannelClaim,
    driver::refuse_at_once,
    negotiation,
    server::{
        authenticate::Refusal, channel_connection::BegunChannel, channels::BoundChannel,
        permits::ConnectionPermit, resumed::Greeting, sessions::SessionKey, shared::ServerShared,
    },
    service::Inbox,
};
use msip_session::wire::{CHANNEL, Welcome};

/// What a channel is served with.
pub(super) struct ChannelTerms {
    pub(super) fingerprint: u64,
    pub(super) encoding: Encoding,
    pub(super) identity: Option<Identity>,
}

/// Opens a channel of a session that exists. `None` where the client is not admitted yet: it is refused, and tries again.
pub(super) fn open_channel(
    greeted: Greeted,
    hello: &Greeting,
    bound: BoundChannel,
    terms: ChannelTerms,
    permit: ConnectionPermit,
    shared: &ServerShared,
) -> Option<Beginning> {
    let Greeted {
        connection,
        mut stream,
        decoder,
        mut session,
        remote,
        ..
    } = greeted;
    let ChannelTerms {
        fingerprint,
        encoding,
        identity,
    } = terms;
    let host = &bound.host;
    host.main.has_channel(&connection);
    let inbox = Arc::new(Inbox::default());
    let Some(handlers) = host.peer.channel_handlers(&connection, &inbox) else {
        let status = Status::unavailable("the session of the channel is not admitted yet");
        session.refuse(status.code(), status.message());
        refuse_at_once(&mut stream, &mut session);
        return None;
    };
    let settings = &shared.settings;
    let mut welcome = Welcome {
        // It is not kept without its connection.
        session_expiry_ms: 0,
        ..welcome(
            host.id,
            (fingerprint, false),
            &shared.name,
            settings,
            &encoding,
        )
    };
    welcome
        .extensions
        .extend([(CHANNEL.to_owned(), Vec::new())]);
    session.welcome(hello.session_id, &welcome, hello.max_body);
    negotiation::agree(&mut session, hello.reads_error_metadata, &encoding);
    if fingerprint == hello.fingerprint {
        session.expect_readable();
    }
    connection.attach(session, encoding);
    connection.set_sender(identity.map(|identity| identity.of_peer(host.id)));
    Some(Beginning::Channel(Box::new(BegunChannel {
        bound,
        connection,
        stream,
        decoder,
        permit,
        address: remote.address,
        inbox,
        handlers,
    })))
}

/// Finds the session of which a connection says that it is a channel.
pub(super) fn bind(
    claim: &[u8],
    key: &SessionKey<'_>,
    fingerprint: u64,
    permit: &mut ConnectionPermit,
    shared: &ServerShared,
) -> Result<BoundChannel, Refusal> {
    if !shared.permits.make_regular(permit) {
        return Err(Refusal::too_many_connections(shared.permits.refusal()));
    }
    let claim = ChannelClaim::parse(claim).ok_or_else(|| {
        let text = "the extension `channel` of HELLO does not name a channel";
        Status::invalid_argument(text)
    })?;
    let bound = shared.channels.bind(&claim, &key.owner(), fingerprint);
    bound.map_err(Refusal::told)
}
