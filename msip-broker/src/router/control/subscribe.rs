//! Subscribing, and what is kept for those who do.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::{Control, Held, Router};
use crate::{
    router::{
        ClientAt, Delivery, OutboxItem, Refused, SessionHandle, SessionKey, Target, WakeList,
        outbox::Rejected,
        session::Session,
        subscriptions::{Spoken, Terms},
        sync::lock,
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
    /// Whether it is of typed traffic: of a client of `T`, or of an instance that hears each client of `T/$in` apart.
    pub is_by_peer: bool,
    /// Whether what a client of `T` hears there has a window of its own: the session has other clients besides.
    pub has_own_window: bool,
    /// Whether, if it is the first service, others with another schema are refused.
    pub is_strict: bool,
}

impl SubscribeRequest {
    /// A subscription without group and protocol.
    pub fn new(filter: Filter) -> Self {
        Self {
            filter,
            group: None,
            protocol: None,
            fingerprint: 0,
            is_by_peer: false,
            has_own_window: false,
            is_strict: false,
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
    /// What the first service of the topic speaks, if one is there that says so.
    pub spoken: Option<Difference>,
    /// Whether it is something else than this session speaks.
    pub differs: bool,
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
            let text = format!(
                "too many subscriptions: a session has {most} at most, unsubscribe from others first"
            );
            return Err(Refused::limit("subscriptions", text));
        }
        let spoken = control.spoken(key, &request)?;
        let group: Option<Arc<str>> = request.group.clone().map(Into::into);
        // Publishers that have an older route look again before they publish a STATE: whatever they publish is either
        // kept when it is replayed below, or comes after it.
        let generation = control.changed();
        control.routes.outdate_matching(&request.filter);
        let before = control.sessions.get_mut(&key).and_then(|entry| {
            let subscriptions = &mut entry.subscriptions;
            let held = Held {
                is_by_peer: request.is_by_peer,
                has_group: group.is_some(),
            };
            subscriptions.insert(request.filter.clone(), held)
        });
        let protocol = request.protocol.as_ref();
        let said = protocol.filter(|_| request.filter.is_of_services());
        let said = said.map(|protocol| {
            Arc::new(Spoken {
                since: generation,
                protocol: Arc::from(&**protocol),
                fingerprint: request.fingerprint,
                is_strict: request.is_strict,
            })
        });
        let terms = Terms {
            group,
            is_by_peer: request.is_by_peer,
            spoken: said,
        };
        control
            .subscriptions
            .insert(&request.filter, &session.0, terms);
        let topic = match &request.filter {
            Filter::Pattern(filter) if request.is_by_peer && filter.is_literal() => {
                Some(Bytes::copy_from_slice(filter.as_str().as_bytes()))
            }
            _ => None,
        };
        let moved = session.0.with_outbox(|outbox| {
            outbox.subscribed(&request.filter);
            match &topic {
                Some(topic) if request.has_own_window => {
                    outbox.open_window(topic);
                    Vec::new()
                }
                Some(topic) => outbox.close_window(topic, &mut wakes),
                None => Vec::new(),
            }
        });
        // It has given up a window of its own.
        for item in moved {
            let _ = session.0.push(item, generation, now, &mut wakes);
        }
        let replayed = control.replay(&session.0, &request.filter, generation, now, &mut wakes);
        let Some(replayed) = replayed else {
            // Half of what is kept would look like all of it.
            if before.is_none() {
                control.unsubscribe(key, &request.filter);
                if request.is_by_peer {
                    let left = control.leaves(&session.0, &request.filter, &mut wakes);
                    drop(guard);
                    self.hand_over(left, now, &mut wakes);
                }
            }
            let text = "more STATEs are kept of these topics than can be queued: subscribe to fewer topics at a time";
            return Err(Refused::limit("outgoing_bytes", text.to_owned()));
        };
        control.notice(key, &request.filter, most, now, &mut wakes);
        control.tell_of_first(&session.0, &request, now, &mut wakes);
        let left = match before {
            Some(before) if before.is_by_peer && !request.is_by_peer => {
                control.leaves(&session.0, &request.filter, &mut wakes)
            }
            _ => Vec::new(),
        };
        if request.is_by_peer {
            control.comes(&session.0, &request, &mut wakes);
        }
        drop(guard);
        self.hand_over(left, now, &mut wakes);
        let differs = spoken.as_ref().is_some_and(|spoken| {
            request.protocol.as_ref().is_some_and(|protocol| {
                *protocol != spoken.protocol || request.fingerprint != spoken.fingerprint
            })
        });
        Ok(Subscribed {
            is_repeated,
            replayed,
            spoken,
            differs,
        })
    }

    /// Revokes a subscription that is not by peer; `false` if there was none.
    pub fn unsubscribe(&self, session: &SessionHandle, filter: &Filter) -> bool {
        self.control().unsubscribe(session.key(), filter).is_some()
    }

    /// Revokes a subscription; `false` if there was none. What waits for an instance that hears each client apart goes to others.
    pub fn leave(
        &self,
        session: &SessionHandle,
        filter: &Filter,
        now: Duration,
        wakes: &mut WakeList,
    ) -> bool {
        let mut guard = self.control();
        let control = &mut *guard;
        let Some(is_by_peer) = control.unsubscribe(session.key(), filter) else {
            return false;
        };
        let left = match is_by_peer {
            true => control.leaves(&session.0, filter, wakes),
            false => Vec::new(),
        };
        drop(guard);
        self.hand_over(left, now, wakes);
        true
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
            let text = format!(
                "too many bytes of topics: a session subscribes to {most} at most, unsubscribe from others first"
            );
            return Err(Refused::limit("subscriptions", text));
        }
        Ok(())
    }

    /// Removes a subscription, if there is one. Returns whether it was by peer.
    pub(super) fn unsubscribe(&mut self, key: SessionKey, filter: &Filter) -> Option<bool> {
        let entry = self.sessions.get_mut(&key)?;
        let is_by_peer = entry.subscriptions.remove(filter)?.is_by_peer;
        self.changed();
        self.routes.outdate_matching(filter);
        self.subscriptions.remove(filter, key);
        Some(is_by_peer)
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
            let about = match Internal::of(topic) {
                Internal::Services(about) if self.hears_apart(session.key, topic) => {
                    Some(topic.slice_ref(about))
                }
                _ => None,
            };
            for publication in lock(&kept.values).values() {
                if publication.expires_at.is_some_and(|at| at <= now) {
                    continue;
                }
                let client = match &about {
                    Some(topic) => match self.sessions.get(&publication.from) {
                        Some(entry) => Some(ClientAt {
                            topic: topic.clone(),
                            client: entry.session.client.clone(),
                        }),
                        // Nobody could be told whose it is.
                        None => continue,
                    },
                    None => None,
                };
                let item = OutboxItem::Publication(Delivery {
                    publication: publication.clone(),
                    target: Target::Everyone,
                    tried: Vec::new(),
                    client,
                });
                match session.push(item, generation, now, wakes) {
                    Ok(_) => count = count.saturating_add(1),
                    Err((
                        Rejected::Overflow(_) | Rejected::TopicOverflow(_) | Rejected::Crowded,
                        _,
                    )) => return None,
                    Err(_) => {}
                }
            }
        }
        Some(count)
    }
}
