//! How much of one client an instance is sent, and how much waits of it.

/// Sizes of the window, the turn and the queue of one client at an instance.
#[derive(Debug, Clone, Copy)]
pub(super) struct PeerSizes {
    /// How many messages of a client an instance is sent ahead (docs/protocol.md, "Typed traffic").
    pub(super) window_messages: usize,
    /// How many it may ask for.
    pub(super) max_window_messages: usize,
    /// How many bytes of their bodies.
    pub(super) window_bytes: usize,
    /// How many bytes of a client go before it is another one's turn.
    pub(super) quantum: i64,
    /// How many bytes of a client wait before it is pushed back, at most.
    pub(super) max_waiting: usize,
    /// How many of its messages.
    pub(super) max_waiting_messages: usize,
    /// How many of its calls are open at an instance.
    pub(super) max_calls: usize,
}

/// Those of a broker.
const SIZES: PeerSizes = PeerSizes {
    window_messages: 256,
    max_window_messages: 4096,
    window_bytes: 256 * 1024,
    quantum: 16 * 1024,
    max_waiting: 512 * 1024,
    max_waiting_messages: 4096,
    max_calls: 256,
};

#[cfg(not(test))]
impl PeerSizes {
    /// The sizes: always the same.
    pub(super) const fn current() -> Self {
        SIZES
    }
}

#[cfg(test)]
mod switch {
    use std::cell::Cell;

    use super::{PeerSizes, SIZES};

    thread_local! {
        static CURRENT: Cell<PeerSizes> = const { Cell::new(SIZES) };
    }

    impl PeerSizes {
        /// The sizes on this thread.
        pub(in crate::router) fn current() -> Self {
            CURRENT.get()
        }

        /// Runs something with other sizes, so that few messages meet all of them.
        pub(in crate::router) fn with<T>(sizes: Self, run: impl FnOnce() -> T) -> T {
            CURRENT.set(sizes);
            let returned = run();
            CURRENT.set(SIZES);
            returned
        }
    }
}
