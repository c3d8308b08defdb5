//! What an operator sees.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use bytes::Bytes;

use super::Router;
use crate::{
    access::Principal,
    router::{Dialect, EndReason, SessionKey, sync::lock},
};

/// A session, as an operator sees it.
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
    /// How many messages wait for it.
    pub waiting: usize,
    /// How many bytes these keep.
    pub waiting_bytes: usize,
    /// How many messages it has published.
    pub published: u64,
    /// How many messages were queued for it.
    pub queued: u64,
    /// How many messages were dropped.
    pub dropped: u64,
    /// How many calls it has been given that have not ended.
    pub open_calls: usize,
    /// How many subscriptions it has.
    pub subscriptions: usize,
    /// How many grants it has given.
    pub grants: usize,
}

/// A topic that STATEs are kept of or that is subscribed to by its name, as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicInfo {
    /// Its name.
    pub topic: Bytes,
    /// How many subscriptions name it. Filters with wildcards are not counted.
    pub subscriptions: usize,
    /// How many STATEs are kept of it.
    pub kept: usize,
}

/// All of it in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// How many sessions there are.
    pub sessions: usize,
    /// How many of them are away.
    pub away: usize,
    /// How many subscriptions they have.
    pub subscriptions: usize,
    /// How many STATEs are kept.
    pub kept_values: usize,
    /// How many bytes these have.
    pub kept_bytes: usize,
    /// How many sessions have ended, by their reason.
    pub ended: Vec<(EndReason, u64)>,
    /// How many grants they have given.
    pub grants: usize,
    /// How many calls their services have not ended.
    pub open_calls: usize,
    /// How many messages wait in their queues.
    pub waiting: usize,
    /// How many bytes these keep, each queue counted by itself.
    pub waiting_bytes: usize,
    /// How many messages were published.
    pub published: u64,
    /// How many messages were queued, counted for each queue.
    pub queued: u64,
    /// How many messages were dropped, for whatever reason.
    pub dropped: u64,
    /// How many deliveries were answered with an error.
    pub failed: u64,
    /// How many messages went to another instance than the first.
    pub handed_over: u64,
    /// How many compressed bodies were inflated, for all receivers of them together.
    pub inflated: u64,
    /// How many messages went to `$dead/T`.
    pub dead_letters: u64,
}

impl Router {
    /// The name of a session's peer, and whose it is.
    pub fn peer(&self, key: SessionKey) -> Option<(Arc<str>, Principal)> {
        let control = self.control();
        let client = &control.sessions.get(&key)?.session.client;
        Some((client.peer.clone(), client.principal.clone()))
    }

    /// All sessions, in no order.
    pub fn sessions(&self) -> Vec<SessionInfo> {
        let control = self.control();
        let entries = control.sessions.values();
        entries
            .map(|entry| {
                let session = &entry.session;
                let (waiting_bytes, queued, dropped) =
                    session.with_outbox(|outbox| (outbox.bytes(), outbox.queued, outbox.dropped()));
                SessionInfo {
                    key: session.key,
                    principal: session.client.principal.clone(),
                    dialect: session.dialect,
                    is_connected: session.is_connected(),
                    expires_at: entry.expires_at,
                    waiting: session.waiting(),
                    waiting_bytes,
                    published: session.published.load(Relaxed),
                    queued,
                    dropped,
                    open_calls: session.open_calls(),
                    subscriptions: entry.subscriptions.len(),
                    grants: entry.grants.len(),
                }
            })
            .collect()
    }

    /// Up to `count` topics after this one, in the order of their bytes.
    pub fn topics(&self, after: Option<&[u8]>, count: usize) -> Vec<TopicInfo> {
        let control = self.control();
        let mut topics: Vec<&Bytes> = control.subscriptions.topics().collect();
        topics.extend(control.kept.keys());
        topics.retain(|topic| after.is_none_or(|after| topic.as_ref() > after));
        topics.sort_unstable();
        topics.dedup();
        topics.truncate(count);
        let info = |topic: &Bytes| TopicInfo {
            topic: topic.clone(),
            subscriptions: control.subscriptions.naming(topic),
            kept: control
                .kept
                .get(topic)
                .map_or(0, |kept| lock(&kept.values).len()),
        };
        topics.into_iter().map(info).collect()
    }

    /// How many STATEs are kept, and how many bytes these have.
    #[cfg(test)]
    pub(in crate::router) fn kept_totals_now(&self) -> (usize, usize) {
        (self.0.kept.values(), self.0.kept.bytes())
    }

    /// All of it in numbers.
    pub fn totals(&self) -> Totals {
        let counters = self.counters();
        let control = self.control();
        let mut totals = Totals {
            sessions: control.sessions.len(),
            away: control.away.len(),
            kept_values: self.0.kept.values(),
            kept_bytes: self.0.kept.bytes(),
            ended: EndReason::ALL
                .into_iter()
                .zip(&counters.ended)
                .map(|(reason, count)| (reason, count.load(Relaxed)))
                .collect(),
            published: counters.published.load(Relaxed),
            queued: counters.queued.load(Relaxed),
            dropped: counters.dropped.load(Relaxed),
            failed: counters.failed.load(Relaxed),
            handed_over: counters.handed_over.load(Relaxed),
            inflated: counters.inflated.load(Relaxed),
            dead_letters: counters.dead_letters.load(Relaxed),
            ..Totals::default()
        };
        for entry in control.sessions.values() {
            let session = &entry.session;
            totals.subscriptions += entry.subscriptions.len();
            totals.grants += entry.grants.len();
            totals.open_calls += session.open_calls();
            totals.published += session.published.load(Relaxed);
            session.with_outbox(|outbox| {
                totals.waiting += outbox.count();
                totals.waiting_bytes += outbox.bytes();
                totals.queued += outbox.queued;
                totals.dropped += outbox.dropped();
            });
        }
        totals
    }
}
