//! Parked sessions: what a server keeps of a session without a connection of which nothing is open, and nobody holds a handle.
//!
//! Most sessions that wait for their clients are like that, and there may be many. No task runs for one: the table of
//! sessions has its record, and the time at which it ends. A further connection, or that end, makes a session of it again.

use std::fmt;

use super::{about_client::AboutClient, protocols::ParkedPeer};
use crate::{connection::ParkedConnection, instruments::SessionCount};
use msip_session::wire::SessionId;

/// What a parked session takes besides its record, in bytes: its places in the tables of sessions and of the memory budget. A
/// test measures it.
const TABLES_LEN: usize = 320;

/// What is kept of a session.
pub(super) struct ParkedSession {
    pub(super) id: SessionId,
    pub(super) about: AboutClient,
    pub(super) connection: ParkedConnection,
    pub(super) peer: Box<dyn ParkedPeer>,
    pub(super) is_confirmed: bool,
    pub(super) count: SessionCount,
}

impl ParkedSession {
    /// Counts it against the memory budget.
    pub(super) fn report_memory(&mut self) {
        let peer = self.peer.len(&self.about);
        let len = TABLES_LEN + size_of::<Self>() + self.about.name.len() + peer;
        self.connection.report_memory(len);
    }
}

impl fmt::Debug for ParkedSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParkedSession")
            .field("peer", &self.about.id)
            .finish_non_exhaustive()
    }
}
