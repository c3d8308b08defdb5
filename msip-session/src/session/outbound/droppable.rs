//! Deliveries that wait in the droppable queue: they have a slot, and an id once they are sent.

use super::{Class, OutboundExchanges, entry::cost};
use crate::{
    session::{
        outgoing::Position,
        slot::{Slot, Token},
    },
    wire::MsgId,
};

impl OutboundExchanges {
    /// Whether the droppable delivery with this placeholder is awaited.
    pub(in crate::session) fn is_droppable(&self, placeholder: MsgId) -> bool {
        self.droppable(placeholder).is_some()
    }

    fn droppable(&self, placeholder: MsgId) -> Option<Slot> {
        let slot = self.find(placeholder)?;
        let entry = self.entries.get(slot.index())?;
        (entry.class == Class::Droppable).then_some(slot)
    }

    /// The droppable delivery with this placeholder is sent: it becomes a delivery with the next id, whose frame `frame`
    /// makes. `None` where it is not awaited.
    pub(in crate::session) fn number_droppable(
        &mut self,
        placeholder: MsgId,
        frame: impl FnOnce(MsgId) -> (Position, Vec<u8>),
    ) -> Option<MsgId> {
        let slot = self.droppable(placeholder)?;
        let entry = self.entries.get_mut(slot.index())?;
        let books = &mut self.books;
        let id = MsgId::delivery(books.side, books.deliveries.next());
        let (position, kept) = frame(id);
        books.kept_cost += cost(&kept);
        entry.id = id;
        entry.class = Class::Delivery;
        entry.position = position;
        entry.kept = kept;
        books.deliveries.push(slot);
        Some(id)
    }

    /// The droppable delivery with this placeholder was dropped; it is closed.
    pub(in crate::session) fn close_droppable(&mut self, placeholder: MsgId) -> Option<Token> {
        let slot = self.droppable(placeholder)?;
        self.take(slot).map(|entry| entry.token)
    }
}
