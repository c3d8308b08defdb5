//! How much is taken from what was read before what follows from it is written.
//!
//! Two sides that each handle all that came and then write all that follows from it take turns: while one works, the
//! other waits. In portions they work at the same time.

use tokio::runtime::{Handle, RuntimeFlavor};

/// So many calls are begun or answered before what follows from them is written. Each work_limit costs a write on
/// this side and a read on the other; so many calls take longer than both.
const MOST: usize = 128;

/// On a runtime of one thread the portions are smaller where fewer calls are in flight, down to this, so that there are
/// always some under way. Where another thread waits for the socket meanwhile, each work_limit wakes it for nothing, and
/// that costs more than it gains.
const LEAST: usize = 16;

/// After so many items of streams their readers run before more is read: else the other side's credit is used up before any of it
/// is granted anew.
pub(super) const ITEMS_A_TURN: usize = 512;

/// A quarter of the calls in flight is a work_limit.
const PARTS: usize = 4;

/// How large the portions of a connection are.
#[derive(Debug, Clone, Copy)]
pub(super) struct WorkLimit {
    is_alone: bool,
}

impl WorkLimit {
    /// As is best for connections of the runtime that this is called on.
    pub(super) fn of_runtime() -> Self {
        let flavor = Handle::try_current().map(|runtime| runtime.runtime_flavor());
        Self {
            is_alone: flavor.is_ok_and(|flavor| flavor == RuntimeFlavor::CurrentThread),
        }
    }

    /// How many calls are begun or answered, with so many of our own in flight.
    pub(super) fn len(self, in_flight: usize) -> usize {
        if self.is_alone && in_flight > 0 {
            (in_flight / PARTS).clamp(LEAST, MOST)
        } else {
            MOST
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_alone_takes_a_quarter_of_what_is_in_flight() {
        let work_limit = WorkLimit { is_alone: true };
        for (in_flight, len) in [(0, 128), (1, 16), (64, 16), (256, 64), (5_000, 128)] {
            assert_eq!(work_limit.len(in_flight), len, "{in_flight} in flight");
        }
        assert_eq!(WorkLimit { is_alone: false }.len(64), 128);
    }

    #[tokio::test]
    async fn a_runtime_of_one_thread_is_known() {
        assert!(WorkLimit::of_runtime().is_alone);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_runtime_of_several_threads_is_known() {
        assert!(!WorkLimit::of_runtime().is_alone);
    }
}
