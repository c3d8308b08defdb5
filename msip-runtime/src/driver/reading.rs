//! What has been read: cut into frames, handed to the session, and sorted by who is to hear of it.

use std::{
    task::{Context, Poll, Waker},
    time::Duration,
};

use super::{Driver, Ending, buffer_pool, work_limit::ITEMS_A_TURN};
use msip_session::{
    BareMessage, Event, FLOOR, FastFrame, Fault, Outcome, ReplyTo,
    wire::{Flags, FrameBatch},
};

/// A frame that was begun must be complete within this, and a second more for each 16 KiB of it.
const FRAME_TIMEOUT: Duration = Duration::from_secs(30);
const FRAME_RATE: u64 = 16 * 1024;

/// How many frames are handled under one lock of the connection, at most.
const FRAMES_A_LOCK: usize = 64;

/// What frames were, of those that others act upon.
#[derive(Debug, Default, Clone, Copy)]
struct Handled {
    /// How many calls were begun or answered.
    calls: usize,
    /// How many items of streams have come.
    items: usize,
}

impl Driver {
    pub(super) fn poll_read(
        &mut self,
        task: &mut Context<'_>,
        now: Duration,
    ) -> Result<bool, Ending> {
        let is_put_off = self.connection.lock().session().is_some_and(|session| {
            let is_large = session.is_short_of_memory() && self.decoder.pending_len() > FLOOR;
            let is_slow = self.slow_read.puts_off(is_large, now);
            if is_slow {
                // Nobody is to be declared dead because we do not read.
                session.received(now);
            }
            is_slow || session.is_over_queue()
        });
        if is_put_off {
            return Ok(false);
        }
        if std::mem::take(&mut self.has_leftover) && self.decoder.is_mid_frame() {
            return self.handle_received(now).map(|()| true);
        }
        match buffer_pool::poll_read(&mut self.stream, &mut self.decoder, task) {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(0)) => Err(Ending::Eof),
            Poll::Ready(Err(error)) => Err(Ending::Io(error)),
            Poll::Ready(Ok(_)) => self.handle_received(now).map(|()| true),
        }
    }

    /// Cuts what was read into frames, and hands them to the session, many under one lock. Leaves the rest where a
    /// work_limit is full.
    fn handle_received(&mut self, now: Duration) -> Result<(), Ending> {
        let mut has_frames = false;
        let (mut woken, mut items) = (0, 0);
        let mut room = self.portion_len();
        let fault = loop {
            // Outside of the lock: those who send meanwhile wait for no more than they have to.
            let mut run = FrameBatch::reusing(std::mem::take(&mut self.frames));
            // What stands before a fault is there all the same.
            let cut = self.decoder.cut(&mut run, FRAMES_A_LOCK.min(room));
            has_frames |= !run.is_empty();
            let handled = self.handle_frames(&run, now);
            self.frames = run.into_places();
            woken += self.wakers.len();
            self.wakers.drain(..).for_each(Waker::wake);
            items += handled.as_ref().map_or(0, |handled| handled.items);
            match (handled, cut) {
                (Ok(Handled { calls, .. }), Ok(true)) if calls >= room => {
                    self.has_leftover = true;
                    break None;
                }
                (Ok(Handled { calls, .. }), Ok(true)) => room -= calls,
                (Ok(_), Ok(false)) => break None,
                (Err(fault), _) => break Some(fault),
                (Ok(_), Err(error)) => break Some(Fault::from(error)),
            }
        };
        if !self.decoder.is_mid_frame() {
            self.frame_begun = None;
        } else if self.frame_begun.is_none() || has_frames {
            self.frame_begun = Some(now);
        }
        if !self.received.is_empty() {
            self.inbox.extend(&mut self.received);
        }
        // Where nothing is to be done but to write what they call, the first of them wakes us.
        self.is_gathering =
            (woken > 1 && self.has_leftover) || (woken > 0 && items >= ITEMS_A_TURN);
        fault.map_or(Ok(()), |fault| Err(Ending::Fault(fault)))
    }

    /// When the frame that has begun must be complete. Its length may become known later than its first byte.
    pub(super) fn frame_deadline(&self) -> Option<Duration> {
        let len = u64::try_from(self.decoder.pending_len()).unwrap_or(u64::MAX);
        Some(self.frame_begun? + FRAME_TIMEOUT + Duration::from_secs(len / FRAME_RATE))
    }

    /// How many calls may be begun or answered before what follows from them is written.
    fn portion_len(&self) -> usize {
        self.work_limit.len(self.connection.lock().open_exchanges())
    }

    /// Hands frames to the session, under one lock.
    fn handle_frames(&mut self, run: &FrameBatch, now: Duration) -> Result<Handled, Fault> {
        let mut handled = Handled::default();
        let mut state = self.connection.lock();
        if let Some(session) = state.session() {
            session.received(now);
            session.is_reading_into(self.decoder.held());
        }
        let mut bares = Vec::new();
        let mut has_room = false;
        let mut outcome = Ok(());
        for frame in run.frames() {
            let Some(session) = state.session() else {
                break;
            };
            if frame.header.flags.contains(Flags::MORE) {
                if let Some((inlet, item)) = session.handle_item(frame) {
                    handled.items += 1;
                    let reader = state.arrived(&mut self.arrivals, inlet, item);
                    self.wakers.extend(reader);
                    continue;
                }
            } else {
                match session.handle_fast(frame) {
                    Some(FastFrame::Message) => {
                        add(&mut bares, BareMessage::of(frame, None), run.len());
                        continue;
                    }
                    Some(FastFrame::Call(slot)) => {
                        add(&mut bares, BareMessage::of(frame, Some(slot)), run.len());
                        handled.calls += 1;
                        continue;
                    }
                    Some(FastFrame::Answer(token)) => {
                        has_room = true;
                        handled.calls += 1;
                        let body = frame.payload_after(0);
                        let outcome = Outcome::message(frame.header.variant, body);
                        self.wakers.extend(state.complete(token, outcome));
                        continue;
                    }
                    None => {}
                }
            }
            let event = match session.handle_frame(frame.to_frame(), now) {
                Ok(event) => event,
                Err(fault) => {
                    outcome = Err(fault);
                    break;
                }
            };
            // It may be about the exchange whose items have come before it.
            self.wakers.extend(state.hand_over(&mut self.arrivals));
            match event {
                Some(Event::Incoming(incoming)) => {
                    handled.calls += usize::from(matches!(incoming.reply, ReplyTo::Call(_)));
                    if let (true, ReplyTo::Call(slot)) = (incoming.is_stream, incoming.reply) {
                        state.begin_requests(slot, incoming.first_item());
                    }
                    self.received.push_bare_messages(&mut bares, run.memory());
                    self.received.push(incoming);
                }
                Some(Event::Item { token, item }) => {
                    self.wakers.extend(state.push_item(token, item));
                }
                Some(Event::RequestItem {
                    slot,
                    item,
                    is_last,
                }) => {
                    self.wakers.extend(state.push_request(slot, item, is_last));
                }
                Some(Event::Cancelled(slot)) => {
                    self.wakers.extend(state.end_requests(slot));
                    self.wakers.extend(state.cancel(slot));
                }
                Some(Event::StreamCredit(end)) => self.wakers.extend(state.stream_credit(end)),
                Some(Event::Answered { token, outcome }) => {
                    has_room = true;
                    handled.calls += 1;
                    self.wakers.extend(state.complete(token, outcome));
                }
                Some(Event::Room) => has_room = true,
                Some(Event::Closing(text)) => {
                    self.goodbye = Some(text);
                    // Senders who wait have to hear that nothing more goes out.
                    has_room = true;
                }
                Some(Event::Blamed(text)) => self.blame = Some(text),
                // Only a handshake has them, and that is over.
                Some(Event::Hello(_) | Event::Welcome(_) | Event::Refused(_)) | None => {}
            }
        }
        self.wakers.extend(state.hand_over(&mut self.arrivals));
        if has_room && state.is_awaited() {
            self.wakers.extend(state.capacity());
        }
        drop(state);
        self.received.push_bare_messages(&mut bares, run.memory());
        outcome.map(|()| handled)
    }
}

/// Adds one of up to `count` to what the handlers are to be handed, which then needs memory once.
#[inline]
fn add(bares: &mut Vec<BareMessage>, plain: BareMessage, count: usize) {
    if bares.is_empty() {
        bares.reserve(count);
    }
    bares.push(plain);
}
