//! The state that all connections of a server share.

use std::sync::Arc;

use super::{
    authenticate::Authenticators, log_limiter::LogLimiter, protocols::ProtocolTable,
    sessions::Sessions,
};
use crate::settings::Settings;

/// What all connections of a server share.
pub(super) struct ServerShared {
    pub(super) settings: Settings,
    pub(super) name: String,
    pub(super) authenticators: Authenticators,
    pub(super) protocols: ProtocolTable,
    pub(super) sessions: Arc<Sessions>,
    pub(super) log_limiter: LogLimiter,
}
