//! The work limit: how many calls are handled before the answers are written, where one with a long body counts as several.
//!
//! Two peers that each handle all that came and then write all that follows from it take turns: while one works, the
//! other waits. With a limit they work at the same time.

use tokio::runtime::{Handle, RuntimeFlavor};

/// The largest limit. Each batch of work costs a write on this side and a read on the other; so many calls take longer
/// than both.
const MAX: usize = 128;

/// The smallest limit. On a runtime of one thread it is lower where fewer calls are in flight, so that there are always
/// some under way. Where another thread waits for the socket meanwhile, each batch wakes it for nothing, and that
/// costs more than it gains.
const MIN: usize = 16;

/// After so many items of streams their readers run before more is read: else the peer's credit is used up before any
/// of it is granted anew.
pub(super) const MAX_ITEMS: usize = 512;

/// The limit is a quarter of the calls in flight.
const PARTS: usize = 4;

/// A body counts as one more call, or item, for each so many bytes.
const COST_LEN: usize = 8 * 1024;

/// What a compressed body counts in addition, since nobody knows what it becomes.
const COMPRESSED_COST: usize = 8;

/// As how many calls, or items of streams, one with this body counts.
#[inline]
pub(super) fn cost(body_len: usize, compressed: bool) -> usize {
    1 + body_len / COST_LEN + if compressed { COMPRESSED_COST } else { 0 }
}

/// The work limit of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct WorkLimit {
    /// One thread runs everything.
    is_single_threaded: bool,
}

impl WorkLimit {
    /// The limit for connections of the runtime that this is called on.
    pub(super) fn of_runtime() -> Self {
        let flavor = Handle::try_current().map(|runtime| runtime.runtime_flavor());
        Self {
            is_single_threaded: flavor.is_ok_and(|flavor| flavor == RuntimeFlavor::CurrentThread),
        }
    }

    /// How many calls are begun or answered before what follows is written, with so many of this side in flight.
    pub(super) fn call_count(self, in_flight: usize) -> usize {
        if self.is_single_threaded && in_flight > 0 {
            (in_flight / PARTS).clamp(MIN, MAX)
        } else {
            MAX
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_thread_takes_a_quarter_of_what_is_in_flight() {
        let single_threaded = WorkLimit {
            is_single_threaded: true,
        };
        let multi_threaded = WorkLimit {
            is_single_threaded: false,
        };
        for (in_flight, len) in [(0, 128), (1, 16), (64, 16), (256, 64), (5_000, 128)] {
            assert_eq!(
                single_threaded.call_count(in_flight),
                len,
                "{in_flight} in flight"
            );
        }
        assert_eq!(multi_threaded.call_count(64), 128);
    }

    #[test]
    fn a_long_body_counts_as_several_and_a_compressed_one_too() {
        for (len, compressed, count) in [
            (0, false, 1),
            (8191, false, 1),
            (64 * 1024, false, 9),
            (100, true, 9),
        ] {
            assert_eq!(cost(len, compressed), count, "{len} {compressed}");
        }
    }

    #[tokio::test]
    async fn a_runtime_of_one_thread_is_known() {
        assert!(WorkLimit::of_runtime().is_single_threaded);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_runtime_of_several_threads_is_known() {
        assert!(!WorkLimit::of_runtime().is_single_threaded);
    }
}
