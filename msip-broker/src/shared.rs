//! What all connections of a broker share.

use crate::{clock::Clock, connections::Connections, directory::Directory, router::Router};

/// What a connection needs to serve its peer. Cheap to clone.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BrokerShared {
    /// Who hears what.
    pub router: Router,
    /// Who a peer is, and what it may do.
    pub directory: Directory,
    /// Where a connection registers, for people who look at the broker.
    pub connections: Connections,
    /// The time that the router is told.
    pub clock: Clock,
}
