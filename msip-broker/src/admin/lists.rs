//! Lists: connections, sessions, topics.

use std::{
    cmp::Reverse,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Json,
    extract::{Query, State},
};
use serde::Serialize;

use super::{
    Shared,
    query::{ConnectionState, ListQuery, Sort, TopicQuery},
};
use crate::{
    connections::{ClosedConnection, ConnectionInfo},
    router::{Dialect, SessionInfo, TopicInfo},
};

/// A part of a list.
#[derive(Serialize)]
pub(super) struct List<T> {
    /// How many there are in all.
    total: usize,
    entries: Vec<T>,
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Connection {
    Open {
        id: u64,
        address: String,
        dialect: &'static str,
        principal: String,
        session: u64,
        since: u64,
        open_seconds: f64,
        pending_messages: usize,
        pending_bytes: usize,
    },
    Closed {
        id: u64,
        address: String,
        dialect: &'static str,
        principal: String,
        session: u64,
        closed_at: u64,
        lasted_seconds: f64,
        why: String,
    },
}

#[derive(Serialize)]
pub(super) struct Session {
    id: u64,
    dialect: &'static str,
    principal: String,
    is_connected: bool,
    /// Of one that is away: when it ends.
    expires_in_seconds: Option<f64>,
    subscriptions: usize,
    grants: usize,
    open_calls: usize,
    pending_messages: usize,
    pending_bytes: usize,
    published: u64,
    queued: u64,
    dropped: u64,
}

#[derive(Serialize)]
pub(super) struct Topic {
    /// Cut to 255 characters, which only MIP's peers exceed; what is no UTF-8 is replaced.
    topic: String,
    subscribers: usize,
    groups: usize,
    kept_values: usize,
    kept_bytes: usize,
}

pub(super) async fn connections(
    State(admin): Shared,
    Query(query): Query<ListQuery>,
) -> Json<List<Connection>> {
    if let ConnectionState::Closed = query.state {
        let all = admin.connections.closed();
        return Json(List {
            total: all.len(),
            entries: query.page(all.iter().map(closed)),
        });
    }
    let all = admin.connections.open();
    let mut all: Vec<_> = all
        .iter()
        .map(|one| (&**one, one.session.pending()))
        .collect();
    match query.sort {
        Sort::Pending => all.sort_by_key(|(one, pending)| (Reverse(pending.bytes), one.id)),
        // Numbers are given in the order of time.
        Sort::Age | Sort::Id => all.sort_by_key(|(one, _)| one.id),
    }
    Json(List {
        total: all.len(),
        entries: query.page(all.into_iter().map(|(one, pending)| open(one, pending))),
    })
}

fn open(info: &ConnectionInfo, pending: crate::router::Pending) -> Connection {
    Connection::Open {
        id: info.id,
        address: info.address.clone(),
        dialect: dialect(info.session.dialect()),
        principal: info.session.principal().name().to_owned(),
        session: info.session.key().number(),
        since: unix(info.since),
        open_seconds: info.age().as_secs_f64(),
        pending_messages: pending.messages,
        pending_bytes: pending.bytes,
    }
}

fn closed(closed: &ClosedConnection) -> Connection {
    Connection::Closed {
        id: closed.id,
        address: closed.address.clone(),
        dialect: dialect(closed.dialect),
        principal: closed.principal.clone(),
        session: closed.session.number(),
        closed_at: unix(closed.at),
        lasted_seconds: closed.lasted.as_secs_f64(),
        why: closed.why.clone(),
    }
}

pub(super) async fn sessions(
    State(admin): Shared,
    Query(query): Query<ListQuery>,
) -> Json<List<Session>> {
    let mut all = admin.router.sessions();
    match query.sort {
        Sort::Pending => sort_by_pending(&mut all),
        Sort::Age | Sort::Id => all.sort_by_key(|one| one.key),
    }
    let now = admin.clock.now();
    Json(List {
        total: all.len(),
        entries: query.page(all.iter().map(|one| session(one, now))),
    })
}

/// Those for which something waits, or was dropped.
pub(super) async fn slow(
    State(admin): Shared,
    Query(query): Query<ListQuery>,
) -> Json<List<Session>> {
    let mut all = admin.router.sessions();
    all.retain(|one| one.pending.messages > 0 || one.dropped > 0);
    sort_by_pending(&mut all);
    let now = admin.clock.now();
    Json(List {
        total: all.len(),
        entries: query.page(all.iter().map(|one| session(one, now))),
    })
}

fn sort_by_pending(all: &mut [SessionInfo]) {
    all.sort_by_key(|one| (Reverse(one.pending.bytes), Reverse(one.dropped), one.key));
}

fn session(info: &SessionInfo, now: Duration) -> Session {
    let expires_in = info.expires_at.map(|at| at.saturating_sub(now));
    Session {
        id: info.key.number(),
        dialect: dialect(info.dialect),
        principal: info.principal.name().to_owned(),
        is_connected: info.is_connected,
        expires_in_seconds: expires_in.map(|time| time.as_secs_f64()),
        subscriptions: info.subscriptions,
        grants: info.grants,
        open_calls: info.open_calls,
        pending_messages: info.pending.messages,
        pending_bytes: info.pending.bytes,
        published: info.published,
        queued: info.queued,
        dropped: info.dropped,
    }
}

pub(super) async fn topics(
    State(admin): Shared,
    Query(query): Query<TopicQuery>,
) -> Json<Vec<Topic>> {
    let (offset, most) = query.part();
    let topics = admin.router.topics(offset, most);
    Json(topics.iter().map(topic).collect())
}

fn topic(info: &TopicInfo) -> Topic {
    Topic {
        topic: String::from_utf8_lossy(&info.topic)
            .chars()
            .take(255)
            .collect(),
        subscribers: info.subscribers,
        groups: info.groups,
        kept_values: info.kept_values,
        kept_bytes: info.kept_bytes,
    }
}

fn dialect(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Msip => "msip",
        Dialect::Mip => "mip",
    }
}

/// Seconds since 1970.
fn unix(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}
