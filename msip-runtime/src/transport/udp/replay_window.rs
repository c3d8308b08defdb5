//! The replay window: which counters have been seen of a peer's datagrams.

/// How many counters, the newest and those before it, are told apart; older ones count as seen.
pub(super) const WINDOW: u64 = 64;

/// The counters that have been seen. Only of datagrams that are authentic: whoever can move the window can shut others out.
#[derive(Debug, Clone)]
pub(super) struct ReplayWindow {
    newest: u64,
    /// Bit `n` is that of `newest - n`.
    seen: u64,
}

/// What a counter is to a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// Newer than all before.
    Newest,
    /// Within the window, and not seen before.
    Late,
    /// Seen before, or too old to tell.
    Repeated,
}

/// Nothing has been seen. Counters begin at 1.
impl Default for ReplayWindow {
    fn default() -> Self {
        Self { newest: 0, seen: 1 }
    }
}

impl ReplayWindow {
    /// A datagram with this counter has come.
    pub(super) fn accept(&mut self, counter: u64) -> Arrival {
        if counter > self.newest {
            let shift = counter - self.newest;
            self.seen = if shift < WINDOW {
                self.seen << shift
            } else {
                0
            } | 1;
            self.newest = counter;
            return Arrival::Newest;
        }
        let age = self.newest - counter;
        if age >= WINDOW || self.seen & (1 << age) != 0 {
            return Arrival::Repeated;
        }
        self.seen |= 1 << age;
        Arrival::Late
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// All counters that were seen.
    #[derive(Default)]
    struct NaiveWindow(BTreeSet<u64>);

    impl NaiveWindow {
        fn accept(&mut self, counter: u64) -> Arrival {
            let newest = self.0.last().copied().unwrap_or(0);
            if counter == 0 || u128::from(counter) + u128::from(WINDOW) <= u128::from(newest) {
                return Arrival::Repeated;
            }
            match self.0.insert(counter) {
                true if counter > newest => Arrival::Newest,
                true => Arrival::Late,
                false => Arrival::Repeated,
            }
        }
    }

    proptest! {
        #[test]
        fn it_says_what_a_list_of_all_counters_says(
            begin in prop_oneof![Just(0), Just(u64::MAX - 300), any::<u64>()],
            steps in prop::collection::vec(prop_oneof![0..200_u64, 0..4_u64, 60..70_u64], 1..400),
        ) {
            let (mut window, mut naive) = (ReplayWindow::default(), NaiveWindow::default());
            let mut base = begin;
            for (index, step) in steps.into_iter().enumerate() {
                // It goes on by little, and what comes is a little before or behind.
                let counter = base.saturating_add(step).saturating_sub(70);
                prop_assert_eq!(window.accept(counter), naive.accept(counter), "{} of {}", counter, index);
                base = base.saturating_add(step % 3);
            }
        }
    }

    #[test]
    fn the_edges_of_the_window() {
        let mut window = ReplayWindow::default();
        assert_eq!(window.accept(0), Arrival::Repeated, "counters begin at 1");
        assert_eq!(window.accept(100), Arrival::Newest);
        assert_eq!(window.accept(100), Arrival::Repeated);
        assert_eq!(window.accept(37), Arrival::Late, "63 before the newest");
        assert_eq!(window.accept(37), Arrival::Repeated);
        assert_eq!(window.accept(36), Arrival::Repeated, "64 before the newest");
        assert_eq!(window.accept(163), Arrival::Newest);
        assert_eq!(window.accept(100), Arrival::Repeated, "it was remembered");
        assert_eq!(window.accept(101), Arrival::Late);
        assert_eq!(window.accept(u64::MAX), Arrival::Newest);
        assert_eq!(window.accept(u64::MAX), Arrival::Repeated);
        assert_eq!(window.accept(u64::MAX - 63), Arrival::Late);
    }
}
