//! What a session knows of its client.

use crate::{PeerId, transport::PeerAddress};

/// What a session knows of its client, for logs and for the answers to its later HELLOs.
pub(super) struct AboutClient {
    pub(super) id: PeerId,
    pub(super) name: String,
    /// Where its current connection comes from, or its last one.
    pub(super) address: PeerAddress,
    /// The fingerprint that the server has answered with.
    pub(super) fingerprint: u64,
    /// Whether the server can describe its schema to it.
    pub(super) describes: bool,
    /// Whether its service is a broker.
    pub(super) routes_topics: bool,
    pub(super) resumed: bool,
}
