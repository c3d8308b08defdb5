//! The datagram lane of a connection: what some transports have beside their stream.

use std::{
    fmt,
    task::{Context, Poll},
};

use bytes::Bytes;

/// Datagrams between the ends of a connection: some are lost, and they come in any order. Where the connection is lost its
/// stream says so.
pub(crate) trait Datagrams: Send {
    /// The longest datagram that it takes now; 0 where the peer takes none.
    fn max_len(&self) -> usize;

    /// Whether it takes a datagram now.
    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<()>;

    /// Takes a datagram, where it is ready. Returns whether it could: one that is too long is not sent.
    fn send(&mut self, datagram: Bytes) -> bool;

    /// The next datagram that was received.
    fn poll_receive(&mut self, task: &mut Context<'_>) -> Poll<Bytes>;

    /// How many were received and dropped since this was asked last, for others that came later.
    fn take_dropped(&mut self) -> u64;
}

/// The lane of a connection, as its driver has it.
pub(crate) struct Lane {
    pub(crate) datagrams: Box<dyn Datagrams>,
    /// It is full, and wakes the driver when it is not.
    pub(crate) is_full: bool,
    /// The session takes nothing now, so that nothing is read.
    pub(crate) is_held_back: bool,
}

#[cfg(feature = "quic")]
impl Lane {
    pub(crate) fn new(datagrams: impl Datagrams + 'static) -> Self {
        Self {
            datagrams: Box::new(datagrams),
            is_full: false,
            is_held_back: false,
        }
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane").finish_non_exhaustive()
    }
}
