//! Information about a client's connection.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

use super::Shared as ClientShared;
use crate::{CloseReason, Codec, Compression, Dropped, MemoryUse, SessionLost, transport::Address};

/// The state of a client's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionState {
    /// It is connected.
    Connected,
    /// The connection is lost, and the client tries to reconnect, or waits to.
    Reconnecting {
        /// The number of attempts that have failed since it was lost.
        failed_attempts: u32,
    },
    /// The client is closed, and will not reconnect.
    Closed,
}

/// What the handshake yielded.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) welcomed: Mutex<Welcomed>,
    pub(super) lost: watch::Sender<Option<SessionLost>>,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            welcomed: Mutex::default(),
            lost: watch::Sender::new(None),
        }
    }
}

#[derive(Debug, Default, Clone)]
pub(super) struct Welcomed {
    pub(super) address: Option<Address>,
    pub(super) peer_id: u64,
    pub(super) server_name: String,
    pub(super) server_fingerprint: u64,
    pub(super) resumed: bool,
}

/// Information about a client's connection; from [`Client::connection`](crate::Client::connection).
#[derive(Debug)]
pub struct ConnectionInfo<'a> {
    shared: &'a ClientShared,
}

impl<'a> ConnectionInfo<'a> {
    pub(super) fn new(shared: &'a ClientShared) -> Self {
        Self { shared }
    }

    /// The current state of the connection.
    #[must_use]
    pub fn state(&self) -> ConnectionState {
        if self.closed().is_some() {
            // What has failed for that reason may be seen before the change of the state.
            return ConnectionState::Closed;
        }
        *self.shared.state.borrow()
    }

    /// Why the client is closed, and will not reconnect; `None` while it is not closed.
    #[must_use]
    pub fn closed(&self) -> Option<CloseReason> {
        self.shared.connection.close_reason()
    }

    /// A receiver of the state. It sees the latest change, though not each of several between two looks.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<ConnectionState> {
        self.shared.state.subscribe()
    }

    /// A receiver of the last session that was lost, with every exchange whose outcome is unknown; `None` before the
    /// first loss. A client that reconnects in time resumes its session and loses nothing. It loses the session where
    /// the server was restarted, has ended or closed it, or does not keep sessions; it then continues with a new one.
    ///
    /// A slow receiver sees the last loss only; `count` is the number of all of them.
    #[must_use]
    pub fn lost_sessions(&self) -> watch::Receiver<Option<SessionLost>> {
        self.shared.info.lost.subscribe()
    }

    /// Whether the connection resumed the session of an earlier one.
    #[must_use]
    pub fn resumed(&self) -> bool {
        self.welcomed().resumed
    }

    /// The number of messages that were accepted to be sent and then dropped: with their connection, or by their kind
    /// under pressure.
    #[must_use]
    pub fn dropped(&self) -> Dropped {
        self.shared.connection.dropped()
    }

    /// The round-trip time of the last ping; `None` before the first.
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        self.shared
            .connection
            .lock()
            .session()
            .and_then(|session| session.round_trip())
    }

    /// The codec of bodies.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.shared.connection.encoding().codec()
    }

    /// The compression of bodies: that of the setting `compress`, or none where the server does not support it.
    #[must_use]
    pub fn compression(&self) -> Compression {
        self.shared.connection.encoding().compression()
    }

    /// The number of bytes that are queued and not written, each frame counted as its length + 64.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.shared
            .connection
            .lock()
            .session()
            .map_or(0, |session| session.queued())
    }

    /// The memory that all sessions hold which share this client's `max_memory`.
    #[must_use]
    pub fn memory(&self) -> MemoryUse {
        self.shared.connection.memory()
    }

    /// The number of the server's frames that were ignored, because they answer nothing that is open, or were invalid
    /// and requested no answer.
    #[must_use]
    pub fn ignored(&self) -> u64 {
        self.shared.connection.ignored()
    }

    /// The address in use, of those that the client was given: where it is connected, or was last. `None` for a client
    /// that was never connected, such as some in tests.
    #[must_use]
    pub fn address(&self) -> Option<Address> {
        self.welcomed().address
    }

    /// The number by which others know this client, chosen by the server.
    #[must_use]
    pub fn peer_id(&self) -> u64 {
        self.welcomed().peer_id
    }

    /// The name of the server; it may be empty.
    #[must_use]
    pub fn server_name(&self) -> String {
        self.welcomed().server_name
    }

    /// The fingerprint of the server's schema. Where it is not `P::fingerprint()`, one of the two is newer.
    #[must_use]
    pub fn server_fingerprint(&self) -> u64 {
        self.welcomed().server_fingerprint
    }

    fn welcomed(&self) -> Welcomed {
        self.shared
            .info
            .welcomed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
