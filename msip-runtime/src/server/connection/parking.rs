//! A session without a connection, of which nothing is open, is parked: a record in the table of sessions.

use std::sync::Arc;

use super::{AbandonOnDrop, KeptSession};
use crate::{
    connection::{ConnectionShared, ParkedConnection},
    driver::no_handlers,
    server::{
        parked::ParkedSession, protocols::ParkedPeer, sessions::ParkedClaim, shared::ServerShared,
    },
};

/// How many handles of a session's connection there are while its handlers are not there: that of its task, and its
/// peer's.
const OWN_HANDLES: usize = 2;

impl KeptSession {
    /// Leaves the session to the table of sessions, in little memory, where nothing of it is open and nobody else has a handle of
    /// it; else returns it.
    pub(super) fn park(mut self: Box<Self>) -> Result<(), Box<Self>> {
        let Some((registration, resumed)) = self.registration.take().zip(self.resumed.take())
        else {
            return Err(self);
        };
        let Some((connection, peer)) = self.park_connection() else {
            self.registration = Some(registration);
            self.resumed = Some(resumed);
            return Err(self);
        };
        let Self {
            shared,
            id,
            about,
            is_confirmed,
            count,
            ..
        } = *self;
        let mut session = Box::new(ParkedSession {
            id,
            about,
            connection,
            peer,
            is_confirmed,
            count,
        });
        session.report_memory();
        let parked = registration.park(resumed, session);
        parked.map_err(|claim| Self::claimed(claim, shared))
    }

    /// What is kept of the connection, and of the peer. `None` where these are needed as they are.
    fn park_connection(&self) -> Option<(ParkedConnection, Box<dyn ParkedPeer>)> {
        let is_alone = Arc::strong_count(&self.held.connection) == OWN_HANDLES;
        let has_more = self.has_handlers || self.closing.is_some() || self.channels.is_some();
        if has_more || !is_alone || !self.held.peer.can_park() {
            return None;
        }
        let connection = self.held.connection.park()?;
        match self.held.peer.park() {
            Some(peer) => Some((connection, peer)),
            None => {
                let config = Arc::clone(&self.shared.session_config);
                self.held.connection.unpark(connection, config);
                None
            }
        }
    }

    /// The session that was parked, and was taken out of the table of sessions.
    pub(super) fn claimed(claim: ParkedClaim, shared: Arc<ServerShared>) -> Box<Self> {
        let mut session = Self::unpark(claim.session, shared);
        session.registration = Some(claim.registration);
        session.resumed = Some(claim.resumed);
        session
    }

    /// The session that was parked.
    pub(super) fn unpark(parked: Box<ParkedSession>, shared: Arc<ServerShared>) -> Box<Self> {
        let ParkedSession {
            id,
            about,
            connection: parked,
            peer,
            is_confirmed,
            count,
        } = *parked;
        let connection = Arc::new(ConnectionShared::new(&shared.settings));
        connection.unpark(parked, Arc::clone(&shared.session_config));
        let peer = peer.reopen(&about, &connection);
        Box::new(Self {
            shared,
            id,
            about,
            held: AbandonOnDrop { peer, connection },
            permit: None,
            inbox: Arc::default(),
            handlers: no_handlers(),
            has_handlers: false,
            channels: None,
            registration: None,
            resumed: None,
            is_confirmed,
            closing: None,
            count,
        })
    }

    /// Drops the handlers, which have nothing to do: the next connection begins them anew.
    pub(super) fn drop_handlers(&mut self) {
        if self.held.peer.can_begin_handlers() {
            self.handlers = no_handlers();
            self.has_handlers = false;
        }
    }
}
