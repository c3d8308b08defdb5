//! What a client sends by that is closed, while its connection goes on for others.

use std::sync::{Arc, OnceLock};

use super::ConnectionShared;
use crate::{CloseReason, settings::Settings};

/// A connection that takes nothing, from when its client is closed.
#[derive(Debug, Clone, Default)]
pub(crate) struct ClosedConnection(Arc<OnceLock<Arc<ConnectionShared>>>);

impl ClosedConnection {
    /// The client is closed, for this reason; the first one stays.
    pub(crate) fn close(&self, reason: CloseReason) {
        self.0.get_or_init(|| {
            let closed = ConnectionShared::new(&Settings::default());
            closed.close(reason);
            Arc::new(closed)
        });
    }

    /// There once the client is closed.
    pub(crate) fn get(&self) -> Option<&Arc<ConnectionShared>> {
        self.0.get()
    }
}
