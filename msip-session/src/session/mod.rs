//! What two peers keep between them: a plain value that turns frames and times into frames and events.
//!
//! No socket, no task and no clock: the driver hands in what was received and what time it is, as a `Duration`
//! since some moment of its choice, and takes out what is to be sent and when to come back. A test can drive a
//! session through years in a second.

mod batch;
mod droppable_queue;
mod ended_calls;
mod event;
mod fast_path;
mod fault_injection;
mod inbound;
mod item_batch;
mod items;
mod keepalive;
mod memory;
mod outbound;
mod outgoing;
mod pressure;
mod receive;
mod received;
mod resend_queue;
mod resume;
mod send;
#[cfg(test)]
pub(crate) mod simulation;
mod token_bucket;
// By itself, so that the lints see that the other one is for tests.
mod credit_batcher;
#[cfg(all(fuzzing, not(test)))]
pub(crate) mod simulation;
mod streams;
#[cfg(test)]
mod tests;
mod window;

use std::{sync::Arc, time::Duration};

pub use batch::Batch;
pub use credit_batcher::CreditBatcher;
pub use droppable_queue::StateKey;
pub use event::{
    BareMessage, Event, FastFrame, Fault, FaultKind, Incoming, Item, Outcome, ReplyTo,
};
pub use inbound::InboundSlot;
pub use item_batch::ItemBatch;
pub use items::{Inlet, ItemHead, StreamSide};
pub use outbound::{Class, Lost, Slot, Token};
pub use outgoing::{Priority, Transmit, first_frame};
pub use pressure::is_droppable;
pub use resume::{Agreed, Suspended, goes_on};
pub use send::{Blocked, Reply, RequestHead, Shape};

use droppable_queue::DroppableQueue;
use ended_calls::EndedCalls;
pub use inbound::Busy;
use inbound::InboundCalls;
use keepalive::{Due, Keepalive};
use outbound::OutboundExchanges;
use outgoing::OutgoingQueue;
use received::ReceivedDeliveries;
use resend_queue::ResendQueue;
use resume::Unhandled;
use token_bucket::TokenBucket;
use window::{ReceiveWindow, SendWindow, WINDOW_GROWTH};

use crate::Dropped;
use crate::budget::{Budget, STEP, Share};
use crate::wire::{
    Code, Credit, Flags, FrameType, Header, Hello, Limits, MsgId, SessionId, Side, Welcome,
    begin_frame, finish_frame, write_close, write_error, write_hello, write_ping, write_welcome,
};

/// How much of what costs us and brings nothing (pings, answers to nothing, malformed messages) is taken from a
/// peer at once, and how much a second.
const NUISANCE_BURST: u32 = 2000;
const NUISANCE_PER_SECOND: u32 = 200;

/// How many calls a peer may cancel at once, and how many a second. One that is cancelled has cost a handler its
/// beginning, and no answer holds its caller back; a program that gives up many has its reasons, up to here.
const CANCEL_BURST: u32 = 10_000;
const CANCELS_PER_SECOND: u32 = 1000;

/// How many PONGs wait to be written, at most.
const MAX_PONGS: u32 = 16;

/// The limits and times of a session.
#[derive(Debug, Clone)]
pub struct Config {
    pub side: Side,
    pub limits: Limits,
    pub ping_interval: Duration,
    pub handshake_timeout: Duration,
    pub drain_timeout: Duration,
    pub max_calls: usize,
    pub max_call_bytes: usize,
    pub outgoing_queue: usize,
    /// How much is kept for the other side to survive a connection, in bytes, each frame counted as its length + 64.
    pub session_buffer: usize,
    /// How many deliveries are kept for the other side.
    pub session_deliveries: usize,
    /// How much is taken to be sent later while there is no connection, in bytes; 0 for nothing.
    pub buffer_disconnected: usize,
    /// The window of one-way messages that each connection begins with; the protocol's constant, but in simulations.
    pub window: Credit,
    /// The window that each stream begins with; the same.
    pub stream_window: Credit,
    /// What bounds the memory of all sessions together.
    pub budget: Arc<Budget>,
}

/// How far the session has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The accepting side waits for HELLO.
    AwaitHello,
    /// The accepting side has HELLO and decides.
    Deciding { hello: MsgId },
    /// The connecting side waits for the answer to its HELLO.
    AwaitWelcome { hello: MsgId },
    /// Both sides talk.
    Open,
    /// The connection is lost; another may follow.
    Suspended,
    /// Nothing more is taken from the other side.
    Over,
}

/// Why the time alone ended a session.
#[derive(Debug, PartialEq, Eq)]
pub enum TimedOut {
    /// The handshake was not completed.
    Handshake,
    /// Nothing came for so long.
    Silence(Duration),
    /// What was open when the session was closed did not finish.
    Drain,
}

/// One end of a session.
#[derive(Debug)]
pub struct Session {
    config: Config,
    phase: Phase,
    outgoing: OutgoingQueue,
    outbound: OutboundExchanges,
    inbound: InboundCalls,
    send_window: SendWindow,
    receive_window: ReceiveWindow,
    keepalive: Keepalive,
    /// The largest body that the other side accepts.
    peer_max_body: usize,
    /// Whether a compression was agreed on.
    takes_compressed: bool,
    /// Messages with a topic are taken; else they are refused.
    takes_topics: bool,
    handshake_deadline: Duration,
    /// Until when open exchanges may finish, once either side has said CLOSE.
    drain_deadline: Option<Duration>,
    said_close: bool,
    /// What CLOSE is to say, as long as what was taken before waits for room.
    goodbye: Option<(Code, String)>,
    heard_close: bool,
    nuisance: TokenBucket,
    cancels: TokenBucket,
    pongs_waiting: u32,
    ignored: u64,
    /// How many of those no peer of good will would have sent.
    #[cfg(any(test, fuzzing))]
    strays: u64,
    /// Whether it goes on when its connection is lost.
    is_resumable: bool,
    /// Which of the session's connections it is.
    connection: u64,
    received: ReceivedDeliveries,
    ended_calls: EndedCalls,
    resend_queue: ResendQueue,
    unhandled: Unhandled,
    /// The last delivery that was answered, for the fault that resends by it.
    last_answered: u64,
    /// What waits in front of the lanes, by its kind.
    droppable_queue: DroppableQueue,
    /// Who waited for the acknowledgment of what made room, and has not been told.
    told: Vec<(MsgId, Outcome)>,
    dropped: Dropped,
    share: Share,
    /// How much memory stands ready for reading.
    reading: usize,
    /// What the outgoing queue may grow to before memory is looked at; never more than its limit.
    room: usize,
}

impl Session {
    /// The connecting side's end; its HELLO is ready to be sent.
    pub fn connecting(config: Config, id: SessionId, hello: &Hello, now: Duration) -> Self {
        let mut session = Self::new(config, now);
        let msg_id = session.outbound.next_id();
        session.phase = Phase::AwaitWelcome { hello: msg_id };
        session.outgoing.push(Priority::Normal, |buffer| {
            let mark = begin_frame(buffer, &Header::control(FrameType::Hello, msg_id));
            write_hello(buffer, id, hello);
            seal(buffer, mark);
        });
        session
    }

    /// The accepting side's end, which waits for HELLO.
    pub fn accepting(config: Config, now: Duration) -> Self {
        Self::new(config, now)
    }

    fn new(config: Config, now: Duration) -> Self {
        Self {
            phase: Phase::AwaitHello,
            outgoing: OutgoingQueue::new(config.outgoing_queue),
            outbound: OutboundExchanges::new(config.side),
            inbound: InboundCalls::new(
                config.max_calls,
                config.max_call_bytes,
                config.stream_window,
            ),
            send_window: SendWindow::new(config.window),
            receive_window: ReceiveWindow::growing(config.window, WINDOW_GROWTH),
            keepalive: Keepalive::new(config.ping_interval, now),
            peer_max_body: 0,
            takes_compressed: false,
            takes_topics: false,
            handshake_deadline: now + config.handshake_timeout,
            drain_deadline: None,
            said_close: false,
            goodbye: None,
            heard_close: false,
            nuisance: TokenBucket::new(NUISANCE_BURST, NUISANCE_PER_SECOND, now),
            cancels: TokenBucket::new(CANCEL_BURST, CANCELS_PER_SECOND, now),
            pongs_waiting: 0,
            ignored: 0,
            #[cfg(any(test, fuzzing))]
            strays: 0,
            is_resumable: false,
            connection: 1,
            received: ReceivedDeliveries::default(),
            ended_calls: EndedCalls::default(),
            resend_queue: ResendQueue::default(),
            unhandled: Unhandled::default(),
            last_answered: 0,
            droppable_queue: DroppableQueue::default(),
            told: Vec::new(),
            dropped: Dropped::default(),
            share: Share::new(Arc::clone(&config.budget)),
            reading: 0,
            room: STEP.min(config.outgoing_queue),
            config,
        }
    }

    /// Answers HELLO: the session is open.
    pub fn welcome(&mut self, id: SessionId, welcome: &Welcome, peer_max_body: u32) {
        let Phase::Deciding { hello } = self.phase else {
            return;
        };
        // Urgent, so that nothing overtakes it.
        self.outgoing.push(Priority::Urgent, |buffer| {
            let mark = begin_frame(buffer, &Header::control(FrameType::Ack, hello));
            write_welcome(buffer, id, welcome);
            seal(buffer, mark);
        });
        self.open(peer_max_body);
    }

    /// Answers HELLO with an error: the session is over.
    pub fn refuse(&mut self, code: Code, message: &str) {
        let Phase::Deciding { hello } = self.phase else {
            return;
        };
        self.phase = Phase::Over;
        self.outgoing.push(Priority::Normal, |buffer| {
            write_error(buffer, Flags::NONE, hello, code, message)
        });
    }

    fn open(&mut self, peer_max_body: u32) {
        // A peer that says nothing accepts the default.
        let peer_max_body = if peer_max_body == 0 {
            crate::wire::DEFAULT_MAX_BODY
        } else {
            to_usize(peer_max_body)
        };
        self.peer_max_body = peer_max_body;
        self.phase = Phase::Open;
    }

    /// Takes messages with a topic from here on: what is above the session routes them.
    pub fn take_topics(&mut self) {
        self.takes_topics = true;
    }

    /// Takes compressed bodies from here on: a compression was agreed on.
    pub fn take_compressed(&mut self) {
        self.takes_compressed = true;
    }

    /// The request of a call has been inflated to this length.
    pub fn inflated(&mut self, slot: InboundSlot, len: usize) -> Result<(), Busy> {
        self.inbound.grow(slot, len)
    }

    /// The largest body that the other side accepts, in bytes.
    pub fn peer_max_body(&self) -> usize {
        self.peer_max_body
    }

    /// How long the last ping took to come back.
    pub fn round_trip(&self) -> Option<Duration> {
        self.keepalive.round_trip()
    }

    /// How many frames were ignored because they answer nothing, or could not be read and asked for no answer.
    pub fn ignored(&self) -> u64 {
        self.ignored
    }

    /// A message that asked for no answer could not be handled.
    pub fn count_ignored(&mut self) {
        self.ignored += 1;
    }

    /// Bytes came, whatever they mean.
    pub fn received(&mut self, now: Duration) {
        self.keepalive.received(now);
    }

    /// The other side broke a rule: tells it so. Whatever else was queued is dropped.
    pub fn handle_fault(&mut self, fault: &Fault) {
        let was_open = self.phase == Phase::Open;
        self.phase = Phase::Over;
        self.outgoing.clear();
        if fault.kind == FaultKind::MipPeer {
            return;
        }
        self.outgoing.push(Priority::Urgent, |buffer| {
            write_error(buffer, Flags::NONE, fault.id, fault.code, &fault.rule);
        });
        if was_open && fault.kind != FaultKind::Foreign {
            self.outgoing.push(Priority::Urgent, |buffer| {
                write_close(buffer, fault.code, &fault.rule)
            });
        }
    }

    /// Opens and accepts nothing new from here on; what is open may finish.
    pub fn begin_close(&mut self, code: Code, message: &str, now: Duration) {
        if self.phase == Phase::Suspended {
            // Nobody is there to be told.
            self.said_close = true;
        }
        if self.said_close || self.phase != Phase::Open {
            return;
        }
        self.said_close = true;
        self.start_draining(now);
        self.goodbye = Some((code, message.to_owned()));
        if !self.is_waiting() {
            self.say_goodbye();
        }
    }

    /// Says CLOSE, after which nothing new is said.
    fn say_goodbye(&mut self) {
        if let Some((code, message)) = self.goodbye.take() {
            self.outgoing.push(Priority::Normal, |buffer| {
                write_close(buffer, code, &message)
            });
        }
    }

    fn start_draining(&mut self, now: Duration) {
        let deadline = now.saturating_add(self.config.drain_timeout);
        self.drain_deadline = Some(
            self.drain_deadline
                .map_or(deadline, |earlier| earlier.min(deadline)),
        );
    }

    /// Whether either side has said that it opens nothing new.
    pub fn is_closing(&self) -> bool {
        self.said_close || self.heard_close
    }

    /// Whether the session is closing and nothing is left to do but to close the transport.
    pub fn is_finished(&self) -> bool {
        match self.phase {
            Phase::Over => self.outgoing.is_empty(),
            Phase::Suspended => self.is_closing() || self.is_overflowing(),
            Phase::Open => {
                self.is_closing()
                    && self.outbound.is_idle()
                    && self.inbound.is_idle()
                    && !self.is_waiting()
                    && self.outgoing.is_empty()
            }
            _ => false,
        }
    }

    /// Whether a call is being served in this place.
    pub fn is_serving(&self, slot: InboundSlot) -> bool {
        self.inbound.contains(slot)
    }

    /// Whether this call is being served in this place, and somebody waits for its answer.
    pub fn is_awaited(&self, slot: InboundSlot, id: MsgId) -> bool {
        self.inbound.is_awaited(slot, id)
    }

    /// Whether no message that waits for room has any: it waits for credit.
    pub fn lacks_credit(&self) -> bool {
        self.phase == Phase::Open && !self.is_closing() && !self.send_window.is_open()
    }

    /// How many calls can be opened, as far as their number goes, and about how many bytes of requests can be queued.
    /// `None` where a call has no room to wait for: none goes out on this connection, if there is one.
    pub fn room_for_calls(&self) -> Option<(usize, usize)> {
        let is_open = self.phase == Phase::Open && !self.is_closing();
        is_open.then(|| (self.outbound.room_for_calls(), self.room_for_requests()))
    }

    /// How many exchanges are open, in either direction.
    pub fn open_exchanges(&self) -> usize {
        self.outbound.len() + self.inbound.len()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) next, at the latest.
    pub fn poll_timeout(&self) -> Duration {
        match self.phase {
            Phase::Open => [
                Some(self.keepalive.poll_timeout()),
                self.drain_deadline,
                self.outbound.poll_timeout(),
            ]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(Duration::MAX),
            Phase::Suspended => self.outbound.poll_timeout().unwrap_or(Duration::MAX),
            Phase::Over => Duration::MAX,
            _ => self.handshake_deadline,
        }
    }

    /// Does what is due. `expired` receives the exchanges that ran out of time.
    pub fn handle_timeout(
        &mut self,
        now: Duration,
        expired: &mut Vec<Token>,
    ) -> Result<(), TimedOut> {
        match self.phase {
            Phase::Over => return Ok(()),
            Phase::Suspended => {
                // A call that is not awaited any more is cancelled by the resume.
                self.outbound.expire(now, expired);
                return Ok(());
            }
            Phase::Open => {}
            _ if now >= self.handshake_deadline => return Err(TimedOut::Handshake),
            _ => return Ok(()),
        }
        for call in self.outbound.expire(now, expired) {
            self.expire_call(call);
        }
        if self.drain_deadline.is_some_and(|deadline| now >= deadline) {
            self.say_goodbye();
            return Err(TimedOut::Drain);
        }
        match self.keepalive.handle_timeout(now) {
            Due::Nothing => Ok(()),
            Due::Dead { silence } => Err(TimedOut::Silence(silence)),
            Due::Ping => {
                let id = self.outbound.next_id();
                self.outgoing
                    .push(Priority::Urgent, |buffer| write_ping(buffer, id, &[]));
                self.keepalive.pinged(id, now);
                Ok(())
            }
        }
    }

    /// The next chunk of frames to write.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        let transmit = self.outgoing.take();
        if self.outgoing.is_urgent_empty() {
            self.pongs_waiting = 0;
        }
        transmit
    }

    /// Whether there is anything to write.
    pub fn has_transmit(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// A chunk has been written, all of it.
    pub fn transmitted(&mut self, transmit: Transmit) {
        self.outgoing.complete(transmit);
    }

    /// What is queued, in bytes, each frame counted as its length + 64.
    pub fn queued(&self) -> usize {
        self.outgoing.cost() + self.droppable_queue.cost()
    }

    /// Whether so much is owed to the other side that nothing more may be read from it: it does not take its answers.
    /// What this side asks does not count, or two that ask much of each other would stop reading both.
    pub fn is_over_queue(&self) -> bool {
        self.outgoing.owed() > self.config.outgoing_queue
    }

    /// The session is gone. Returns every open exchange, and of each whether any of its request was sent; `in_flight`
    /// is the chunk that was being written, and how much of it was.
    pub fn lost(&mut self, in_flight: Option<(&Transmit, usize)>) -> Vec<Lost> {
        self.phase = Phase::Over;
        if let Some((transmit, written)) = in_flight {
            self.outgoing.abandon(transmit, written);
        }
        self.dropped.disconnected += self.resend_queue.message_count();
        self.clear_droppable();
        self.resend_queue = ResendQueue::default();
        let outgoing = &self.outgoing;
        self.outbound
            .take_all(|position| outgoing.is_sent(position))
    }

    /// Whether it has no buffers for its next chunks, and is to be lent some while it is awake. The accepting side is:
    /// there are many of it, and what it sends are mostly answers.
    pub fn needs_chunks(&self) -> bool {
        self.config.side == Side::Accepting && !self.outgoing.has_spares()
    }

    /// Lends it buffers for its next chunks.
    pub fn lend_chunks(&mut self, chunks: Vec<Vec<u8>>) {
        self.outgoing.lend(chunks);
    }

    /// The buffers that were lent, or others instead, unless it needs many.
    pub fn return_chunks(&mut self) -> Option<Vec<Vec<u8>>> {
        if self.config.side == Side::Connecting {
            return None;
        }
        self.outgoing.give_back()
    }

    /// Gives back memory that a burst needed, once the session is idle.
    pub fn release_memory(&mut self) {
        self.outgoing.release();
        self.outbound.release();
        self.inbound.release();
        self.ended_calls.release();
        self.resend_queue.release();
        self.droppable_queue.release();
        if self.told.is_empty() {
            self.told = Vec::new();
        }
    }

    /// A frame of an exchange that is not open: a late one is excused, others are counted as a nuisance.
    fn ignore_late(&mut self, id: MsgId, now: Duration) -> Result<(), Fault> {
        self.ignored += 1;
        let is_late = if id.chosen_by() == self.config.side {
            self.outbound.excuse(id)
        } else {
            self.inbound.excuse()
        };
        if is_late {
            return Ok(());
        }
        #[cfg(any(test, fuzzing))]
        {
            self.strays += 1;
        }
        self.tolerate(id, now)
    }

    /// Counts something that costs us and brings nothing.
    fn ignore(&mut self, id: MsgId, now: Duration) -> Result<(), Fault> {
        self.ignored += 1;
        self.tolerate(id, now)
    }

    fn tolerate(&mut self, id: MsgId, now: Duration) -> Result<(), Fault> {
        if self.nuisance.take(now) {
            return Ok(());
        }
        Err(Fault::exhausted(
            id,
            format!(
                "more than {NUISANCE_PER_SECOND} pings, stray answers and malformed messages a second"
            ),
        ))
    }
}

/// Completes a frame whose length is known to fit.
#[inline]
fn seal(buffer: &mut Vec<u8>, mark: crate::wire::Mark) {
    let sealed = finish_frame(buffer, mark);
    // Every body is compared with a limit of at most 1 GiB before it is written.
    debug_assert!(sealed.is_ok(), "a frame of more than 4 GiB");
}

#[inline]
fn to_usize(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
