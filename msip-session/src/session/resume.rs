//! Resumption: a session continues over several connections (docs/protocol.md, "Resumption").
//!
//! When a connection is lost, [`suspend`](Session::suspend) keeps deliveries, calls of which nothing was sent, and
//! replies that were not handed to the transport; all else that was queued is dropped. [`resume`](Session::resume)
//! continues with a new connection.

use std::time::Duration;

use super::{
    InboundSlot, Lost, Phase, Session, Transmit,
    ended_calls::{AwaitedReply, KeptReply, NOT_RECEIVED},
    fault_injection::FaultInjection,
    frame_writer::{header_of, payload_len, priority_of, rewrite_frame},
    keepalive::Keepalive,
    outgoing::UnwrittenFrame,
    request::Priority,
    resend_queue::{ResendQueue, Waiting},
    to_usize,
    window::{ReceiveWindow, SendWindow, WINDOW_GROWTH},
};
use crate::wire::{
    Code, ErrorText, Flags, FrameType, Header, MsgId, SessionId, Welcome, write_error,
};

/// How many calls a HELLO or its answer names as awaited, at most: more do not fit a HELLO. Those beyond are given up.
const MAX_AWAITED: usize = 1024;

/// The peer's terms for a further connection, from its HELLO or its answer to one.
#[derive(Debug)]
pub struct PeerTerms<'a> {
    /// The largest body that it accepts, in bytes; 0 where it does not say.
    pub peer_max_body: u32,
    /// How many calls it allows at once; 0 where it does not say.
    pub max_calls: u32,
    /// The ids of the calls that it still awaits.
    pub awaited: &'a [u64],
}

/// What has ended with a connection, though the session has not.
#[derive(Debug)]
#[non_exhaustive]
pub struct Suspended {
    /// Exchanges of this side: pings, and calls with streams.
    pub lost: Vec<Lost>,
    /// Calls of the peer that have streams: they are cancelled.
    pub cancelled: Vec<InboundSlot>,
}

/// Whether an answer to HELLO resumes the session that has this peer id, which its first Welcome has named.
///
/// A server may resume a session that it has begun itself: when a HELLO reached it after it had lost the first session,
/// and its answer did not come back. The peer id distinguishes the two sessions.
#[must_use]
pub fn is_resumed(welcome: &Welcome, peer_id: u64) -> bool {
    welcome.resumed && (welcome.peer_id == peer_id || FaultInjection::TrustResumed.is_on())
}

impl Session {
    /// Keeps the session when its connection is lost; the peer does so too.
    pub fn keep_when_lost(&mut self) {
        self.is_kept = true;
    }

    /// Whether the session can continue if its connection is lost now.
    pub fn is_resumable(&self) -> bool {
        self.is_kept && self.phase == Phase::Open && !self.is_closing()
    }

    /// Whether the session waits for a further connection.
    #[inline]
    pub fn is_suspended(&self) -> bool {
        self.phase == Phase::Suspended
    }

    /// The number of the session's connection; each loss begins the next one.
    #[inline]
    pub fn connection(&self) -> u64 {
        self.connection
    }

    /// Whether more replies are kept for the peer than is allowed.
    pub(super) fn is_overflowing(&self) -> bool {
        self.ended_calls.kept_cost() > self.config.session_buffer
    }

    /// The connection is lost, and the session waits for the next one. `in_flight` is the chunk that was being written,
    /// and how much of it was.
    pub fn suspend(&mut self, in_flight: Option<(&Transmit, usize)>) -> Suspended {
        self.phase = Phase::Suspended;
        self.connection += 1;
        self.pong_count = 0;
        self.fault = None;
        self.forget_cancels();
        if let Some((transmit, written)) = in_flight {
            self.outgoing.abandon(transmit, written);
        }
        let mut lost = Vec::new();
        let outgoing = &self.outgoing;
        self.outbound.detach(
            &mut self.streams,
            |position| outgoing.is_sent(position),
            &mut lost,
        );
        if FaultInjection::ForgetWaiter.is_on() {
            let forgotten = self.outbound.sent_calls().next();
            forgotten.and_then(|id| self.outbound.give_up(id, &mut self.streams));
        }
        let earlier = std::mem::take(&mut self.resend_queue);
        self.queue_sent();
        for unwritten in self.outgoing.take_unwritten(in_flight) {
            self.keep_unwritten(unwritten);
        }
        self.queue_earlier(earlier);
        self.number_droppable(&mut lost);
        self.lose_datagrams();
        self.set_read_memory(0);
        Suspended {
            lost,
            cancelled: self.inbound.detach(),
        }
    }

    /// Queues every unanswered delivery of which some was sent.
    fn queue_sent(&mut self) {
        let mut again: Vec<MsgId> = self.outbound.sent_deliveries().collect();
        if FaultInjection::ResendBackwards.is_on() {
            again.reverse();
        }
        if FaultInjection::ResendFromLastSeen.is_on() {
            let last = self.last_answered;
            again.retain(|id| id.sequence() > last);
        }
        for id in again {
            self.resend_queue.push(Waiting::Delivery(id));
        }
        if FaultInjection::ResendCall.is_on() {
            let calls: Vec<MsgId> = self.outbound.sent_calls().collect();
            for id in calls {
                if let Some((frame, _)) = self.outbound.kept(id) {
                    let frame = frame.to_vec();
                    self.resend_queue.push(Waiting::Call { id, frame });
                }
            }
        }
    }

    /// Keeps or drops a frame that was not wholly handed to the transport.
    fn keep_unwritten(&mut self, unwritten: UnwrittenFrame) {
        let UnwrittenFrame {
            priority,
            frame,
            is_begun,
        } = unwritten;
        let Some(Header {
            frame_type,
            flags,
            msg_id: id,
            ..
        }) = header_of(&frame)
        else {
            return;
        };
        match frame_type {
            FrameType::Publish | FrameType::Event => {
                if flags.contains(Flags::ITEM) {
                    // Its stream has ended with the connection.
                } else if !flags.contains(Flags::ACK_REQUIRED) {
                    self.dropped.disconnected += 1;
                } else if is_begun || !self.outbound.is_unsent(id) {
                    // A delivery is queued already. A call is answered after the resume, or is not awaited any more.
                } else if id.is_delivery() {
                    self.resend_queue.push(Waiting::Delivery(id));
                } else if !FaultInjection::ForgetUnsentCall.is_on() {
                    self.resend_queue.push(Waiting::Call { id, frame });
                }
            }
            FrameType::Ack | FrameType::Error
                if id.chosen_by() != self.side
                    && !id.is_delivery()
                    && !flags.contains(Flags::MORE) =>
            {
                self.ended_calls.keep(id, KeptReply { priority, frame });
            }
            // Deliveries are answered again when they come again; credit and pings belong to the lost connection.
            _ => {}
        }
    }

    /// Queues again what waited already before this loss.
    fn queue_earlier(&mut self, mut earlier: ResendQueue) {
        while let Some(waiting) = earlier.pop() {
            match waiting {
                // The sent ones are queued already.
                Waiting::Delivery(id) if !self.outbound.is_unsent(id) => {}
                Waiting::Call { id, .. } if !self.outbound.is_unsent(id) => {}
                waiting => self.resend_queue.push(waiting),
            }
        }
    }

    /// The ids of the calls that this side still awaits, for HELLO or its answer. Those that are too many are given up,
    /// and added to `lost`.
    pub fn awaited_calls(&mut self, lost: &mut Vec<Lost>) -> Vec<u64> {
        // The peer cancels what is not named.
        self.outbound.forget_abandoned(&mut self.streams);
        let mut awaited: Vec<MsgId> = self.outbound.sent_calls().collect();
        awaited.sort_unstable();
        let excess = awaited.len().saturating_sub(MAX_AWAITED);
        for id in awaited.drain(..excess) {
            lost.extend(self.outbound.give_up(id, &mut self.streams));
        }
        awaited.into_iter().map(MsgId::number).collect()
    }

    /// The accepting side continues with a further connection, whose HELLO is answered first. Returns the calls of the
    /// peer that are cancelled, because it does not await them any more.
    pub fn welcome_back(
        &mut self,
        hello: MsgId,
        id: SessionId,
        welcome: &Welcome,
        terms: &PeerTerms<'_>,
        now: Duration,
    ) -> Vec<InboundSlot> {
        self.push_welcome(hello, id, welcome);
        self.resume(terms, now)
    }

    /// Continues with a further connection. Returns the calls of the peer that are cancelled, because it does not await
    /// them any more.
    pub fn resume(&mut self, terms: &PeerTerms<'_>, now: Duration) -> Vec<InboundSlot> {
        if terms.max_calls > 0 {
            self.outbound.set_max_calls(to_usize(terms.max_calls));
        }
        self.send_window = SendWindow::new(self.config.window);
        self.receive_window = ReceiveWindow::growing(self.config.window, WINDOW_GROWTH);
        self.keepalive = Keepalive::new(self.config.ping_interval, now);
        self.open(terms.peer_max_body);
        self.forbid_eviction();
        for id in terms.awaited.iter().take(MAX_AWAITED) {
            self.answer_awaited(MsgId::new(*id));
        }
        self.ended_calls.clear_kept();
        // These were given up after they had been named as awaited.
        for cancel in self.outbound.abandoned_calls() {
            self.cancel_in_turn(cancel);
        }
        if !FaultInjection::SubscribeLast.is_on() {
            self.resubscribe();
        }
        self.send_waiting(now);
        if FaultInjection::SubscribeLast.is_on() {
            self.resubscribe();
        }
        let awaited = terms.awaited.iter().copied().map(MsgId::new).collect();
        self.inbound.cancel_others(&awaited)
    }

    /// The peer still awaits this call: answers it, unless its handler runs.
    fn answer_awaited(&mut self, id: MsgId) {
        let is_call = id.chosen_by() != self.side && !id.is_delivery() && !id.is_connection();
        if !is_call || self.inbound.is_serving(id) || FaultInjection::IgnoreAwaited.is_on() {
            return;
        }
        match self.ended_calls.take(id) {
            AwaitedReply::Kept(_) if FaultInjection::LoseKeptReply.is_on() => {}
            AwaitedReply::Kept(KeptReply { priority, frame }) => {
                self.outgoing
                    .push_response(priority, |buffer| buffer.extend_from_slice(&frame));
            }
            AwaitedReply::Gone(code, text) => {
                let (code, text) = if FaultInjection::DenyReceipt.is_on() {
                    (Code::Unavailable, "not received")
                } else {
                    (code, text)
                };
                self.outgoing.push_response(Priority::Normal, |buffer| {
                    write_error(buffer, Flags::NONE, id, code, text);
                });
                // The caller may cancel it before it has the answer.
                self.inbound.refused(false);
            }
        }
    }

    /// A call of a connection that is lost was not begun, and will not be: it counts as never received.
    pub fn give_back(&mut self, slot: InboundSlot) {
        match self.inbound.end(slot, &mut self.streams) {
            // Its caller has asked for it in the handshake already, and it was still here then.
            Ok((id, _)) if self.phase == Phase::Open => {
                let (code, text) = NOT_RECEIVED;
                self.outgoing.push_response(Priority::Normal, |buffer| {
                    write_error(buffer, Flags::NONE, id, code, text);
                });
            }
            Ok(_) => {}
            Err(unanswered) => self.end_unanswered(unanswered),
        }
    }

    /// Whether this error states, after a resume, that a call of an earlier connection was never received.
    pub(super) fn is_not_received(&self, id: MsgId, text: &ErrorText) -> bool {
        (text.code, text.message.as_str()) == NOT_RECEIVED
            && !id.is_delivery()
            && self.outbound.was_sent_before(id)
    }

    /// Sends what waits in the resend queue, as far as credit allows, with what remains of each deadline.
    pub(super) fn send_waiting(&mut self, now: Duration) {
        let has_credit =
            |window: &SendWindow| window.is_open() || FaultInjection::ResendWithoutCredit.is_on();
        while let Some(waiting) = self.resend_queue.first() {
            match waiting {
                Waiting::Delivery(id) => {
                    let id = *id;
                    if let Some((frame, was_sent)) = self.outbound.kept(id) {
                        if !has_credit(&self.send_window) {
                            return;
                        }
                        let remaining = self.outbound.remaining_ms(id, now);
                        let mut len = 0;
                        let position = self.outgoing.push(priority_of(frame), |buffer| {
                            len = rewrite_frame(buffer, frame, was_sent, remaining);
                        });
                        self.send_window.spend(len);
                        if was_sent {
                            // Its first answer may be under way already; then the second one answers nothing.
                            self.outbound.allow_late(1);
                        }
                        self.outbound.set_position(id, position);
                    }
                }
                Waiting::Call { id, frame } => {
                    let remaining = self.outbound.remaining_ms(*id, now);
                    // One that has timed out is not sent: the next timeout ends it.
                    if self.outbound.is_awaited(*id) && remaining != Some(0) {
                        let position = self.outgoing.push(priority_of(frame), |buffer| {
                            rewrite_frame(buffer, frame, false, remaining);
                        });
                        self.outbound.set_position(*id, position);
                    }
                }
                Waiting::Message { frame } => {
                    if !has_credit(&self.send_window) {
                        return;
                    }
                    self.outgoing
                        .push(priority_of(frame), |buffer| buffer.extend_from_slice(frame));
                    self.send_window.spend(payload_len(frame));
                }
            }
            self.resend_queue.pop();
        }
        if self.droppable_queue.is_empty() {
            self.send_close();
        }
    }
}
