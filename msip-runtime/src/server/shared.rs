//! The state that all connections of a server share.

use std::sync::Arc;

use super::{Peer, ServerSide, log_limiter::LogLimiter, registry::Registry, sessions::Sessions};
use crate::{Protocol, middleware::Stack, negotiation::Translations, settings::Settings};

/// What all connections of a server share.
pub(super) struct ServerShared<P: Protocol, H> {
    pub(super) settings: Settings,
    /// The middleware around what is sent.
    pub(super) outgoing: Stack,
    pub(super) name: String,
    pub(super) registry: Arc<Registry<Peer<P>>>,
    pub(super) sessions: Arc<Sessions>,
    pub(super) side: Arc<ServerSide<P, H>>,
    pub(super) translations: Translations,
    pub(super) log_limiter: LogLimiter,
}
