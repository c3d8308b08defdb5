//! A client that speaks through a broker: what it has instead of a connection of its own.

use std::sync::Arc;

use crate::{Draining, Identity, Status, connection::Signal, demux::Endpoints};
use msip_session::wire::Topic;

/// Where a client of a broker is.
#[derive(Debug)]
pub(super) struct AtTopic {
    /// The topic at which it speaks.
    pub(super) topic: Arc<str>,
    /// What the broker calls it.
    pub(super) name: Arc<str>,
    /// Where what is sent to it goes.
    pub(super) to: Topic,
    /// Who it is, as the broker has authenticated it.
    pub(super) identity: Option<Arc<Identity>>,
    /// Raised when the connection to the broker drains, or its session has gone.
    pub(super) draining: Arc<Signal>,
    /// What asks the broker for something.
    pub(super) endpoints: Endpoints,
}

impl AtTopic {
    pub(super) fn disconnect(&self, status: Status) {
        self.endpoints.disconnect(&self.topic, &self.name, status);
    }

    pub(super) fn draining(&self) -> Draining {
        Draining::of(&self.draining)
    }
}
