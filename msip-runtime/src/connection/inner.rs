//! The inner part of a connection, behind its lock: the session, and the tasks that wait for it.

use std::{sync::Arc, task::Waker, time::Duration};

use super::{
    driver_state::DriverState,
    exchange_table::ExchangeTable,
    fault_injection::FaultInjection,
    instruments::{Instruments, OpenCalls, Seen, Waits},
    login_gate::LoginGate,
    running_calls::{RequestsEnd, RunningCalls},
    schema_teller::SchemaTeller,
    signal::Signal,
    stream_senders::StreamSenders,
    wait_queue::WaitQueue,
    wake_list::WakeList,
};
use crate::{CloseReason, Dropped, Metadata, body::Encoding, instruments::Side};
use msip_session::{
    EndedStreams, InboundSlot, Item, Lost, Outcome, Session, StreamSide, TimedOut, Token, Transmit,
    wire,
};

#[derive(Debug, Default)]
pub(crate) struct ConnectionInner {
    pub(super) session: Option<Session>,
    pub(super) encoding: Encoding,
    /// The metadata of a message that comes without any.
    pub(super) sender: Option<Arc<Metadata>>,
    /// Why no session will follow the one that is there, if there is one; `None` where one may. In a box, since it is
    /// there at the end only.
    pub(super) closed: Option<Box<CloseReason>>,
    /// A login goes on: others than its handle take the slow path, and wait.
    pub(super) is_gated: bool,
    /// In a box, since servers have none.
    pub(super) gate: Option<Box<LoginGate>>,
    /// Counts the sessions, so that the answer to a call never goes to another session than the call's.
    pub(super) generation: u64,
    pub(super) exchanges: ExchangeTable,
    /// One-way messages and deliveries that wait for capacity.
    pub(super) message_queue: WaitQueue,
    /// Calls that wait for capacity.
    pub(super) call_queue: WaitQueue,
    pub(super) stream_senders: StreamSenders,
    pub(super) running_calls: RunningCalls,
    pub(super) driver: DriverState,
    /// Raised when the session drains or ends, where anyone has asked for it.
    pub(super) draining: Option<Arc<Signal>>,
    /// Raised when the next session is there, or none will follow, where anyone has asked for it.
    pub(super) next_session: Option<Arc<Signal>>,
    /// Whom to wake when the lock is released.
    pub(super) wakes: WakeList,
    /// What a peer is told that asks for the schema.
    pub(super) schema_teller: SchemaTeller,
    /// When bytes were last written.
    pub(super) last_write: Duration,
    pub(super) instruments: Instruments,
    /// How many frames the sessions before this one ignored.
    pub(super) ignored: u64,
    /// How many messages the sessions before this one dropped.
    pub(super) dropped: Dropped,
}

/// What the driver does next.
#[derive(Debug, Clone, Copy)]
pub(crate) enum DriverStep {
    /// The session is over.
    Finished,
    /// A deadline has passed.
    Expire,
    Write,
    /// Nothing is to be done before.
    Sleep {
        until: Duration,
    },
}

/// The side of the driver.
impl ConnectionInner {
    #[inline]
    pub(crate) fn session(&mut self) -> Option<&mut Session> {
        self.session.as_mut()
    }

    /// The driver runs, and will look at everything before it sleeps. Returns whether a sender woke it.
    pub(crate) fn driver_awakes(&mut self, waker: &Waker) -> bool {
        self.driver.awakes(waker)
    }

    /// What the driver does next, where it can read nothing now; `is_writing` tells whether it has a chunk that it
    /// cannot write yet. Where it sleeps, the next that gives it something to do wakes it: both look under the same lock.
    #[inline]
    pub(crate) fn try_sleep(&mut self, now: Duration, is_writing: bool) -> DriverStep {
        let next_deadline = self.next_deadline();
        let Some(session) = &mut self.session else {
            return DriverStep::Finished;
        };
        if session.is_closing() && !is_writing {
            session.linger(now);
            if session.is_finished() {
                return DriverStep::Finished;
            }
        }
        let until = session.poll_timeout().min(next_deadline);
        if until <= now {
            return DriverStep::Expire;
        }
        let has_transmit = session.has_transmit() && !FaultInjection::SleepWithoutLooking.is_on();
        if has_transmit && !is_writing {
            return DriverStep::Write;
        }
        self.driver.sleeps();
        DriverStep::Sleep { until }
    }

    /// The timer of a suspended session sleeps; what gives it something to do wakes it.
    pub(super) fn timer_sleeps(&mut self) {
        self.driver.sleeps();
    }

    /// Wakes the driver, unless it is awake.
    #[inline]
    pub(super) fn wake_driver(&mut self) {
        self.driver.wake(&mut self.wakes);
    }

    /// The driver has had its turn, or has written all it can: those who let it write first may send.
    #[inline]
    pub(crate) fn driver_has_run(&mut self) {
        self.driver.has_run(&mut self.wakes);
    }

    /// What to write next.
    pub(crate) fn poll_transmit(&mut self) -> Option<Transmit> {
        let transmit = self.session.as_mut()?.poll_transmit();
        self.driver.set_writing(transmit.is_some());
        transmit
    }

    /// All of this has been written.
    #[inline]
    pub(crate) fn transmitted(&mut self, transmit: Transmit, now: Duration) {
        self.last_write = now;
        if let Some(session) = &mut self.session {
            session.transmitted(transmit);
        }
        if self.is_capacity_awaited() {
            self.capacity_freed();
        }
    }

    /// Some bytes of a chunk have been written.
    pub(crate) fn written(&mut self, now: Duration) {
        self.last_write = now;
    }

    /// When a sender of one-way messages that waits has last come closer to its turn.
    pub(super) fn last_progress(&self) -> Duration {
        let Some(session) = &self.session else {
            return Duration::ZERO;
        };
        if session.lacks_credit() {
            // What is written for others brings it no credit.
            session.last_credit()
        } else {
            session.last_credit().max(self.last_write)
        }
    }

    /// Whether the driver should write before more is sent: there is enough for it, or it writes just now, and more
    /// messages would be as many locks that it waits for.
    #[inline]
    pub(super) fn is_write_due(&self) -> bool {
        self.driver.is_writing() || self.session.as_ref().is_some_and(Session::is_write_due)
    }

    /// How many exchanges of this side are open.
    pub(crate) fn open_exchanges(&self) -> usize {
        self.exchanges.len()
    }

    /// When a call that waits for capacity, or for a login, runs out of time; `Duration::MAX` is never.
    pub(crate) fn next_deadline(&self) -> Duration {
        let next = self.call_queue.next_deadline();
        if self.is_gated {
            // Whoever waited for a login that is done has been woken, and waits for capacity if for anything.
            next.min(self.next_login_deadline())
        } else {
            next
        }
    }

    #[cold]
    fn next_login_deadline(&self) -> Duration {
        let gate = self.gate.as_ref();
        gate.map_or(Duration::MAX, |gate| gate.waiters.next_deadline())
    }

    /// Ends the exchanges that have run out of time, and lets the session do what is due; `Err` where the peer is taken
    /// for dead.
    pub(crate) fn expire(&mut self, now: Duration) -> Result<(), TimedOut> {
        self.call_queue.call_late(now, &mut self.wakes);
        if let Some(gate) = &mut self.gate {
            gate.waiters.call_late(now, &mut self.wakes);
        }
        let Some(session) = &mut self.session else {
            return Ok(());
        };
        if now < session.poll_timeout() {
            return Ok(());
        }
        let ended = session.end_streams(now);
        let mut expired = Vec::new();
        let in_time = session.handle_timeout(now, &mut expired);
        while let Some(target) = self.session.as_mut().and_then(Session::poll_unreported) {
            if let Some(recv_buffer) = self.recv_buffer_of(target) {
                recv_buffer.want_credit();
            }
        }
        if !expired.is_empty() {
            if FaultInjection::ExpireSilently.is_on() {
                expired.clear();
            }
            for token in expired {
                self.complete(token, Outcome::Expired);
            }
            self.capacity_freed();
        }
        if let Some(EndedStreams {
            outcomes,
            cancelled,
            ..
        }) = ended
        {
            for (token, outcome) in outcomes {
                self.complete(token, outcome);
            }
            self.cancel_all(cancelled);
        }
        in_time
    }

    /// The session closes or has ended: handlers that wait for it hear of it.
    pub(crate) fn raise_draining(&mut self) {
        if let Some(signal) = self.draining.take()
            && !FaultInjection::DrainSilently.is_on()
        {
            signal.raise_with(&mut self.wakes);
        }
    }

    /// Another session is there, or none will follow.
    pub(super) fn raise_next_session(&mut self) {
        if let Some(signal) = self.next_session.take() {
            signal.raise_with(&mut self.wakes);
        }
    }

    /// Gives back memory that a burst needed, once the connection is idle.
    pub(crate) fn release(&mut self) {
        self.exchanges.release();
        self.message_queue.release();
        self.call_queue.release();
        if let Some(gate) = &mut self.gate {
            gate.waiters.release();
        }
        self.stream_senders.release();
        self.running_calls.release();
        self.driver.release();
        self.wakes.release();
        if let Some(session) = &mut self.session {
            session.release_memory();
        }
    }
}

/// The side of what has been received.
impl ConnectionInner {
    /// An exchange of this side has ended.
    #[inline]
    pub(crate) fn complete(&mut self, token: Token, outcome: Outcome) {
        let Self {
            exchanges,
            encoding,
            wakes,
            ..
        } = self;
        if let Some(end) = exchanges.complete(token, outcome, encoding, wakes) {
            self.wake_stream_sender(end);
        }
    }

    /// An item of a response stream has come.
    pub(crate) fn push_item(&mut self, token: Token, item: Item) {
        if let Some(recv_buffer) = self.exchanges.recv_buffer(token) {
            recv_buffer.push(item, &mut self.wakes);
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
    fn lose_all(&mut self, slots: Vec<InboundSlot>) {
        for slot in slots {
            self.stop(slot, RequestsEnd::ConnectionLost);
        }
    }

    fn stop(&mut self, slot: InboundSlot, end: RequestsEnd) {
        self.running_calls
            .end_request_stream(slot, end, &mut self.wakes);
        self.running_calls.cancel(slot, &mut self.wakes);
        self.wake_stream_sender(StreamSide::Callee(slot));
    }

    /// A call that is served here has been answered.
    #[inline]
    pub(super) fn end_call(&mut self, slot: InboundSlot) {
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
        while let Some((token, outcome)) = self.session.as_mut().and_then(Session::poll_dropped) {
            self.complete(token, outcome);
            has_dropped = true;
        }
        has_dropped
    }
}

/// What is measured.
impl ConnectionInner {
    /// The session has a connection.
    pub(super) fn connected(&mut self) {
        if let Some(session) = &self.session {
            self.instruments.connected(match session.side() {
                wire::Side::Connecting => Side::Client,
                wire::Side::Accepting => Side::Server,
            });
        }
    }

    /// Passes on what has changed to the instruments. Returns when to look again, where it is too early.
    #[inline]
    pub(crate) fn observe(&mut self, now: Duration) -> Option<Duration> {
        let mut instruments = std::mem::take(&mut self.instruments);
        let next = instruments.observe(now, || self.seen());
        self.instruments = instruments;
        next
    }

    pub(super) fn seen(&self) -> Seen {
        let mut seen = Seen {
            dropped: self.dropped,
            waits: Waits {
                messages: self.message_queue.joined(),
                calls: self.call_queue.joined(),
                streams: self.stream_senders.waits(),
            },
            ..Seen::default()
        };
        if let Some(session) = &self.session {
            seen.dropped += session.dropped();
            seen.queued = session.queued();
            seen.calls = OpenCalls {
                incoming: session.incoming_calls(),
                outgoing: session.outgoing_calls(),
            };
        }
        seen
    }
}

/// The end of a connection, or of its session.
impl ConnectionInner {
    /// Drops the session, and ends all that waits for it.
    pub(crate) fn end_session(&mut self, lost: &[Lost]) {
        if let Some(session) = self.session.take() {
            self.ignored += session.ignored();
            self.dropped += session.dropped();
        }
        self.detach(lost);
        self.running_calls.end_all(&mut self.wakes);
        self.raise_draining();
        let seen = self.seen();
        self.instruments.disconnected(|| seen);
    }

    /// The session goes on without this connection: ends what cannot.
    pub(crate) fn suspend(&mut self, lost: &[Lost], cancelled: Vec<InboundSlot>) {
        self.detach(lost);
        self.lose_all(cancelled);
        for (token, slot) in self.exchanges.failing_fast() {
            if let Some(session) = self.session() {
                session.forget(slot);
            }
            self.complete(token, Outcome::Lost { sent: true });
        }
        let seen = self.seen();
        self.instruments.disconnected(|| seen);
    }

    /// The connection is gone, and with it these exchanges.
    fn detach(&mut self, lost: &[Lost]) {
        self.lose(lost);
        self.driver.detach(&mut self.wakes);
        self.open_gate();
        self.stream_senders.wake_all(&mut self.wakes);
        self.wake_all_waiting();
    }

    /// These exchanges are lost.
    pub(super) fn lose(&mut self, lost: &[Lost]) {
        if FaultInjection::LoseSilently.is_on() {
            return;
        }
        for lost in lost {
            self.complete(lost.token, Outcome::Lost { sent: lost.sent });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

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
