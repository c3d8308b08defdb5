//! The state that all connections of a server share.

use std::sync::Arc;

use super::{
    authenticate::Authenticators, lanes::Lanes, log_limiter::LogLimiter,
    permits::ConnectionPermits, protocols::ProtocolTable, sessions::Sessions,
};
use crate::{Status, connection::Signal, driver::TurnQueue, settings::Settings};

/// What all connections of a server share.
pub(super) struct ServerShared {
    pub(super) settings: Settings,
    pub(super) name: String,
    pub(super) authenticators: Authenticators,
    pub(super) protocols: ProtocolTable,
    pub(super) sessions: Arc<Sessions>,
    pub(super) permits: ConnectionPermits,
    pub(super) log_limiter: Arc<LogLimiter>,
    pub(super) lanes: Lanes,
    /// Where its busy connections take turns.
    pub(super) turn_queue: TurnQueue,
    /// Raised once the server shuts down.
    pub(super) draining: Arc<Signal>,
}

/// What clients are told when the server shuts down.
pub(super) fn goodbye() -> Status {
    Status::unavailable("the server is shutting down")
}
