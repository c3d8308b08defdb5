//! What senders and the driver of a connection share: the session behind a lock, and those who wait for it.
//!
//! Senders encode straight into the session's outgoing queue and wake the driver, unless it is awake anyway. The
//! lock is held for one message at a time, or a few that go together, and never across an await.

mod batch;
mod call;
mod cancellation;
mod capacity;
mod completion;
mod exchange;
mod metadata;
mod outgoing;
mod recv_buffer;
mod recv_stream;
mod reply_slot;
mod send_stream;
mod stream;
mod suspended;
mod wait_queue;

pub(crate) use batch::BatchTerms;
pub use cancellation::Cancellation;
pub(crate) use completion::Completion;
pub(crate) use exchange::PROTOCOL_TIMEOUT;
pub(crate) use recv_buffer::{ReceivedItems, RecvBuffer};
pub(crate) use recv_stream::Taken;
pub(crate) use send_stream::StreamTarget;
pub(crate) use stream::{Answers, Opening, Requests, Sending, read, upload};
pub(crate) use suspended::SuspendedTimer;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Poll, Waker},
    time::Duration,
};

use slab::Slab;
use tokio::{task::AbortHandle, time::Instant};

use crate::{
    CallOptions, Dropped, MemoryUse, SendError, Status, Variant, body::Encoding, settings::Settings,
};
use metadata::{CorrelationIds, encode_metadata};
use msip_session::{
    Budget, InboundSlot, Item, Lost, Outcome, Reply, Session, Slot, StreamSide, TimedOut, Token,
    Transmit, wire::MsgId,
};
use reply_slot::ReplySlot;
use wait_queue::WaitQueue;

/// The shared core of one client, or of one connection of a server.
#[derive(Debug)]
pub(crate) struct ConnectionShared {
    state: Mutex<ConnectionInner>,
    /// Whether the session's bodies need nothing done to them before the lock is taken.
    is_plain: AtomicBool,
    /// So much waits to be written that whoever sends next lets the driver do that first: what the other side can work on
    /// already should not wait for what is still to be made.
    is_write_due: AtomicBool,
    /// How many ends of exchanges were taken, or left behind, by those who waited for them.
    taken: AtomicU64,
    epoch: Instant,
    call_timeout: Duration,
    write_timeout: Duration,
    /// Where a message without a correlation id is given one.
    correlation_ids: Option<CorrelationIds>,
    budget: Arc<Budget>,
}

#[derive(Debug, Default)]
pub(crate) struct ConnectionInner {
    session: Option<Session>,
    encoding: Encoding,
    /// No session will follow the one that is there, if there is one.
    is_closed: bool,
    /// Counts the sessions, so that the answer to a call never goes to another session than the call's.
    generation: u64,
    waiters: Slab<Waiter>,
    message_room: WaitQueue,
    call_room: WaitQueue,
    /// Streams whose senders wait for capacity in the queue: each asks again when there may be some.
    stream_room: Vec<Waker>,
    /// Streams whose senders wait for credit, each for that of its own.
    stream_credit: HashMap<StreamSide, Waker>,
    /// The request streams of the calls that are being served.
    requests: HashMap<InboundSlot, Arc<RecvBuffer>>,
    /// The calls that are being served whose handlers want to hear that nobody waits for them any more.
    watched: HashMap<InboundSlot, Arc<cancellation::Flag>>,
    /// The calls that are being served and were not done at once, or were cancelled.
    serving: HashMap<InboundSlot, Serving>,
    driver: Option<Waker>,
    is_driver_awake: bool,
    /// The driver is handing bytes to the transport. Who sees that runs on another thread.
    is_writing: bool,
    /// Those who let the driver write before they send more.
    flush_waiters: Vec<Waker>,
    /// How many exchanges have ended for somebody who waits.
    completed: u64,
    /// What the sessions before this one ignored.
    ignored: u64,
    /// How many messages the sessions before this one dropped.
    dropped: Dropped,
}

/// A call that is being served.
#[derive(Debug)]
enum Serving {
    /// Its handler runs in a task.
    Running(AbortHandle),
    /// The caller has lost interest before it ran in one.
    Cancelled,
}

/// Somebody who waits for the end of an exchange.
#[derive(Debug)]
enum Waiter {
    Waiting {
        slot: Slot,
        reply_slot: Arc<ReplySlot>,
    },
    /// For a stream of answers.
    Streaming {
        slot: Slot,
        recv_buffer: Arc<RecvBuffer>,
    },
    /// The stream is complete; what is left of it is in its recv_buffer.
    Ended,
}

/// A call of the other side that must be answered, whatever happens to its handler.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallToAnswer {
    pub(crate) slot: InboundSlot,
    pub(crate) generation: u64,
    /// The call's own id: its slot is used again when it is over.
    pub(crate) id: MsgId,
}

/// What holds as long as a session does.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    /// Which session it is.
    pub(crate) generation: u64,
    /// Which of the session's connections.
    pub(crate) connection: u64,
    /// How it writes bodies.
    pub(crate) encoding: Encoding,
}

impl ConnectionShared {
    /// A connection without a session yet.
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            state: Mutex::new(ConnectionInner::default()),
            is_plain: AtomicBool::new(true),
            is_write_due: AtomicBool::new(false),
            taken: AtomicU64::new(0),
            epoch: Instant::now(),
            call_timeout: settings.call_timeout,
            write_timeout: settings.write_timeout,
            correlation_ids: settings.correlation_ids.then(CorrelationIds::new),
            budget: Arc::clone(&settings.budget),
        }
    }

    /// How much memory its sessions hold, with those that share their limit.
    pub(crate) fn memory(&self) -> MemoryUse {
        MemoryUse::of(&self.budget)
    }

    /// How long an exchange of this variant may take where nobody says; a stream may take for ever.
    pub(crate) fn usual_timeout(&self, variant: &Variant) -> Option<Duration> {
        let schema = variant
            .timeout_ms
            .map(|ms| Duration::from_millis(u64::from(ms)));
        schema.or((!variant.has_streams()).then_some(self.call_timeout))
    }

    /// What goes beside a message of these options, encoded but for its deadline; empty for nothing.
    fn metadata(&self, options: &CallOptions) -> Result<Vec<u8>, SendError> {
        encode_metadata(options, self.correlation_ids.as_ref())
    }

    /// The time, as sessions count it.
    pub(crate) fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    /// The moment that sessions call `at`.
    pub(crate) fn instant(&self, at: Duration) -> Option<Instant> {
        self.epoch.checked_add(at)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, ConnectionInner> {
        // Nothing in the state is half done when a panic passes through: at worst a frame is missing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether some have not run since their exchange has ended, or since there is capacity for their call: they may be about to
    /// begin another, or will send it.
    pub(crate) fn has_returning(&self, state: &ConnectionInner) -> bool {
        state.completed != self.taken.load(Ordering::Relaxed) || state.call_room.has_called()
    }

    /// Takes a session that is open.
    pub(crate) fn attach(&self, session: Session, encoding: Encoding) {
        let mut state = self.lock();
        state.generation += 1;
        state.session = Some(session);
        self.is_plain
            .store(encoding.is_identity(), Ordering::Relaxed);
        state.encoding = encoding;
    }

    /// No session will follow.
    pub(crate) fn close(&self) {
        let wakers: Vec<Waker> = {
            let mut state = self.lock();
            state.is_closed = true;
            state.everyone_waiting()
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Asks the session to close, and wakes the driver to do it. Whoever waits for capacity is told.
    pub(crate) fn begin_close(&self, status: &Status) {
        let now = self.now();
        self.with_session(|session| session.begin_close(status.code(), status.message(), now));
        let waiting = self.lock().everyone_waiting();
        waiting.into_iter().for_each(Waker::wake);
    }

    /// How many frames were ignored, by this session and those before it.
    pub(crate) fn ignored(&self) -> u64 {
        let state = self.lock();
        state.ignored + state.session.as_ref().map_or(0, Session::ignored)
    }

    /// How many messages were taken and dropped unsent, in this session and those before it.
    pub(crate) fn dropped(&self) -> Dropped {
        let state = self.lock();
        let mut dropped = state.dropped;
        if let Some(session) = &state.session {
            dropped += session.dropped();
        }
        dropped
    }

    /// Does something to the session that may give the driver work. `None` where there is no session.
    pub(crate) fn with_session<T>(&self, action: impl FnOnce(&mut Session) -> T) -> Option<T> {
        let (result, waker) = {
            let mut state = self.lock();
            let result = action(state.session.as_mut()?);
            (result, state.driver_to_wake())
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        Some(result)
    }

    /// A call goes on in a task, which ends with it; at once where the caller has lost interest meanwhile.
    pub(crate) fn call_runs(&self, call: CallToAnswer, task: AbortHandle) {
        let mut state = self.lock();
        let is_served = state.generation == call.generation
            && state
                .session
                .as_ref()
                .is_some_and(|session| session.is_serving(call.slot));
        match state.serving.get(&call.slot) {
            Some(Serving::Cancelled) => task.abort(),
            // Where it is done already, nobody would take the handle away again.
            _ if !is_served => {}
            _ => {
                state.serving.insert(call.slot, Serving::Running(task));
            }
        }
    }

    /// Answers a call whose handler has ended; nothing where its session is gone.
    pub(crate) fn reply(&self, call: CallToAnswer, reply: Reply<'_, impl FnOnce(&mut Vec<u8>)>) {
        let wakers = {
            let mut state = self.lock();
            if state.generation != call.generation {
                return;
            }
            let Some(session) = state.session.as_mut() else {
                return;
            };
            session.reply(call.slot, reply);
            let mut wakers = state.end_call(call.slot);
            wakers.extend(state.driver_to_wake());
            wakers
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Whether the caller has lost interest already.
    pub(crate) fn is_cancelled(&self, call: CallToAnswer) -> bool {
        matches!(
            self.lock().serving.get(&call.slot),
            Some(Serving::Cancelled)
        )
    }

    /// Whether any caller may have lost interest already.
    pub(crate) fn has_cancelled(&self) -> bool {
        !self.lock().serving.is_empty()
    }

    /// What holds as long as the session does.
    pub(crate) fn terms(&self) -> Terms {
        let state = self.lock();
        Terms {
            generation: state.generation,
            connection: state.session.as_ref().map_or(0, Session::connection),
            encoding: state.encoding.clone(),
        }
    }

    /// How the session writes bodies. Without a session, or while one follows another, it may be that of either.
    pub(crate) fn encoding(&self) -> Encoding {
        if self.is_plain.load(Ordering::Relaxed) {
            Encoding::default()
        } else {
            self.lock().encoding.clone()
        }
    }
}

impl ConnectionInner {
    pub(crate) fn session(&mut self) -> Option<&mut Session> {
        self.session.as_mut()
    }

    /// Why there is no session to send through.
    fn no_session(&self) -> SendError {
        if self.is_closed {
            SendError::Closed
        } else {
            SendError::Disconnected
        }
    }

    /// The driver is awake from here on, and will look at everything before it sleeps. Returns whether somebody who had
    /// something to send woke it.
    pub(crate) fn driver_awakes(&mut self, waker: &Waker) -> bool {
        match &mut self.driver {
            Some(known) => known.clone_from(waker),
            unknown => *unknown = Some(waker.clone()),
        }
        std::mem::replace(&mut self.is_driver_awake, true)
    }

    /// How many exchanges of ours are open.
    pub(crate) fn open_exchanges(&self) -> usize {
        self.waiters.len()
    }

    /// Gives back memory that a burst needed, once the connection is idle.
    pub(crate) fn release(&mut self) {
        self.waiters.shrink_to_fit();
        self.stream_room.shrink_to_fit();
        self.flush_waiters.shrink_to_fit();
        self.requests.shrink_to_fit();
        self.watched.shrink_to_fit();
        self.serving.shrink_to_fit();
        self.message_room.release();
        self.call_room.release();
        if let Some(session) = &mut self.session {
            session.release_memory();
        }
    }

    /// Whether the driver should write before more is sent: there is enough for it, or it writes just now, and more
    /// messages would be as many locks that it waits for.
    #[inline]
    fn is_write_due(&self) -> bool {
        self.is_writing || self.session.as_ref().is_some_and(Session::is_write_due)
    }

    /// Waits until the driver has had its turn, unless it sleeps, or there is none.
    fn wait_for_driver(&mut self, waker: &Waker) -> Poll<()> {
        let has_driver = self.session.as_ref().is_some_and(Session::is_open);
        if !has_driver || !self.is_driver_awake {
            return Poll::Ready(());
        }
        self.flush_waiters.push(waker.clone());
        Poll::Pending
    }

    /// The driver has had its turn, or has written all it can. Returns whom to wake.
    pub(crate) fn driver_has_run(&mut self) -> Vec<Waker> {
        self.is_writing = false;
        std::mem::take(&mut self.flush_waiters)
    }

    /// What to write next.
    pub(crate) fn poll_transmit(&mut self) -> Option<Transmit> {
        let transmit = self.session.as_mut()?.poll_transmit();
        self.is_writing = transmit.is_some();
        transmit
    }

    /// The driver has looked at everything.
    pub(crate) fn driver_sleeps(&mut self) {
        self.is_driver_awake = false;
    }

    /// The driver's waker, unless it is awake.
    fn driver_to_wake(&mut self) -> Option<Waker> {
        if std::mem::replace(&mut self.is_driver_awake, true) {
            return None;
        }
        self.driver.take()
    }

    /// Tells a waiter how its exchange ended. Returns whom to wake.
    #[inline]
    pub(crate) fn complete(&mut self, token: Token, outcome: Outcome) -> Option<Waker> {
        match self.waiters.get_mut(token)? {
            Waiter::Waiting { reply_slot, .. } => {
                let waker = reply_slot.land(outcome, self.encoding.clone());
                self.waiters.remove(token);
                self.completed += 1;
                waker
            }
            waiter @ Waiter::Streaming { .. } => {
                let Waiter::Streaming { recv_buffer, slot } =
                    std::mem::replace(waiter, Waiter::Ended)
                else {
                    return None;
                };
                let reader = recv_buffer.close(outcome);
                let end = StreamSide::Caller(slot);
                // Whoever takes the answers sends the requests, if anybody does.
                reader.or(self.stream_credit(end))
            }
            Waiter::Ended => None,
        }
    }

    /// An item of a response stream has come. Returns whom to wake.
    pub(crate) fn push_item(&mut self, token: Token, item: Item) -> Option<Waker> {
        self.recv_buffer_of(token)?.push(item)
    }

    /// Where the answers to a call come in, while they do.
    fn recv_buffer_of(&self, token: Token) -> Option<&Arc<RecvBuffer>> {
        match self.waiters.get(token)? {
            Waiter::Streaming { recv_buffer, .. } => Some(recv_buffer),
            _ => None,
        }
    }

    /// A call has come whose request is a stream; `first` is an item that came with it.
    pub(crate) fn begin_requests(&mut self, slot: InboundSlot, first: Option<Item>) {
        let recv_buffer = RecvBuffer::default();
        recv_buffer.open(StreamSide::Callee(slot));
        if let Some(item) = first {
            // Nobody reads yet.
            let _ = recv_buffer.push(item);
        }
        self.requests.insert(slot, Arc::new(recv_buffer));
    }

    /// An item of a request stream has come, or its end. Returns whom to wake.
    pub(crate) fn push_request(
        &mut self,
        slot: InboundSlot,
        item: Option<Item>,
        is_last: bool,
    ) -> Option<Waker> {
        let recv_buffer = self.requests.get(&slot)?;
        let pushed = item.and_then(|item| recv_buffer.push(item));
        if !is_last {
            return pushed;
        }
        recv_buffer.complete(Outcome::NOTHING).or(pushed)
    }

    /// The caller has lost interest in a call: its handler is dropped. Returns whom to wake.
    pub(crate) fn cancel(&mut self, slot: InboundSlot) -> Vec<Waker> {
        if let Some(Serving::Running(task)) = self.serving.insert(slot, Serving::Cancelled) {
            task.abort();
        }
        let mut wakers = self.unwatch(slot);
        wakers.extend(self.stream_credit(StreamSide::Callee(slot)));
        wakers
    }

    /// The call has been answered. Returns whom to wake.
    #[inline]
    fn end_call(&mut self, slot: InboundSlot) -> Vec<Waker> {
        if self.serving.is_empty()
            && self.watched.is_empty()
            && self.requests.is_empty()
            && self.stream_credit.is_empty()
        {
            // As with nearly every call: it was done at once.
            return Vec::new();
        }
        self.serving.remove(&slot);
        let mut wakers = self.unwatch(slot);
        wakers.extend(self.end_requests(slot));
        wakers.extend(self.stream_credit(StreamSide::Callee(slot)));
        wakers
    }

    /// The call has ended, and with it its request stream. Returns whom to wake.
    pub(crate) fn end_requests(&mut self, slot: InboundSlot) -> Option<Waker> {
        if self.requests.is_empty() {
            return None;
        }
        self.requests
            .remove(&slot)?
            .close(Outcome::Lost { sent: true })
    }

    /// A stream has been granted credit, or has ended. Returns whom to wake.
    pub(crate) fn stream_credit(&mut self, end: StreamSide) -> Option<Waker> {
        if self.stream_credit.is_empty() {
            return None;
        }
        self.stream_credit.remove(&end)
    }

    /// The queue may have capacity for streams again. Returns whom to wake.
    pub(crate) fn stream_room(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.stream_room)
    }

    /// There may be capacity again. Returns whom to wake.
    pub(crate) fn capacity(&mut self) -> Vec<Waker> {
        self.send_droppable();
        let told = self.tell_dropped();
        let mut wakers = self.stream_room();
        wakers.extend(self.wake_next_message());
        // The first may be one that is not counted, such as a PING.
        wakers.extend(self.call_those_who_fit(1));
        wakers.extend(told);
        wakers
    }

    /// Whether anyone, or anything, waits for capacity.
    pub(crate) fn is_awaited(&self) -> bool {
        !(self.message_room.is_empty() && self.call_room.is_empty() && self.stream_room.is_empty())
            || self
                .session
                .as_ref()
                .is_some_and(|session| session.is_waiting() || session.has_dropped())
    }

    /// When a call that waits for capacity runs out of time; `Duration::MAX` is never.
    pub(crate) fn next_deadline(&self) -> Duration {
        self.call_room.next_deadline()
    }

    /// Tells everyone who has run out of time, and lets the session do what is due; `Err` where the other side is taken for
    /// dead. Whom to wake is added to `wakers`.
    pub(crate) fn expire(
        &mut self,
        now: Duration,
        wakers: &mut Vec<Waker>,
    ) -> Result<(), TimedOut> {
        wakers.extend(self.call_room.late(now));
        let Some(session) = &mut self.session else {
            return Ok(());
        };
        if now < session.poll_timeout() {
            return Ok(());
        }
        let mut expired = Vec::new();
        let in_time = session.handle_timeout(now, &mut expired);
        if !expired.is_empty() {
            for token in expired {
                wakers.extend(self.complete(token, Outcome::Expired));
            }
            wakers.extend(self.capacity());
        }
        in_time
    }

    /// Sends what waits by its kind, as far as those leave it capacity who wait themselves.
    fn send_droppable(&mut self) {
        let others = self.message_room.len();
        if let Some(session) = self.session.as_mut().filter(|session| session.is_waiting()) {
            session.send_droppable(others);
        }
    }

    /// Tells those whose messages made capacity for others. Returns whom to wake.
    pub(crate) fn tell_dropped(&mut self) -> Vec<Waker> {
        let mut wakers = Vec::new();
        while let Some((token, outcome)) = self
            .session
            .as_mut()
            .and_then(|session| session.poll_dropped())
        {
            wakers.extend(self.complete(token, outcome));
        }
        wakers
    }

    /// Drops the session, and tells everyone who waited for it. Returns whom to wake.
    pub(crate) fn end_session(&mut self, lost: &[Lost]) -> Vec<Waker> {
        if let Some(session) = self.session.take() {
            self.ignored += session.ignored();
            self.dropped += session.dropped();
        }
        self.serving.clear();
        let watching = self.unwatch_all();
        let requests: Vec<Arc<RecvBuffer>> = self
            .requests
            .drain()
            .map(|(_, recv_buffer)| recv_buffer)
            .collect();
        let mut wakers = self.detach(lost);
        wakers.extend(watching);
        wakers.extend(
            requests
                .iter()
                .filter_map(|recv_buffer| recv_buffer.close(Outcome::Lost { sent: true })),
        );
        wakers
    }

    /// The callers of these calls have lost interest, or their connection. Returns whom to wake.
    pub(crate) fn cancel_all(&mut self, slots: Vec<InboundSlot>) -> Vec<Waker> {
        let mut wakers = Vec::new();
        for slot in slots {
            wakers.extend(self.end_requests(slot));
            wakers.extend(self.cancel(slot));
        }
        wakers
    }

    /// The connection is gone: tells everyone who waited for it alone. Returns whom to wake.
    pub(crate) fn detach(&mut self, lost: &[Lost]) -> Vec<Waker> {
        self.driver = None;
        self.is_driver_awake = false;
        let mut wakers = self.lose(lost);
        wakers.extend(self.driver_has_run());
        wakers.extend(self.stream_room());
        wakers.extend(self.stream_credit.drain().map(|(_, waker)| waker));
        wakers.extend(self.everyone_waiting());
        wakers
    }

    fn lose(&mut self, lost: &[Lost]) -> Vec<Waker> {
        lost.iter()
            .filter_map(|lost| self.complete(lost.token, Outcome::Lost { sent: lost.sent }))
            .collect()
    }

    fn everyone_waiting(&mut self) -> Vec<Waker> {
        let calls = self.call_room.all();
        self.message_room.all().chain(calls).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_for_a_driver_that_is_not_there() {
        let mut state = ConnectionInner {
            is_driver_awake: true,
            ..ConnectionInner::default()
        };
        assert!(state.wait_for_driver(Waker::noop()).is_ready());
        assert!(state.driver_has_run().is_empty());
    }
}
