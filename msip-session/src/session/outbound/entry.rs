//! The entries of the table of outbound exchanges, and how one is opened in a vacant slot.

use std::time::Duration;

use slab::VacantEntry;

use super::{
    super::{
        cancels::Cancel,
        frame_writer::FRAME_COST,
        outgoing::Position,
        slot::{Slot, Token},
        streams::StreamKey,
    },
    Class, Lost,
    delivery_ids::DeliveryIds,
};
use crate::wire::{MsgId, Side};

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: MsgId,
    pub(super) class: Class,
    pub(super) token: Token,
    pub(super) is_urgent: bool,
    pub(super) deadline: Duration,
    pub(super) position: Position,
    pub(super) streams: Option<StreamKey>,
    /// The member of the envelope that the message is.
    pub(super) variant: u16,
    /// For whom the call is made.
    pub(super) caller: u32,
    /// Some of it was handed to a connection that has been lost since.
    pub(super) was_sent: bool,
    /// The whole frame of a delivery that may have to be sent again.
    pub(super) kept: Vec<u8>,
}

impl Entry {
    /// What cancels it, where it is a call.
    pub(super) fn cancel(&self) -> Cancel {
        Cancel {
            id: self.id,
            is_urgent: self.is_urgent,
            caller: self.caller,
        }
    }

    pub(super) fn lost(&self, sent: bool) -> Lost {
        Lost {
            token: self.token,
            class: self.class,
            variant: self.variant,
            sent,
        }
    }
}

/// What an exchange is opened with.
#[derive(Debug)]
pub(in crate::session) struct Opening {
    /// The member of the envelope that the message is.
    pub(in crate::session) variant: u16,
    pub(in crate::session) token: Token,
    pub(in crate::session) is_urgent: bool,
    /// For whom the call is made.
    pub(in crate::session) caller: u32,
    /// When it times out; `Duration::MAX` is never.
    pub(in crate::session) deadline: Duration,
    pub(in crate::session) position: Position,
    /// The whole frame, where it may have to be sent again.
    pub(in crate::session) kept: Vec<u8>,
}

/// What is counted over all entries.
#[derive(Debug)]
pub(super) struct Books {
    pub(super) side: Side,
    pub(super) sequence: u64,
    pub(super) deliveries: DeliveryIds,
    /// How many calls are open, awaited or not.
    pub(super) calls: usize,
    /// How many of them are not; as small as it can be, since every session has it.
    pub(super) abandoned: u32,
    /// No exchange has an earlier deadline.
    pub(super) next_deadline: Option<Duration>,
    /// The frames that are kept to be sent again, in bytes.
    pub(super) kept_cost: usize,
}

/// A free slot and its message id, taken while an exchange is being opened in it.
///
/// Dropped without [`insert`](Self::insert), the slot stays free; the id of a call or ping is not used again.
#[derive(Debug)]
pub(in crate::session) struct VacantExchange<'a> {
    pub(super) entry: VacantEntry<'a, Entry>,
    pub(super) books: &'a mut Books,
    pub(super) id: MsgId,
    pub(super) class: Class,
}

impl VacantExchange<'_> {
    /// The id that the exchange has. That of a droppable delivery is a placeholder, which no frame bears.
    #[inline]
    pub(in crate::session) const fn id(&self) -> MsgId {
        self.id
    }

    /// Opens the exchange.
    #[inline]
    pub(in crate::session) fn insert(self, opening: Opening, streams: Option<StreamKey>) -> Slot {
        let Self {
            entry,
            books,
            id,
            class,
        } = self;
        let Opening {
            variant,
            token,
            is_urgent,
            caller,
            deadline,
            position,
            kept,
        } = opening;
        let slot = Slot::from_index(entry.key());
        match class {
            Class::Call => books.calls += 1,
            Class::Delivery => books.deliveries.push(slot),
            Class::Ping | Class::Subscribe | Class::Droppable | Class::Abandoned => {}
        }
        books.kept_cost += cost(&kept);
        books.next_deadline = Some(
            books
                .next_deadline
                .map_or(deadline, |next| next.min(deadline)),
        );
        entry.insert(Entry {
            id,
            class,
            token,
            is_urgent,
            deadline,
            position,
            streams,
            variant,
            caller,
            was_sent: false,
            kept,
        });
        slot
    }
}

pub(super) fn cost(kept: &[u8]) -> usize {
    if kept.is_empty() {
        0
    } else {
        kept.len() + FRAME_COST
    }
}
