//! The session: a state machine that turns frames and times into frames and events.
//!
//! No socket, no task and no clock: the driver passes in what was received and what time it is, as a `Duration` since a
//! moment of its choice, and takes out what is to be sent and when to come back. A test can drive a session through years
//! in a second.

mod backlog;
mod bare;
mod batch;
mod cancels;
mod capacity;
mod close;
mod compact_time;
mod config;
mod credit_batcher;
mod datagrams;
mod droppable;
mod droppable_queue;
mod ended_calls;
mod event;
mod fast_path;
mod fault;
mod fault_injection;
mod frame_writer;
mod handshake;
mod id_index;
mod idle;
mod inbound;
mod item_batch;
mod items;
mod keepalive;
mod memory;
mod outbound;
mod outgoing;
mod park;
mod receive;
mod receive_message;
mod received;
mod relief;
mod reply;
mod request;
mod resend_queue;
mod resume;
mod send;
#[cfg(test)]
pub(crate) mod simulation;
mod slot;
mod streams;
mod subscribe_request;
mod subscriptions;
#[cfg(test)]
mod tests;
mod timeout;
mod token_bucket;
mod unwanted;
mod window;

// Apart from the one above, so that lints see that it is for tests.
#[cfg(all(fuzzing, not(test)))]
pub(crate) mod simulation;

use std::{sync::Arc, time::Duration};

pub use bare::{BareMessage, FastFrame};
pub use batch::{Batch, NotBare};
pub use close::{EndedStreams, refuse_late};
pub use config::Config;
pub use credit_batcher::CreditBatcher;
pub use droppable_queue::{StateKey, is_droppable};
pub use event::{Event, Incoming, Item, Outcome, ReplyTo};
pub use fault::{Fault, FaultKind};
pub use frame_writer::first_frame;
pub use idle::IdleSession;
pub use inbound::Busy;
pub use item_batch::{ItemBatch, ItemHead};
pub use outbound::{Class, Lost};
pub use outgoing::Transmit;
pub use park::ParkedSession;
pub use request::{BareHead, Blocked, CallShape, Reply, RequestHead};
pub use resume::{PeerTerms, Suspended, is_resumed};
pub use slot::{InboundSlot, ItemTarget, Slot, StreamSide, Token};
pub use subscribe_request::{SubscribeReply, SubscribeRequest};
pub use subscriptions::SubscribeHead;
pub use timeout::TimedOut;

use crate::{
    Dropped,
    budget::{Budget, Share},
    wire::{Code, Limits, MsgId, Side},
};
use backlog::Patience;
use cancels::CancelPacer;
use close::Drain;
use datagrams::Datagrams;
use droppable_queue::DroppableQueue;
use ended_calls::EndedCalls;
use inbound::InboundCalls;
use keepalive::Keepalive;
use memory::UnhandledMessages;
use outbound::OutboundExchanges;
use outgoing::OutgoingQueue;
use received::ReceivedDeliveries;
use resend_queue::ResendQueue;
use streams::StreamTable;
use subscriptions::SubscribeIntake;
use token_bucket::TokenBucket;
use unwanted::{UNWANTED_BURST, UNWANTED_PER_SECOND};
use window::{ReceiveWindow, SendWindow, WINDOW_GROWTH};

/// How many calls a peer may cancel at once, and how many a second. One that is cancelled has cost a handler its
/// beginning, and no answer holds its caller back; a program that cancels many has its reasons, up to here.
const CANCEL_BURST: u32 = 10_000;
const CANCELS_PER_SECOND: u32 = 1000;

/// The state of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The accepting side waits for HELLO.
    AwaitHello,
    /// The accepting side has HELLO, and its driver decides.
    Deciding { hello: MsgId },
    /// The connecting side waits for the answer to its HELLO.
    AwaitWelcome { hello: MsgId },
    /// Both sides may send messages.
    Open,
    /// The connection is lost; another may follow.
    Suspended,
    /// Nothing more is accepted from the peer.
    Over,
}

/// One side of a session; see the [crate documentation](crate) for how to drive it.
#[derive(Debug)]
pub struct Session {
    /// Shared by many sessions. What is looked at for each message is below.
    config: Arc<Config>,
    side: Side,
    limits: Limits,
    /// How many bytes may be queued for writing.
    max_queued: usize,
    phase: Phase,
    outgoing: OutgoingQueue,
    outbound: OutboundExchanges,
    inbound: InboundCalls,
    /// The streams of calls in both directions.
    streams: StreamTable,
    send_window: SendWindow,
    receive_window: ReceiveWindow,
    keepalive: Keepalive,
    /// When the peer has last granted credit for one-way messages.
    last_credit: Duration,
    /// The largest body that the peer accepts.
    peer_max_body: usize,
    /// Whether the peer says when a call that was given up has ended there.
    peer_ends_cancelled: bool,
    /// Whether a compression was agreed on.
    allows_compressed: bool,
    /// Whether an ERROR may have metadata and a long text: that was agreed on.
    allows_error_metadata: bool,
    /// Both sides have the same schema, so that the peer sends nothing that cannot be read.
    has_same_schema: bool,
    /// What has ended the connection, and the driver does not know yet.
    fault: Option<Box<Fault>>,
    /// Whether messages with a topic are accepted: what is above the session routes them.
    allows_topics: bool,
    /// What the peer asks by SUBSCRIBE, where that is accepted.
    subscribe_intake: Option<Box<SubscribeIntake>>,
    handshake_deadline: Duration,
    /// Once either side has said CLOSE.
    drain: Option<Box<Drain>>,
    /// This side opens and accepts nothing new.
    is_close_begun: bool,
    /// The text of CLOSE, as long as earlier messages wait for capacity.
    pending_close: Option<Box<(Code, String)>>,
    is_close_received: bool,
    unwanted: TokenBucket<UNWANTED_BURST, UNWANTED_PER_SECOND>,
    cancels: TokenBucket<CANCEL_BURST, CANCELS_PER_SECOND>,
    /// Where this side has cancelled some lately.
    cancel_pacer: Option<Box<CancelPacer>>,
    /// How many PONGs are queued.
    pong_count: u32,
    ignored: u64,
    /// How many of those no correct peer would have sent.
    #[cfg(any(test, fuzzing))]
    unexpected: u64,
    /// Whether it continues when its connection is lost.
    is_kept: bool,
    /// The number of the session's current connection.
    connection: u64,
    received: ReceivedDeliveries,
    ended_calls: EndedCalls,
    resend_queue: ResendQueue,
    unhandled: UnhandledMessages,
    /// The last delivery that was answered, for the fault that resends by it.
    last_answered: u64,
    droppable_queue: DroppableQueue,
    /// The waiters of dropped messages that have not been notified: their placeholders, and the outcome.
    dropped_waiters: Vec<(MsgId, Outcome)>,
    dropped: Dropped,
    /// What goes beside the stream, where a connection of the session has datagrams.
    datagrams: Option<Box<Datagrams>>,
    share: Share,
    /// How much memory is reserved for reading; without a connection, what is held of the session besides its queues.
    read_memory: usize,
    patience: Patience,
    /// What the one-way message takes that is being handled, besides its body.
    decoded_message: usize,
    /// What the outgoing queue may grow to before memory is checked; never more than its limit.
    queue_limit: usize,
}

impl Session {
    fn new(config: Arc<Config>, now: Duration) -> Self {
        Self {
            side: config.side,
            limits: config.limits.clone(),
            max_queued: config.outgoing_queue,
            phase: Phase::AwaitHello,
            outgoing: OutgoingQueue::new(config.outgoing_queue),
            outbound: OutboundExchanges::new(config.side),
            inbound: InboundCalls::new(config.max_calls, config.max_call_bytes),
            streams: StreamTable::new(config.stream_window),
            send_window: SendWindow::new(config.window),
            receive_window: ReceiveWindow::growing(config.window, WINDOW_GROWTH),
            keepalive: Keepalive::new(config.ping_interval, now),
            last_credit: now,
            peer_max_body: 0,
            peer_ends_cancelled: false,
            allows_compressed: false,
            allows_error_metadata: false,
            has_same_schema: false,
            fault: None,
            allows_topics: false,
            subscribe_intake: None,
            handshake_deadline: now + config.handshake_timeout,
            drain: None,
            is_close_begun: false,
            pending_close: None,
            is_close_received: false,
            unwanted: TokenBucket::new(now),
            cancels: TokenBucket::new(now),
            cancel_pacer: None,
            pong_count: 0,
            ignored: 0,
            #[cfg(any(test, fuzzing))]
            unexpected: 0,
            is_kept: false,
            connection: 1,
            received: ReceivedDeliveries::default(),
            ended_calls: EndedCalls::default(),
            resend_queue: ResendQueue::default(),
            unhandled: UnhandledMessages::default(),
            last_answered: 0,
            droppable_queue: DroppableQueue::default(),
            dropped_waiters: Vec::new(),
            dropped: Dropped::default(),
            datagrams: None,
            share: Share::new(Arc::clone(&config.budget)),
            read_memory: 0,
            patience: Patience::default(),
            decoded_message: 0,
            queue_limit: Budget::STEP.min(config.outgoing_queue),
            config,
        }
    }

    /// Accepts compressed bodies from here on: a compression was agreed on.
    pub fn allow_compressed(&mut self) {
        self.allows_compressed = true;
    }

    /// Sends and accepts ERRORs with metadata and long texts from here on: both sides have announced
    /// [`ERROR_METADATA`](crate::wire::ERROR_METADATA).
    pub fn allow_error_metadata(&mut self) {
        self.allows_error_metadata = true;
    }

    /// Both sides have the same schema: messages that cannot be read, or that are not in it, count as malformed from here on
    /// ([`count_unreadable`](Self::count_unreadable)).
    pub fn expect_readable(&mut self) {
        self.has_same_schema = true;
    }

    /// Accepts messages with a topic from here on: what is above the session routes them.
    pub fn allow_topics(&mut self) {
        self.allows_topics = true;
    }

    /// Which side of the connection this is.
    #[inline]
    pub fn side(&self) -> Side {
        self.side
    }

    /// The largest body that the peer accepts, in bytes.
    #[inline]
    pub fn peer_max_body(&self) -> usize {
        self.peer_max_body
    }

    /// The round-trip time of the last keepalive ping.
    pub fn round_trip(&self) -> Option<Duration> {
        self.keepalive.round_trip()
    }

    /// How many frames were ignored, because they answer nothing or could not be read and asked for no answer.
    pub fn ignored(&self) -> u64 {
        self.ignored
    }

    /// Adds a message to [`ignored`](Self::ignored): it asked for no answer, and could not be decoded.
    pub fn count_ignored(&mut self) {
        self.ignored += 1;
    }

    /// Notes that bytes were received, of whatever frame: the peer is alive.
    #[inline]
    pub fn received(&mut self, now: Duration) {
        self.keepalive.received(now);
    }

    /// Whether messages can be sent to the peer now.
    #[inline]
    pub fn is_open(&self) -> bool {
        self.phase == Phase::Open && !self.is_closing()
    }

    /// Whether a call is being served in this slot.
    pub fn is_serving(&self, slot: InboundSlot) -> bool {
        self.inbound.contains(slot)
    }

    /// Whether this call is being served in this slot, and its answer is awaited.
    pub fn is_awaited(&self, slot: InboundSlot, id: MsgId) -> bool {
        self.inbound.is_awaited(slot, id)
    }

    /// How many exchanges are open, in either direction.
    pub fn open_exchanges(&self) -> usize {
        self.outbound.len() + self.inbound.len()
    }

    /// How many calls of this side are open.
    pub fn outgoing_calls(&self) -> usize {
        self.outbound.calls()
    }

    /// How many calls of the peer are open, until their handlers have ended.
    pub fn incoming_calls(&self) -> usize {
        self.inbound.len()
    }

    /// The next chunk of frames to write.
    #[inline]
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        let transmit = self.outgoing.take();
        if self.outgoing.is_urgent_empty() {
            self.pong_count = 0;
        }
        transmit
    }

    /// Whether there is anything to write.
    #[inline]
    pub fn has_transmit(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Takes back a chunk that has been written.
    #[inline]
    pub fn transmitted(&mut self, transmit: Transmit) {
        self.outgoing.complete(transmit);
    }

    /// Ends the session. Returns every open exchange, and of each whether any of its request was sent; `in_flight` is the
    /// chunk that was being written, and how much of it was.
    pub fn lost(&mut self, in_flight: Option<(&Transmit, usize)>) -> Vec<Lost> {
        self.phase = Phase::Over;
        if let Some((transmit, written)) = in_flight {
            self.outgoing.abandon(transmit, written);
        }
        self.dropped.disconnected += self.resend_queue.message_count();
        self.clear_droppable();
        self.lose_datagrams();
        self.resend_queue = ResendQueue::default();
        let outgoing = &self.outgoing;
        self.outbound
            .take_all(&mut self.streams, |position| outgoing.is_sent(position))
    }

    /// Frees memory that a burst needed, once the connection is idle.
    pub fn release_memory(&mut self) {
        self.outgoing.release();
        self.outbound.release();
        self.inbound.release();
        self.streams.release();
        self.ended_calls.release();
        self.resend_queue.release();
        self.droppable_queue.release();
        if self.dropped_waiters.is_empty() {
            self.dropped_waiters = Vec::new();
        }
    }
}

#[inline]
fn to_usize(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
