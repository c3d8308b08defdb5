//! What a session has received, as its service takes it, and what the service tells the session in return.

mod idle;

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    completion_batch::CompletionBatch,
    inbox::{BareMessages, Inbox, Item, SubscriptionEvent},
    responder::SessionResponder,
    service_turn::ServiceTurn,
};
use crate::{
    Code, DisconnectReason, Status, Variant, VariantLabel,
    body::{Body, Encoding},
    connection::{CallToAnswer, ConnectionShared, Outgoing, Terms},
};
use msip_session::{
    BareMessage, InboundSlot, Incoming, ReplyTo, Session,
    wire::{Credit, MsgId, Topic},
};

pub(crate) use idle::IdleReceiver;

/// What a session has received and its service has not taken yet, in order.
///
/// What the service has come to goes back in batches: credit for handled messages, acknowledgments and answers are told to
/// the session when many are there, and before the service waits.
#[derive(Debug)]
pub(crate) struct Receiver<A> {
    connection: Arc<ConnectionShared>,
    inbox: Arc<Inbox>,
    batch: VecDeque<Item>,
    /// What comes before the rest of the batch.
    bare: BareMessages,
    /// The answers of so many of the calls that come next are expected already: these calls may begin.
    expected: usize,
    completions: CompletionBatch<A>,
    turn: ServiceTurn,
    /// The session counts what the one-way message takes that is being handled.
    is_message_counted: AtomicBool,
    /// Memory that a burst needed is to be given back by the service too.
    is_released: bool,
    /// All that comes is refused, unread.
    is_refusing: bool,
}

/// The next of what a session has received.
#[derive(Debug)]
pub(crate) enum Received {
    /// Messages and calls without metadata, for [`Receiver::take_bare`].
    Bare,
    /// A message or a call.
    Message(Box<Incoming>),
    /// Something about subscriptions.
    Subscription(Box<SubscriptionEvent>),
    /// A connection is there; what follows came by it.
    Connected,
    /// The connection is gone, and the session is not.
    Disconnected(Box<DisconnectReason>),
}

impl<A: Outgoing> Receiver<A> {
    pub(super) fn new(connection: Arc<ConnectionShared>, inbox: Arc<Inbox>) -> Self {
        let terms = connection.terms();
        Self::of(connection, inbox, terms)
    }

    fn of(connection: Arc<ConnectionShared>, inbox: Arc<Inbox>, terms: Terms) -> Self {
        Self {
            completions: CompletionBatch::new(terms),
            connection,
            inbox,
            batch: VecDeque::new(),
            bare: BareMessages::default(),
            expected: 0,
            turn: ServiceTurn::default(),
            is_message_counted: AtomicBool::new(false),
            is_released: false,
            is_refusing: false,
        }
    }

    /// Makes another receiver of the same session, for what this one leaves.
    pub(crate) fn successor(&self) -> impl FnOnce() -> Self + use<A> {
        let (connection, inbox) = (Arc::clone(&self.connection), Arc::clone(&self.inbox));
        move || Self::new(connection, inbox)
    }

    /// The next of what has been received. `None` when nothing more will come. Nothing comes while the peer leaves too many
    /// answers unread.
    pub(crate) fn poll_next(&mut self, task: &mut Context<'_>) -> Poll<Option<Received>> {
        loop {
            if self.is_held_back() && self.poll_held_back(task).is_pending() {
                return Poll::Pending;
            }
            if !self.bare.is_taken() {
                // It was held back.
                return Poll::Ready(Some(Received::Bare));
            }
            self.bare.release();
            if !self.may_take_next() {
                self.yield_costly(task);
                return Poll::Pending;
            }
            match self.batch.pop_front() {
                Some(Item::Bare(bare)) => {
                    self.bare = bare;
                    return Poll::Ready(Some(Received::Bare));
                }
                Some(Item::Message(incoming)) => {
                    self.turn.count(&incoming);
                    return Poll::Ready(Some(Received::Message(incoming)));
                }
                Some(Item::Subscription(event)) => {
                    self.turn.count_subscription();
                    return Poll::Ready(Some(Received::Subscription(event)));
                }
                Some(Item::Connected(terms)) => {
                    self.connection.forget_lost_backlog();
                    self.flush_completions();
                    self.completions.terms = terms;
                    return Poll::Ready(Some(Received::Connected));
                }
                Some(Item::Terms(terms)) => {
                    self.flush_completions();
                    self.completions.terms = terms;
                    continue;
                }
                Some(Item::Disconnected(reason)) => {
                    self.connection.forget_lost_backlog();
                    self.flush_completions();
                    return Poll::Ready(Some(Received::Disconnected(reason)));
                }
                None => {}
            }
            self.flush_completions();
            if !ready!(self.poll_inbox(task)) {
                return Poll::Ready(None);
            }
        }
    }

    /// Fills the batch; gives back memory where the driver has asked for it, and the turn where there is nothing. `false` once the
    /// inbox is closed.
    #[inline]
    fn poll_inbox(&mut self, task: &mut Context<'_>) -> Poll<bool> {
        let mut is_to_release = false;
        let next = self
            .inbox
            .poll_next(task, &mut self.batch, &mut is_to_release);
        if is_to_release {
            self.release();
        }
        if next.is_pending() {
            self.turn.end(&self.inbox);
        }
        next
    }

    /// Whether the next of the batch may be taken in this turn. A compressed body may cost much: it is read in a turn that is
    /// shared with other busy connections, from the first one on.
    #[inline]
    fn may_take_next(&self) -> bool {
        match self.batch.front() {
            Some(Item::Message(incoming)) if incoming.compressed => {
                self.is_refusing || self.inbox.may_cost()
            }
            _ => true,
        }
    }

    /// What comes next may cost much, and has to wait for its turn.
    #[cold]
    fn yield_costly(&mut self, task: &Context<'_>) {
        self.flush_completions();
        self.turn.end(&self.inbox);
        self.inbox.set_busy();
        self.inbox.yield_turn(task);
    }

    /// The next message or call without metadata, of those that are there. None is while the peer leaves too many answers
    /// unread.
    #[inline]
    pub(crate) fn take_bare(&mut self) -> Option<BareMessage> {
        if self.is_held_back() {
            return None;
        }
        let message = self.bare.take();
        if let Some(message) = &message {
            self.turn.count_bare(message);
            self.expected = self.expected.saturating_sub(1);
        }
        message
    }

    /// The same, without taking it.
    #[inline]
    pub(crate) fn peek_bare(&self) -> Option<BareMessage> {
        if self.is_held_back() {
            return None;
        }
        self.bare.peek()
    }

    /// The calls that come next are taken one after the other, to be answered at some time: the answers of all that may begin are
    /// counted under one lock.
    #[inline]
    pub(crate) fn expect_answers(&mut self) {
        if self.expected == 0 {
            let calls = self.bare.next_calls().iter();
            let calls =
                calls.filter_map(|bare| Some((self.call(bare.call?, bare.id), bare.variant)));
            self.expected = self.connection.calls_taken(calls);
        }
    }

    /// Whether it is time to ask [`is_turn_over`](Self::is_turn_over).
    #[inline]
    pub(crate) fn is_turn_check_due(&self) -> bool {
        self.turn.is_check_due()
    }

    /// Whether the service has done as much as it may before others of its thread have their turn.
    #[inline]
    pub(crate) fn is_turn_over(&mut self) -> bool {
        self.turn.is_check_due() && self.turn.check()
    }

    /// Lets others of its thread have their turn: the service returns `Pending`, and is polled again.
    #[cold]
    pub(crate) fn yield_turn(&mut self, task: &Context<'_>) {
        self.turn.end(&self.inbox);
        self.inbox.yield_turn(task);
    }

    /// Whether nothing is to be begun, since the peer does not read the answers to what was. What is sorted by topic is held back
    /// before that.
    #[inline]
    fn is_held_back(&self) -> bool {
        self.connection.is_backlogged()
            && self.expected == 0
            && !self.is_closed()
            && !self.is_refusing
            && !self.inbox.is_virtual()
    }

    /// Pending where what comes next is held back.
    #[cold]
    fn poll_held_back(&mut self, task: &mut Context<'_>) -> Poll<()> {
        self.flush_completions();
        let is_next_begun = self.bare.is_taken()
            && !matches!(
                self.batch.front(),
                Some(Item::Bare(_) | Item::Message(_) | Item::Subscription(_))
            );
        if is_next_begun || !self.is_held_back() {
            return Poll::Ready(());
        }
        self.turn.end(&self.inbox);
        self.inbox.wait(task);
        Poll::Pending
    }

    /// What comes from here on is refused, which is nothing to wait for.
    pub(crate) fn refuse_rest(&mut self) {
        self.is_refusing = true;
    }

    /// Takes the one-way messages that come next, as one run in one piece of memory.
    pub(crate) fn take_run(&mut self) -> (&[BareMessage], &Bytes) {
        let (messages, memory) = self.bare.take_run();
        for message in messages {
            self.turn.count_bare(message);
        }
        (messages, memory)
    }

    /// Takes the calls that come next, in one piece of memory.
    pub(crate) fn take_calls(&mut self) -> (&[BareMessage], &Bytes) {
        let (calls, memory) = self.bare.take_calls();
        for call in calls {
            self.turn.count_bare(call);
        }
        (calls, memory)
    }

    /// The body of a message that was just taken.
    #[inline]
    pub(crate) fn body(&self, message: &BareMessage) -> Body<'_> {
        self.bare.body(message)
    }

    /// The same with a reference of its own to the memory.
    pub(crate) fn body_of(&self, message: &BareMessage) -> Bytes {
        self.bare.body_of(message)
    }

    /// The bytes of the topic of a message that comes next.
    #[inline]
    pub(crate) fn topic_bytes(&self, message: &BareMessage) -> &[u8] {
        self.bare.topic_bytes(message)
    }

    /// The topic of a message that was just taken.
    pub(crate) fn topic_of(&self, message: BareMessage) -> Topic {
        self.bare.topic_of(message)
    }

    /// The same message as one that owns its body.
    pub(crate) fn incoming(&self, message: BareMessage) -> Incoming {
        self.bare.incoming(message)
    }

    /// Whether a batch of what was received is not taken to its end.
    pub(crate) fn has_more(&self) -> bool {
        !self.batch.is_empty() || !self.bare.is_taken()
    }

    /// Gives back memory that a burst needed.
    #[cold]
    fn release(&mut self) {
        self.batch = VecDeque::new();
        self.completions.release();
        self.is_released = true;
    }

    /// Whether memory that a burst needed is to be given back; says so once.
    #[inline]
    pub(crate) fn take_released(&mut self) -> bool {
        std::mem::take(&mut self.is_released)
    }

    /// Nothing more will come: pending while open calls are to be answered still.
    pub(crate) fn poll_awaits_no_calls(&self, task: &Context<'_>) -> Poll<()> {
        self.inbox.poll_awaits_no_calls(task)
    }

    /// Whether the session has ended, so that nobody takes answers any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.inbox.is_closed()
    }

    pub(crate) fn connection(&self) -> &Arc<ConnectionShared> {
        &self.connection
    }

    /// How the bodies of what is taken now are written.
    #[inline]
    pub(crate) fn encoding(&self) -> &Encoding {
        &self.completions.terms.encoding
    }

    /// The connection by which what is taken now came.
    pub(crate) fn terms(&self) -> &Terms {
        &self.completions.terms
    }

    /// A call that has come, for whoever answers it.
    #[inline]
    pub(crate) fn call(&self, slot: InboundSlot, id: MsgId) -> CallToAnswer {
        CallToAnswer {
            slot,
            generation: self.completions.terms.generation,
            id,
        }
    }

    /// Whether the caller of a call that has come waits for its answer still.
    ///
    /// # Errors
    ///
    /// The status that the call ends with: it was cancelled before it was begun, or its connection was lost while it was held
    /// back.
    #[inline]
    pub(crate) fn check_awaited(&self, call: CallToAnswer) -> Result<(), Status> {
        if self.connection.has_lost_backlog() {
            self.connection.give_back(call);
            return Err(Status::unavailable("the connection was lost"));
        }
        if self.connection.has_cancelled() && self.connection.is_cancelled(call) {
            return Err(Status::new(Code::Cancelled, "cancelled before it began"));
        }
        Ok(())
    }

    /// What answers a call, now or later.
    pub(crate) fn responder(
        &self,
        call: CallToAnswer,
        deadline: Option<Instant>,
    ) -> SessionResponder {
        let encoding = self.encoding().clone();
        SessionResponder::new(&self.connection, call, encoding, deadline)
    }

    /// What was received takes this much memory, inflated or decoded, until its handler has ended.
    ///
    /// # Errors
    ///
    /// Which limit forbids it.
    #[cold]
    pub(crate) fn count_memory(&self, reply: ReplyTo, len: usize) -> Result<(), String> {
        self.expect_memory(reply);
        self.connection.count_memory(reply, len)
    }

    /// Another thread may count what was received.
    pub(crate) fn expect_memory(&self, reply: ReplyTo) {
        if !matches!(reply, ReplyTo::Call(_)) {
            // It orders nothing: this task alone uses it.
            self.is_message_counted.store(true, Ordering::Relaxed);
        }
    }

    #[cold]
    fn uncount_message(&mut self) {
        *self.is_message_counted.get_mut() = false;
        self.connection.with_session(Session::message_handled);
    }

    /// A one-way message has been handled: its sender may send another.
    #[inline]
    pub(crate) fn handled(&mut self, payload_len: u32) {
        if *self.is_message_counted.get_mut() {
            self.uncount_message();
        }
        if payload_len == 0 {
            self.datagram_handled();
            return;
        }
        self.completions.handled(payload_len);
        self.flush_if_due();
    }

    /// A message has been handled that came by a datagram, and took no credit.
    #[cold]
    pub(crate) fn datagram_handled(&self) {
        self.connection.datagram_handled(&self.completions.terms);
    }

    /// One-way messages have been handled.
    pub(crate) fn handled_many(&mut self, credit: Credit) {
        self.completions.handled_many(credit);
        self.flush_if_due();
    }

    /// A delivery has been handled.
    pub(crate) fn acknowledge(&mut self, id: MsgId, urgent: bool, outcome: Result<(), Status>) {
        self.completions.acknowledge(id, urgent, outcome);
        self.flush_if_due();
    }

    /// A call has been answered, by a message that needs no encoding but its own.
    #[inline]
    pub(crate) fn answer(&mut self, call: CallToAnswer, variant: &'static Variant, answer: A) {
        self.completions.answer(call.slot, variant, answer);
        self.flush_if_due();
    }

    /// A message was refused before it reached a handler.
    #[cold]
    pub(crate) fn refused(&self, id: MsgId, status: &Status) {
        self.connection.count_refused(id, status.code());
    }

    /// A message that nobody waits for was not handled.
    #[cold]
    pub(crate) fn ignored(&self, variant: VariantLabel, status: &Status) {
        // The status may quote the body, and what was said is nothing for a log.
        let code = status.code().name();
        tracing::debug!(
            %variant,
            code,
            "a message that nobody waits for was not handled"
        );
        self.connection.with_session(Session::count_ignored);
    }

    /// The service waits for something else than the next message: what it has come to so far is told to the session, since the
    /// other side may go on meanwhile.
    #[inline]
    pub(crate) fn flush_completions(&mut self) {
        self.completions.flush(&self.connection, &self.inbox);
    }

    /// The service waits within a batch: memory of which nothing is needed any more is given back meanwhile.
    pub(crate) fn wait(&mut self) {
        self.turn.end(&self.inbox);
        self.bare.release();
        self.flush_completions();
    }

    #[inline]
    fn flush_if_due(&mut self) {
        if self.completions.is_due() {
            self.flush_completions();
        }
    }
}
