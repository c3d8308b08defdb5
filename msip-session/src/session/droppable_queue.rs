//! What waits by its kind: STATE, LOG and METRIC that find no room (docs/protocol.md, "Kinds").
//!
//! They are taken all the same, and stand on a droppable_queue in front of the lanes, which takes so many bytes and no more. What
//! is there has no message id yet, so that dropping it leaves no gap in the ids of deliveries.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::{
    MsgKind,
    wire::{Flags, Header, MsgId},
};

use super::resend_queue::{FRAME_COST, header_of, payload_len};

/// What tells one STATE from another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StateKey {
    pub variant: u16,
    pub key: Vec<u8>,
}

/// A message on the droppable_queue.
#[derive(Debug)]
pub(super) struct Droppable {
    /// The frame, but for its id.
    pub(super) frame: Vec<u8>,
    pub(super) kind: MsgKind,
    /// What the exchange is known by until it has an id, where somebody waits for an acknowledgment.
    pub(super) awaited: Option<MsgId>,
    /// The key of a STATE.
    pub(super) key: Option<StateKey>,
}

impl Droppable {
    pub(super) fn cost(&self) -> usize {
        self.frame.len() + FRAME_COST
    }

    /// What it takes of the window.
    pub(super) fn payload_len(&self) -> usize {
        payload_len(&self.frame)
    }

    /// The frame with its id, and to be acknowledged or not.
    pub(super) fn numbered(self, id: MsgId, flags: Flags) -> Vec<u8> {
        let mut frame = self.frame;
        if let Some(header) = header_of(&frame) {
            let header = Header {
                msg_id: id,
                flags: header.flags.union(flags),
                ..header
            };
            let header = header.encode();
            if let Some(place) = frame.get_mut(..header.len()) {
                place.copy_from_slice(&header);
            }
        }
        frame
    }
}

/// Messages in the order in which they go out.
#[derive(Debug, Default)]
pub(super) struct DroppableQueue {
    waiting: BTreeMap<u64, Droppable>,
    /// The places of LOG and METRIC, oldest first.
    droppable: VecDeque<u64>,
    /// The places of STATE, which the newest of a key takes over.
    states: HashMap<StateKey, u64>,
    next: u64,
    cost: usize,
    states_cost: usize,
}

impl DroppableQueue {
    /// Gives back memory that a burst needed.
    pub(super) fn release(&mut self) {
        if self.waiting.is_empty() {
            // An empty map keeps a node.
            self.waiting = BTreeMap::new();
        }
        self.droppable.shrink_to_fit();
        self.states.shrink_to_fit();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// What stands there, in bytes, each frame counted as its length + 64.
    pub(super) fn cost(&self) -> usize {
        self.cost
    }

    /// What of it is STATE.
    pub(super) fn states_cost(&self) -> usize {
        self.states_cost
    }

    /// How many of them are STATE.
    pub(super) fn state_count(&self) -> usize {
        self.states.len()
    }

    /// Whether a STATE of this key is there.
    pub(super) fn has(&self, key: &StateKey) -> bool {
        self.states.contains_key(key)
    }

    /// Puts a message at the end, or in the place of an older STATE of its key, which is returned.
    pub(super) fn put(&mut self, droppable: Droppable) -> Option<Droppable> {
        self.cost += droppable.cost();
        if let Some(key) = &droppable.key {
            self.states_cost += droppable.cost();
            if let Some(older) = self
                .states
                .get(key)
                .and_then(|place| self.waiting.get_mut(place))
            {
                let older = std::mem::replace(older, droppable);
                self.uncount(&older);
                return Some(older);
            }
        }
        let place = self.next;
        self.next += 1;
        match &droppable.key {
            Some(key) => {
                self.states.insert(key.clone(), place);
            }
            None => self.droppable.push_back(place),
        }
        self.waiting.insert(place, droppable);
        None
    }

    /// What goes out next.
    pub(super) fn first(&self) -> Option<&Droppable> {
        self.waiting
            .first_key_value()
            .map(|(_, droppable)| droppable)
    }

    pub(super) fn take_first(&mut self) -> Option<Droppable> {
        let (_, droppable) = self.waiting.pop_first()?;
        match &droppable.key {
            Some(key) => {
                self.states.remove(key);
            }
            // The first of all is the oldest of its kind too.
            None => {
                self.droppable.pop_front();
            }
        }
        self.uncount(&droppable);
        Some(droppable)
    }

    /// Takes out the oldest LOG or METRIC.
    pub(super) fn drop_oldest(&mut self) -> Option<Droppable> {
        let place = self.droppable.pop_front()?;
        let droppable = self.waiting.remove(&place)?;
        self.uncount(&droppable);
        Some(droppable)
    }

    /// Takes out the newest LOG or METRIC, which is a fault.
    pub(super) fn drop_newest(&mut self) -> Option<Droppable> {
        let place = self.droppable.pop_back()?;
        let droppable = self.waiting.remove(&place)?;
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
