//! Instances of typed services, and what they are told of their clients.

use super::*;

pub(super) fn by_peer(
    peer: &Peer,
    filter: &str,
    spoken: (&str, u64),
) -> Result<Subscribed, Refused> {
    let filter = Filter::Pattern(TopicFilter::new(filter).expect("a filter"));
    let request = SubscribeRequest {
        protocol: Some(spoken.0.to_owned()),
        fingerprint: spoken.1,
        is_by_peer: true,
        ..SubscribeRequest::new(filter)
    };
    peer.router.subscribe(&peer.session, request, NOW)
}

pub(super) const CHAT: (&str, u64) = ("chat.v1", 7);

pub(super) fn instance(router: &Router, filter: &str) -> Peer {
    let peer = Peer::new(router);
    by_peer(&peer, filter, CHAT).expect("a subscription");
    peer
}

/// What an instance is told, in order.
pub(super) fn told(peer: &Peer) -> Vec<String> {
    let told = peer.items().into_iter().flat_map(|item| match item {
        OutboxItem::Publication(delivery) => {
            let client = delivery.client.as_ref();
            let at = client.map_or(String::new(), |client| {
                let topic = String::from_utf8_lossy(&client.topic).into_owned();
                format!("{topic}/{} ", client.peer())
            });
            let bodies = bodies(&delivery.publication).into_iter();
            bodies.map(|body| format!("{at}{body}")).collect()
        }
        OutboxItem::TopicSpoken(spoken) => {
            let topic = String::from_utf8_lossy(&spoken.topic);
            vec![format!(
                "{topic} speaks {} {}",
                spoken.protocol, spoken.fingerprint
            )]
        }
        OutboxItem::SubscriptionEnded(..) => vec!["subscription ended".to_owned()],
        OutboxItem::Presence(presence) => {
            let care = presence.introduction.as_deref();
            let what = match care {
                None => "gone",
                Some(care) if care.is_handed_over => "handed over",
                Some(care) if care.looks_after => "cared for",
                Some(_) => "there",
            };
            vec![format!("{} {what}", presence.peer)]
        }
        OutboxItem::Exchange(assigned) => {
            let client = assigned.client().expect("whose it is");
            vec![format!("call of {}", client.peer())]
        }
    });
    told.collect()
}

pub(super) fn name(peer: &Peer) -> String {
    peer.session.peer().to_owned()
}
