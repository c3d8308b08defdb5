//! The connections that have closed lately.

use std::{
    collections::VecDeque,
    sync::Mutex,
    time::{Duration, SystemTime},
};

use msip_session::wire::Escaped;

use super::{ConnectionInfo, lock};
use crate::router::{Dialect, SessionKey};

/// How many are remembered.
const KEPT: usize = 256;

/// A connection that has closed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClosedConnection {
    /// Its number.
    pub id: u64,
    /// The address of the other end.
    pub address: String,
    /// How its peer spoke.
    pub dialect: Dialect,
    /// Whose it was.
    pub principal: String,
    /// The session that it carried.
    pub session: SessionKey,
    /// When it closed, by the clock on the wall.
    pub at: SystemTime,
    /// How long it was open.
    pub lasted: Duration,
    /// Why it closed: escaped, and cut.
    pub why: String,
}

impl ClosedConnection {
    pub(super) fn new(info: &ConnectionInfo, why: &str) -> Self {
        Self {
            id: info.id,
            address: info.address.clone(),
            dialect: info.session.dialect(),
            principal: info.session.principal().name().to_owned(),
            session: info.session.key(),
            at: SystemTime::now(),
            lasted: info.age(),
            why: Escaped::new(why).to_string(),
        }
    }
}

/// The last of them: a ring.
#[derive(Debug, Default)]
pub(super) struct RecentlyClosed(Mutex<VecDeque<ClosedConnection>>);

impl RecentlyClosed {
    pub(super) fn push(&self, closed: ClosedConnection) {
        let mut ring = lock(&self.0);
        if ring.len() == KEPT {
            ring.pop_front();
        }
        ring.push_back(closed);
    }

    pub(super) fn latest_first(&self) -> Vec<ClosedConnection> {
        lock(&self.0).iter().rev().cloned().collect()
    }
}
