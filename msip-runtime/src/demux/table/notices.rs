//! Notices of the broker: about clients, topics and subscriptions.

use std::sync::Arc;

use bytes::Bytes;

use super::{Handlers, Open, OpenPeer, Table};
use crate::{
    Code, DisconnectReason, Identity, Metadata, Status,
    connection::{Terms, why_ended},
    demux::{
        endpoints::{Endpoint, Introduced},
        inform::{self, PRESENCE},
    },
    service::{Inbox, PeerWindow},
};
use msip_session::wire::broker::{Presence, PresenceInd, server_to_client};

impl Table {
    /// Handles a message of the broker itself.
    pub(super) fn handle_notice(&mut self, topic: &[u8], body: &[u8]) {
        match inform::decode(body) {
            Some(server_to_client::Message::PresenceInd(presence))
                if topic.starts_with(PRESENCE) =>
            {
                self.presence(&presence);
            }
            Some(server_to_client::Message::TopicInd(topic_ind)) => {
                for (_, endpoint) in self.endpoints.all() {
                    if let Endpoint::Client(client) = endpoint
                        && client.topic() == topic_ind.topic
                    {
                        client.topic_spoken(&topic_ind);
                    }
                }
            }
            Some(server_to_client::Message::SubscriptionEndedInd(ended)) => {
                self.subscription_ended(&ended.topic, &why_ended(&ended));
            }
            _ => {}
        }
    }

    fn subscription_ended(&self, filter: &str, why: &Status) {
        for (_, endpoint) in self.endpoints.all() {
            if let Endpoint::Client(client) = endpoint
                && client.topic() == filter
            {
                client.ended(why.clone());
            }
        }
        let text = format!("the broker has ended the subscription: {}", why.message());
        self.refused(filter, &Status::new(why.code(), text));
    }

    fn presence(&mut self, about: &PresenceInd) {
        let key = Bytes::from(format!("{}/$in/{}", about.topic, about.peer));
        let open = self.by_topic.get(&key).copied();
        match (about.presence(), open) {
            (Presence::Connected, None) => self.introduce(about, key),
            (Presence::Connected, Some(open)) if about.looks_after => self.look_after(open),
            (Presence::LookedAfter, Some(open)) => self.look_after(open),
            (Presence::LookedAfter, None) => self.introduce(about, key),
            (Presence::Gone, Some(open)) => {
                let text = "its session with the broker has ended";
                let status = Status::new(Code::Unavailable, text);
                self.end(open, DisconnectReason::ClosedByPeer(status));
            }
            _ => {}
        }
    }

    /// A client has come to a service.
    fn introduce(&mut self, about: &PresenceInd, key: Bytes) {
        let mut endpoints = self.endpoints.all().into_iter();
        let found = endpoints.find_map(|(id, endpoint)| match endpoint {
            Endpoint::Service(service, running) => {
                let serves = service.filter().matches(&about.topic);
                serves.then_some((id, service, running))
            }
            Endpoint::Client(_) => None,
        });
        let Some((id, service, running)) = found else {
            tracing::debug!(
                topic = about.topic,
                "a client of a topic that nobody serves here"
            );
            return;
        };
        let (topic, peer) = (Arc::from(&*about.topic), Arc::from(&*about.peer));
        let window = self.window(&topic, &peer);
        let inbox = Arc::new(Inbox::with_window(
            Arc::clone(&window) as Arc<dyn PeerWindow>
        ));
        let introduced = Introduced {
            topic: &topic,
            peer: &peer,
            about,
            sender: sender(about),
            endpoints: &self.endpoints,
        };
        let sender = introduced.sender.clone();
        let Some((peer, handlers)) = service.open(introduced, &self.connection, &inbox) else {
            return;
        };
        if self.is_draining {
            peer.drain();
        }
        let running = running.begin();
        // It ends when its inbox has.
        let task = self.tasks.spawn(async move {
            handlers.await;
            drop(running);
        });
        let open = self.open.insert(Open {
            id,
            handlers: Handlers { inbox, task },
            window,
            peer: Some(OpenPeer {
                key: key.clone(),
                peer,
                sender,
            }),
        });
        self.by_topic.insert(key, open);
        if about.looks_after || about.presence() == Presence::LookedAfter {
            self.look_after(open);
        }
    }

    /// This instance looks after the client: its handler is told, in order with what comes.
    fn look_after(&self, open: usize) {
        let Some(open) = self.open.get(open) else {
            return;
        };
        let Some(peer) = &open.peer else {
            return;
        };
        if peer.peer.look_after() {
            let sender = peer.sender.clone();
            open.handlers.inbox.connected(Terms {
                sender,
                ..self.terms.clone()
            });
        }
    }

    /// The broker does not make a subscription again, or has ended it.
    pub(in crate::demux) fn refused(&self, filter: &str, status: &Status) {
        let topic = filter.strip_suffix("/$in");
        for (_, endpoint) in self.endpoints.all() {
            if let Endpoint::Service(service, _) = endpoint
                && topic == Some(service.filter().as_str())
            {
                service.refused(status);
            }
        }
    }
}

/// The metadata of a message without any: who sends it, as the broker has authenticated it.
fn sender(about: &PresenceInd) -> Option<Arc<Metadata>> {
    let identity = Identity::of_presence(about)?;
    Some(Arc::new(Metadata::of_sender(Arc::new(identity))))
}
