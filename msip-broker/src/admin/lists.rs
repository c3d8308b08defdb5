//! Lists: connections, sessions, topics.

use std::{
    cmp::Reverse,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Json,
    extract::{Query, State},
    http::StatusCode,
};
use serde::Serialize;

use super::{
    Shared,
    query::{ConnectionQuery, ConnectionState, SessionQuery, SlowQuery, Sort, TopicQuery, page},
};
use crate::{
    connections::{ClosedConnection, ConnectionInfo},
    router::{Dialect, SessionInfo, TopicInfo},
};

/// How many bytes of a topic a query has. Of topics that are the same so far, as only MIP's can be, the later ones come again.
const CURSOR: usize = 4096;

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

/// A part of the topics, in the order of their names.
#[derive(Serialize)]
pub(super) struct Topics {
    entries: Vec<Topic>,
    /// What to ask for next: `?after=…`. Nothing where these are the last.
    next: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Topic {
    /// Cut to 255 characters, which only MIP's peers exceed; what is no UTF-8 is replaced.
    topic: String,
    subscriptions: usize,
    kept_values: usize,
}

pub(super) async fn connections(
    State(admin): Shared,
    Query(query): Query<ConnectionQuery>,
) -> Result<Json<List<Connection>>, (StatusCode, &'static str)> {
    let ConnectionQuery { offset, limit, .. } = query;
    if let ConnectionState::Closed = query.state {
        if query.sort.is_some() {
            const WRONG: &str = "`sort` is for open connections: those that have closed come in that order, the latest first\n";
            return Err((StatusCode::BAD_REQUEST, WRONG));
        }
        let all = admin.connections.closed();
        return Ok(Json(List {
            total: all.len(),
            entries: page(all.iter().map(closed), offset, limit),
        }));
    }
    let all = admin.connections.open();
    let mut all: Vec<_> = all
        .iter()
        .map(|one| (&**one, one.session.waiting_bytes()))
        .collect();
    match query.sort.unwrap_or_default() {
        Sort::Pending => all.sort_by_key(|(one, pending)| (Reverse(*pending), one.id)),
        // Numbers are given in the order of time.
        Sort::Age | Sort::Id => all.sort_by_key(|(one, _)| one.id),
    }
    let total = all.len();
    let all = all.into_iter().map(|(one, pending)| open(one, pending));
    Ok(Json(List {
        total,
        entries: page(all, offset, limit),
    }))
}

fn open(info: &ConnectionInfo, pending_bytes: usize) -> Connection {
    Connection::Open {
        id: info.id,
        address: info.address.clone(),
        dialect: dialect(info.session.dialect()),
        principal: info.session.principal().name().to_owned(),
        session: info.session.key().number(),
        since: unix(info.since),
        open_seconds: info.age().as_secs_f64(),
        pending_messages: info.session.waiting(),
        pending_bytes,
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
    Query(query): Query<SessionQuery>,
) -> Json<List<Session>> {
    let mut all = admin.router.sessions();
    match query.sort {
        Sort::Pending => sort_by_pending(&mut all),
        Sort::Age | Sort::Id => all.sort_by_key(|one| one.key),
    }
    let now = admin.clock.now();
    Json(List {
        total: all.len(),
        entries: page(
            all.iter().map(|one| session(one, now)),
            query.offset,
            query.limit,
        ),
    })
}

/// Those for which something waits, or was dropped.
pub(super) async fn slow(
    State(admin): Shared,
    Query(query): Query<SlowQuery>,
) -> Json<List<Session>> {
    let mut all = admin.router.sessions();
    all.retain(|one| one.waiting > 0 || one.dropped > 0);
    sort_by_pending(&mut all);
    let now = admin.clock.now();
    Json(List {
        total: all.len(),
        entries: page(
            all.iter().map(|one| session(one, now)),
            query.offset,
            query.limit,
        ),
    })
}

fn sort_by_pending(all: &mut [SessionInfo]) {
    all.sort_by_key(|one| (Reverse(one.waiting_bytes), Reverse(one.dropped), one.key));
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
        pending_messages: info.waiting,
        pending_bytes: info.waiting_bytes,
        published: info.published,
        queued: info.queued,
        dropped: info.dropped,
    }
}

pub(super) async fn topics(
    State(admin): Shared,
    Query(query): Query<TopicQuery>,
) -> Result<Json<Topics>, (StatusCode, &'static str)> {
    let after = match &query.after {
        None => None,
        Some(text) => {
            let after = unhex(text);
            const WRONG: &str = "`after` has to be what was `next` in an answer\n";
            Some(after.ok_or((StatusCode::BAD_REQUEST, WRONG))?)
        }
    };
    let most = query.most();
    let topics = admin.router.topics(after.as_deref(), most);
    let next = topics.last().filter(|_| topics.len() == most);
    Ok(Json(Topics {
        next: next.map(|last| hex(&last.topic)),
        entries: topics.iter().map(topic).collect(),
    }))
}

fn topic(info: &TopicInfo) -> Topic {
    let text = String::from_utf8_lossy(&info.topic);
    Topic {
        topic: text.chars().take(255).collect(),
        subscriptions: info.subscriptions,
        kept_values: info.kept,
    }
}

/// A topic as a query can hold it, whatever its bytes are: the first of them, as far as a query may be long.
fn hex(topic: &[u8]) -> String {
    let shown = topic.iter().take(CURSOR);
    shown.map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let mut digits = text.bytes().map(|digit| char::from(digit).to_digit(16));
    let mut bytes = Vec::new();
    while let Some(high) = digits.next() {
        let byte = high? * 16 + digits.next()??;
        bytes.push(u8::try_from(byte).ok()?);
    }
    Some(bytes)
}

fn dialect(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Msip => "msip",
        Dialect::Mip => "mip",
        Dialect::MiddleMan => "middleman",
    }
}

/// Seconds since 1970.
fn unix(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}
