//! The login gate of a client: which login may send, while all others wait.

use super::wait_queue::WaitQueue;

/// Which login may send, and who waits for its end. A server never has one.
#[derive(Debug, Default)]
pub(super) struct LoginGate {
    /// The number of the login that may send; 0 where everyone may.
    pub(super) holder: u64,
    /// The number of the last login.
    pub(super) last: u64,
    pub(super) waiters: WaitQueue,
}
