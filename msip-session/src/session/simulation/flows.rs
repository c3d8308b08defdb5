//! The rules of streams: each direction of a call is a flow of items.

use std::collections::HashMap;

use super::STREAM_WINDOW;
use crate::{session::window::STREAM_GROWTH, wire::Side};

/// The longest item: one may exceed the credit.
pub(super) const MAX_ITEM: u64 = 300;

/// A flow: whose call it belongs to, the number of that, and whether it is the answers or the requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct FlowId {
    pub(super) caller: Side,
    pub(super) number: u64,
    pub(super) is_answers: bool,
}

/// The state of a flow.
#[derive(Debug, Default)]
struct Flow {
    sent: u64,
    sent_bytes: u64,
    is_ended: bool,
    received: u64,
    is_end_received: bool,
    taken: u64,
    taken_bytes: u64,
}

/// All flows of the simulation.
#[derive(Debug, Default)]
pub(super) struct Flows(HashMap<FlowId, Flow>);

impl Flows {
    /// An item is sent, and returns its place. Never more is under way than what was taken gave credit for.
    pub(super) fn sent(&mut self, id: FlowId, len: u64) -> Result<(), String> {
        let flow = self.0.entry(id).or_default();
        if flow.is_ended {
            return Err(format!("{id:?}: an item after the end was sent"));
        }
        let under_way = flow.sent - flow.taken;
        let bytes = flow.sent_bytes - flow.taken_bytes;
        if under_way >= u64::from(STREAM_WINDOW.items * STREAM_GROWTH)
            || bytes >= STREAM_WINDOW.bytes.into()
        {
            return Err(format!(
                "{id:?}: {under_way} items of {bytes} bytes are under way, and one more is sent"
            ));
        }
        flow.sent += 1;
        flow.sent_bytes += len;
        Ok(())
    }

    /// How many items were sent.
    pub(super) fn sent_count(&self, id: FlowId) -> u64 {
        self.0.get(&id).map_or(0, |flow| flow.sent)
    }

    /// The sender has ended it.
    pub(super) fn ended(&mut self, id: FlowId) -> Result<(), String> {
        let flow = self.0.entry(id).or_default();
        if std::mem::replace(&mut flow.is_ended, true) {
            return Err(format!("{id:?}: ended twice"));
        }
        Ok(())
    }

    /// An item was received: the next one, and before the end.
    pub(super) fn received(&mut self, id: FlowId, place: u64) -> Result<(), String> {
        let flow = self.0.entry(id).or_default();
        if flow.is_end_received {
            return Err(format!("{id:?}: item {place} was received after the end"));
        }
        if place != flow.received || place >= flow.sent {
            return Err(format!(
                "{id:?}: item {place} has come after {} of {}",
                flow.received, flow.sent
            ));
        }
        flow.received += 1;
        Ok(())
    }

    /// The end was received: once, and after all items.
    pub(super) fn end_received(&mut self, id: FlowId) -> Result<(), String> {
        let flow = self.0.entry(id).or_default();
        if std::mem::replace(&mut flow.is_end_received, true) {
            return Err(format!("{id:?}: the end was received twice"));
        }
        if !flow.is_ended || flow.received != flow.sent {
            return Err(format!(
                "{id:?}: the end was received after {} of {} items, ended: {}",
                flow.received, flow.sent, flow.is_ended
            ));
        }
        Ok(())
    }

    /// An item was read.
    pub(super) fn taken(&mut self, id: FlowId, len: u64) {
        let flow = self.0.entry(id).or_default();
        flow.taken += 1;
        flow.taken_bytes += len;
    }
}
