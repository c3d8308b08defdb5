//! The inner part of a connection, behind its lock: the session, and the tasks that wait for it.

use std::{sync::Arc, task::Waker, time::Duration};

use super::{
    driver_state::DriverState,
    exchange_table::ExchangeTable,
    fault_injection::FaultInjection,
    instruments::{Instruments, OpenCalls, Seen, Waits},
    login_gate::LoginGate,
    permits::CallPermits,
    relayed_call::Relay,
    running_calls::RunningCalls,
    schema_teller::SchemaTeller,
    session_slot::SessionSlot,
    signal::Signal,
    stream_senders::StreamSenders,
    subscription_table::Subscriptions,
    wait_queue::WaitQueue,
    wake_list::WakeList,
};
use crate::{CloseReason, Dropped, Metadata, body::Encoding, instruments::Side};
use msip_session::{EndedStreams, InboundSlot, Lost, Outcome, Session, TimedOut, Transmit, wire};

#[derive(Debug, Default)]
pub(crate) struct ConnectionInner {
    pub(super) session: SessionSlot,
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
    pub(super) permits: CallPermits,
    pub(super) driver: DriverState,
    /// Raised when the session drains or ends, where anyone has asked for it.
    pub(super) draining: Option<Arc<Signal>>,
    /// Raised when the next session is there, or none will follow, where anyone has asked for it.
    pub(super) next_session: Option<Arc<Signal>>,
    /// Whom to wake when the lock is released.
    pub(super) wakes: WakeList,
    /// What is done for relayed calls when the lock is released.
    pub(super) relays: Vec<Relay>,
    /// What a client has asked a broker for. In a box, since nearly none does.
    pub(super) subscriptions: Option<Box<Subscriptions>>,
    /// What a peer is told that asks for the schema.
    pub(super) schema_teller: SchemaTeller,
    /// When bytes were last written.
    pub(super) last_write: Duration,
    pub(super) instruments: Instruments,
    /// How many frames the sessions before this one ignored.
    pub(super) ignored: u64,
    /// How many messages the sessions before this one dropped. In a box, which is there once there was one.
    pub(super) dropped: Option<Box<Dropped>>,
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
        let Some(session) = self.session.as_mut() else {
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
        if let Some(session) = self.session.as_mut() {
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
        let Some(session) = self.session.awake() else {
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
        self.driver.is_writing() || self.session.awake().is_some_and(Session::is_write_due)
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
        let Some(session) = self.session.as_mut() else {
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
            self.keep_permits_of_expired(&expired);
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
        self.permits.release();
        self.driver.release();
        self.wakes.release();
        if let Some(session) = self.session.as_mut() {
            session.release_memory();
        }
    }
}

/// What is measured.
impl ConnectionInner {
    /// The session has a connection.
    pub(super) fn connected(&mut self) {
        if let Some(side) = self.session.side() {
            self.instruments.connected(match side {
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

    /// How many messages the sessions before this one dropped.
    pub(super) fn dropped_before(&self) -> Dropped {
        self.dropped.as_deref().copied().unwrap_or_default()
    }

    pub(super) fn seen(&self) -> Seen {
        let mut seen = Seen {
            dropped: self.dropped_before(),
            waits: Waits {
                messages: self.message_queue.joined(),
                calls: self.call_queue.joined(),
                streams: self.stream_senders.waits(),
            },
            ..Seen::default()
        };
        seen.dropped += self.session.dropped();
        if let Some(session) = self.session.awake() {
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
            **self.dropped.get_or_insert_default() += session.dropped();
        }
        self.detach(lost);
        self.return_permits();
        let relayed = self.running_calls.end_all(&mut self.wakes);
        self.relays.extend(relayed.into_all().map(Relay::Cancelled));
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
        self.return_permits();
        let seen = self.seen();
        self.instruments.disconnected(|| seen);
    }

    /// The connection is gone, and with it these exchanges.
    pub(super) fn detach(&mut self, lost: &[Lost]) {
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
