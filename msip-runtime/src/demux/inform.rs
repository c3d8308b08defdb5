//! What a service and the broker tell each other about clients: the protocol `msip.broker.v1` (docs/protocol.md, "Subscribe").

use bytes::Bytes;
use prost::Message as _;

use super::grant::Grant;
use crate::{Code, MsgKind, Status, Variant, raw::UntypedMessage};
use msip_session::wire::{
    Topic,
    broker::{
        ClientToServer, DisconnectReq, PeerCredit, ServerToClient, client_to_server,
        server_to_client,
    },
};

/// What begins the topic at which the broker tells of the clients of `T`: `$presence/T`.
pub(super) const PRESENCE: &[u8] = b"$presence/";

const DISCONNECT_REQ: Variant = Variant::new(1, "disconnect_req", MsgKind::Command).call(1);
const PEER_CREDIT: Variant = Variant::new(2, "peer_credit", MsgKind::Event);

/// The longest topic, in bytes (docs/protocol.md, "Limits").
const MAX_TOPIC: u16 = 255;

/// A notice of the broker; `None` where this version does not know it.
pub(super) fn decode(body: &[u8]) -> Option<server_to_client::Message> {
    ServerToClient::decode(body).ok()?.message
}

/// So much more of a client may be forwarded.
pub(super) fn peer_credit(grant: &Grant) -> Result<UntypedMessage, Status> {
    let message = client_to_server::Message::PeerCredit(PeerCredit {
        peer: grant.peer.to_string(),
        items: grant.credit.items,
        window: grant.window.unwrap_or_default(),
    });
    to_broker(&PEER_CREDIT, &grant.topic, message)
}

/// The session of a client is to be ended.
pub(super) fn disconnect(
    topic: &str,
    peer: &str,
    status: &Status,
) -> Result<UntypedMessage, Status> {
    let message = client_to_server::Message::DisconnectReq(DisconnectReq {
        peer: peer.to_owned(),
        code: match status.code() {
            Code::Aborted => String::new(),
            code => code.name().to_owned(),
        },
        text: status.message().to_owned(),
    });
    to_broker(&DISCONNECT_REQ, topic, message)
}

fn to_broker(
    variant: &Variant,
    topic: &str,
    message: client_to_server::Message,
) -> Result<UntypedMessage, Status> {
    let said = ClientToServer {
        message: Some(message),
    };
    UntypedMessage::new(variant, said.encode_to_vec()).to_topic(format!("$broker/{topic}"))
}

/// Where what is sent to one client of a topic goes.
pub(crate) fn to_peer(topic: &str, peer: &str) -> Result<Topic, Status> {
    as_topic(format!("{topic}/$to/{peer}"))
}

/// A topic in its form on the wire.
pub(crate) fn as_topic(topic: impl Into<String>) -> Result<Topic, Status> {
    Topic::new(Bytes::from(topic.into()), MAX_TOPIC)
        .map_err(|error| Status::invalid_argument(error.to_string()))
}
