//! What a dialect answers with: bytes for the peer, and frames for the session of this side.

/// Bytes that wait for each of the two.
#[derive(Debug, Default)]
pub(crate) struct Output {
    /// For the peer, in its framing.
    pub(crate) to_peer: Vec<u8>,
    /// For the session, in whole MSIP frames.
    pub(crate) to_session: Vec<u8>,
}

/// A buffer that waits to be written, and whose memory is given back after a burst.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) bytes: Vec<u8>,
    written: usize,
}

/// What a buffer keeps while nothing waits in it.
const KEPT: usize = 16 * 1024;

impl Pending {
    /// What waits.
    pub(super) fn rest(&self) -> &[u8] {
        self.bytes.get(self.written..).unwrap_or_default()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest().is_empty()
    }

    /// So many bytes were written.
    pub(super) fn advance(&mut self, len: usize) {
        self.written = self.written.saturating_add(len);
        if self.is_empty() {
            self.written = 0;
            self.bytes.clear();
            self.bytes.shrink_to(KEPT);
        }
    }
}
