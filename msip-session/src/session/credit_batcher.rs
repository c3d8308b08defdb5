//! CreditBatcher the items of a stream: when the session is to hear of it.

#[cfg(doc)]
use super::Session;
use crate::wire::Credit;

/// Counts what is taken of a stream by somebody who does not have the session at hand for each item.
///
/// A session grants credit anew when half of a window was taken, and says how far that is: until then it need not hear of
/// anything, and what goes over the wire is the same.
#[derive(Debug)]
pub struct CreditBatcher {
    taken: Credit,
    due: Credit,
}

/// So many bytes are told while nothing comes.
const UNTOLD: u32 = 4 * 1024;

const NOTHING: Credit = Credit { items: 0, bytes: 0 };

impl Default for CreditBatcher {
    fn default() -> Self {
        Self {
            taken: NOTHING,
            // The first item asks how far it is.
            due: Credit { items: 1, bytes: 1 },
        }
    }
}

impl CreditBatcher {
    /// An item has been taken. Returns what is to be handed to [`Session::taken`] now, whose answer goes to
    /// [`told`](Self::told).
    #[inline]
    #[must_use]
    pub fn take(&mut self, payload_len: u32) -> Option<Credit> {
        self.taken.items = self.taken.items.saturating_add(1);
        self.taken.bytes = self.taken.bytes.saturating_add(payload_len);
        let is_due = self.taken.items >= self.due.items || self.taken.bytes >= self.due.bytes;
        is_due.then(|| std::mem::replace(&mut self.taken, NOTHING))
    }

    /// Nothing is there to be taken. Returns what the session is to hear of now, though it grants nothing: much that was taken
    /// would count as held for as long as nothing comes.
    #[must_use]
    pub fn rest(&mut self) -> Option<Credit> {
        let is_much = self.taken.bytes >= UNTOLD;
        is_much.then(|| std::mem::replace(&mut self.taken, NOTHING))
    }

    /// The session has heard, and wants to hear again when so much was taken; never where the stream is over.
    pub fn told(&mut self, due: Option<Credit>) {
        self.due = due.unwrap_or(Credit {
            items: u32::MAX,
            bytes: u32::MAX,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is granted when items of these lengths are taken, with the place of the item that does it.
    fn grants(lens: &[u32], mut take: impl FnMut(u32) -> Option<Credit>) -> Vec<(usize, Credit)> {
        let granted = |(place, len): (usize, &u32)| take(*len).map(|credit| (place, credit));
        lens.iter().enumerate().filter_map(granted).collect()
    }

    #[test]
    fn who_counts_apart_is_granted_the_same_at_the_same_items() {
        use crate::session::window::ReceiveWindow;
        let start = Credit {
            items: 16,
            bytes: 1000,
        };
        let lens: Vec<u32> = (0..500_u32).map(|place| 1 + place * 37 % 300).collect();
        for accepted in [1, 7, 16] {
            let window = || ReceiveWindow::growing(start, 8);
            let mut at_once = window();
            let each = grants(&lens, |len| {
                for _ in 0..accepted {
                    let _ = at_once.accept(len, false);
                }
                at_once.consume(Credit {
                    items: 1,
                    bytes: len,
                })
            });
            let (mut told, mut credit_batcher, mut hearings) =
                (window(), CreditBatcher::default(), 0);
            let bunched = grants(&lens, |len| {
                for _ in 0..accepted {
                    let _ = told.accept(len, false);
                }
                let credit = told.consume(credit_batcher.take(len)?);
                hearings += 1;
                credit_batcher.told(Some(told.due()));
                credit
            });
            assert_eq!(bunched, each, "{accepted}");
            assert_eq!(hearings, each.len() + 1, "the first, and those that count");
        }
    }

    #[test]
    fn much_is_told_before_a_rest_and_little_is_not() {
        let mut credit_batcher = CreditBatcher::default();
        let _ = credit_batcher.take(10);
        credit_batcher.told(Some(Credit {
            items: 100,
            bytes: 100_000,
        }));
        assert_eq!(credit_batcher.take(UNTOLD - 1), None);
        assert_eq!(credit_batcher.rest(), None);
        assert_eq!(credit_batcher.take(1), None);
        let all = Credit {
            items: 2,
            bytes: UNTOLD,
        };
        assert_eq!(credit_batcher.rest(), Some(all));
        assert_eq!(credit_batcher.rest(), None);
    }

    #[test]
    fn a_stream_that_is_over_is_heard_of_no_more() {
        let mut credit_batcher = CreditBatcher::default();
        assert!(credit_batcher.take(10).is_some());
        credit_batcher.told(None);
        for _ in 0..100_000 {
            assert_eq!(credit_batcher.take(1000), None);
        }
    }
}
