//! Deduplication: the state of the peer's last 4,096 deliveries (docs/protocol.md, "Resumption").
//!
//! Two bits each, so that a delivery that comes again is not handled again, and gets the answer that it got before.

use super::{fault_injection::FaultInjection, outbound::DELIVERY_WINDOW};

/// How many deliveries one word holds.
const PER_WORD: usize = 32;
const WORDS: usize = DELIVERY_WINDOW / PER_WORD;

/// How many bits a state has.
const STATE_BITS: u32 = 2;

/// How many runs of two bytes take as much memory as the words do.
const MAX_RUNS: usize = WORDS * size_of::<u64>() / size_of::<u16>();

/// The state of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DeliveryState {
    /// It has not come before.
    New,
    /// Its handler runs, or will.
    Handling,
    /// Its handler has returned.
    Handled,
    /// It was refused, or its handler failed.
    Failed,
    /// It is older than the window: nothing is known of it.
    Forgotten,
}

/// The window of one direction of a session.
#[derive(Debug, Default)]
pub(super) struct ReceivedDeliveries {
    /// The oldest delivery in the window; 0 before the first one.
    oldest: u64,
    /// Two bits for each delivery, at its number modulo the window.
    states: Option<Box<[u64; WORDS]>>,
}

impl ReceivedDeliveries {
    /// How much memory it takes, in bytes.
    pub(super) fn len(&self) -> usize {
        self.states.as_deref().map_or(0, size_of_val)
    }

    /// A delivery with this number was received. Returns its state until now; a new one is being handled from here on.
    pub(super) fn begin(&mut self, number: u64) -> DeliveryState {
        self.advance(number);
        let state = self.state(number);
        if state == DeliveryState::New {
            self.set(number, DeliveryState::Handling);
        }
        if FaultInjection::SkipDedup.is_on() {
            return DeliveryState::New;
        }
        state
    }

    /// A delivery has been handled, or has failed.
    pub(super) fn end(&mut self, number: u64, is_handled: bool) {
        // If the window has moved on, the sender does not wait any more.
        if self.state(number) == DeliveryState::Handling {
            let state = if is_handled {
                DeliveryState::Handled
            } else {
                DeliveryState::Failed
            };
            self.set(number, state);
        }
    }

    /// Moves the window so that it reaches to `number`. The sender issues a number only while it is less than its
    /// oldest unanswered one and the window's length, so that nothing that leaves the window can come again.
    pub(super) fn advance(&mut self, number: u64) {
        let oldest = number.saturating_sub(DELIVERY_WINDOW as u64 - 1);
        if oldest <= self.oldest {
            return;
        }
        if oldest - self.oldest >= DELIVERY_WINDOW as u64 {
            self.states = None;
        } else {
            for leaving in self.oldest..oldest {
                // Its place is that of a delivery to come.
                self.set(leaving, DeliveryState::New);
            }
        }
        self.oldest = oldest;
    }

    fn state(&self, number: u64) -> DeliveryState {
        if number < self.oldest {
            return DeliveryState::Forgotten;
        }
        let (word, shift) = place(number);
        let bits = self
            .states
            .as_ref()
            .and_then(|states| states.get(word))
            .map_or(0, |word| word >> shift & 0b11);
        match bits {
            0 => DeliveryState::New,
            1 => DeliveryState::Handling,
            2 => DeliveryState::Handled,
            _ => DeliveryState::Failed,
        }
    }

    fn set(&mut self, number: u64, state: DeliveryState) {
        let bits = match state {
            DeliveryState::New | DeliveryState::Forgotten => 0,
            DeliveryState::Handling => 1,
            DeliveryState::Handled => 2,
            DeliveryState::Failed => 3,
        };
        if bits == 0 && self.states.is_none() {
            return;
        }
        let states = self.states.get_or_insert_with(|| Box::new([0; WORDS]));
        let (word, shift) = place(number);
        if let Some(word) = states.get_mut(word) {
            *word = *word & !(0b11 << shift) | bits << shift;
        }
    }
}

/// A window in little memory: runs of deliveries with the same state, mostly one or two.
#[derive(Debug)]
pub(super) struct PackedDeliveries {
    oldest: u64,
    states: PackedStates,
}

#[derive(Debug)]
enum PackedStates {
    /// From the oldest delivery on: the two bits of a state, and in the bits above them how many have it. What follows is new.
    Runs(Box<[u16]>),
    /// The runs would take more.
    Whole(Box<[u64; WORDS]>),
}

impl ReceivedDeliveries {
    /// The same in little memory.
    pub(super) fn pack(self) -> PackedDeliveries {
        let Self { oldest, states } = self;
        let Some(states) = states else {
            let states = PackedStates::Runs(Box::default());
            return PackedDeliveries { oldest, states };
        };
        let mut runs: Vec<u16> = Vec::new();
        for number in oldest..oldest.saturating_add(DELIVERY_WINDOW as u64) {
            let (word, shift) = place(number);
            let bits = states.get(word).map_or(0, |word| word >> shift & 0b11) as u16;
            let is_full = runs.len() >= MAX_RUNS;
            match runs.last_mut() {
                Some(run) if *run & 0b11 == bits => *run += 1 << STATE_BITS,
                _ if is_full => {
                    let states = PackedStates::Whole(states);
                    return PackedDeliveries { oldest, states };
                }
                _ => runs.push(1 << STATE_BITS | bits),
            }
        }
        if runs.last().is_some_and(|run| run & 0b11 == 0) {
            runs.pop();
        }
        let states = PackedStates::Runs(runs.into());
        PackedDeliveries { oldest, states }
    }
}

impl PackedDeliveries {
    /// How much memory it takes besides itself, in bytes.
    pub(super) fn len(&self) -> usize {
        match &self.states {
            PackedStates::Runs(runs) => size_of_val(&**runs),
            PackedStates::Whole(states) => size_of_val(&**states),
        }
    }

    /// The window again.
    pub(super) fn unpack(self) -> ReceivedDeliveries {
        let Self { oldest, states } = self;
        let runs = match states {
            PackedStates::Whole(states) => {
                let states = Some(states);
                return ReceivedDeliveries { oldest, states };
            }
            PackedStates::Runs(runs) => runs,
        };
        let mut states = (!runs.is_empty()).then(|| Box::new([0; WORDS]));
        let mut number = oldest;
        for run in runs {
            let len = u64::from(run >> STATE_BITS);
            for number in number..number + len {
                let (word, shift) = place(number);
                let word = states.as_mut().and_then(|states| states.get_mut(word));
                if let Some(word) = word {
                    *word |= u64::from(run & 0b11) << shift;
                }
            }
            number += len;
        }
        ReceivedDeliveries { oldest, states }
    }
}

/// The word of a delivery, and where it is in that.
fn place(number: u64) -> (usize, u32) {
    // The remainder is less than the window, which fits any integer.
    let place = (number % DELIVERY_WINDOW as u64) as usize;
    (place / PER_WORD, 2 * (place % PER_WORD) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duplicate_has_the_state_of_its_original() {
        let mut received = ReceivedDeliveries::default();
        assert_eq!(received.begin(1), DeliveryState::New);
        assert_eq!(received.begin(1), DeliveryState::Handling);
        received.end(1, true);
        assert_eq!(received.begin(1), DeliveryState::Handled);
        assert_eq!(received.begin(2), DeliveryState::New);
        received.end(2, false);
        assert_eq!(received.begin(2), DeliveryState::Failed);
        received.end(2, true);
        assert_eq!(
            received.begin(2),
            DeliveryState::Failed,
            "it has ended once"
        );
    }

    #[test]
    fn the_window_holds_4096_deliveries() {
        let mut received = ReceivedDeliveries::default();
        for number in 1..=4096 {
            assert_eq!(received.begin(number), DeliveryState::New, "{number}");
            received.end(number, number % 3 != 0);
        }
        for number in 1..=4096 {
            let state = if number % 3 == 0 {
                DeliveryState::Failed
            } else {
                DeliveryState::Handled
            };
            assert_eq!(received.begin(number), state, "{number}");
        }
        assert_eq!(received.begin(4097), DeliveryState::New, "the place of 1");
        assert_eq!(received.begin(1), DeliveryState::Forgotten);
        assert_eq!(received.begin(2), DeliveryState::Handled);
    }

    #[test]
    fn a_leap_forgets_all_earlier_deliveries() {
        let mut received = ReceivedDeliveries::default();
        assert_eq!(received.begin(1), DeliveryState::New);
        assert_eq!(received.begin(1 << 61), DeliveryState::New);
        assert_eq!(received.begin((1 << 61) - 1), DeliveryState::New);
        assert_eq!(received.begin(1), DeliveryState::Forgotten);
        received.end(1, true);
        assert_eq!(received.begin(1), DeliveryState::Forgotten);
    }

    #[test]
    fn an_overtaken_delivery_is_new() {
        let mut received = ReceivedDeliveries::default();
        assert_eq!(received.begin(5), DeliveryState::New);
        assert_eq!(
            received.begin(3),
            DeliveryState::New,
            "an urgent one overtook it"
        );
        assert_eq!(received.begin(5), DeliveryState::Handling);
    }

    /// Packs the window and unpacks it, and checks that nothing has changed. Returns how much memory it took meanwhile.
    fn packed_len(received: ReceivedDeliveries) -> usize {
        let newest = received.oldest + 4200;
        let all = received.oldest.saturating_sub(5)..newest;
        let before: Vec<_> = all.clone().map(|number| received.state(number)).collect();
        let packed = received.pack();
        let len = packed.len();
        let received = packed.unpack();
        let after: Vec<_> = all.map(|number| received.state(number)).collect();
        assert_eq!(before, after);
        len
    }

    #[test]
    fn a_window_is_packed_and_unpacked_unchanged() {
        assert_eq!(packed_len(ReceivedDeliveries::default()), 0);
        let window = |numbers: std::ops::RangeInclusive<u64>, fails: u64| {
            let mut received = ReceivedDeliveries::default();
            for number in numbers {
                let _ = received.begin(number);
                received.end(number, number % fails != 0);
            }
            received
        };
        assert_eq!(packed_len(window(1..=100, 1000)), 4);
        assert_eq!(packed_len(window(1..=10_000, 1 << 40)), 2);
        assert_eq!(packed_len(window(1..=10_000, 3000)), 10);
        assert_eq!(packed_len(window(1..=10_000, 2)), 1024, "as it was");
        let mut leapt = window(1..=100, 7);
        leapt.advance(1 << 61);
        assert_eq!(packed_len(leapt), 0);
        let mut overtaken = ReceivedDeliveries::default();
        for number in [9, 5, 4097, 4000] {
            let _ = overtaken.begin(number);
            overtaken.end(number, true);
        }
        packed_len(overtaken);
    }
}
