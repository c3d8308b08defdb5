//! A session that outlives its connections (docs/protocol.md, "Resumption").
//!
//! [`suspend`](Session::suspend) takes stock when a connection is lost: deliveries are kept, calls of which nothing
//! was sent wait, replies that were not handed over are kept, and all else that was queued is dropped.
//! [`resume`](Session::resume) puts a new connection in its place.

use std::time::Duration;

use super::{
    InboundSlot, Phase, Priority, Session,
    ended_calls::{Fate, KeptReply, NOT_RECEIVED},
    fault_injection::FaultInjection,
    keepalive::Keepalive,
    outbound::Lost,
    outgoing::{Transmit, Unwritten},
    resend_queue::{Waiting, header_of, payload_len, priority_of, write_late},
    seal, to_usize,
    window::{ReceiveWindow, SendWindow, WINDOW_GROWTH},
};
use crate::wire::{
    Credit, ErrorText, Flags, FrameType, Header, Hello, MsgId, SessionId, Welcome, begin_frame,
    write_error, write_hello, write_welcome,
};

/// How many calls a HELLO or its answer names as awaited, at most: so many fit a HELLO. Those beyond are given up.
pub const MAX_AWAITED: usize = 1024;

/// How many windows of one-way messages may wait for their handlers when a further connection is asked for: each
/// connection brings a window of its own.
const MAX_WINDOWS_UNHANDLED: u64 = 4;

/// What the handshake of a further connection agreed on.
#[derive(Debug)]
pub struct Agreed<'a> {
    /// The largest body that the other side accepts; 0 where it does not say.
    pub peer_max_body: u32,
    /// How many calls it allows at once; 0 where it does not say.
    pub max_calls: u32,
    /// The calls that it still waits for.
    pub awaited: &'a [u64],
}

/// What ends with a connection, though the session does not.
#[derive(Debug)]
pub struct Suspended {
    /// Exchanges of this side: pings and streams.
    pub lost: Vec<Lost>,
    /// Calls of the other side that have streams.
    pub cancelled: Vec<InboundSlot>,
}

/// Whether an answer to HELLO goes on with the session that has this peer id.
///
/// A server may say that it resumes a session that it has begun itself: when a HELLO reached it after it had lost the
/// first one, and its answer did not come back. The peer id is the session's, and tells the two apart.
pub fn goes_on(welcome: &Welcome, peer_id: u64) -> bool {
    welcome.resumed && (welcome.peer_id == peer_id || FaultInjection::TrustResumed.is_on())
}

/// What has come and has not been handled, over all connections.
#[derive(Debug, Default)]
pub(super) struct Unhandled {
    items: u64,
    bytes: u64,
}

impl Unhandled {
    pub(super) fn add(&mut self, payload_len: u32) {
        self.items = self.items.saturating_add(1);
        self.bytes = self.bytes.saturating_add(payload_len.into());
    }

    pub(super) fn subtract(&mut self, handled: Credit) {
        self.items = self.items.saturating_sub(handled.items.into());
        self.bytes = self.bytes.saturating_sub(handled.bytes.into());
    }

    /// What it costs, in bytes, each message counted as its payload and so much.
    pub(super) fn cost(&self, message_cost: u64) -> usize {
        let cost = self.items.saturating_mul(message_cost);
        usize::try_from(self.bytes.saturating_add(cost)).unwrap_or(usize::MAX)
    }

    fn is_much(&self) -> bool {
        let window = Credit::CONNECTION_START;
        self.items > MAX_WINDOWS_UNHANDLED * u64::from(window.items)
            || self.bytes > MAX_WINDOWS_UNHANDLED * u64::from(window.bytes)
    }
}

impl Session {
    /// The connecting side's end of a further connection: shakes hands for `self`, and is thrown away
    /// once that has resumed.
    pub fn shake_hands_again(&mut self, id: SessionId, hello: &Hello, now: Duration) -> Self {
        let mut session = Self::new(self.config.clone(), now);
        let msg_id = self.outbound.next_id();
        session.phase = Phase::AwaitWelcome { hello: msg_id };
        // Where the server opens a new session instead, its ids go on from here.
        session.outbound.begin_after(msg_id);
        // It may have opened that one already, and tell the fate of these calls to whom they mean nothing.
        session.outbound.excuse_more(hello.awaited.len());
        session.outgoing.push(Priority::Normal, |buffer| {
            let mark = begin_frame(buffer, &Header::control(FrameType::Hello, msg_id));
            write_hello(buffer, id, hello);
            seal(buffer, mark);
        });
        session
    }

    /// The HELLO that waits for `welcome` or `refuse`.
    pub fn deciding(&self) -> Option<MsgId> {
        match self.phase {
            Phase::Deciding { hello } => Some(hello),
            _ => None,
        }
    }

    /// The other side keeps the session when its connection is lost, and so does this side.
    pub fn keep_when_lost(&mut self) {
        self.is_resumable = true;
    }

    /// Whether the session can go on when its connection is lost now.
    pub fn is_resumable(&self) -> bool {
        self.is_resumable && self.phase == Phase::Open && !self.is_closing()
    }

    /// Whether the session is there, and has no connection.
    pub fn is_suspended(&self) -> bool {
        self.phase == Phase::Suspended
    }

    /// Whether something new can be said to the other side.
    pub fn is_open(&self) -> bool {
        self.phase == Phase::Open && !self.is_closing()
    }

    /// Which connection of the session it is; each loss ends one.
    pub fn connection(&self) -> u64 {
        self.connection
    }

    /// Whether more is kept for the other side than is allowed.
    pub fn is_overflowing(&self) -> bool {
        self.ended_calls.kept_cost() > self.config.session_buffer
    }

    /// Whether so many messages wait for their handlers that another connection has to wait.
    pub fn is_behind(&self) -> bool {
        self.unhandled.is_much()
    }

    /// The connection is lost, and the session waits for the next one. `in_flight` is the chunk that was being written,
    /// and how much of it was.
    pub fn suspend(&mut self, in_flight: Option<(&Transmit, usize)>) -> Suspended {
        self.phase = Phase::Suspended;
        self.connection += 1;
        self.pongs_waiting = 0;
        if let Some((transmit, written)) = in_flight {
            self.outgoing.abandon(transmit, written);
        }
        let mut lost = Vec::new();
        let outgoing = &self.outgoing;
        self.outbound
            .detach(|position| outgoing.is_sent(position), &mut lost);
        if FaultInjection::ForgetWaiter.is_on() {
            let forgotten = self.outbound.sent_calls().next();
            forgotten.and_then(|id| self.outbound.give_up(id));
        }
        let earlier = std::mem::take(&mut self.resend_queue);
        self.queue_again();
        for unwritten in self.outgoing.take_unwritten(in_flight) {
            self.take_stock(unwritten);
        }
        self.keep_waiting(earlier);
        self.number_shelf(&mut lost);
        self.is_reading_into(0);
        Suspended {
            lost,
            cancelled: self.inbound.cancel_streams(),
        }
    }

    /// Queues every delivery of which some was sent.
    fn queue_again(&mut self) {
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

    /// Decides what becomes of a frame that was not wholly handed over.
    fn take_stock(&mut self, unwritten: Unwritten) {
        let Unwritten {
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
                    // Its stream ends with the connection, and its user is told of that.
                } else if !flags.contains(Flags::ACK_REQUIRED) {
                    self.dropped.disconnected += 1;
                } else if is_begun || !self.outbound.is_unsent(id) {
                    // It is sent again, or its fate is told, or nobody waits for it. A stream has ended.
                } else if id.is_delivery() {
                    self.resend_queue.push(Waiting::Delivery(id));
                } else if !FaultInjection::ForgetUnsentCall.is_on() {
                    self.resend_queue.push(Waiting::Call { id, frame });
                }
            }
            FrameType::Ack | FrameType::Error
                if id.chosen_by() != self.config.side
                    && !id.is_delivery()
                    && !flags.contains(Flags::MORE) =>
            {
                self.ended_calls.keep(id, KeptReply { priority, frame });
            }
            // Deliveries get their answers again when they come again; credit and pings meant the lost connection.
            _ => {}
        }
    }

    /// Keeps what waited already, and had not its turn before this loss either.
    fn keep_waiting(&mut self, mut earlier: super::resend_queue::ResendQueue) {
        while let Some(waiting) = earlier.pop() {
            match waiting {
                // The sent ones are queued again already.
                Waiting::Delivery(id) if !self.outbound.is_unsent(id) => {}
                Waiting::Call { id, .. } if !self.outbound.is_unsent(id) => {}
                waiting => self.resend_queue.push(waiting),
            }
        }
    }

    /// The calls whose fate the other side is to tell, once there is a connection. Those that are too many are given
    /// up, and returned in `lost`.
    pub fn awaited(&mut self, lost: &mut Vec<Lost>) -> Vec<u64> {
        let mut awaited: Vec<MsgId> = self.outbound.sent_calls().collect();
        awaited.sort_unstable();
        let excess = awaited.len().saturating_sub(MAX_AWAITED);
        for id in awaited.drain(..excess) {
            lost.extend(self.outbound.give_up(id));
        }
        awaited.into_iter().map(MsgId::number).collect()
    }

    /// The accepting side goes on with a further connection, whose HELLO is answered first. Returns the calls of the
    /// other side that are cancelled, for it does not wait for them any more.
    pub fn welcome_back(
        &mut self,
        hello: MsgId,
        id: SessionId,
        welcome: &Welcome,
        agreed: &Agreed<'_>,
        now: Duration,
    ) -> Vec<InboundSlot> {
        // Ahead of everything: nothing may come before it.
        self.outgoing.push(Priority::Urgent, |buffer| {
            let mark = begin_frame(buffer, &Header::control(FrameType::Ack, hello));
            write_welcome(buffer, id, welcome);
            seal(buffer, mark);
        });
        self.resume(agreed, now)
    }

    /// Goes on with a further connection. Returns the calls of the other side that are cancelled, for it does not wait
    /// for them any more.
    pub fn resume(&mut self, agreed: &Agreed<'_>, now: Duration) -> Vec<InboundSlot> {
        if agreed.max_calls > 0 {
            self.outbound.set_max_calls(to_usize(agreed.max_calls));
        }
        self.send_window = SendWindow::new(self.config.window);
        self.receive_window = ReceiveWindow::growing(self.config.window, WINDOW_GROWTH);
        self.keepalive = Keepalive::new(self.config.ping_interval, now);
        self.open(agreed.peer_max_body);
        self.share.is_needed();
        for id in agreed.awaited.iter().take(MAX_AWAITED) {
            self.tell_fate(MsgId::new(*id));
        }
        self.ended_calls.clear_kept();
        self.pump(now);
        let awaited = agreed.awaited.iter().copied().map(MsgId::new).collect();
        self.inbound.cancel_others(&awaited)
    }

    /// The other side still waits for this call of its own.
    fn tell_fate(&mut self, id: MsgId) {
        let is_call =
            id.chosen_by() != self.config.side && !id.is_delivery() && !id.is_connection();
        if !is_call || self.inbound.is_serving(id) || FaultInjection::IgnoreAwaited.is_on() {
            return;
        }
        match self.ended_calls.tell(id) {
            Fate::Reply(_) if FaultInjection::LoseKeptReply.is_on() => {}
            Fate::Reply(KeptReply { priority, frame }) => {
                self.outgoing
                    .push_response(priority, |buffer| buffer.extend_from_slice(&frame));
            }
            Fate::Error(code, text) => {
                let (code, text) = if FaultInjection::DenyReceipt.is_on() {
                    (crate::wire::Code::Unavailable, "not received")
                } else {
                    (code, text)
                };
                self.outgoing.push_response(Priority::Normal, |buffer| {
                    write_error(buffer, Flags::NONE, id, code, text)
                });
                // The caller may cancel it before it hears that.
                self.inbound.refused(false);
            }
        }
    }

    /// Whether this error says, after a resume, that a call of an earlier connection has never come.
    pub(super) fn is_fate(&self, id: MsgId, text: &ErrorText) -> bool {
        (text.code, text.message.as_str()) == NOT_RECEIVED
            && !id.is_delivery()
            && self.outbound.was_sent_before(id)
    }

    /// Sends what waits, as far as the credit goes, with what remains of its deadline.
    pub(super) fn pump(&mut self, now: Duration) {
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
                            len = write_late(buffer, frame, was_sent, remaining);
                        });
                        self.send_window.spend(len);
                        if was_sent {
                            // Its first answer may be on its way already; then the second answers nothing.
                            self.outbound.excuse_more(1);
                        }
                        self.outbound.set_position(id, position);
                    }
                }
                Waiting::Call { id, frame } => {
                    let remaining = self.outbound.remaining_ms(*id, now);
                    // One whose time is up is not sent any more: it is told so by the clock.
                    if self.outbound.is_open(*id) && remaining != Some(0) {
                        let position = self.outgoing.push(priority_of(frame), |buffer| {
                            write_late(buffer, frame, false, remaining);
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
            self.say_goodbye();
        }
    }
}
