//! What a client can tell of its connection.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

use super::Shared as ClientShared;
use crate::{Codec, Compression, Dropped, MemoryUse, SessionLost, transport::Address};

/// How a client's connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionState {
    /// It is there.
    Connected,
    /// It is lost, and the client tries to connect again, or waits to.
    Reconnecting {
        /// How many attempts have failed since it was lost.
        failed_attempts: u32,
    },
    /// It is closed, and no other will follow.
    Closed,
}

/// What the handshake told.
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

/// What is known of a client's connection; from [`Client::connection`](crate::Client::connection).
#[derive(Debug)]
pub struct ConnectionInfo<'a> {
    shared: &'a ClientShared,
}

impl<'a> ConnectionInfo<'a> {
    pub(super) fn new(shared: &'a ClientShared) -> Self {
        Self { shared }
    }

    /// How the connection is now.
    #[must_use]
    pub fn state(&self) -> ConnectionState {
        *self.shared.state.borrow()
    }

    /// The state, to be watched: a receiver that sees every later change, though not each of those that come while
    /// it looks away.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<ConnectionState> {
        self.shared.state.subscribe()
    }

    /// The last session that was lost, with all that is not known since, to be watched; `None` before the first. A
    /// client that reconnects in time resumes its session and loses nothing. It loses the session where the server was
    /// restarted, has ended it, or says goodbye, or does not keep sessions; it then goes on with a new one.
    ///
    /// A receiver that looks away sees the last loss only; `count` tells of the others.
    #[must_use]
    pub fn lost_sessions(&self) -> watch::Receiver<Option<SessionLost>> {
        self.shared.info.lost.subscribe()
    }

    /// Whether the connection goes on with the session of an earlier one.
    #[must_use]
    pub fn resumed(&self) -> bool {
        self.welcomed().resumed
    }

    /// How many messages were taken to be sent and then dropped: with their connection, or by their kind to make room.
    #[must_use]
    pub fn dropped(&self) -> Dropped {
        self.shared.connection.dropped()
    }

    /// How long the last ping took there and back; `None` before the first.
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        self.shared
            .connection
            .lock()
            .session()
            .and_then(|session| session.round_trip())
    }

    /// How bodies are written.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.shared.connection.encoding().codec()
    }

    /// What bodies may be compressed with: what the setting `compress` asked for, or nothing where the server does not
    /// have it.
    #[must_use]
    pub fn compression(&self) -> Compression {
        self.shared.connection.encoding().compression()
    }

    /// How many bytes are queued and not written, each frame counted as its length + 64.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.shared
            .connection
            .lock()
            .session()
            .map_or(0, |session| session.queued())
    }

    /// How much memory the sessions hold that share this client's `max_memory`.
    #[must_use]
    pub fn memory(&self) -> MemoryUse {
        self.shared.connection.memory()
    }

    /// How many frames of the server were ignored, because they answer nothing that is open or could not be read and
    /// asked for no answer.
    #[must_use]
    pub fn ignored(&self) -> u64 {
        self.shared.connection.ignored()
    }

    /// The address in use, of those that the client was given: where it is connected, or was last. `None` for a client
    /// that was never connected, as some in tests.
    #[must_use]
    pub fn address(&self) -> Option<Address> {
        self.welcomed().address
    }

    /// The number under which others know this client, as the server chose it.
    #[must_use]
    pub fn peer_id(&self) -> u64 {
        self.welcomed().peer_id
    }

    /// What the server calls itself; it may be empty.
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
