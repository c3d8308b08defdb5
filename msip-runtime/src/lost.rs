//! Lost sessions, and the exchanges whose outcome is unknown.

use crate::{Dropped, Envelope, protocol::variant_of};
use msip_session::{Class, Lost};

/// An exchange that was open when its session was lost. Its call or send has failed as well.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LostExchange {
    /// The name of the message in the schema.
    pub message: &'static str,
    /// Whether it is a call; otherwise it is a message sent for acknowledgment.
    pub is_call: bool,
    /// Whether any of it had been written to a connection, so that the peer may have handled it. Otherwise it is safe
    /// to send again.
    pub is_unknown: bool,
}

/// A session that a client has lost: unanswered exchanges are not sent again, and their outcome is unknown.
///
/// From [`ConnectionInfo::lost_sessions`](crate::ConnectionInfo::lost_sessions).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionLost {
    /// The number of sessions that this client has lost, including this one.
    pub count: u64,
    /// The reason.
    pub reason: String,
    /// The calls and deliveries that were open. Each has failed for its caller as well.
    pub exchanges: Vec<LostExchange>,
    /// The number of messages that this client has dropped unsent, in all of its sessions.
    pub dropped: Dropped,
}

impl LostExchange {
    /// The exchanges of the user, by the names of the schema.
    pub(crate) fn of<E: Envelope>(lost: &[Lost]) -> Vec<Self> {
        lost.iter()
            .filter(|lost| lost.class != Class::Ping)
            .map(|lost| Self {
                message: variant_of::<E>(lost.variant).map_or("", |variant| variant.name),
                is_call: lost.class == Class::Call,
                is_unknown: lost.sent,
            })
            .collect()
    }
}
