//! The droppable queue: STATE, LOG and METRIC messages that wait for capacity (docs/protocol.md, "Kinds").
//!
//! It is in front of the outgoing queue's lanes, and bounded in bytes. Its messages have no ids yet, so that dropping one
//! leaves no gap in the ids of deliveries.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::{
    MsgKind,
    wire::{Flags, Header, MsgId},
};

use super::frame_writer::{FRAME_COST, header_of, payload_len};

/// Whether messages of this kind may be dropped where there is no capacity for them.
#[must_use]
pub const fn is_droppable(kind: MsgKind) -> bool {
    matches!(kind, MsgKind::State | MsgKind::Log | MsgKind::Metric)
}

/// The identity of a STATE: a newer one replaces an older one of the same key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StateKey {
    /// The member of the envelope.
    pub variant: u16,
    /// The message's key; empty where it has none.
    pub key: Vec<u8>,
}

/// A message in the queue.
#[derive(Debug)]
pub(super) struct Droppable {
    /// The frame, but for its id.
    pub(super) frame: Vec<u8>,
    pub(super) kind: MsgKind,
    /// The id of its exchange until it has one of its own, where an acknowledgment is awaited.
    pub(super) placeholder: Option<MsgId>,
    /// The key of a STATE.
    pub(super) key: Option<StateKey>,
}

impl Droppable {
    pub(super) fn cost(&self) -> usize {
        self.frame.len() + FRAME_COST
    }

    /// How many bytes of the window it takes.
    pub(super) fn payload_len(&self) -> usize {
        payload_len(&self.frame)
    }

    /// The frame with its id, and with more flags.
    pub(super) fn numbered(self, id: MsgId, flags: Flags) -> Vec<u8> {
        let mut frame = self.frame;
        if let Some(header) = header_of(&frame) {
            let header = Header {
                msg_id: id,
                flags: header.flags.union(flags),
                ..header
            };
            let header = header.encode();
            if let Some(bytes) = frame.get_mut(..header.len()) {
                bytes.copy_from_slice(&header);
            }
        }
        frame
    }
}

/// Messages in the order in which they are sent. Nearly always there are none, and then it takes no memory.
#[derive(Debug, Default)]
pub(super) struct DroppableQueue(Option<Box<Messages>>);

#[derive(Debug, Default)]
struct Messages {
    waiting: BTreeMap<u64, Droppable>,
    /// The positions of LOG and METRIC, oldest first.
    logs: VecDeque<u64>,
    /// The positions of STATE; the newest of a key takes over that of the one before.
    states: HashMap<StateKey, u64>,
    next: u64,
    cost: usize,
    states_cost: usize,
}

impl DroppableQueue {
    /// Frees memory that a burst needed.
    pub(super) fn release(&mut self) {
        self.0.take_if(|messages| messages.waiting.is_empty());
        if let Some(messages) = &mut self.0 {
            messages.logs.shrink_to_fit();
            messages.states.shrink_to_fit();
        }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |messages| messages.waiting.len())
    }

    /// What waits, in bytes, each frame counted as its length + 64.
    #[inline]
    pub(super) fn cost(&self) -> usize {
        self.0.as_ref().map_or(0, |messages| messages.cost)
    }

    /// What of it is STATE.
    pub(super) fn states_cost(&self) -> usize {
        self.0.as_ref().map_or(0, |messages| messages.states_cost)
    }

    /// How many of them are STATE.
    pub(super) fn state_count(&self) -> usize {
        self.0.as_ref().map_or(0, |messages| messages.states.len())
    }

    /// Whether a STATE of this key waits.
    pub(super) fn contains(&self, key: &StateKey) -> bool {
        let messages = self.0.as_ref();
        messages.is_some_and(|messages| messages.states.contains_key(key))
    }

    /// Appends a message, or replaces an older STATE of its key, which is returned.
    pub(super) fn put(&mut self, droppable: Droppable) -> Option<Droppable> {
        self.0.get_or_insert_default().put(droppable)
    }

    /// The next one to be sent.
    pub(super) fn first(&self) -> Option<&Droppable> {
        let (_, first) = self.0.as_ref()?.waiting.first_key_value()?;
        Some(first)
    }

    pub(super) fn take_first(&mut self) -> Option<Droppable> {
        self.0.as_mut()?.take_first()
    }

    /// Takes out the oldest LOG or METRIC.
    pub(super) fn drop_oldest(&mut self) -> Option<Droppable> {
        let messages = self.0.as_mut()?;
        let position = messages.logs.pop_front()?;
        messages.remove(position)
    }

    /// Takes out the newest LOG or METRIC, for a deliberate fault.
    pub(super) fn drop_newest(&mut self) -> Option<Droppable> {
        let messages = self.0.as_mut()?;
        let position = messages.logs.pop_back()?;
        messages.remove(position)
    }
}

impl Messages {
    fn put(&mut self, droppable: Droppable) -> Option<Droppable> {
        self.cost += droppable.cost();
        if let Some(key) = &droppable.key {
            self.states_cost += droppable.cost();
            if let Some(older) = self
                .states
                .get(key)
                .and_then(|position| self.waiting.get_mut(position))
            {
                let older = std::mem::replace(older, droppable);
                self.uncount(&older);
                return Some(older);
            }
        }
        let position = self.next;
        self.next += 1;
        match &droppable.key {
            Some(key) => {
                self.states.insert(key.clone(), position);
            }
            None => self.logs.push_back(position),
        }
        self.waiting.insert(position, droppable);
        None
    }

    fn take_first(&mut self) -> Option<Droppable> {
        let (_, droppable) = self.waiting.pop_first()?;
        match &droppable.key {
            Some(key) => {
                self.states.remove(key);
            }
            // The first of all is also the oldest LOG or METRIC.
            None => {
                self.logs.pop_front();
            }
        }
        self.uncount(&droppable);
        Some(droppable)
    }

    fn remove(&mut self, position: u64) -> Option<Droppable> {
        let droppable = self.waiting.remove(&position)?;
        self.uncount(&droppable);
        Some(droppable)
    }

    fn uncount(&mut self, droppable: &Droppable) {
        self.cost = self.cost.saturating_sub(droppable.cost());
        if droppable.key.is_some() {
            self.states_cost = self.states_cost.saturating_sub(droppable.cost());
        }
    }
}
