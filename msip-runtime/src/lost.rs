//! The loss of a session: what the client cannot know any more.

use crate::{Dropped, Envelope, protocol::variant_of};
use msip_session::{Class, Lost};

/// An exchange that was open when its session ended. Its call or send has failed with the same.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LostExchange {
    /// The name of the message, as the schema has it.
    pub message: &'static str,
    /// Whether it was a call; else a message sent for acknowledgment.
    pub is_call: bool,
    /// Whether any of it had been handed to a connection, so that the other side may have handled it. What was never sent
    /// is safe to send again.
    pub is_unknown: bool,
}

/// A session that a client has lost: what was not answered in it is not sent again, and its outcome is not known.
///
/// From [`ConnectionInfo::lost_sessions`](crate::ConnectionInfo::lost_sessions).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionLost {
    /// How many sessions this client has lost, this one included.
    pub count: u64,
    /// Why, in words.
    pub reason: String,
    /// The calls and deliveries that were open. Each caller has been told too.
    pub exchanges: Vec<LostExchange>,
    /// How many messages this client has dropped unsent so far, in all of its sessions.
    pub dropped: Dropped,
}

impl LostExchange {
    /// The exchanges that a user began, in terms of the protocol.
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
