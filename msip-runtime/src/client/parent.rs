//! The connection of a client that shares one with others.

use std::sync::Arc;

use super::ClientShared;
use crate::connection::{ClosedConnection, ConnectionShared};

/// The connection that a client shares with others.
#[derive(Debug)]
pub(super) struct ParentConnection {
    /// What the handles of the whole connection share.
    pub(super) shared: Arc<ClientShared>,
    pub(super) closed: ClosedConnection,
}

impl ParentConnection {
    pub(super) fn new(shared: &Arc<ClientShared>) -> Self {
        Self {
            shared: Arc::clone(shared),
            closed: ClosedConnection::default(),
        }
    }

    /// What it sends by.
    #[inline]
    pub(super) fn connection(&self) -> &Arc<ConnectionShared> {
        self.closed.get().unwrap_or(&self.shared.connection)
    }
}
