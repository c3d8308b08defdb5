//! The ids of deliveries: counted without gaps, and answered in any order.

use std::collections::VecDeque;

use super::super::slot::Slot;

/// How far the newest delivery may be ahead of the oldest one without an answer (docs/protocol.md, "Message ids").
pub(in crate::session) const DELIVERY_WINDOW: usize = 4096;

/// The slots of the deliveries from the oldest unanswered one on, by their numbers.
#[derive(Debug)]
pub(super) struct DeliveryIds {
    /// `None` where one has been answered.
    slots: VecDeque<Option<Slot>>,
    first: u64,
}

impl Default for DeliveryIds {
    fn default() -> Self {
        Self {
            slots: VecDeque::new(),
            first: 1,
        }
    }
}

impl DeliveryIds {
    /// The number that the next delivery has.
    pub(super) fn next(&self) -> u64 {
        self.first + self.slots.len() as u64
    }

    /// The first delivery has this number; none has been sent yet.
    pub(super) fn begin_with(&mut self, number: u64) {
        self.first = number;
    }

    /// Gives the next number to the delivery in this slot.
    pub(super) fn push(&mut self, slot: Slot) {
        self.slots.push_back(Some(slot));
    }

    /// Whether the window allows another delivery.
    pub(super) fn has_capacity(&self) -> bool {
        self.slots.len() < DELIVERY_WINDOW
    }

    pub(super) fn slot_of(&self, number: u64) -> Option<Slot> {
        *self.slots.get(self.place(number)?)?
    }

    /// A delivery has been answered.
    pub(super) fn remove(&mut self, number: u64) {
        if let Some(slot) = self
            .place(number)
            .and_then(|place| self.slots.get_mut(place))
        {
            *slot = None;
        }
        while self.slots.front().is_some_and(Option::is_none) {
            self.slots.pop_front();
            self.first += 1;
        }
    }

    fn place(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.first)?).ok()
    }

    /// The slots of the unanswered deliveries, in their order.
    pub(super) fn unanswered(&self) -> impl DoubleEndedIterator<Item = Slot> + '_ {
        self.slots.iter().flatten().copied()
    }

    /// From the oldest unanswered delivery on, how many there are, answered or not.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn clear(&mut self) {
        self.first += self.slots.len() as u64;
        self.slots.clear();
    }

    /// Frees memory that a burst needed.
    pub(super) fn release(&mut self) {
        self.slots.shrink_to_fit();
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.slots.capacity()
    }
}
