//! What the router has, and what it has done: for people who look at the broker.
//!
//! Messages are counted where they are queued, by session: no message touches a counter that sessions share.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use bytes::Bytes;

use super::{Dialect, EndReason, Router, SessionHandle, SessionKey, session::Session, sync::lock};
use crate::{access::Principal, topic::Filter};

/// Sums over all sessions, those that have ended included where something is counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Sessions.
    pub sessions: usize,
    /// Those that have a connection.
    pub connected: usize,
    /// Subscriptions.
    pub subscriptions: usize,
    /// Grants.
    pub grants: usize,
    /// Calls that their services have not answered.
    pub open_calls: usize,
    /// Kept STATEs.
    pub kept_values: usize,
    /// The bytes that they have.
    pub kept_bytes: usize,
    /// Messages that wait in outboxes.
    pub pending_messages: usize,
    /// The bytes that they keep, each outbox counted by itself.
    pub pending_bytes: usize,
    /// Messages that sessions have published.
    pub published: u64,
    /// Messages that were queued, counted for each outbox.
    pub queued: u64,
    /// Messages that were dropped, counted for each outbox.
    pub dropped: u64,
    /// Sessions that have ended, by why.
    pub ended: BTreeMap<EndReason, u64>,
}

/// What waits in an outbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pending {
    /// Messages.
    pub messages: usize,
    /// The bytes that they keep.
    pub bytes: usize,
}

/// A session.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SessionInfo {
    /// Its number.
    pub key: SessionKey,
    /// Whose it is.
    pub principal: Principal,
    /// How its peer speaks.
    pub dialect: Dialect,
    /// Whether it has a connection.
    pub is_connected: bool,
    /// When it ends, if it is away.
    pub expires_at: Option<Duration>,
    /// Its subscriptions.
    pub subscriptions: usize,
    /// The grants that it has given.
    pub grants: usize,
    /// The calls that it has not answered.
    pub open_calls: usize,
    /// What waits for it.
    pub pending: Pending,
    /// Messages that it has published.
    pub published: u64,
    /// Messages that were queued for it.
    pub queued: u64,
    /// Messages that were not, or not for long.
    pub dropped: u64,
}

/// A topic or a filter that somebody hears, or a topic that has kept values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicInfo {
    /// The topic or the filter.
    pub topic: Bytes,
    /// How many sessions are subscribed to just this.
    pub subscribers: usize,
    /// How many groups they are in.
    pub groups: usize,
    /// How many STATEs are kept.
    pub kept_values: usize,
    /// The bytes that they have.
    pub kept_bytes: usize,
}

/// What sessions have counted that are no more, and why they are not.
#[derive(Debug, Default)]
pub(super) struct Ended {
    published: u64,
    queued: u64,
    dropped: u64,
    reasons: BTreeMap<EndReason, u64>,
}

impl Ended {
    /// A session has ended.
    pub(super) fn add(&mut self, session: &Session, reason: EndReason) {
        let Counted {
            queued, dropped, ..
        } = session.counted();
        self.published += session.published();
        self.queued += queued;
        self.dropped += dropped;
        *self.reasons.entry(reason).or_default() += 1;
    }
}

/// What an outbox has counted, and what waits in it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counted {
    pub(super) pending: Pending,
    pub(super) queued: u64,
    pub(super) dropped: u64,
}

impl Router {
    /// Sums over all sessions. It looks at each of them: once a second is often.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let (kept_values, kept_bytes) = self.kept_totals();
        let control = self.control();
        let ended = &control.ended;
        let mut sums = Statistics {
            sessions: control.sessions.len(),
            kept_values,
            kept_bytes,
            published: ended.published,
            queued: ended.queued,
            dropped: ended.dropped,
            ended: ended.reasons.clone(),
            ..Statistics::default()
        };
        for entry in control.sessions.values() {
            let Counted {
                pending,
                queued,
                dropped,
            } = entry.session.counted();
            sums.connected += usize::from(entry.session.is_connected());
            sums.subscriptions += entry.subscriptions.len();
            sums.grants += entry.grants.len();
            sums.open_calls += entry.session.open_calls();
            sums.pending_messages += pending.messages;
            sums.pending_bytes += pending.bytes;
            sums.published += entry.session.published();
            sums.queued += queued;
            sums.dropped += dropped;
        }
        sums
    }

    /// All sessions, in no order.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionInfo> {
        let control = self.control();
        let entries = control.sessions.values();
        let info = entries.map(|entry| {
            let session = &entry.session;
            let Counted {
                pending,
                queued,
                dropped,
            } = session.counted();
            SessionInfo {
                key: session.key,
                principal: session.principal.clone(),
                dialect: session.dialect,
                is_connected: session.is_connected(),
                expires_at: entry.expires_at,
                subscriptions: entry.subscriptions.len(),
                grants: entry.grants.len(),
                open_calls: session.open_calls(),
                pending,
                published: session.published(),
                queued,
                dropped,
            }
        });
        info.collect()
    }

    /// Topics and filters that somebody hears, and topics that have kept values: `most` of them from the one with this
    /// `offset` on, in the order of their names. No more than both together are held at once.
    #[must_use]
    pub fn topics(&self, offset: usize, most: usize) -> Vec<TopicInfo> {
        let most = offset.saturating_add(most);
        let mut first = FirstTopics {
            most,
            all: BTreeMap::new(),
        };
        let control = self.control();
        for entry in control.sessions.values() {
            for (filter, group) in &entry.subscriptions {
                let name = match filter {
                    Filter::Literal(topic) => &topic[..],
                    Filter::Pattern(filter) => filter.as_str().as_bytes(),
                };
                let Some((info, groups)) = first.of(name) else {
                    continue;
                };
                info.subscribers += 1;
                if let Some(group) = group
                    && groups.insert(group.to_string())
                {
                    info.groups += 1;
                }
            }
        }
        for (topic, kept) in &control.kept {
            let values = lock(&kept.values);
            if values.is_empty() {
                continue;
            }
            if let Some((info, _)) = first.of(topic) {
                info.kept_values = values.len();
                info.kept_bytes = values.values().map(|value| value.pinned).sum();
            }
        }
        drop(control);
        let all = first.all.into_values().skip(offset);
        all.map(|(info, _)| info).collect()
    }
}

impl SessionHandle {
    /// What waits in its outbox.
    #[must_use]
    pub fn pending(&self) -> Pending {
        self.0.counted().pending
    }
}

/// The first topics by name, with the groups of each.
struct FirstTopics {
    most: usize,
    all: BTreeMap<Bytes, (TopicInfo, HashSet<String>)>,
}

impl FirstTopics {
    /// The entry of a topic, if it is among the first of those that were asked for until now.
    fn of(&mut self, topic: &[u8]) -> Option<&mut (TopicInfo, HashSet<String>)> {
        if !self.all.contains_key(topic) {
            if self.all.len() >= self.most {
                let last = self.all.last_key_value()?.0;
                if topic >= &last[..] {
                    return None;
                }
                self.all.pop_last();
            }
            let topic = Bytes::copy_from_slice(topic);
            let info = TopicInfo {
                topic: topic.clone(),
                ..TopicInfo::default()
            };
            self.all.insert(topic, (info, HashSet::new()));
        }
        self.all.get_mut(topic)
    }
}
