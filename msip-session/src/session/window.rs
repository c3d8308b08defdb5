//! Flow-control windows: how many messages may be under way (docs/protocol.md, "Credit").

use super::{
    fault_injection::FaultInjection,
    relief::{Relief, UsedUp},
};
use crate::wire::Credit;

/// The window of a connection may grow to this many times its items.
pub(super) const WINDOW_GROWTH: u32 = 16;

/// The same for a stream: it begins with few, and items of a few bytes are many.
pub(super) const STREAM_GROWTH: u32 = 256;

/// What this side may still send. While any credit is left one message may exceed it, so both counts can go
/// below zero.
#[derive(Debug)]
pub(super) struct SendWindow {
    start_bytes: i64,
    items: i64,
    bytes: i64,
    /// What the window began with and was granted, without an item for each CREDIT: by how much that is more than `items`,
    /// so many more CREDITs may come.
    granted: i64,
}

impl SendWindow {
    pub(super) fn new(start: Credit) -> Self {
        Self {
            start_bytes: i64::from(start.bytes),
            items: i64::from(start.items),
            bytes: i64::from(start.bytes),
            granted: i64::from(start.items),
        }
    }

    /// The window of a stream, whose receiver may grant more before it has received anything.
    pub(super) fn of_stream(start: Credit) -> Self {
        let mut window = Self::new(start);
        window.granted += 1;
        window
    }

    /// How many more CREDITs may come, if each grants what was freed by one message at least.
    pub(super) const fn uncredited(&self) -> i64 {
        self.granted - self.items
    }

    /// Whether one more message may be sent.
    #[inline]
    pub(super) fn is_open(&self) -> bool {
        self.items > 0 && self.bytes > 0
    }

    /// Whether credit is left for so many more messages, and for many bytes, after one more.
    pub(super) fn leaves(&self, messages: usize) -> bool {
        let messages = i64::try_from(messages).unwrap_or(i64::MAX);
        messages == 0 || (self.items > messages && self.bytes > self.start_bytes / 4)
    }

    /// A message with a payload of this many bytes was sent.
    #[inline]
    pub(super) fn spend(&mut self, payload_len: usize) {
        self.items -= 1;
        self.bytes -= i64::try_from(payload_len).unwrap_or(i64::MAX);
    }

    /// Whether there is credit for so many messages, of so many bytes together.
    pub(super) fn has(&self, items: usize, payload_len: usize) -> bool {
        i64::try_from(items).is_ok_and(|items| items <= self.items)
            && i64::try_from(payload_len).is_ok_and(|len| len <= self.bytes)
    }

    /// So many messages were sent, whose payloads are so many bytes together.
    #[inline]
    pub(super) fn spend_many(&mut self, items: usize, payload_len: usize) {
        self.items -= i64::try_from(items).unwrap_or(i64::MAX);
        self.bytes -= i64::try_from(payload_len).unwrap_or(i64::MAX);
    }

    /// How much is left. While anything is left of both, one message may exceed the bytes.
    pub(super) fn credit(&self) -> Credit {
        let count = |left: i64| u32::try_from(left.max(0)).unwrap_or(u32::MAX);
        Credit {
            items: count(self.items),
            bytes: count(self.bytes),
        }
    }

    /// Whether so many messages may be sent one after the other, of which all but the last have so many bytes.
    #[inline]
    pub(super) fn allows(&self, items: usize, bytes_before_last: usize) -> bool {
        i64::try_from(items).is_ok_and(|items| items <= self.items)
            && i64::try_from(bytes_before_last).is_ok_and(|bytes| bytes < self.bytes)
    }

    /// How many messages may be sent.
    #[cfg(any(test, fuzzing))]
    pub(super) fn items(&self) -> i64 {
        self.items
    }

    /// The peer grants more. `false` where it has granted too much: it has lost count.
    #[must_use]
    pub(super) fn grant(&mut self, credit: Credit) -> bool {
        let is_earned = self.uncredited() > 0;
        self.granted += i64::from(credit.items) - i64::from(is_earned);
        self.items += i64::from(credit.items);
        self.bytes += i64::from(credit.bytes);
        self.items <= i64::from(u32::MAX) && self.bytes <= i64::from(u32::MAX)
    }
}

/// What the peer may still send, and what is to be granted for messages that have been handled.
#[derive(Debug)]
pub(super) struct ReceiveWindow {
    start: Credit,
    /// How many items may be under way now, and how many at most.
    size: u32,
    max_size: u32,
    items: i64,
    bytes: i64,
    /// What has been handled and not granted again.
    pending_items: u32,
    pending_bytes: u32,
    /// The largest message so far of each priority, urgent last.
    largest: [u32; 2],
    used_up: UsedUp,
    /// How often it was granted something.
    #[cfg(any(test, fuzzing))]
    grants: u32,
}

impl ReceiveWindow {
    /// A window that stays as large as it begins.
    #[cfg(test)]
    pub(super) fn new(start: Credit) -> Self {
        Self::growing(start, 1)
    }

    /// A window that grows up to this many times its items, while the sender uses it up. Its bytes stay: small messages
    /// should not wait for a round trip, and large ones should not take more memory.
    pub(super) fn growing(start: Credit, times: u32) -> Self {
        Self {
            start,
            size: start.items,
            max_size: start.items.saturating_mul(times),
            items: i64::from(start.items),
            bytes: i64::from(start.bytes),
            pending_items: 0,
            pending_bytes: 0,
            largest: [0; 2],
            used_up: UsedUp::No,
            #[cfg(any(test, fuzzing))]
            grants: 0,
        }
    }

    /// A message was received. `false` where the peer had no credit for it.
    ///
    /// The last message of a window may exceed its bytes, and may overtake those of the other priority that were sent
    /// before it: these are no faults, though they come when nothing is left.
    #[inline]
    #[must_use]
    pub(super) fn accept(&mut self, payload_len: u32, urgent: bool) -> bool {
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

    /// Whether the peer may send nothing more.
    #[inline]
    pub(super) fn is_used_up(&self) -> bool {
        self.items <= 0 || self.bytes <= 0
    }

    /// Whether time alone may bring the peer credit.
    pub(super) fn awaits_relief(&self) -> bool {
        self.is_used_up() || self.used_up != UsedUp::No
    }

    /// How many messages the peer may send.
    #[cfg(any(test, fuzzing))]
    pub(super) fn items(&self) -> i64 {
        self.items
    }

    /// Whether it has granted, or will grant, more than its size: for messages that did not come within it.
    #[cfg(any(test, fuzzing))]
    pub(super) fn is_overgranted(&self) -> bool {
        self.items + i64::from(self.pending_items) > i64::from(self.size)
    }

    /// After how many items, or after how many bytes, [`consume`](Self::consume) grants something again.
    pub(super) fn due(&self) -> Credit {
        Credit {
            items: (self.size / 2).saturating_sub(self.pending_items).max(1),
            bytes: (self.start.bytes / 2)
                .saturating_sub(self.pending_bytes)
                .max(1),
        }
    }

    /// Notes that the window is used up, in this round; `false` where it is not, or was noted before.
    #[inline]
    pub(super) fn note_used_up(&mut self, round: u32) -> bool {
        let is_new = self.is_used_up() && self.used_up == UsedUp::No;
        if is_new {
            self.used_up = UsedUp::Since(round);
        }
        is_new
    }

    /// This round has ended. A window that has been used up for a whole one is granted what was handled, however little.
    pub(super) fn relieve(&mut self, ended: u32) -> Relief {
        match self.used_up {
            UsedUp::Since(_) if FaultInjection::ForgetTime.is_on() => Relief::Nothing,
            UsedUp::Since(round) if round == ended => Relief::Wait,
            UsedUp::Since(_) if self.pending_items > 0 || self.pending_bytes > 0 => {
                Relief::Grant(self.grant_pending())
            }
            UsedUp::Since(_) => {
                self.used_up = UsedUp::Long;
                Relief::AtOnce
            }
            UsedUp::No | UsedUp::Long => Relief::Nothing,
        }
    }

    /// Grants what has been handled, where the window has been used up for long.
    #[inline]
    fn grant_overdue(&mut self) -> Option<Credit> {
        if self.used_up != UsedUp::Long {
            return None;
        }
        Some(self.grant_pending())
    }

    /// Grants what has been handled. The window stays as large as it is.
    #[cold]
    fn grant_pending(&mut self) -> Credit {
        self.note_grant();
        let credit = Credit {
            items: std::mem::take(&mut self.pending_items),
            bytes: std::mem::take(&mut self.pending_bytes),
        };
        self.items += i64::from(credit.items);
        self.bytes += i64::from(credit.bytes);
        credit
    }

    #[inline]
    fn note_grant(&mut self) {
        self.used_up = UsedUp::No;
        #[cfg(any(test, fuzzing))]
        {
            self.grants += 1;
        }
    }

    /// Where something was handled and not granted again, and the sender waits for it: after how many grants that is.
    #[cfg(any(test, fuzzing))]
    pub(super) fn withheld_after(&self) -> Option<u32> {
        (self.is_used_up() && self.pending_items > 0).then_some(self.grants)
    }

    /// Messages have been handled. Returns what to grant, once that is worth a frame: half of the window, or anything where
    /// it has been used up for long. A sender that has little left by then could have sent more: the window grows.
    #[inline]
    pub(super) fn consume(&mut self, handled: Credit) -> Option<Credit> {
        self.pending_items = self.pending_items.saturating_add(handled.items);
        self.pending_bytes = self.pending_bytes.saturating_add(handled.bytes);
        if self.pending_items < self.size / 2 && self.pending_bytes < self.start.bytes / 2 {
            return self.grant_overdue();
        }
        self.note_grant();
        let mut credit = Credit {
            items: std::mem::take(&mut self.pending_items),
            bytes: std::mem::take(&mut self.pending_bytes),
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
    fn one_message_may_exceed_the_credit_left() {
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
    fn a_credit_is_earned_by_each_message_and_by_nothing_else() {
        let one = Credit { items: 1, bytes: 1 };
        let mut window = SendWindow::new(START);
        assert_eq!(window.uncredited(), 0);
        window.spend_many(3, 9);
        assert!(window.grant(Credit {
            items: 100,
            bytes: 9
        }));
        assert_eq!(window.uncredited(), 2, "however much it grants");
        for left in [1, 0, 0, 0] {
            assert!(window.grant(one));
            assert_eq!(window.uncredited(), left);
        }
        window.spend(1);
        assert_eq!(window.uncredited(), 1, "those for nothing leave no debt");
    }

    #[test]
    fn a_stream_earns_one_credit_before_its_first_item() {
        let mut window = SendWindow::of_stream(START);
        assert!(window.grant(START));
        assert_eq!(window.uncredited(), 0);
        window.spend(1);
        assert_eq!(window.uncredited(), 1);
    }

    #[test]
    fn a_batch_needs_the_credit_of_its_messages_one_by_one() {
        for (items, bytes_before_last, may) in [
            (1, 0, true),
            (4, 99, true),
            (4, 100, false),
            (5, 0, false),
            (0, 0, true),
        ] {
            let window = SendWindow::new(START);
            assert_eq!(
                window.allows(items, bytes_before_last),
                may,
                "{items} messages, {bytes_before_last} bytes before the last"
            );
        }
        let mut window = SendWindow::new(START);
        window.spend(1000);
        assert_eq!(window.credit(), Credit { items: 3, bytes: 0 });
        assert!(!window.allows(1, 0));
    }

    #[test]
    fn a_grant_beyond_the_largest_window_is_noticed() {
        let mut window = SendWindow::new(START);
        assert!(!window.grant(Credit {
            items: u32::MAX,
            bytes: 1
        }));
    }

    #[test]
    fn a_window_grows_while_it_is_used_up() {
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
    fn messages_may_come_in_another_order_than_sent() {
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
    fn a_window_that_is_not_used_up_does_not_grow() {
        let mut receiver = ReceiveWindow::growing(START, 4);
        for _ in 0..100 {
            assert!(receiver.accept(1, false));
            let _ = receiver.consume(Credit { items: 1, bytes: 1 });
        }
        assert_eq!(receiver.size, START.items);
    }

    #[test]
    fn both_sides_keep_the_same_count() {
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
