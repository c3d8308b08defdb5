//! Credit: how many one-way messages may be under way (docs/protocol.md, "Credit").

use crate::wire::Credit;

/// To how many times its items the window of a connection may grow.
pub const WINDOW_GROWTH: u32 = 16;

/// The same, of a stream: it begins with little, and items of a few bytes are many.
pub const STREAM_GROWTH: u32 = 256;

/// What this side may still send. While any credit is left one message may exceed it, so both counts can go
/// below zero.
#[derive(Debug)]
pub struct SendWindow {
    start_bytes: i64,
    items: i64,
    bytes: i64,
}

impl SendWindow {
    pub fn new(start: Credit) -> Self {
        Self {
            start_bytes: i64::from(start.bytes),
            items: i64::from(start.items),
            bytes: i64::from(start.bytes),
        }
    }

    /// Whether one more message may be sent.
    pub fn is_open(&self) -> bool {
        self.items > 0 && self.bytes > 0
    }

    /// Whether credit is left for so many messages, and for much, beside one more.
    pub fn leaves(&self, messages: usize) -> bool {
        let messages = i64::try_from(messages).unwrap_or(i64::MAX);
        messages == 0 || (self.items > messages && self.bytes > self.start_bytes / 4)
    }

    /// A message with a payload of this many bytes was sent.
    pub fn spend(&mut self, payload_len: usize) {
        self.items -= 1;
        self.bytes -= i64::try_from(payload_len).unwrap_or(i64::MAX);
    }

    /// Whether so many messages may be sent, of so many bytes together.
    pub fn has(&self, items: usize, payload_len: usize) -> bool {
        i64::try_from(items).is_ok_and(|items| items <= self.items)
            && i64::try_from(payload_len).is_ok_and(|len| len <= self.bytes)
    }

    /// So many messages were sent, whose payloads are so many bytes together.
    pub fn spend_many(&mut self, items: usize, payload_len: usize) {
        self.items -= i64::try_from(items).unwrap_or(i64::MAX);
        self.bytes -= i64::try_from(payload_len).unwrap_or(i64::MAX);
    }

    /// How much is left. While anything is left of both, one message may exceed the bytes.
    pub fn left(&self) -> Credit {
        let count = |left: i64| u32::try_from(left.max(0)).unwrap_or(u32::MAX);
        Credit {
            items: count(self.items),
            bytes: count(self.bytes),
        }
    }

    /// Whether so many messages may be sent one after the other, of which all but the last have so many bytes.
    pub fn lasts(&self, items: usize, bytes_before_last: usize) -> bool {
        i64::try_from(items).is_ok_and(|items| items <= self.items)
            && i64::try_from(bytes_before_last).is_ok_and(|bytes| bytes < self.bytes)
    }

    /// How many messages may be sent.
    #[cfg(any(test, fuzzing))]
    pub(super) fn items(&self) -> i64 {
        self.items
    }

    /// The other side grants more. `false` where that is more than it can have meant: it has lost count.
    #[must_use]
    pub fn grant(&mut self, credit: Credit) -> bool {
        self.items += i64::from(credit.items);
        self.bytes += i64::from(credit.bytes);
        self.items <= i64::from(u32::MAX) && self.bytes <= i64::from(u32::MAX)
    }
}

/// What the other side may still send, and what it is owed for messages that have been handled.
#[derive(Debug)]
pub struct ReceiveWindow {
    start: Credit,
    /// How many items may be under way now, and how many at most.
    size: u32,
    max_size: u32,
    items: i64,
    bytes: i64,
    owed_items: u32,
    owed_bytes: u32,
    /// The largest message so far of each priority, urgent last.
    largest: [u32; 2],
}

impl ReceiveWindow {
    /// A window that stays as large as it begins.
    #[cfg(test)]
    pub fn new(start: Credit) -> Self {
        Self::growing(start, 1)
    }

    /// A window that grows up to this many times its items, while the sender uses all of it up. Its bytes stay: small
    /// messages shall not stand still for the way there and back, and large ones shall not take more memory.
    pub fn growing(start: Credit, times: u32) -> Self {
        Self {
            start,
            size: start.items,
            max_size: start.items.saturating_mul(times),
            items: i64::from(start.items),
            bytes: i64::from(start.bytes),
            owed_items: 0,
            owed_bytes: 0,
            largest: [0; 2],
        }
    }

    /// A message has come. `false` where the other side had no credit for it.
    ///
    /// The last message of a window may exceed its bytes, and may overtake those of the other priority that were sent
    /// before it: these are no faults, though they come when nothing is left.
    #[must_use]
    pub fn accept(&mut self, payload_len: u32, urgent: bool) -> bool {
        let [normal_largest, urgent_largest] = &mut self.largest;
        let (own, others) = if urgent {
            (urgent_largest, normal_largest)
        } else {
            (normal_largest, urgent_largest)
        };
        if self.items <= 0 || self.bytes + i64::from(*others) <= 0 {
            return false;
        }
        *own = payload_len.max(*own);
        self.items -= 1;
        self.bytes -= i64::from(payload_len);
        true
    }

    /// Whether the other side may send nothing more.
    pub(super) fn is_used_up(&self) -> bool {
        self.items <= 0 || self.bytes <= 0
    }

    /// How many messages the other side may send.
    #[cfg(any(test, fuzzing))]
    pub(super) fn items(&self) -> i64 {
        self.items
    }

    /// How much is to be handled before [`consume`](Self::consume) grants something again: the one or the other.
    pub fn due(&self) -> Credit {
        Credit {
            items: (self.size / 2).saturating_sub(self.owed_items).max(1),
            bytes: (self.start.bytes / 2)
                .saturating_sub(self.owed_bytes)
                .max(1),
        }
    }

    /// Messages have been handled. Returns what to grant, once that is worth a frame: half of the window.
    /// A sender that has little left by then could have sent more: the window grows.
    pub fn consume(&mut self, handled: Credit) -> Option<Credit> {
        self.owed_items = self.owed_items.saturating_add(handled.items);
        self.owed_bytes = self.owed_bytes.saturating_add(handled.bytes);
        if self.owed_items < self.size / 2 && self.owed_bytes < self.start.bytes / 2 {
            return None;
        }
        let mut credit = Credit {
            items: std::mem::take(&mut self.owed_items),
            bytes: std::mem::take(&mut self.owed_bytes),
        };
        let is_nearly_used = self.items < i64::from(self.size / 4);
        let grown = self.size.saturating_mul(2).min(self.max_size);
        if is_nearly_used && self.size < grown {
            credit.items = credit.items.saturating_add(grown - self.size);
            self.size = grown;
        }
        self.items += i64::from(credit.items);
        self.bytes += i64::from(credit.bytes);
        Some(credit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Credit = Credit {
        items: 4,
        bytes: 100,
    };

    #[test]
    fn one_message_may_exceed_what_is_left() {
        let mut window = SendWindow::new(START);
        window.spend(99);
        assert!(window.is_open());
        window.spend(1000);
        assert!(!window.is_open());
        assert!(window.grant(Credit {
            items: 2,
            bytes: 999
        }));
        assert!(!window.is_open());
        assert!(window.grant(Credit { items: 0, bytes: 1 }));
        assert!(window.is_open());
    }

    #[test]
    fn several_messages_at_once_may_do_what_each_may_after_the_other() {
        for (items, bytes_before_last, may) in [
            (1, 0, true),
            (4, 99, true),
            (4, 100, false),
            (5, 0, false),
            (0, 0, true),
        ] {
            let window = SendWindow::new(START);
            assert_eq!(
                window.lasts(items, bytes_before_last),
                may,
                "{items} messages, {bytes_before_last} bytes before the last"
            );
        }
        let mut window = SendWindow::new(START);
        window.spend(1000);
        assert_eq!(window.left(), Credit { items: 3, bytes: 0 });
        assert!(!window.lasts(1, 0));
    }

    #[test]
    fn a_grant_beyond_all_reason_is_noticed() {
        let mut window = SendWindow::new(START);
        assert!(!window.grant(Credit {
            items: u32::MAX,
            bytes: 1
        }));
    }

    #[test]
    fn a_window_grows_while_all_of_it_is_used() {
        let start = Credit {
            items: 16,
            bytes: 1000,
        };
        let mut sender = SendWindow::new(start);
        let mut receiver = ReceiveWindow::growing(start, 4);
        let mut under_way = Vec::new();
        for _ in 0..20 {
            let sent = std::iter::from_fn(|| {
                sender.is_open().then(|| {
                    sender.spend(1);
                    assert!(receiver.accept(1, false));
                })
            });
            under_way.push(sent.count());
            for _ in 0..16 {
                let one = Credit { items: 1, bytes: 1 };
                if let Some(credit) = receiver.consume(one) {
                    assert!(sender.grant(credit));
                }
            }
        }
        assert_eq!(under_way.first(), Some(&16));
        let all: usize = under_way.iter().sum();
        assert!(
            all <= 64 + 20 * 16,
            "never more than four times the start is under way"
        );
        assert_eq!(receiver.size, 64);
    }

    #[test]
    fn what_was_sent_in_turn_may_come_in_another() {
        // What a sender with 100 bytes may send, urgent or not: the last one exceeds them.
        let sent = [(60, false), (20, true), (10, false), (500, true)];
        let mut sender = SendWindow::new(START);
        for (len, _) in sent {
            assert!(sender.is_open());
            sender.spend(len);
        }
        let by_priority = |first: bool| {
            let is_first = move |urgent: &bool| *urgent == first;
            let (mut early, mut late) = (Vec::new(), Vec::new());
            for (len, urgent) in sent {
                let lane = if is_first(&urgent) {
                    &mut early
                } else {
                    &mut late
                };
                lane.push((u32::try_from(len).unwrap(), urgent));
            }
            [early, late].concat()
        };
        for order in [by_priority(true), by_priority(false)] {
            let mut receiver = ReceiveWindow::new(START);
            for (len, urgent) in order {
                assert!(receiver.accept(len, urgent), "{len}");
            }
            assert!(!receiver.accept(1, true), "there were four items");
        }
        let mut receiver = ReceiveWindow::new(START);
        assert!(receiver.accept(500, true));
        assert!(
            !receiver.accept(1, true),
            "which cannot have overtaken itself"
        );
    }

    #[test]
    fn a_window_that_is_not_used_up_stays() {
        let mut receiver = ReceiveWindow::growing(START, 4);
        for _ in 0..100 {
            assert!(receiver.accept(1, false));
            let _ = receiver.consume(Credit { items: 1, bytes: 1 });
        }
        assert_eq!(receiver.size, START.items);
    }

    #[test]
    fn both_ends_keep_the_same_count() {
        let (mut sender, mut receiver) = (SendWindow::new(START), ReceiveWindow::growing(START, 4));
        for round in 0..1000_u32 {
            while sender.is_open() {
                sender.spend(40);
                assert!(receiver.accept(40, false), "round {round}");
            }
            assert!(!receiver.accept(40, false), "an overrun is noticed");
            let granted = std::iter::from_fn(|| {
                Some(receiver.consume(Credit {
                    items: 1,
                    bytes: 40,
                }))
            })
            .take(3)
            .flatten();
            for credit in granted {
                assert!(sender.grant(credit));
            }
        }
    }
}
