//! What a client has instead of a connection of its own, where it shares one.

use std::sync::Arc;

use super::Shared;
use crate::connection::{ClosedLink, ConnectionShared};

/// A client that shares the connection of others.
#[derive(Debug)]
pub(super) struct OnLink {
    /// What the handles of the whole connection share.
    pub(super) link: Arc<Shared>,
    pub(super) closed: ClosedLink,
}

impl OnLink {
    pub(super) fn new(link: &Arc<Shared>) -> Self {
        Self {
            link: Arc::clone(link),
            closed: ClosedLink::default(),
        }
    }

    /// What it sends by.
    #[inline]
    pub(super) fn connection(&self) -> &Arc<ConnectionShared> {
        self.closed.get().unwrap_or(&self.link.connection)
    }
}
