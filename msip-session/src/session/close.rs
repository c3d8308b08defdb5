//! Closing: the graceful close of a session, and its end by a fault (docs/protocol.md, "Errors and close" and "Drain").

use std::time::Duration;

use super::{
    Fault, FaultKind, InboundSlot, Outcome, Phase, Session, TimedOut, Token,
    request::{Priority, urgency},
};
use crate::wire::{Code, ErrorText, Flags, FrameType, Header, Side, write_close, write_error};

/// The error of a request that came after CLOSE had been sent, so that it is safe to repeat (docs/protocol.md, "Drain").
pub(super) const NOT_ACCEPTED: (Code, &str) = (Code::Unavailable, "not accepted");

/// How long a side that has said CLOSE, and for which nothing is open any more, waits for the peer to close the transport:
/// what the peer had sent before it read the CLOSE is refused by name meanwhile.
const LINGER: Duration = Duration::from_millis(500);

/// Refuses a frame that came when its session had ended after a CLOSE of this side: appends the ERROR for it, where it is a
/// request. Nothing for any other frame.
pub fn refuse_late(header: &Header, side: Side, buffer: &mut Vec<u8>) {
    let id = header.msg_id;
    let is_request = header.frame_type == FrameType::opening(side.reverse())
        && header.flags.contains(Flags::ACK_REQUIRED)
        && !header.flags.contains(Flags::ITEM)
        && id.chosen_by() != side
        && !id.is_connection();
    if is_request {
        write_error(buffer, Flags::NONE, id, NOT_ACCEPTED.0, NOT_ACCEPTED.1);
    }
}

/// A session that drains: either side has said CLOSE.
#[derive(Debug)]
pub(super) struct Drain {
    /// Until when open exchanges may finish.
    deadline: Duration,
    /// When calls with streams are ended, where there may be any.
    streams_at: Option<Duration>,
    linger: Linger,
    /// Why, as the CLOSE says.
    reason: String,
}

/// Whether the peer has had its time to close the transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Linger {
    /// Something is open, or was when last looked.
    No,
    Until(Duration),
    Over,
}

/// Calls with streams that a drain has ended.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct EndedStreams {
    /// Calls of this side, and their outcomes.
    pub outcomes: Vec<(Token, Outcome)>,
    /// Calls of the peer, which were answered with `UNAVAILABLE`: stop their handlers, and end each with
    /// [`Session::reply`] all the same.
    pub cancelled: Vec<InboundSlot>,
}

impl Drain {
    /// When there is something to do.
    pub(super) fn poll_timeout(&self) -> Duration {
        match self.linger {
            Linger::No => self
                .streams_at
                .map_or(self.deadline, |at| at.min(self.deadline)),
            Linger::Until(at) => at,
            Linger::Over => Duration::MAX,
        }
    }

    fn are_streams_due(&self, now: Duration) -> bool {
        self.streams_at.is_some_and(|at| now >= at)
    }
}

impl Session {
    /// Opens and accepts nothing new from here on; open exchanges may finish within the drain timeout, and calls with
    /// streams within `stream_drain`.
    ///
    /// CLOSE is sent behind everything that waits for capacity. A session without a connection just ends.
    pub fn begin_close(&mut self, code: Code, message: &str, now: Duration) {
        if self.phase == Phase::Suspended {
            // There is no connection to send CLOSE on.
            self.is_close_begun = true;
        }
        if self.is_close_begun || self.phase != Phase::Open {
            return;
        }
        self.is_close_begun = true;
        self.start_draining(now, message);
        self.pending_close = Some(Box::new((code, message.to_owned())));
        if !self.is_waiting() {
            self.send_close();
        }
    }

    /// Sends CLOSE, after which nothing new is sent.
    pub(super) fn send_close(&mut self) {
        if let Some(close) = self.pending_close.take() {
            let (code, message) = *close;
            self.outgoing.push(Priority::Normal, |buffer| {
                write_close(buffer, code, &message);
            });
        }
    }

    /// Either side has said CLOSE, for this reason.
    pub(super) fn start_draining(&mut self, now: Duration, reason: &str) {
        let deadline = now.saturating_add(self.config.drain_timeout);
        match &mut self.drain {
            Some(drain) => drain.deadline = drain.deadline.min(deadline),
            None => {
                self.drain = Some(Box::new(Drain {
                    deadline,
                    streams_at: None,
                    linger: Linger::No,
                    reason: reason.to_owned(),
                }));
            }
        }
        if self.streams.len() > 0 {
            self.stream_begun(now);
        }
    }

    /// Streams of calls are open from now on: where the session drains, they have their time from here.
    pub fn stream_begun(&mut self, now: Duration) {
        if let Some(drain) = &mut self.drain {
            let at = now.saturating_add(self.config.stream_drain);
            drain.streams_at.get_or_insert(at.min(drain.deadline));
        }
    }

    /// Ends the calls with streams that have not ended by themselves within `stream_drain`. `None` where none is due.
    pub fn end_streams(&mut self, now: Duration) -> Option<EndedStreams> {
        let drain = self.drain.as_mut()?;
        if self.phase != Phase::Open || !drain.are_streams_due(now) {
            return None;
        }
        drain.streams_at = None;
        let text = format!("{}: the stream was ended", drain.reason);
        let mut ended = EndedStreams::default();
        for (slot, id, is_urgent) in self.inbound.end_streams() {
            self.outgoing
                .push_response(Priority::new(is_urgent), |buffer| {
                    write_error(buffer, urgency(is_urgent), id, Code::Unavailable, &text);
                });
            // Items and credit may be under way.
            self.inbound.refused(true);
            ended.cancelled.push(slot);
        }
        if self.is_close_begun {
            for (slot, token) in self.outbound.calls_with_streams() {
                self.forget(slot);
                let error = ErrorText {
                    code: Code::Unavailable,
                    message: text.clone(),
                };
                ended.outcomes.push((token, Outcome::Error(error, None)));
            }
        }
        Some(ended)
    }

    /// What is due in a session that drains.
    pub(super) fn handle_drain_timeout(&mut self, now: Duration) -> Result<(), TimedOut> {
        let Some(drain) = self
            .drain
            .as_mut()
            .filter(|drain| now >= drain.poll_timeout())
        else {
            return Ok(());
        };
        match drain.linger {
            Linger::No if now < drain.deadline => Ok(()),
            Linger::No => {
                self.send_close();
                Err(TimedOut::Drain)
            }
            Linger::Until(_) | Linger::Over => {
                drain.linger = Linger::Over;
                Ok(())
            }
        }
    }

    /// Whether a new request is refused: this side has said CLOSE. One that comes while CLOSE waits to be sent is still
    /// accepted, since the peer has to read the CLOSE first.
    pub(super) const fn refuses_requests(&self) -> bool {
        self.is_close_begun && self.pending_close.is_none()
    }

    /// Whether this error states that the peer, which has said CLOSE, has not accepted an exchange.
    pub(super) fn is_not_accepted(&self, text: &ErrorText) -> bool {
        self.is_close_received && (text.code, text.message.as_str()) == NOT_ACCEPTED
    }

    /// Whether this side alone has said CLOSE, so that requests may still come.
    pub const fn may_be_asked(&self) -> bool {
        self.is_close_begun && !self.is_close_received
    }

    /// Whether either side has said that it opens nothing new.
    #[inline]
    pub fn is_closing(&self) -> bool {
        self.is_close_begun || self.is_close_received
    }

    /// Whether the session is closing, and nothing is open or waits to be sent: its end loses nothing, whoever closes the
    /// transport.
    pub fn is_drained(&self) -> bool {
        self.phase == Phase::Open
            && self.is_closing()
            && self.outbound.is_idle()
            && self.inbound.is_idle()
            && !self.is_waiting()
            && self.outgoing.is_empty()
    }

    /// Whether the session is closing, and nothing is left to do but to close the transport.
    ///
    /// A side that has said CLOSE leaves that to the peer for half a second, from [`linger`](Self::linger) on, unless the
    /// peer has said CLOSE too.
    pub fn is_finished(&self) -> bool {
        match self.phase {
            Phase::Over => self.outgoing.is_empty(),
            Phase::Suspended => self.is_closing() || self.is_overflowing(),
            Phase::Open => self.is_drained() && (self.is_close_received || self.has_lingered()),
            _ => false,
        }
    }

    /// Whether the peer was given its time to close the transport, and has not.
    pub fn has_lingered(&self) -> bool {
        let drain = self.drain.as_ref();
        drain.is_some_and(|drain| drain.linger == Linger::Over)
    }

    /// Notes that all has been written. Where the session is drained, the peer has half a second from the first time on to
    /// close the transport.
    #[inline]
    pub fn linger(&mut self, now: Duration) {
        if self.drain.is_some() && self.is_drained() {
            self.begin_linger(now);
        }
    }

    fn begin_linger(&mut self, now: Duration) {
        if let Some(drain) = &mut self.drain
            && drain.linger == Linger::No
        {
            drain.linger = Linger::Until(now.saturating_add(LINGER));
        }
    }

    /// Ends the session with a fault of the peer, and queues the ERROR and CLOSE that report it. Everything else that was queued
    /// is dropped.
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
        if was_open && !matches!(fault.kind, FaultKind::Foreign | FaultKind::TlsPeer) {
            self.outgoing.push(Priority::Urgent, |buffer| {
                write_close(buffer, fault.code, &fault.rule);
            });
        }
    }
}
