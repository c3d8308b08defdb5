//! The credit batcher: counts items that are read until the session has to grant credit for them.

#[cfg(doc)]
use super::Session;
use crate::wire::Credit;

/// Counts the items that are read of a stream, for a reader that does not lock the session for each of them.
///
/// A session grants credit when half of a window was read, and reports how far that is: until then it need not see any
/// item, and what goes over the wire is the same.
#[derive(Debug)]
pub struct CreditBatcher {
    read: Credit,
    due: Credit,
}

/// So many bytes are reported while nothing comes.
const MAX_UNREPORTED: u32 = 4 * 1024;

impl Default for CreditBatcher {
    fn default() -> Self {
        Self {
            read: Credit::NOTHING,
            // The first item asks the session how far it is.
            due: Credit { items: 1, bytes: 1 },
        }
    }
}

impl CreditBatcher {
    /// An item has been read. Returns what is to be passed to [`Session::items_consumed`] now; pass its answer to
    /// [`set_due`](Self::set_due).
    #[inline]
    #[must_use]
    pub fn take(&mut self, payload_len: u32) -> Option<Credit> {
        self.read.items = self.read.items.saturating_add(1);
        self.read.bytes = self.read.bytes.saturating_add(payload_len);
        let is_due = self.read.items >= self.due.items || self.read.bytes >= self.due.bytes;
        is_due.then(|| std::mem::replace(&mut self.read, Credit::NOTHING))
    }

    /// The sender waits for credit. Returns what is to be passed to [`Session::items_consumed`] now, however little.
    #[must_use]
    pub fn take_all(&mut self) -> Option<Credit> {
        (self.read.items > 0).then(|| std::mem::replace(&mut self.read, Credit::NOTHING))
    }

    /// No further item is there. Returns what is to be passed to [`Session::items_consumed`] now, though that grants
    /// nothing: many bytes that were read would count as held for as long as nothing comes.
    #[inline]
    #[must_use]
    pub fn flush(&mut self) -> Option<Credit> {
        let is_much = self.read.bytes >= MAX_UNREPORTED;
        is_much.then(|| std::mem::replace(&mut self.read, Credit::NOTHING))
    }

    /// The session is to be notified again when so much was read; never where the stream is over.
    #[inline]
    pub fn set_due(&mut self, due: Option<Credit>) {
        self.due = due.unwrap_or(Credit {
            items: u32::MAX,
            bytes: u32::MAX,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is granted when items of these lengths are read, with the position of the item that causes it.
    fn grants(lens: &[u32], mut take: impl FnMut(u32) -> Option<Credit>) -> Vec<(usize, Credit)> {
        let granted = |(place, len): (usize, &u32)| take(*len).map(|credit| (place, credit));
        lens.iter().enumerate().filter_map(granted).collect()
    }

    #[test]
    fn batching_grants_the_same_credit_at_the_same_items() {
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
            let (mut batched, mut batcher, mut reports) = (window(), CreditBatcher::default(), 0);
            let in_batches = grants(&lens, |len| {
                for _ in 0..accepted {
                    let _ = batched.accept(len, false);
                }
                let credit = batched.consume(batcher.take(len)?);
                reports += 1;
                batcher.set_due(Some(batched.due()));
                credit
            });
            assert_eq!(in_batches, each, "{accepted}");
            assert_eq!(reports, each.len() + 1, "the first, and those that count");
        }
    }

    #[test]
    fn many_bytes_are_flushed_and_few_are_not() {
        let mut batcher = CreditBatcher::default();
        let _ = batcher.take(10);
        batcher.set_due(Some(Credit {
            items: 100,
            bytes: 100_000,
        }));
        assert_eq!(batcher.take(MAX_UNREPORTED - 1), None);
        assert_eq!(batcher.flush(), None);
        assert_eq!(batcher.take(1), None);
        let all = Credit {
            items: 2,
            bytes: MAX_UNREPORTED,
        };
        assert_eq!(batcher.flush(), Some(all));
        assert_eq!(batcher.flush(), None);
    }

    #[test]
    fn a_stream_that_is_over_is_not_reported_any_more() {
        let mut batcher = CreditBatcher::default();
        assert!(batcher.take(10).is_some());
        batcher.set_due(None);
        for _ in 0..100_000 {
            assert_eq!(batcher.take(1000), None);
        }
    }
}
