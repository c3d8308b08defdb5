//! Sending: messages, deliveries, calls and pings, on the slow path.

use std::time::Duration;

use super::{
    Blocked::{self, Disconnected},
    CallShape, Phase, RequestHead, Session, Slot, Token,
    cancels::Cancel,
    fault_injection::FaultInjection,
    frame_writer::{Prefix, payload_len, write_frame},
    outbound::{AbandonedCall, Opening},
    outgoing::Position,
    request::{Priority, urgency},
    resend_queue::Waiting,
};
use crate::wire::{Flags, FrameType, Header, MsgId, Side, write_cancel, write_ping};

impl Session {
    /// Sends a message that is not answered; `encode` appends its body.
    ///
    /// # Errors
    ///
    /// [`Blocked`] says why it was not taken.
    pub fn send(
        &mut self,
        head: &RequestHead<'_>,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), Blocked> {
        if self.takes_datagram(head.kind) {
            return self.send_datagram(head, encode);
        }
        self.check_capacity(true)?;
        self.check_droppable_queue(head.kind)?;
        let request = Request::new(head, self.side, self.outbound.next_id(), Flags::NONE);
        if self.is_suspended() {
            let frame = request.into_frame(encode);
            self.resend_queue.push(Waiting::Message { frame });
            return Ok(());
        }
        let mut len = 0;
        self.outgoing.push(request.priority(), |buffer| {
            len = request.write(buffer, encode);
        });
        self.send_window.spend(len);
        Ok(())
    }

    /// Sends a message that is acknowledged; `encode` appends its body. It times out at `deadline`.
    ///
    /// # Errors
    ///
    /// [`Blocked`] says why it was not taken.
    pub fn deliver(
        &mut self,
        head: &RequestHead<'_>,
        token: Token,
        deadline: Duration,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Slot, Blocked> {
        self.check_capacity(true)?;
        if !self.outbound.can_deliver() {
            return Err(self.no_capacity());
        }
        let is_short = self.is_short_of_memory() && !self.may_keep_more();
        if self.is_kept && (is_short || self.is_session_buffer_full()) {
            return Err(self.no_capacity());
        }
        self.check_droppable_queue(head.kind)?;
        let is_suspended = self.is_suspended();
        let vacant = self.outbound.vacant_delivery();
        let id = vacant.id();
        let request = Request::new(head, self.side, id, Flags::ACK_REQUIRED);
        let priority = request.priority();
        let mut kept = Vec::new();
        let position = if self.is_kept {
            kept = request.into_frame(encode);
            if is_suspended {
                self.resend_queue.push(Waiting::Delivery(id));
                Position::NONE
            } else {
                self.send_window.spend(payload_len(&kept));
                self.outgoing
                    .push(priority, |buffer| buffer.extend_from_slice(&kept))
            }
        } else {
            let mut len = 0;
            let position = self.outgoing.push(priority, |buffer| {
                len = request.write(buffer, encode);
            });
            self.send_window.spend(len);
            position
        };
        let opening = Opening {
            variant: head.variant,
            token,
            is_urgent: head.urgent,
            caller: 0,
            deadline,
            position,
            kept,
        };
        Ok(vacant.insert(opening, None))
    }

    /// Sends a request, or opens a stream of requests; `encode` appends its body, which may be empty for a stream. The
    /// call times out at `deadline`; `Duration::MAX` is never.
    ///
    /// # Errors
    ///
    /// [`Blocked`] says why it was not taken.
    pub fn call(
        &mut self,
        head: &RequestHead<'_>,
        shape: CallShape,
        token: Token,
        deadline: Duration,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Slot, Blocked> {
        self.check_capacity(false)?;
        if !self.outbound.can_call() {
            return Err(self.no_capacity());
        }
        let is_suspended = self.is_suspended();
        let has_streams = shape != CallShape::UNARY;
        if is_suspended && has_streams {
            // Streams end with their connection, and none begins without one.
            return Err(Disconnected);
        }
        let vacant = self.outbound.vacant_call();
        let id = vacant.id();
        let flags = if shape.request_stream {
            Flags::ACK_REQUIRED.union(Flags::MORE)
        } else {
            Flags::ACK_REQUIRED
        };
        let request = Request::new(head, self.side, id, flags);
        let priority = request.priority();
        let mut kept = Vec::new();
        let position = if is_suspended {
            let frame = request.into_frame(encode);
            self.resend_queue.push(Waiting::Call { id, frame });
            Position::NONE
        } else if FaultInjection::ResendCall.is_on() {
            kept = request.into_frame(encode);
            self.outgoing
                .push(priority, |buffer| buffer.extend_from_slice(&kept))
        } else {
            self.outgoing.push(priority, |buffer| {
                request.write(buffer, encode);
            })
        };
        let streams = has_streams.then(|| {
            let (sends, receives) = (shape.request_stream, shape.response_stream);
            self.streams.open(id, head.urgent, sends, receives)
        });
        let opening = Opening {
            variant: head.variant,
            token,
            is_urgent: head.urgent,
            caller: head.caller,
            deadline,
            position,
            kept,
        };
        Ok(vacant.insert(opening, streams))
    }

    /// Sends a PING with this payload, which its PONG answers. It times out at `deadline`.
    ///
    /// # Errors
    ///
    /// [`Blocked`] says why it was not taken.
    pub fn ping(
        &mut self,
        payload: &[u8],
        token: Token,
        deadline: Duration,
    ) -> Result<Slot, Blocked> {
        self.check_open()?;
        if self.is_suspended() {
            return Err(Disconnected);
        }
        if self.is_queue_full() || !self.outbound.has_slot() {
            return Err(Blocked::NoCapacity);
        }
        let vacant = self.outbound.vacant_ping();
        let id = vacant.id();
        let position = self
            .outgoing
            .push(Priority::Urgent, |buffer| write_ping(buffer, id, payload));
        let opening = Opening {
            variant: 0,
            token,
            is_urgent: true,
            caller: 0,
            deadline,
            position,
            kept: Vec::new(),
        };
        Ok(vacant.insert(opening, None))
    }

    /// Gives up an exchange: its answer is ignored when it comes. A call is cancelled, or not sent at all if nothing of it
    /// was sent yet.
    pub fn forget(&mut self, slot: Slot) {
        let call = self.outbound.to_abandon(slot);
        let is_withdrawn = call.is_none_or(|call| self.cancel_call(call));
        self.close_unawaited(slot, is_withdrawn);
    }

    /// Whether a call that was given up, or has timed out, counts at the peer until [`Event::GivenUpEnded`](super::Event::GivenUpEnded)
    /// or the loss of the connection.
    pub fn is_given_up(&self, slot: Slot) -> bool {
        self.outbound.is_abandoned_slot(slot)
    }

    /// Whether an exchange of this side is open in this slot, or counts at the peer although it was given up.
    pub fn is_used(&self, slot: Slot) -> bool {
        self.outbound.is_used(slot)
    }

    /// A call has timed out. The peer knows the deadline of one without streams itself.
    pub(super) fn expire_call(&mut self, slot: Slot) {
        let Some(call) = self.outbound.to_abandon(slot) else {
            return;
        };
        let is_withdrawn = if call.has_streams {
            self.cancel_call(call)
        } else {
            let position = call.position;
            position.is_some_and(|position| self.outgoing.withdraw(position))
        };
        self.close_unawaited(slot, is_withdrawn);
    }

    /// Closes an exchange that nobody waits for any more. A call that has reached the peer counts until the peer has ended
    /// it, which only some peers say.
    fn close_unawaited(&mut self, slot: Slot, is_withdrawn: bool) {
        let is_told = self.peer_ends_cancelled
            && matches!(self.phase, Phase::Open | Phase::Suspended)
            && !FaultInjection::FreeCancelled.is_on();
        if is_withdrawn || !is_told {
            self.outbound.forget(slot, &mut self.streams);
        } else {
            self.outbound.abandon(slot, &mut self.streams);
        }
    }

    /// Withdraws a call of which nothing was sent, or cancels it at the peer. Returns whether it was withdrawn.
    fn cancel_call(&mut self, call: AbandonedCall) -> bool {
        let AbandonedCall {
            cancel,
            position,
            has_streams,
        } = call;
        let position = position.filter(|_| !FaultInjection::CancelOvertakes.is_on());
        let is_withdrawn = position.is_some_and(|position| {
            if has_streams {
                self.outgoing.withdraw_all(position, cancel.id)
            } else {
                self.outgoing.withdraw(position)
            }
        });
        // Without a connection nothing is sent: resuming cancels every call that is not awaited any more.
        if self.phase == Phase::Open && !is_withdrawn {
            self.cancel_in_turn(cancel);
        }
        is_withdrawn
    }

    pub(super) fn push_cancel(&mut self, cancel: Cancel) {
        let Cancel { id, is_urgent, .. } = cancel;
        if FaultInjection::ForgetCancel.is_on() {
            return;
        }
        let overtakes = is_urgent || FaultInjection::CancelOvertakes.is_on();
        self.outgoing.push(Priority::new(overtakes), |buffer| {
            write_cancel(buffer, urgency(is_urgent), id);
        });
    }
}

/// A message that begins an exchange, ready to be written.
#[derive(Debug)]
pub(super) struct Request<'a> {
    header: Header,
    prefix: Prefix<'a>,
}

impl<'a> Request<'a> {
    pub(super) fn new(head: &RequestHead<'a>, side: Side, id: MsgId, flags: Flags) -> Self {
        let mut flags = flags.union(urgency(head.urgent));
        if head.compressed {
            flags = flags.union(Flags::COMPRESSED);
        }
        let prefix = if head.deadline_ms.is_some() || !head.metadata.is_empty() {
            flags = flags.union(Flags::META);
            Prefix::Request {
                deadline_ms: head.deadline_ms,
                metadata: head.metadata,
                topic: head.topic,
            }
        } else {
            Prefix::of_topic(head.topic)
        };
        Self {
            header: Header {
                flags,
                frame_type: FrameType::opening(side),
                kind: head.kind.into(),
                variant: head.variant,
                payload_len: 0,
                msg_id: id,
            },
            prefix,
        }
    }

    pub(super) fn priority(&self) -> Priority {
        Priority::of(self.header.flags)
    }

    /// Appends the frame. Returns the length of its payload.
    #[inline]
    pub(super) fn write(&self, buffer: &mut Vec<u8>, encode: impl FnOnce(&mut Vec<u8>)) -> usize {
        write_frame(buffer, &self.header, self.prefix, encode)
    }

    /// The frame by itself.
    pub(super) fn into_frame(self, encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut frame = Vec::new();
        self.write(&mut frame, encode);
        frame
    }
}
