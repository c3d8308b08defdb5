//! Droppable messages: STATE, LOG and METRIC that find no capacity (docs/protocol.md, "Kinds").
//!
//! An EVENT or COMMAND that finds no capacity waits outside of the session. The others are taken into the
//! [`DroppableQueue`], and are sent as soon as there is capacity; what does not fit there is dropped, by its kind.

use std::time::Duration;

use super::{
    Blocked, Lost, Outcome, Phase, RequestHead, Session, Slot, StateKey, Token,
    droppable_queue::{Droppable, DroppableQueue},
    fault_injection::FaultInjection,
    frame_writer::priority_of,
    outbound::Opening,
    outgoing::Position,
    resend_queue::Waiting,
    send::Request,
};
use crate::{
    Dropped, MsgKind,
    wire::{Flags, MsgId},
};

/// The limit of the droppable queue: the outgoing queue's limit divided by this.
pub(super) const QUEUE_SHARE: usize = 8;

impl Session {
    /// Takes a STATE, LOG or METRIC that has found no capacity. `key` is that of a STATE; `waiter` is the driver's name for
    /// the exchange and its deadline, where an acknowledgment is awaited. Returns the waiter's slot.
    ///
    /// # Errors
    ///
    /// [`Blocked`] says why it was not taken.
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
        if waiter.is_some() && !self.outbound.has_slot() {
            return Err(Blocked::NoCapacity);
        }
        let request = Request::new(head, self.side, MsgId::CONNECTION, Flags::NONE);
        let mut droppable = Droppable {
            frame: request.into_frame(encode),
            kind: head.kind,
            placeholder: None,
            key,
        };
        if waiter.is_none() && self.takes_datagram(head.kind) {
            match self.instead_by_datagram(droppable) {
                Some(too_long) => droppable = too_long,
                None => return Ok(None),
            }
        }
        let limit = self.max_queued / QUEUE_SHARE;
        let has_older = droppable
            .key
            .as_ref()
            .map(|key| self.droppable_queue.contains(key));
        let states = self.droppable_queue.states_cost();
        if has_older == Some(false) && states > 0 && states + droppable.cost() > limit {
            return Err(Blocked::NoCapacity);
        }
        let slot = waiter.map(|(token, deadline)| {
            let vacant = self.outbound.vacant_droppable();
            droppable.placeholder = Some(vacant.id());
            let opening = Opening {
                variant: head.variant,
                token,
                is_urgent: head.urgent,
                caller: 0,
                deadline,
                position: Position::NONE,
                kept: Vec::new(),
            };
            vacant.insert(opening, None)
        });
        if FaultInjection::LoseNewestState.is_on() && has_older == Some(true) {
            self.note_dropped(&droppable);
            return Ok(slot);
        }
        if let Some(older) = self.droppable_queue.put(droppable) {
            self.note_dropped(&older);
        }
        while self.droppable_queue.cost() > limit && self.droppable_queue.len() > 1 {
            let dropped = if FaultInjection::DropNewest.is_on() {
                self.droppable_queue.drop_newest()
            } else {
                self.droppable_queue.drop_oldest()
            };
            match dropped {
                Some(dropped) => self.note_dropped(&dropped),
                None => break,
            }
        }
        Ok(slot)
    }

    /// Sends what is in the droppable queue, as far as there is capacity. `others` is how many other messages wait for
    /// capacity in the driver: LOG and METRIC leave it to them.
    pub fn send_droppable(&mut self, others: usize) {
        if self.phase != Phase::Open {
            return;
        }
        while let Some(first) = self.droppable_queue.first() {
            let before = if others == 0 {
                0
            } else {
                others + self.droppable_queue.state_count()
            };
            let yields = first.key.is_none() && !self.send_window.leaves(before);
            let has_capacity = self.resend_queue.is_empty() && self.has_capacity_for(first);
            if yields || !has_capacity || self.is_queue_full() {
                return;
            }
            if let Some(droppable) = self.droppable_queue.take_first() {
                self.send_one_droppable(droppable);
            }
        }
        if self.resend_queue.is_empty() {
            self.send_close();
        }
    }

    /// Empties the queue for a message of another kind, for which there is capacity, but which must not overtake: sends
    /// what can be sent, and drops the rest. `false` where the message has to wait.
    #[cold]
    pub(super) fn empty_droppable_queue(&mut self) -> bool {
        self.send_droppable(1);
        if self
            .droppable_queue
            .first()
            .is_some_and(|first| !self.has_capacity_for(first))
        {
            return false;
        }
        while let Some(dropped) = self.droppable_queue.drop_oldest() {
            self.note_dropped(&dropped);
        }
        self.send_droppable(0);
        self.droppable_queue.is_empty() && !self.is_queue_full() && self.send_window.is_open()
    }

    /// The next exchange that has ended because its message was dropped.
    pub fn poll_dropped(&mut self) -> Option<(Token, Outcome)> {
        while let Some((placeholder, outcome)) = self.dropped_waiters.pop() {
            // It may have been given up meanwhile.
            if let Some(token) = self.outbound.close_droppable(placeholder) {
                return Some((token, outcome));
            }
        }
        None
    }

    /// Whether [`poll_dropped`](Self::poll_dropped) may have something.
    #[inline]
    pub fn has_dropped(&self) -> bool {
        !self.dropped_waiters.is_empty()
    }

    /// How many messages were taken and then dropped.
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }

    /// The connection is lost: awaited messages continue with the next one, the rest is dropped. They get their numbers
    /// now, so that no later message comes before them; those for which no number is left are added to `lost`.
    pub(super) fn number_droppable(&mut self, lost: &mut Vec<Lost>) {
        let mut droppable_queue = std::mem::take(&mut self.droppable_queue);
        while let Some(droppable) = droppable_queue.take_first() {
            let placeholder = droppable.placeholder;
            let Some(placeholder) = placeholder.filter(|_| self.is_awaited_droppable(&droppable))
            else {
                self.dropped.disconnected += 1;
                continue;
            };
            if !self.outbound.can_deliver() {
                lost.extend(self.outbound.give_up(placeholder, &mut self.streams));
                continue;
            }
            let id = self.outbound.number_droppable(placeholder, |id| {
                (Position::NONE, droppable.numbered(id, Flags::ACK_REQUIRED))
            });
            if let Some(id) = id {
                self.resend_queue.push(Waiting::Delivery(id));
            }
        }
    }

    /// The session is over: counts messages without a waiter as dropped; all else is lost with its exchange.
    pub(super) fn clear_droppable(&mut self) {
        let mut droppable_queue: DroppableQueue = std::mem::take(&mut self.droppable_queue);
        while let Some(droppable) = droppable_queue.take_first() {
            self.dropped.disconnected += u64::from(!self.is_awaited_droppable(&droppable));
        }
    }

    fn is_awaited_droppable(&self, droppable: &Droppable) -> bool {
        droppable
            .placeholder
            .is_some_and(|placeholder| self.outbound.is_droppable(placeholder))
    }

    /// Whether there is credit for this message and, where it is awaited, a number.
    fn has_capacity_for(&self, droppable: &Droppable) -> bool {
        let has_number =
            || self.outbound.can_deliver() && !(self.is_kept && self.is_session_buffer_full());
        self.send_window.is_open() && (!self.is_awaited_droppable(droppable) || has_number())
    }

    /// Sends a message, to be acknowledged only where that is still awaited.
    fn send_one_droppable(&mut self, droppable: Droppable) {
        self.send_window.spend(droppable.payload_len());
        let placeholder = droppable.placeholder;
        let Some(placeholder) = placeholder.filter(|_| self.is_awaited_droppable(&droppable))
        else {
            let id = self.outbound.next_id();
            let frame = droppable.numbered(id, Flags::NONE);
            self.outgoing.push(priority_of(&frame), |buffer| {
                buffer.extend_from_slice(&frame);
            });
            return;
        };
        let (outgoing, is_kept) = (&mut self.outgoing, self.is_kept);
        self.outbound.number_droppable(placeholder, |id| {
            let frame = droppable.numbered(id, Flags::ACK_REQUIRED);
            let position = outgoing.push(priority_of(&frame), |buffer| {
                buffer.extend_from_slice(&frame);
            });
            (position, if is_kept { frame } else { Vec::new() })
        });
    }

    /// Counts a dropped message, and notes the outcome for its waiter.
    fn note_dropped(&mut self, dropped: &Droppable) {
        self.dropped.by_kind(dropped.kind);
        let Some(placeholder) = dropped.placeholder else {
            return;
        };
        let outcome = match dropped.kind {
            // The newer one is sent in its place.
            MsgKind::State => Outcome::NOTHING,
            _ => Outcome::Dropped,
        };
        self.dropped_waiters.push((placeholder, outcome));
    }
}
