//! What a service and the broker tell each other about clients: the protocol `msip.broker.v1` (docs/protocol.md, "Subscribe").

use bytes::Bytes;
use msip_runtime::{
    Code, MsgKind, Status, Variant,
    untyped::{MessageRef, UntypedMessage},
};
use msip_session::wire::{
    Topic,
    broker::{
        ClientToServer, DisconnectReq, DisconnectRsp, PeerCredit, Presence as Wire, PresenceInd,
        ServerToClient, SubscriptionEndedInd, TOPIC, TopicInd, client_to_server, server_to_client,
    },
};
use prost::Message as _;

use super::Shared;
use crate::{
    access::{Access, Rights, Uses},
    router::{ClientAt, EndReason, Presence, SubscriptionEnd, TopicSpoken},
    topic::{self, Filter, TopicFilter},
};

/// What begins the topic that a service of `T` asks the broker at: `$broker/T`.
const BROKER: &str = "$broker/";

/// The longest topic, in bytes (docs/protocol.md, "Limits").
const MAX_TOPIC: u16 = 255;

const DISCONNECT_RSP: Variant = Variant::new(1, "disconnect_rsp", MsgKind::Command);
const PRESENCE_IND: Variant = Variant::new(2, "presence_ind", MsgKind::Event);
const TOPIC_IND: Variant = Variant::new(3, "topic_ind", MsgKind::Event);
/// Urgent, so that an untyped client gets it by itself.
const SUBSCRIPTION_ENDED_IND: Variant =
    Variant::new(4, "subscription_ended_ind", MsgKind::Event).urgent();

/// Whether calls to this topic are for the broker itself.
pub(super) fn is_of_broker(topic: &[u8]) -> bool {
    topic.starts_with(BROKER.as_bytes())
}

/// The topic whose service asks the broker something there, where it is such a topic.
pub(super) fn asks_broker(message: &UntypedMessage) -> Option<&str> {
    if !is_of_broker(message.topic_bytes()) {
        return None;
    }
    message.topic().strip_prefix(BROKER)
}

/// What a service that hears `$presence/T` is told.
pub(super) fn announcement(presence: &Presence) -> Result<UntypedMessage, Status> {
    let about = String::from_utf8_lossy(&presence.topic).into_owned();
    let topic = topic::presence(&presence.topic);
    let introduction = presence.introduction.as_deref();
    let what = match introduction {
        _ if !presence.is_there => Wire::Gone,
        Some(introduction) if introduction.is_handed_over => Wire::LookedAfter,
        _ => Wire::Connected,
    };
    let of_client = introduction.map(|introduction| introduction.about.clone());
    let client = of_client.unwrap_or_default();
    let said = PresenceInd {
        topic: about,
        peer: presence.peer.clone(),
        presence: what.into(),
        principal: presence.principal.name().to_owned(),
        user: client.user,
        service: client.service,
        roles: client.roles,
        address: client.address,
        client_name: client.name,
        protocol: client.protocol,
        fingerprint: client.fingerprint,
        looks_after: introduction.is_some_and(|introduction| introduction.looks_after),
    };
    let body = ServerToClient {
        message: Some(server_to_client::Message::PresenceInd(said)),
    };
    UntypedMessage::new(&PRESENCE_IND, body.encode_to_vec())
        .to_topic(String::from_utf8_lossy(&topic).into_owned())
}

/// What a typed client is told of the first service of its topic, which has come after it.
pub(super) fn topic_spoken(spoken: &TopicSpoken) -> Result<UntypedMessage, Status> {
    let topic = topic::presence(&spoken.topic);
    let said = TopicInd {
        topic: String::from_utf8_lossy(&spoken.topic).into_owned(),
        protocol: spoken.protocol.clone(),
        fingerprint: spoken.fingerprint,
    };
    let body = ServerToClient {
        message: Some(server_to_client::Message::TopicInd(said)),
    };
    UntypedMessage::new(&TOPIC_IND, body.encode_to_vec())
        .to_topic(String::from_utf8_lossy(&topic).into_owned())
}

/// What an instance says that it has finished with, and at which topic, where this is such a message.
pub(super) fn credit<'a>(message: &MessageRef<'a>) -> Option<(&'a [u8], PeerCredit)> {
    let topic = message.topic_bytes().strip_prefix(BROKER.as_bytes())?;
    let said = ClientToServer::decode(message.body()).ok()?;
    match said.message? {
        client_to_server::Message::PeerCredit(credit) => Some((topic, credit)),
        _ => None,
    }
}

/// Where an instance hears a client.
///
/// # Errors
///
/// It is too long with the client's name.
pub(super) fn topic_of(client: &ClientAt) -> Result<Topic, Status> {
    let topic = String::from_utf8_lossy(&client.topic);
    let topic = format!("{topic}/{}/{}", topic::SERVICES, client.peer());
    Topic::new(Bytes::from(topic), MAX_TOPIC)
        .map_err(|error| Status::invalid_argument(error.to_string()))
}

/// What a peer is told whose subscription has ended.
pub(super) fn subscription_ended(
    filter: &Filter,
    why: SubscriptionEnd,
) -> Result<UntypedMessage, Status> {
    let topic = match filter {
        Filter::Literal(topic) => String::from_utf8_lossy(topic).into_owned(),
        Filter::Pattern(filter) => filter.as_str().to_owned(),
    };
    let (code, text) = match why {
        SubscriptionEnd::NotAllowed => (String::new(), String::new()),
        SubscriptionEnd::SlowConsumer => {
            let (code, text) = EndReason::SlowConsumer.told();
            (code.name().to_owned(), text.to_owned())
        }
    };
    let said = SubscriptionEndedInd { topic, code, text };
    let body = ServerToClient {
        message: Some(server_to_client::Message::SubscriptionEndedInd(said)),
    };
    UntypedMessage::new(&SUBSCRIPTION_ENDED_IND, body.encode_to_vec()).to_topic(TOPIC)
}

/// Does what a service of `about` asks of the broker.
pub(super) fn ask(
    shared: &Shared,
    rights: &Rights,
    about: &str,
    request: &UntypedMessage,
) -> Result<UntypedMessage, Status> {
    let may_serve = TopicFilter::new(about)
        .is_ok_and(|topic| rights.filter(Uses::Serve, &topic) == Access::Allowed);
    if !may_serve {
        return Err(Status::permission_denied(
            "this topic is not enabled for this principal",
        ));
    }
    let body = request
        .body()
        .map_err(|error| Status::invalid_argument(error.to_string()))?;
    let asked = ClientToServer::decode(body)
        .map_err(|error| Status::invalid_argument(format!("malformed request: {error}")))?;
    let Some(client_to_server::Message::DisconnectReq(disconnect)) = asked.message else {
        return Err(Status::unimplemented_variant(request.number()));
    };
    let DisconnectReq { peer, code, text } = disconnect;
    let code = if code.is_empty() {
        Code::Aborted
    } else {
        Code::from_name(&code)
            .ok_or_else(|| Status::invalid_argument("no such code: one of docs/protocol.md"))?
    };
    let session = shared.router.session_of(&peer);
    let session = session.filter(|it| shared.router.takes_part(it, about.as_bytes()));
    // The same text whether it is there or is another topic's.
    let client = session
        .and_then(|session| shared.peers().get(&session.key()).cloned())
        .ok_or_else(|| Status::not_found("no such client of this topic"))?;
    client.disconnect(Status::new(code, text));
    let answer = ServerToClient {
        message: Some(server_to_client::Message::DisconnectRsp(DisconnectRsp {})),
    };
    Ok(UntypedMessage::new(&DISCONNECT_RSP, answer.encode_to_vec()))
}
