//! Subscribing, and what is kept for those who do.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use msip_session::wire::Code;

use super::{Control, Router, Spoken};
use crate::{
    router::{
        Delivery, OutboxItem, Refused, SessionHandle, SessionKey, Target, WakeList,
        outbox::Rejected, session::Session, sync::lock,
    },
    topic::{self, Filter, Internal},
};

/// How long the topics may be on average that a session subscribes to, and how long one may be in any case, in bytes: those of
/// MIP's peers have up to 65,535.
const AVERAGE_LEN: usize = 256;
const MIN_LEN: usize = 128 * 1024;

/// What a session asks to hear.
#[derive(Debug, Clone)]
pub struct SubscribeRequest {
    /// What it is about.
    pub filter: Filter,
    /// The group, of which one member hears each message.
    pub group: Option<String>,
    /// The package of the protocol that is spoken there, if it is said.
    pub protocol: Option<String>,
    /// The fingerprint of its schema; 0 if it is not said.
    pub fingerprint: u64,
}

impl SubscribeRequest {
    /// A subscription without group and protocol.
    pub fn new(filter: Filter) -> Self {
        Self {
            filter,
            group: None,
            protocol: None,
            fingerprint: 0,
        }
    }
}

/// A subscription that was made. Kept STATEs are in the session's outbox when this is returned, and nothing that comes later
/// of the same topic is before them: the connection writes the ACK before it takes from the outbox again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscribed {
    /// Whether the session had it already.
    pub is_repeated: bool,
    /// How many kept STATEs were queued.
    pub replayed: usize,
    /// What the first service of the topic speaks, where it is something else.
    pub differs: Option<Difference>,
}

/// What the first service of a topic speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Its protocol.
    pub protocol: String,
    /// The fingerprint of its schema.
    pub fingerprint: u64,
}

impl Router {
    /// Subscribes.
    ///
    /// # Errors
    ///
    /// It is not allowed, or there are too many subscriptions.
    pub fn subscribe(
        &self,
        session: &SessionHandle,
        request: SubscribeRequest,
        now: Duration,
    ) -> Result<Subscribed, Refused> {
        let key = session.key();
        let mut wakes = WakeList::new();
        let most = self.0.limits.subscriptions;
        let mut guard = self.control();
        let control = &mut *guard;
        control.check_length(key, &request.filter, most)?;
        control.check_subscription(key, &request.filter)?;
        let Some(entry) = control.sessions.get_mut(&key) else {
            return Err(Refused::ended());
        };
        let is_repeated = entry.subscriptions.contains_key(&request.filter);
        if !is_repeated && entry.subscriptions.len() >= most {
            return Err(Refused::limit("subscriptions", most, "max_subscriptions"));
        }
        let differs = control.note_protocol(key, &request);
        let group: Option<Arc<str>> = request.group.map(Into::into);
        // Publishers that have an older route look again before they publish a STATE: whatever they publish is either
        // kept when it is replayed below, or comes after it.
        let generation = control.changed();
        control.routes.outdate_matching(&request.filter);
        let before = control.sessions.get_mut(&key).and_then(|entry| {
            let subscriptions = &mut entry.subscriptions;
            subscriptions.insert(request.filter.clone(), group.clone())
        });
        control
            .subscriptions
            .insert(&request.filter, &session.0, group);
        session
            .0
            .with_outbox(|outbox| outbox.subscribed(&request.filter));
        let replayed = control.replay(&session.0, &request.filter, generation, now, &mut wakes);
        let Some(replayed) = replayed else {
            // Half of what is kept would look like all of it.
            if before.is_none() {
                control.unsubscribe(key, &request.filter);
            }
            return Err(Refused::new(
                Code::ResourceExhausted,
                "more STATEs are kept of these topics than can be queued (outgoing_bytes)",
            ));
        };
        control.notice(key, &request.filter, most, now, &mut wakes);
        drop(guard);
        Ok(Subscribed {
            is_repeated,
            replayed,
            differs,
        })
    }

    /// Revokes a subscription; `false` if there was none.
    pub fn unsubscribe(&self, session: &SessionHandle, filter: &Filter) -> bool {
        self.control().unsubscribe(session.key(), filter)
    }

    /// The subscriptions of a session.
    pub fn subscriptions(&self, session: &SessionHandle) -> Vec<Filter> {
        let control = self.control();
        let entry = control.sessions.get(&session.key());
        entry.map_or_else(Vec::new, |entry| {
            entry.subscriptions.keys().cloned().collect()
        })
    }
}

impl Control {
    /// Whether there is place for a long topic among the subscriptions of a session.
    fn check_length(&self, key: SessionKey, filter: &Filter, most: usize) -> Result<(), Refused> {
        let len = filter.len();
        if len <= AVERAGE_LEN {
            return Ok(());
        }
        let most = most.saturating_mul(AVERAGE_LEN).max(MIN_LEN);
        let entry = self.sessions.get(&key).ok_or(Refused::ended())?;
        let all: usize = entry.subscriptions.keys().map(Filter::len).sum();
        if all.saturating_add(len) > most && !entry.subscriptions.contains_key(filter) {
            return Err(Refused::limit("bytes of topics", most, "subscriptions"));
        }
        Ok(())
    }

    /// Removes a subscription, if there is one.
    fn unsubscribe(&mut self, key: SessionKey, filter: &Filter) -> bool {
        let entry = self.sessions.get_mut(&key);
        if entry.is_none_or(|entry| entry.subscriptions.remove(filter).is_none()) {
            return false;
        }
        self.changed();
        self.routes.outdate_matching(filter);
        self.subscriptions.remove(filter, key);
        true
    }

    /// Who subscribes to a topic takes part in it, and who subscribes to its presence hears of those who do.
    fn notice(
        &mut self,
        key: SessionKey,
        filter: &Filter,
        most: usize,
        now: Duration,
        wakes: &mut WakeList,
    ) {
        let topic = match filter {
            Filter::Literal(topic) => topic.clone(),
            Filter::Pattern(filter) if filter.is_literal() => {
                Bytes::copy_from_slice(filter.as_str().as_bytes())
            }
            Filter::Pattern(_) => return,
        };
        match Internal::of(&topic) {
            Internal::Clients(topic) | Internal::Peer { topic, .. } => {
                self.appears(key, topic, most, now, wakes);
            }
            Internal::Presence(topic) => {
                for client in self.subscriptions.of_topic(topic) {
                    self.appears(client, topic, most, now, wakes);
                }
            }
            _ => {}
        }
    }

    /// Remembers what the first service of a topic speaks. Returns it, where this one speaks something else.
    fn note_protocol(&mut self, key: SessionKey, request: &SubscribeRequest) -> Option<Difference> {
        let protocol = request.protocol.clone()?;
        let topic: &[u8] = match &request.filter {
            Filter::Literal(topic) => topic,
            Filter::Pattern(filter) if filter.is_literal() => filter.as_str().as_bytes(),
            Filter::Pattern(_) => return None,
        };
        let (about, is_service) = match Internal::of(topic) {
            Internal::Services(about) => (about, true),
            Internal::Clients(about) => (about, false),
            Internal::Peer { topic, .. } => (topic, false),
            _ => return None,
        };
        if let Some(spoken) = self.protocols.get(about) {
            let is_same = spoken.protocol == protocol && spoken.fingerprint == request.fingerprint;
            return (!is_same).then(|| Difference {
                protocol: spoken.protocol.clone(),
                fingerprint: spoken.fingerprint,
            });
        }
        if is_service {
            self.protocols.insert(
                Bytes::copy_from_slice(about),
                Spoken {
                    by: key,
                    protocol,
                    fingerprint: request.fingerprint,
                },
            );
        }
        None
    }

    /// Queues the kept STATEs that a subscription asks for. Returns how many, or nothing where there is no place for all.
    fn replay(
        &self,
        session: &Arc<Session>,
        filter: &Filter,
        generation: u64,
        now: Duration,
        wakes: &mut WakeList,
    ) -> Option<usize> {
        let Some(entry) = self.sessions.get(&session.key) else {
            return Some(0);
        };
        let mut count = 0_usize;
        let prefix = match filter {
            Filter::Literal(topic) => topic.clone(),
            Filter::Pattern(filter) => Bytes::copy_from_slice(filter.literal_prefix()),
        };
        let near = self.kept.range(prefix.clone()..);
        for (topic, kept) in near.take_while(|(topic, _)| topic.starts_with(&prefix)) {
            let is_asked = match filter {
                Filter::Literal(_) => filter.matches(topic),
                Filter::Pattern(_) => filter.matches(topic) && topic::is_valid(topic),
            };
            if !is_asked || !self.may_hear(entry, topic) {
                continue;
            }
            for publication in lock(&kept.values).values() {
                if publication.expires_at.is_some_and(|at| at <= now) {
                    continue;
                }
                let item = OutboxItem::Publication(Delivery {
                    publication: publication.clone(),
                    target: Target::Everyone,
                    tried: Vec::new(),
                });
                match session.push(item, generation, now, wakes) {
                    Ok(_) => count = count.saturating_add(1),
                    Err((Rejected::Overflow(_), _)) => return None,
                    Err(_) => {}
                }
            }
        }
        Some(count)
    }
}
