//! Reading: bytes are cut into frames, passed to the session, and sorted by their consumers.

use std::{
    task::{Context, Poll, Waker},
    time::Duration,
};

use super::{
    Driver, Ending, buffer_pool,
    work_limit::{MAX_ITEMS, cost},
};
use crate::{
    connection::{ConnectionInner, ReceivedItems},
    service::{Inbox, ReceivedMessages, SubscriptionEvent},
};
use msip_schema::DESCRIBE_VARIANT;
use msip_session::{
    BareMessage, Budget, Event, FastFrame, Fault, Incoming, Outcome, ReplyTo,
    wire::{ErrorText, Flags, FrameBatch, FrameRange, FrameRef},
};

/// A frame that was begun must be complete within this, and a second more for each 16 KiB of it.
const FRAME_TIMEOUT: Duration = Duration::from_secs(30);
const FRAME_RATE: u64 = 16 * 1024;

/// Requests that could wait are read all the same after so long without a byte written: the peer may wait for this side to
/// read, too.
const READ_ON_AFTER: Duration = Duration::from_secs(1);

/// How many frames are handled under one lock of the connection, at most.
const FRAMES_A_LOCK: usize = 64;

/// What has been read, sorted by its consumers.
#[derive(Debug, Default)]
pub(super) struct Received {
    /// The memory for the ranges of frames that were cut from what was read.
    ranges: Vec<FrameRange>,
    /// For the handlers.
    messages: ReceivedMessages,
    /// For the readers of streams.
    items: ReceivedItems,
    /// Memory for the wakers of those whose answers were read together.
    wakers: Vec<Waker>,
    /// What the peer said when it closed, or blamed us for.
    pub(super) goodbye: Option<ErrorText>,
    pub(super) blame: Option<ErrorText>,
}

/// What a batch of frames has led to.
#[derive(Debug, Default)]
struct Handled {
    /// How many calls were begun or answered, by their [`cost`].
    calls: usize,
    /// How many items of streams were received, by their [`cost`].
    items: usize,
    /// There may be capacity for the senders that wait for it.
    has_freed_capacity: bool,
    /// Messages and calls for the handlers that lie behind one another in the batch.
    bares: Vec<BareMessage>,
}

impl Driver {
    pub(super) fn poll_read(
        &mut self,
        task: &mut Context<'_>,
        now: Duration,
    ) -> Result<bool, Ending> {
        let Some(open_exchanges) = self.may_read(now)? else {
            return Ok(false);
        };
        if std::mem::take(&mut self.has_leftover) && self.decoder.is_mid_frame() {
            return self.handle_received(now, open_exchanges).map(|()| true);
        }
        match buffer_pool::poll_read(&mut self.stream, &mut self.decoder, task) {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(0)) => Err(Ending::Eof),
            Poll::Ready(Err(error)) => Err(Ending::Io(error)),
            Poll::Ready(Ok(len)) => {
                self.has_received = true;
                self.share.read(len);
                self.handle_received(now, open_exchanges).map(|()| true)
            }
        }
    }

    /// How many exchanges of this side are open, where something may be read. `None` where nothing is read now: memory is short,
    /// or the peer does not read.
    fn may_read(&mut self, now: Duration) -> Result<Option<usize>, Ending> {
        let mut state = self.connection.lock();
        let open_exchanges = state.open_exchanges();
        let Some(session) = state.session() else {
            return Ok(Some(open_exchanges));
        };
        if let Some(fault) = session.take_fault() {
            return Err(Ending::Fault(*fault));
        }
        if session.owes_little() {
            // Memory is not short either, so that even a large frame is read.
            self.reads_on = false;
            self.slow_read.puts_off(false, now);
            return Ok(Some(open_exchanges));
        }
        let is_large = session.is_short_of_memory() && self.decoder.pending_len() > Budget::FLOOR;
        let defers_requests = session.defers_requests();
        if defers_requests {
            self.reads_on |= self
                .stalled_since
                .is_some_and(|since| now >= since + READ_ON_AFTER);
        } else if !session.is_backlogged() {
            self.reads_on = false;
        }
        let is_put_off = self.slow_read.puts_off(is_large, now)
            || session.is_read_paused()
            || (defers_requests && !self.reads_on);
        if is_put_off {
            // The peer is not to be declared dead because we do not read.
            session.received(now);
        }
        Ok((!is_put_off).then_some(open_exchanges))
    }

    /// When the peer's requests are read although they could wait, where nothing is written until then.
    pub(super) fn reads_on_at(&self, now: Duration) -> Option<Duration> {
        let at = self.stalled_since? + READ_ON_AFTER;
        (at > now).then_some(at)
    }

    /// Cuts what was read into frames, and hands them to the session, many under one lock. Leaves the rest where the
    /// work limit is reached.
    fn handle_received(&mut self, now: Duration, open_exchanges: usize) -> Result<(), Ending> {
        let mut has_frames = false;
        let (mut woken, mut items) = (0, 0);
        let mut calls_left = self.work_limit.call_count(open_exchanges);
        let fault = loop {
            // Outside of the lock, so that concurrent senders wait for no more than they have to.
            let received = self.received.get_or_insert_default();
            let mut batch = FrameBatch::reusing(std::mem::take(&mut received.ranges));
            // Frames before a fault are valid all the same.
            let cut = self
                .decoder
                .decode_batch(&mut batch, FRAMES_A_LOCK.min(calls_left));
            has_frames |= !batch.is_empty();
            let mut handled = Handled::default();
            let mut state = self.connection.lock();
            if let Some(session) = state.session() {
                session.received(now);
                session.set_read_memory(self.decoder.held());
            }
            let outcome = received.handle_batch(&mut state, &batch, now, &mut handled);
            self.connection.note_backlog(&mut state);
            let is_paused = state
                .session()
                .is_some_and(|session| session.is_read_paused());
            woken += state.release_with(&mut received.wakers);
            let messages = &mut received.messages;
            messages.push_bare_messages(&mut handled.bares, batch.memory());
            received.ranges = batch.into_ranges();
            items += handled.items;
            match (outcome, cut) {
                (Err(fault), _) => break Some(fault),
                (Ok(()), Err(error)) => break Some(Fault::from(error)),
                (Ok(()), Ok(false)) => break None,
                (Ok(()), Ok(true)) if is_paused || handled.calls >= calls_left => {
                    self.has_leftover = true;
                    break None;
                }
                (Ok(()), Ok(true)) => calls_left -= handled.calls,
            }
        };
        if !self.decoder.is_mid_frame() {
            self.frame_begun = None;
        } else if self.frame_begun.is_none() || has_frames {
            self.frame_begun = Some(now);
        }
        if let Some(received) = &mut self.received {
            received.hand_over(&self.inbox);
        }
        // Where there is nothing to do but to write what they call, the first of them wakes us.
        self.is_yielding = (woken > 1 && self.has_leftover) || (woken > 0 && items >= MAX_ITEMS);
        fault.map_or(Ok(()), |fault| Err(Ending::Fault(fault)))
    }

    /// When the frame that has begun must be complete. Its length may become known later than its first byte.
    pub(super) fn frame_deadline(&self) -> Option<Duration> {
        let begun = self.frame_begun?;
        let len = u64::try_from(self.decoder.pending_len()).unwrap_or(u64::MAX);
        Some(begun + FRAME_TIMEOUT + Duration::from_secs(len / FRAME_RATE))
    }
}

impl Received {
    /// Whether it is memory for what is read next, and nothing else.
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.goodbye.is_none() && self.blame.is_none()
    }

    /// Hands frames to the session, under one lock.
    fn handle_batch(
        &mut self,
        state: &mut ConnectionInner,
        batch: &FrameBatch,
        now: Duration,
        handled: &mut Handled,
    ) -> Result<(), Fault> {
        let mut outcome = Ok(());
        for frame in batch.frames() {
            if self.handle_fast(state, frame, batch.len(), handled) {
                continue;
            }
            outcome = self.handle_slow(state, frame, batch, now, handled);
            if outcome.is_err() {
                break;
            }
        }
        state.hand_over(&mut self.items);
        if handled.has_freed_capacity && state.is_capacity_awaited() {
            state.capacity_freed();
        }
        outcome
    }

    /// Handles a frame of any kind. By itself, so that the loop that handles most of them stays short.
    #[inline(never)]
    fn handle_slow(
        &mut self,
        state: &mut ConnectionInner,
        frame: FrameRef<'_>,
        batch: &FrameBatch,
        now: Duration,
        handled: &mut Handled,
    ) -> Result<(), Fault> {
        let Some(session) = state.session() else {
            return Ok(());
        };
        if let Some(bare) = session.handle_topic(frame) {
            if bare.call.is_some() {
                handled.calls += cost(bare.body_len(), false);
                handled.add_bare(bare, batch.len());
            } else if state.is_told(bare, batch.memory()) {
                self.pass_on(bare.to_incoming(batch.memory()), batch, handled);
            } else {
                handled.add_bare(bare, batch.len());
            }
            return Ok(());
        }
        let event = session.handle_frame(frame.to_frame(), now)?;
        // It may be about the exchange whose items were received before it.
        state.hand_over(&mut self.items);
        if let Some(event) = event {
            self.handle_event(state, event, batch, handled);
        }
        Ok(())
    }

    /// Handles a frame as most are. `false` where it is another, and nothing has happened.
    #[inline]
    fn handle_fast(
        &mut self,
        state: &mut ConnectionInner,
        frame: FrameRef<'_>,
        batch_len: usize,
        handled: &mut Handled,
    ) -> bool {
        let Some(session) = state.session() else {
            return false;
        };
        if frame.header.flags.contains(Flags::MORE) {
            let Some((inlet, item)) = session.handle_item(frame) else {
                return false;
            };
            handled.items += cost(item.body.len(), item.compressed);
            state.add_item(&mut self.items, inlet, item);
            return true;
        }
        match session.handle_fast(frame) {
            Some(FastFrame::Message) => {
                handled.add_bare(BareMessage::new(frame, None), batch_len);
            }
            Some(FastFrame::Call(slot)) => {
                let bare = BareMessage::new(frame, Some(slot));
                handled.calls += cost(bare.body_len(), false);
                handled.add_bare(bare, batch_len);
            }
            Some(FastFrame::Answer(token)) => {
                handled.has_freed_capacity = true;
                // Items of the same call may have come before it.
                state.hand_over(&mut self.items);
                let body = frame.payload_after(0);
                handled.calls += cost(body.len(), false);
                state.complete(token, Outcome::message(frame.header.variant, body));
            }
            None => return false,
        }
        true
    }

    /// Adds a message that came by a datagram.
    pub(super) fn push(&mut self, incoming: Incoming) {
        self.messages.push(incoming);
    }

    /// Hands all messages to the handlers.
    #[inline]
    pub(super) fn hand_over(&mut self, inbox: &Inbox) {
        if !self.messages.is_empty() {
            inbox.extend(&mut self.messages);
        }
    }

    /// Adds a message to what the handlers are handed, behind those that came before it.
    fn pass_on(&mut self, incoming: Incoming, batch: &FrameBatch, handled: &mut Handled) {
        self.messages
            .push_bare_messages(&mut handled.bares, batch.memory());
        self.messages.push(incoming);
    }

    /// Tells the service something about subscriptions, in its turn.
    fn tell(&mut self, event: SubscriptionEvent, batch: &FrameBatch, handled: &mut Handled) {
        self.messages
            .push_bare_messages(&mut handled.bares, batch.memory());
        self.messages.push_subscription(event);
    }

    fn handle_event(
        &mut self,
        state: &mut ConnectionInner,
        event: Event,
        batch: &FrameBatch,
        handled: &mut Handled,
    ) {
        match event {
            Event::Incoming(incoming) if incoming.variant == DESCRIBE_VARIANT => {
                match incoming.reply {
                    ReplyTo::Call(slot) if state.answers_describe(&incoming) => {
                        state.answer_describe(slot, &incoming);
                    }
                    // Of messages nobody has a member of this number: they are refused, or counted.
                    _ => self.pass_on(incoming, batch, handled),
                }
            }
            Event::Incoming(incoming) => {
                if let ReplyTo::Call(_) = incoming.reply {
                    handled.calls += cost(incoming.body.len(), incoming.compressed);
                }
                if let (true, ReplyTo::Call(slot)) = (incoming.is_stream, incoming.reply) {
                    state.begin_requests(slot, incoming.first_item());
                }
                self.pass_on(incoming, batch, handled);
            }
            Event::Item { token, item } => state.push_item(token, item),
            Event::RequestItem {
                slot,
                item,
                is_last,
            } => state.push_request(slot, item, is_last),
            Event::Cancelled(slot) => state.cancel(slot),
            Event::StreamCredit(end) => state.wake_stream_sender(end),
            Event::Answered { token, outcome } => {
                handled.has_freed_capacity = true;
                handled.calls += match &outcome {
                    Outcome::Answer {
                        body, compressed, ..
                    } => cost(body.len(), *compressed),
                    _ => 1,
                };
                state.complete(token, outcome);
                if let Some(refused) = state.take_refused_subscription() {
                    self.tell(SubscriptionEvent::Refused(refused), batch, handled);
                }
            }
            Event::Capacity => handled.has_freed_capacity = true,
            Event::GivenUpEnded(slot) => {
                handled.has_freed_capacity = true;
                state.given_up_ended(slot);
            }
            Event::Closing(text) => {
                self.goodbye = Some(text);
                state.raise_draining();
                // Senders that wait are woken, since nothing more goes out.
                handled.has_freed_capacity = true;
            }
            Event::PeerFault(text) => self.blame = Some(text),
            Event::Subscribe(request) => {
                handled.calls += 1;
                self.tell(SubscriptionEvent::Asked(*request), batch, handled);
            }
            // Only a handshake has them, and that is over.
            Event::Hello(_) | Event::Welcome(_) | Event::Refused(_) => {}
        }
    }
}

impl Handled {
    /// Adds one of up to `count` to what the handlers are to be handed, which then needs memory once.
    #[inline]
    fn add_bare(&mut self, bare: BareMessage, count: usize) {
        if self.bares.is_empty() {
            self.bares.reserve(count);
        }
        self.bares.push(bare);
    }
}
