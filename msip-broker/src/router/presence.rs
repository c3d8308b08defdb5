//! Which clients of a topic come and go.

use bytes::Bytes;

use super::SessionKey;
use crate::access::Principal;

/// A client has begun or ceased to take part in a topic: what the services that hear `$presence/T` are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// `T`.
    pub topic: Bytes,
    /// The client's name in `T/$to/<peer>`.
    pub peer: String,
    /// The session.
    pub session: SessionKey,
    /// Whose it is.
    pub principal: Principal,
    /// Whether it is there now, or has gone.
    pub is_there: bool,
}
