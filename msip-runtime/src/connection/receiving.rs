//! Receiving: what has come is passed to the exchange, the call or the stream that it is for.

use super::{ConnectionInner, relayed_call::Relay, running_calls::RequestsEnd};
use msip_session::{InboundSlot, Item, Outcome, Session, StreamSide, Token};
impl ConnectionInner {
    /// An exchange of this side has ended.
    #[inline]
    pub(crate) fn complete(&mut self, token: Token, outcome: Outcome) {
        let Self {
            exchanges,
            encoding,
            wakes,
            relays,
            subscriptions,
            ..
        } = self;
        if let Some(subscriptions) = subscriptions {
            subscriptions.ended(token, &outcome);
        }
        if let Some(end) = exchanges.complete(token, outcome, encoding, wakes, relays) {
            if let StreamSide::Caller(slot) = end {
                self.stream_ended(slot);
            }
            self.wake_stream_sender(end);
        }
    }

    /// An item of a response stream has come.
    pub(crate) fn push_item(&mut self, token: Token, item: Item) {
        let Self {
            exchanges,
            encoding,
            wakes,
            relays,
            ..
        } = self;
        if let Some(recv_buffer) = exchanges.recv_buffer_for_items(token, encoding, relays) {
            recv_buffer.push(item, wakes);
        }
    }

    /// A call has come whose request is a stream; `first` is an item that came with it.
    pub(crate) fn begin_requests(&mut self, slot: InboundSlot, first: Option<Item>) {
        self.running_calls.begin_request_stream(slot, first);
    }

    /// An item of a request stream has come, or its end.
    pub(crate) fn push_request(&mut self, slot: InboundSlot, item: Option<Item>, is_last: bool) {
        let Some(recv_buffer) = self.running_calls.request_stream(slot) else {
            return;
        };
        if let Some(item) = item {
            recv_buffer.push(item, &mut self.wakes);
        }
        if is_last {
            recv_buffer.complete(Outcome::NOTHING, &mut self.wakes);
        }
    }

    /// The peer has given up a call that is served here: its handler is dropped.
    pub(crate) fn cancel(&mut self, slot: InboundSlot) {
        self.stop(slot, RequestsEnd::GivenUp);
    }

    /// The peer has given up these calls.
    pub(super) fn cancel_all(&mut self, slots: Vec<InboundSlot>) {
        for slot in slots {
            self.cancel(slot);
        }
    }

    /// The connection of these calls is gone.
    pub(super) fn lose_all(&mut self, slots: Vec<InboundSlot>) {
        for slot in slots {
            self.stop(slot, RequestsEnd::ConnectionLost);
        }
    }

    fn stop(&mut self, slot: InboundSlot, end: RequestsEnd) {
        self.running_calls
            .end_request_stream(slot, end, &mut self.wakes);
        let relayed = self.running_calls.cancel(slot, &mut self.wakes);
        self.relays.extend(relayed.map(Relay::Cancelled));
        self.wake_stream_sender(StreamSide::Callee(slot));
    }

    /// A call that is served here has been answered.
    #[inline]
    pub(super) fn end_call(&mut self, slot: InboundSlot) {
        self.running_calls.forget_relayed(slot);
        if self.running_calls.is_empty() && !self.stream_senders.is_awaiting_credit() {
            // As with nearly every call: it was done at once.
            return;
        }
        self.running_calls.end(slot, &mut self.wakes);
        self.wake_stream_sender(StreamSide::Callee(slot));
    }

    /// A stream has been granted credit, or has ended: its sender looks again.
    pub(crate) fn wake_stream_sender(&mut self, end: StreamSide) {
        self.wakes.extend(self.stream_senders.remove(end));
    }

    /// Ends the exchanges whose messages were dropped from the queue for others. Returns whether there were any.
    #[inline]
    pub(crate) fn report_dropped(&mut self) -> bool {
        let mut has_dropped = false;
        while let Some((token, outcome)) = self.session.awake_mut().and_then(Session::poll_dropped)
        {
            self.complete(token, outcome);
            has_dropped = true;
        }
        has_dropped
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, task::Waker};

    use msip_session::Slot;

    use super::*;

    impl ConnectionInner {
        /// How many tasks were to be woken. They are not.
        fn take_wakes(&mut self) -> usize {
            self.wakes.take().len()
        }
    }

    fn callee(index: usize) -> StreamSide {
        StreamSide::Callee(InboundSlot::from_index(index))
    }

    fn caller(index: usize) -> StreamSide {
        StreamSide::Caller(Slot::from_index(index))
    }

    #[test]
    fn credit_wakes_the_sender_of_its_own_stream() {
        let mut state = ConnectionInner::default();
        let (first, second) = (callee(1), caller(1));
        let wait = |state: &mut ConnectionInner, end, has_credit| {
            state.stream_senders.wait(end, has_credit, Waker::noop());
        };
        for end in [first, first, second] {
            wait(&mut state, end, false);
        }
        let credit = |state: &mut ConnectionInner, end| {
            state.wake_stream_sender(end);
            state.take_wakes()
        };
        assert_eq!(credit(&mut state, callee(2)), 0);
        assert_eq!(credit(&mut state, first), 1);
        assert_eq!(credit(&mut state, first), 0, "once");
        assert!(
            !state.is_capacity_awaited(),
            "it is credit that is waited for"
        );
        wait(&mut state, first, true);
        assert_eq!(credit(&mut state, first), 0, "it has some");
        assert!(state.is_capacity_awaited());
        state.stream_senders.capacity_freed(&mut state.wakes);
        assert_eq!(state.take_wakes(), 1);
        state.detach(&[]);
        assert_eq!(state.take_wakes(), 1, "the other one");
    }

    #[test]
    fn a_stream_that_ends_wakes_its_sender() {
        let mut state = ConnectionInner::default();
        let noop = Waker::noop();
        state.stream_senders.wait(callee(1), false, noop);
        state.cancel(InboundSlot::from_index(1));
        assert_eq!(state.take_wakes(), 1);
        state.stream_senders.wait(caller(7), false, noop);
        let entry = state.exchanges.vacant_entry();
        let token = entry.insert_streaming(Slot::from_index(7), Arc::default());
        state.complete(token, Outcome::NOTHING);
        assert_eq!(state.take_wakes(), 1);
        assert!(!state.stream_senders.is_awaiting_credit());
    }
}
