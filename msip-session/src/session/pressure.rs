//! What a message's kind means when there is no room (docs/protocol.md, "Kinds").
//!
//! EVENT and COMMAND wait outside of the session. STATE, LOG and METRIC are taken onto the [`DroppableQueue`](super::droppable_queue::DroppableQueue)
//! and go out as soon as there is room; what does not fit there makes room by its kind.

use std::time::Duration;

use super::{
    Blocked, Lost, Outcome, Phase, RequestHead, Session, Slot, Token,
    droppable_queue::{Droppable, DroppableQueue, StateKey},
    fault_injection::FaultInjection,
    outbound::Opening,
    outgoing::Position,
    resend_queue::{Waiting, priority_of},
};
use crate::{
    Dropped, MsgKind,
    wire::{Flags, MsgId},
};

/// The part of the outgoing queue's limit that the droppable_queue may take beside it.
const SHELF_PART: usize = 8;

/// Whether messages of this kind are taken without room.
pub const fn is_droppable(kind: MsgKind) -> bool {
    matches!(kind, MsgKind::State | MsgKind::Log | MsgKind::Metric)
}

impl Session {
    /// Takes a message for which there is no room, by its kind; `key` is that of a STATE, `waiter` who waits for an
    /// acknowledgment, and until when. Returns the waiter's place.
    pub fn enqueue_droppable(
        &mut self,
        head: &RequestHead<'_>,
        key: Option<StateKey>,
        waiter: Option<(Token, Duration)>,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Option<Slot>, Blocked> {
        self.check_open()?;
        if self.is_suspended() {
            return Err(Blocked::Disconnected);
        }
        if waiter.is_some() && !self.outbound.has_room_for_ping() {
            return Err(Blocked::NoRoom);
        }
        let frame = self.frame_of(head, MsgId::CONNECTION, Flags::NONE, encode);
        let mut droppable = Droppable {
            frame,
            kind: head.kind,
            awaited: None,
            key,
        };
        let limit = self.config.outgoing_queue / SHELF_PART;
        if let Some(key) = &droppable.key {
            let states = self.droppable_queue.states_cost();
            if states > 0 && !self.droppable_queue.has(key) && states + droppable.cost() > limit {
                return Err(Blocked::NoRoom);
            }
        }
        let slot = waiter.map(|(token, deadline)| {
            let id = self.outbound.next_call_id();
            droppable.awaited = Some(id);
            self.outbound.insert_droppable(Opening {
                id,
                variant: head.variant,
                token,
                urgent: head.urgent,
                deadline,
                position: Position::NOWHERE,
                kept: Vec::new(),
            })
        });
        if FaultInjection::LoseNewestState.is_on()
            && droppable
                .key
                .as_ref()
                .is_some_and(|key| self.droppable_queue.has(key))
        {
            self.make_room(&droppable);
            return Ok(slot);
        }
        if let Some(older) = self.droppable_queue.put(droppable) {
            self.make_room(&older);
        }
        while self.droppable_queue.cost() > limit && self.droppable_queue.len() > 1 {
            let dropped = if FaultInjection::DropNewest.is_on() {
                self.droppable_queue.drop_newest()
            } else {
                self.droppable_queue.drop_oldest()
            };
            match dropped {
                Some(dropped) => self.make_room(&dropped),
                None => break,
            }
        }
        Ok(slot)
    }

    /// Whether something waits that can go out once there is room.
    pub fn is_waiting(&self) -> bool {
        !self.droppable_queue.is_empty() || !self.resend_queue.is_empty()
    }

    /// Sends what is on the droppable_queue, as far as there is room. While so many others wait for room, LOG and METRIC leave it
    /// to them.
    pub fn send_droppable(&mut self, others: usize) {
        if self.phase != Phase::Open {
            return;
        }
        while let Some(first) = self.droppable_queue.first() {
            let firm = if others == 0 {
                0
            } else {
                others + self.droppable_queue.state_count()
            };
            let may_wait = first.key.is_none() && !self.send_window.leaves(firm);
            let has_room = self.resend_queue.is_empty() && self.has_room_for(first);
            if may_wait || !has_room || self.is_queue_full() {
                return;
            }
            if let Some(droppable) = self.droppable_queue.take_first() {
                self.send_one_droppable(droppable);
            }
        }
        if self.resend_queue.is_empty() {
            self.say_goodbye();
        }
    }

    /// Makes way for a message of another kind, for which there is room but for what waits here: it must not overtake.
    #[cold]
    pub(super) fn make_way(&mut self) -> bool {
        self.send_droppable(1);
        if self
            .droppable_queue
            .first()
            .is_some_and(|first| !self.has_room_for(first))
        {
            return false;
        }
        while let Some(dropped) = self.droppable_queue.drop_oldest() {
            self.make_room(&dropped);
        }
        self.send_droppable(0);
        self.droppable_queue.is_empty() && !self.is_queue_full() && self.send_window.is_open()
    }

    /// The next one who waited for the acknowledgment of a message that made room, and what to tell them.
    pub fn poll_dropped(&mut self) -> Option<(Token, Outcome)> {
        while let Some((stand_in, outcome)) = self.told.pop() {
            // They may have given up meanwhile.
            if let Some(token) = self.outbound.send_droppable(stand_in) {
                return Some((token, outcome));
            }
        }
        None
    }

    /// Whether somebody is to be told of a message that made room.
    pub fn has_dropped(&self) -> bool {
        !self.told.is_empty()
    }

    /// How many messages were taken and then dropped.
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }

    /// The connection is lost: what is awaited goes on with the next one, the rest is dropped. It is numbered now, so
    /// that nothing later comes before it; for what there is no number left is told in `lost`.
    pub(super) fn number_shelf(&mut self, lost: &mut Vec<Lost>) {
        let mut droppable_queue = std::mem::take(&mut self.droppable_queue);
        while let Some(droppable) = droppable_queue.take_first() {
            let Some(stand_in) = droppable.awaited.filter(|_| self.has_waiter(&droppable)) else {
                self.dropped.disconnected += 1;
                continue;
            };
            if !self.outbound.has_room_for_delivery() {
                lost.extend(self.outbound.give_up(stand_in));
                continue;
            }
            let id = self.outbound.next_delivery_id();
            let frame = droppable.numbered(id, Flags::ACK_REQUIRED);
            self.outbound.number(stand_in, Position::NOWHERE, frame);
            self.resend_queue.push(Waiting::Delivery(id));
        }
    }

    /// The session is over: what nobody waits for is dropped, the rest told by others.
    pub(super) fn clear_droppable(&mut self) {
        let mut droppable_queue: DroppableQueue = std::mem::take(&mut self.droppable_queue);
        while let Some(droppable) = droppable_queue.take_first() {
            self.dropped.disconnected += u64::from(!self.has_waiter(&droppable));
        }
    }

    fn has_waiter(&self, droppable: &Droppable) -> bool {
        droppable
            .awaited
            .is_some_and(|stand_in| self.outbound.is_droppable(stand_in))
    }

    /// Whether there is credit for this one and, where it is to be acknowledged, a number.
    fn has_room_for(&self, droppable: &Droppable) -> bool {
        let has_number = || {
            self.outbound.has_room_for_delivery()
                && !(self.is_resumable && self.is_keeping_enough())
        };
        self.send_window.is_open() && (!self.has_waiter(droppable) || has_number())
    }

    /// Gives a message its id, and sends it: for acknowledgment only where somebody waits for that still.
    fn send_one_droppable(&mut self, droppable: Droppable) {
        let awaited = droppable.awaited.filter(|_| self.has_waiter(&droppable));
        self.send_window.spend(droppable.payload_len());
        let Some(stand_in) = awaited else {
            let id = self.outbound.next_id();
            let frame = droppable.numbered(id, Flags::NONE);
            self.outgoing.push(priority_of(&frame), |buffer| {
                buffer.extend_from_slice(&frame)
            });
            return;
        };
        let id = self.outbound.next_delivery_id();
        let frame = droppable.numbered(id, Flags::ACK_REQUIRED);
        let position = self.outgoing.push(priority_of(&frame), |buffer| {
            buffer.extend_from_slice(&frame)
        });
        let kept = if self.is_resumable { frame } else { Vec::new() };
        self.outbound.number(stand_in, position, kept);
    }

    /// A message makes room: whoever waits for its acknowledgment is to be told, by its kind.
    fn make_room(&mut self, dropped: &Droppable) {
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
