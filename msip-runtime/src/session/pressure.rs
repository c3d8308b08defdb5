//! What a message's kind means when there is no room (docs/protocol.md, "Kinds").
//!
//! EVENT and COMMAND wait outside of the session. STATE, LOG and METRIC are taken onto the [`Shelf`](super::shelf::Shelf)
//! and go out as soon as there is room; what does not fit there makes room by its kind.

use std::time::Duration;

use super::{
    Blocked, Lost, Opener, Outcome, Phase, Session, Slot, Token,
    backlog::{Waiting, priority_of},
    opened::Opening,
    outgoing::Position,
    sabotage::Sabotage,
    shelf::{Shelf, Shelved, StateKey},
};
use crate::{
    Dropped, MsgKind,
    wire::{Flags, MsgId},
};

/// The part of the outgoing queue's limit that the shelf may take beside it.
const SHELF_PART: usize = 8;

/// Whether messages of this kind are taken without room.
pub(crate) const fn may_be_shelved(kind: MsgKind) -> bool {
    matches!(kind, MsgKind::State | MsgKind::Log | MsgKind::Metric)
}

impl Session {
    /// Takes a message for which there is no room, by its kind; `key` is that of a STATE, `waiter` who waits for an
    /// acknowledgment, and until when. Returns the waiter's place.
    pub(crate) fn shelve(
        &mut self,
        opener: &Opener<'_>,
        key: Option<StateKey>,
        waiter: Option<(Token, Duration)>,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Option<Slot>, Blocked> {
        self.check_open()?;
        if self.is_suspended() {
            return Err(Blocked::Disconnected);
        }
        if waiter.is_some() && !self.opened.has_room_for_ping() {
            return Err(Blocked::NoRoom);
        }
        let frame = self.frame_of(opener, MsgId::CONNECTION, Flags::NONE, encode);
        let mut shelved = Shelved {
            frame,
            kind: opener.kind,
            awaited: None,
            key,
        };
        let limit = self.config.outgoing_queue / SHELF_PART;
        if let Some(key) = &shelved.key {
            let states = self.shelf.states_cost();
            if states > 0 && !self.shelf.has(key) && states + shelved.cost() > limit {
                return Err(Blocked::NoRoom);
            }
        }
        let slot = waiter.map(|(token, deadline)| {
            let id = self.opened.next_call_id();
            shelved.awaited = Some(id);
            self.opened.insert_shelved(Opening {
                id,
                variant: opener.variant,
                token,
                urgent: opener.urgent,
                deadline,
                position: Position::NOWHERE,
                kept: Vec::new(),
            })
        });
        if Sabotage::LoseNewestState.is_on()
            && shelved.key.as_ref().is_some_and(|key| self.shelf.has(key))
        {
            self.make_room(&shelved);
            return Ok(slot);
        }
        if let Some(older) = self.shelf.put(shelved) {
            self.make_room(&older);
        }
        while self.shelf.cost() > limit && self.shelf.len() > 1 {
            let dropped = if Sabotage::DropNewest.is_on() {
                self.shelf.drop_newest()
            } else {
                self.shelf.drop_oldest()
            };
            match dropped {
                Some(dropped) => self.make_room(&dropped),
                None => break,
            }
        }
        Ok(slot)
    }

    /// Whether something waits that can go out once there is room.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.shelf.is_empty() || !self.backlog.is_empty()
    }

    /// Sends what is on the shelf, as far as there is room. While so many others wait for room, LOG and METRIC leave it
    /// to them.
    pub(crate) fn unshelve(&mut self, others: usize) {
        if self.phase != Phase::Open {
            return;
        }
        while let Some(first) = self.shelf.first() {
            let firm = if others == 0 {
                0
            } else {
                others + self.shelf.state_count()
            };
            let may_wait = first.key.is_none() && !self.send_window.leaves(firm);
            let has_room = self.backlog.is_empty() && self.has_room_for(first);
            if may_wait || !has_room || self.is_queue_full() {
                return;
            }
            if let Some(shelved) = self.shelf.take_first() {
                self.send_shelved(shelved);
            }
        }
        if self.backlog.is_empty() {
            self.say_goodbye();
        }
    }

    /// Makes way for a message of another kind, for which there is room but for what waits here: it must not overtake.
    #[cold]
    pub(super) fn make_way(&mut self) -> bool {
        self.unshelve(1);
        if self
            .shelf
            .first()
            .is_some_and(|first| !self.has_room_for(first))
        {
            return false;
        }
        while let Some(dropped) = self.shelf.drop_oldest() {
            self.make_room(&dropped);
        }
        self.unshelve(0);
        self.shelf.is_empty() && !self.is_queue_full() && self.send_window.is_open()
    }

    /// The next one who waited for the acknowledgment of a message that made room, and what to tell them.
    pub(crate) fn poll_dropped(&mut self) -> Option<(Token, Outcome)> {
        while let Some((stand_in, outcome)) = self.told.pop() {
            // They may have given up meanwhile.
            if let Some(token) = self.opened.unshelve(stand_in) {
                return Some((token, outcome));
            }
        }
        None
    }

    /// Whether somebody is to be told of a message that made room.
    pub(crate) fn has_dropped(&self) -> bool {
        !self.told.is_empty()
    }

    /// How many messages were taken and then dropped.
    pub(crate) fn dropped(&self) -> Dropped {
        self.dropped
    }

    /// The connection is lost: what is awaited goes on with the next one, the rest is dropped. It is numbered now, so
    /// that nothing later comes before it; for what there is no number left is told in `lost`.
    pub(super) fn number_shelf(&mut self, lost: &mut Vec<Lost>) {
        let mut shelf = std::mem::take(&mut self.shelf);
        while let Some(shelved) = shelf.take_first() {
            let Some(stand_in) = shelved.awaited.filter(|_| self.has_waiter(&shelved)) else {
                self.dropped.disconnected += 1;
                continue;
            };
            if !self.opened.has_room_for_delivery() {
                lost.extend(self.opened.give_up(stand_in));
                continue;
            }
            let id = self.opened.next_delivery_id();
            let frame = shelved.numbered(id, Flags::ACK_REQUIRED);
            self.opened.number(stand_in, Position::NOWHERE, frame);
            self.backlog.push(Waiting::Delivery(id));
        }
    }

    /// The session is over: what nobody waits for is dropped, the rest told by others.
    pub(super) fn drop_shelf(&mut self) {
        let mut shelf: Shelf = std::mem::take(&mut self.shelf);
        while let Some(shelved) = shelf.take_first() {
            self.dropped.disconnected += u64::from(!self.has_waiter(&shelved));
        }
    }

    fn has_waiter(&self, shelved: &Shelved) -> bool {
        shelved
            .awaited
            .is_some_and(|stand_in| self.opened.is_shelved(stand_in))
    }

    /// Whether there is credit for this one and, where it is to be acknowledged, a number.
    fn has_room_for(&self, shelved: &Shelved) -> bool {
        let has_number = || {
            self.opened.has_room_for_delivery() && !(self.is_resumable && self.is_keeping_enough())
        };
        self.send_window.is_open() && (!self.has_waiter(shelved) || has_number())
    }

    /// Gives a message its id, and sends it: for acknowledgment only where somebody waits for that still.
    fn send_shelved(&mut self, shelved: Shelved) {
        let awaited = shelved.awaited.filter(|_| self.has_waiter(&shelved));
        self.send_window.spend(shelved.payload_len());
        let Some(stand_in) = awaited else {
            let id = self.opened.next_id();
            let frame = shelved.numbered(id, Flags::NONE);
            self.outgoing.push(priority_of(&frame), |buffer| {
                buffer.extend_from_slice(&frame)
            });
            return;
        };
        let id = self.opened.next_delivery_id();
        let frame = shelved.numbered(id, Flags::ACK_REQUIRED);
        let position = self.outgoing.push(priority_of(&frame), |buffer| {
            buffer.extend_from_slice(&frame)
        });
        let kept = if self.is_resumable { frame } else { Vec::new() };
        self.opened.number(stand_in, position, kept);
    }

    /// A message makes room: whoever waits for its acknowledgment is to be told, by its kind.
    fn make_room(&mut self, dropped: &Shelved) {
        self.dropped.by_kind(dropped.kind);
        let Some(stand_in) = dropped.awaited else {
            return;
        };
        let outcome = match dropped.kind {
            // The newer one has taken over.
            MsgKind::State => Outcome::NOTHING,
            _ => Outcome::Dropped,
        };
        self.told.push((stand_in, outcome));
    }
}
