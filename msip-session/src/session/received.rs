//! Which deliveries of the other side have been received, and what became of them (docs/protocol.md, "Resumption").
//!
//! Two bits for each of the last 4,096, so that one that comes again is not handled again and gets the answer that
//! it got before.

use super::{fault_injection::FaultInjection, outbound::DELIVERY_WINDOW};

/// How many deliveries one word tells of.
const PER_WORD: usize = 32;
const WORDS: usize = DELIVERY_WINDOW / PER_WORD;

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It has not come before.
    New,
    /// Its handler runs, or will.
    Handling,
    /// Its handler has returned.
    Handled,
    /// It was refused, or its handler failed.
    Failed,
    /// It is older than the window, so that nothing is known of it.
    Forgotten,
}

/// The window of one direction of a session.
#[derive(Debug, Default)]
pub(super) struct ReceivedDeliveries {
    /// The oldest delivery in the window; none before the first came.
    oldest: u64,
    /// Two bits each, the delivery's number modulo the window being its place.
    ended_calls: Option<Box<[u64; WORDS]>>,
}

impl ReceivedDeliveries {
    /// A delivery of this number has come. One that is new is being handled from here on.
    pub(super) fn begin(&mut self, number: u64) -> Fate {
        self.make_room(number);
        let fate = self.fate(number);
        if fate == Fate::New {
            self.set(number, Fate::Handling);
        }
        if FaultInjection::SkipDedup.is_on() {
            return Fate::New;
        }
        fate
    }

    /// A delivery has been handled, or has failed.
    pub(super) fn end(&mut self, number: u64, is_handled: bool) {
        // The window may have moved on: then the sender waits no longer.
        if self.fate(number) == Fate::Handling {
            let fate = if is_handled {
                Fate::Handled
            } else {
                Fate::Failed
            };
            self.set(number, fate);
        }
    }

    /// Moves the window so that it reaches to `number`. The sender issues a number only while it is less than its
    /// oldest unanswered one and the window's length, so that nothing that leaves the window can come again.
    pub(super) fn make_room(&mut self, number: u64) {
        let oldest = number.saturating_sub(DELIVERY_WINDOW as u64 - 1);
        if oldest <= self.oldest {
            return;
        }
        if oldest - self.oldest >= DELIVERY_WINDOW as u64 {
            self.ended_calls = None;
        } else {
            for leaving in self.oldest..oldest {
                // Its place is that of one to come.
                self.set(leaving, Fate::New);
            }
        }
        self.oldest = oldest;
    }

    fn fate(&self, number: u64) -> Fate {
        if number < self.oldest {
            return Fate::Forgotten;
        }
        let (word, shift) = place(number);
        let bits = self
            .ended_calls
            .as_ref()
            .and_then(|ended_calls| ended_calls.get(word))
            .map_or(0, |word| word >> shift & 0b11);
        match bits {
            0 => Fate::New,
            1 => Fate::Handling,
            2 => Fate::Handled,
            _ => Fate::Failed,
        }
    }

    fn set(&mut self, number: u64, fate: Fate) {
        let bits = match fate {
            Fate::New | Fate::Forgotten => 0,
            Fate::Handling => 1,
            Fate::Handled => 2,
            Fate::Failed => 3,
        };
        if bits == 0 && self.ended_calls.is_none() {
            return;
        }
        let ended_calls = self.ended_calls.get_or_insert_with(|| Box::new([0; WORDS]));
        let (word, shift) = place(number);
        if let Some(word) = ended_calls.get_mut(word) {
            *word = *word & !(0b11 << shift) | bits << shift;
        }
    }
}

/// The word that tells of a delivery, and where in it.
fn place(number: u64) -> (usize, u32) {
    // The remainder is less than the window, which fits any integer.
    let place = (number % DELIVERY_WINDOW as u64) as usize;
    (place / PER_WORD, 2 * (place % PER_WORD) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duplicate_gets_what_its_original_got() {
        let mut received = ReceivedDeliveries::default();
        assert_eq!(received.begin(1), Fate::New);
        assert_eq!(received.begin(1), Fate::Handling);
        received.end(1, true);
        assert_eq!(received.begin(1), Fate::Handled);
        assert_eq!(received.begin(2), Fate::New);
        received.end(2, false);
        assert_eq!(received.begin(2), Fate::Failed);
        received.end(2, true);
        assert_eq!(received.begin(2), Fate::Failed, "it has ended once");
    }

    #[test]
    fn the_window_has_4096_places_and_each_is_its_own() {
        let mut received = ReceivedDeliveries::default();
        for number in 1..=4096 {
            assert_eq!(received.begin(number), Fate::New, "{number}");
            received.end(number, number % 3 != 0);
        }
        for number in 1..=4096 {
            let fate = if number % 3 == 0 {
                Fate::Failed
            } else {
                Fate::Handled
            };
            assert_eq!(received.begin(number), fate, "{number}");
        }
        assert_eq!(received.begin(4097), Fate::New, "the place of 1");
        assert_eq!(received.begin(1), Fate::Forgotten);
        assert_eq!(received.begin(2), Fate::Handled);
    }

    #[test]
    fn a_leap_forgets_what_was_before() {
        let mut received = ReceivedDeliveries::default();
        assert_eq!(received.begin(1), Fate::New);
        assert_eq!(received.begin(1 << 61), Fate::New);
        assert_eq!(received.begin((1 << 61) - 1), Fate::New);
        assert_eq!(received.begin(1), Fate::Forgotten);
        received.end(1, true);
        assert_eq!(received.begin(1), Fate::Forgotten);
    }

    #[test]
    fn gaps_are_filled_late() {
        let mut received = ReceivedDeliveries::default();
        assert_eq!(received.begin(5), Fate::New);
        assert_eq!(received.begin(3), Fate::New, "an urgent one overtook it");
        assert_eq!(received.begin(5), Fate::Handling);
    }
}
