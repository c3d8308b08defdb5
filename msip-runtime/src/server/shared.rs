//! The state that all connections of a server share.

use std::sync::{Arc, atomic::AtomicUsize};

use super::{
    authenticate::Authenticators,
    channels::ChannelTable,
    handoff::{HandoffServer, Handoffs},
    lanes::Lanes,
    log_limiter::LogLimiter,
    permits::ConnectionPermits,
    protocols::ProtocolTable,
    sessions::Sessions,
};
use crate::{Status, connection::Signal, driver::TurnQueue, settings::Settings};
use msip_session::Config;

/// What all connections of a server share.
pub(super) struct ServerShared {
    pub(super) settings: Settings,
    /// What follows for its sessions.
    pub(super) session_config: Arc<Config>,
    pub(super) name: String,
    pub(super) authenticators: Authenticators,
    pub(super) protocols: ProtocolTable,
    pub(super) handoffs: Handoffs,
    pub(super) handed_off: Arc<AtomicUsize>,
    pub(super) sessions: Arc<Sessions>,
    /// The sessions that have channels.
    pub(super) channels: Arc<ChannelTable>,
    pub(super) permits: Arc<ConnectionPermits>,
    pub(super) log_limiter: Arc<LogLimiter>,
    pub(super) lanes: Lanes,
    /// Where its busy connections take turns.
    pub(super) turn_queue: TurnQueue,
    /// Raised once the server shuts down.
    pub(super) draining: Arc<Signal>,
}

impl ServerShared {
    /// What a connection needs of it that is handed off.
    pub(super) fn of_handoff(&self) -> HandoffServer {
        HandoffServer {
            permits: Arc::clone(&self.permits),
            log_limiter: Arc::clone(&self.log_limiter),
            draining: Arc::clone(&self.draining),
            greeted: Arc::clone(&self.handed_off),
        }
    }
}

/// What clients are told when the server shuts down.
pub(super) fn goodbye() -> Status {
    Status::unavailable("the server is shutting down")
}
