//! Items of one stream that were read together, to be pushed to its receive buffer.

use std::{collections::VecDeque, sync::Arc};

use super::{ConnectionInner, recv_buffer::RecvBuffer};
use msip_session::{Item, ItemTarget};

/// Items of one stream that are pushed to its receive buffer together.
#[derive(Debug, Default)]
pub(crate) struct ReceivedItems {
    inlet: Option<ItemTarget>,
    items: VecDeque<Item>,
}

impl ConnectionInner {
    /// Adds a received item, pushed together with those that follow: by [`hand_over`](Self::hand_over), at the
    /// latest before the lock is released, and before anything else is said of its exchange.
    #[inline]
    pub(crate) fn add_item(&mut self, received: &mut ReceivedItems, inlet: ItemTarget, item: Item) {
        if received.inlet != Some(inlet) {
            self.hand_over(received);
        }
        received.inlet = Some(inlet);
        received.items.push_back(item);
    }

    /// Pushes what was received.
    #[inline]
    pub(crate) fn hand_over(&mut self, received: &mut ReceivedItems) {
        if !received.items.is_empty() {
            self.hand_over_items(received);
        }
    }

    /// Where the items of this stream go.
    pub(super) fn recv_buffer_of(&self, target: ItemTarget) -> Option<&Arc<RecvBuffer>> {
        match target {
            ItemTarget::Answers(token) => self.exchanges.recv_buffer(token),
            ItemTarget::Requests(slot) => self.running_calls.request_stream(slot),
        }
    }

    fn hand_over_items(&mut self, received: &mut ReceivedItems) {
        let Self {
            exchanges,
            running_calls,
            encoding,
            wakes,
            relays,
            ..
        } = self;
        let recv_buffer = match received.inlet.take() {
            Some(ItemTarget::Answers(token)) => {
                exchanges.recv_buffer_for_items(token, encoding, relays)
            }
            Some(ItemTarget::Requests(slot)) => running_calls.request_stream(slot),
            None => None,
        };
        match recv_buffer {
            Some(recv_buffer) => recv_buffer.extend(&mut received.items, wakes),
            None => received.items.clear(),
        }
    }
}
