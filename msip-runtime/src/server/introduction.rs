//! What the handshake yields about a client.

use std::{sync::Arc, time::Duration};

use super::{log_limiter::LogLimiter, peer_connection::Remote};
use crate::{PeerId, SchemaRule, compatibility::SchemaCheck};

/// What the handshake yielded about a client.
pub(super) struct Introduction {
    pub(super) id: PeerId,
    pub(super) remote: Remote,
    /// The protocol that its HELLO names.
    pub(super) protocol: String,
    pub(super) client_name: String,
    pub(super) client_fingerprint: u64,
    pub(super) schema_terms: SchemaTerms,
    pub(super) log_limiter: Arc<LogLimiter>,
    /// The check of its schema, where that has another fingerprint.
    pub(super) schema: Option<Arc<SchemaCheck>>,
}

/// What decides about a client with another schema.
#[derive(Debug, Clone, Copy)]
pub(super) struct SchemaTerms {
    pub(super) rule: SchemaRule,
    /// Whether the client can describe its schema.
    pub(super) describes: bool,
    /// How long that may take.
    pub(super) limit: Duration,
}
