//! Datagrams: LOG and METRIC messages that go beside the stream, where the transport has datagrams (docs/protocol.md,
//! "Datagrams").
//!
//! They take no credit and have no place in the order. Those that wait here are dropped oldest first.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{
    Blocked, Incoming, Phase, ReplyTo, RequestHead, Session,
    droppable::QUEUE_SHARE,
    droppable_queue::Droppable,
    fault_injection::FaultInjection,
    frame_writer::{FRAME_COST, first_frame, header_of, payload_len, priority_of},
    send::Request,
};
use crate::{
    MsgKind,
    wire::{Flags, Frame, FrameType, HEADER_LEN, Header, MsgId},
};

/// How many bytes wait to be sent, each frame counted as its length + 64; less where the outgoing queue is short.
const QUEUE_LEN: usize = 256 * 1024;

/// How many received messages may wait for their handlers; more are left to the transport, which drops the oldest.
pub(super) const MAX_UNHANDLED: u32 = 256;

/// The flags that a message in a datagram may have.
const ALLOWED: Flags = Flags::URGENT.union(Flags::META).union(Flags::COMPRESSED);

/// What a session has of datagrams, once a connection of it had some.
#[derive(Debug, Default)]
pub(super) struct Datagrams {
    /// The longest datagram that the connection takes; 0 where it takes none.
    max_len: usize,
    /// The kinds that go by the stream all the same.
    excluded: Vec<MsgKind>,
    waiting: VecDeque<(MsgKind, Vec<u8>)>,
    cost: usize,
    /// How many were received and wait for their handlers.
    unhandled: u32,
    /// The longest of those, as memory counts them.
    longest: usize,
}

/// Whether messages of this kind may be lost, so that they may go by datagrams.
const fn is_lossy(kind: MsgKind) -> bool {
    matches!(kind, MsgKind::Log | MsgKind::Metric)
}

impl Datagrams {
    fn takes(&self, kind: MsgKind) -> bool {
        self.max_len > 0 && is_lossy(kind) && !self.excluded.contains(&kind)
    }

    fn push(&mut self, kind: MsgKind, frame: Vec<u8>) {
        self.cost += frame.len() + FRAME_COST;
        self.waiting.push_back((kind, frame));
    }

    fn pop(&mut self) -> Option<(MsgKind, Vec<u8>)> {
        let (kind, frame) = self.waiting.pop_front()?;
        self.cost = self.cost.saturating_sub(frame.len() + FRAME_COST);
        Some((kind, frame))
    }

    /// What waits to be sent, in bytes.
    #[cold]
    #[inline(never)]
    pub(super) fn held_to_send(&self) -> usize {
        self.cost
    }

    /// What waits for its handlers, at most.
    #[cold]
    #[inline(never)]
    pub(super) fn held_received(&self) -> usize {
        let unhandled = usize::try_from(self.unhandled).unwrap_or(usize::MAX);
        unhandled.saturating_mul(self.longest)
    }
}

impl Session {
    /// The connection takes datagrams of up to so many bytes, from here on or still: LOG and METRIC messages that ask for no
    /// acknowledgment are given to [`poll_datagram`](Self::poll_datagram), where they are not longer.
    pub fn allow_datagrams(&mut self, max_len: usize) {
        if max_len > 0 || self.datagrams.is_some() {
            self.datagrams.get_or_insert_default().max_len = max_len;
        }
    }

    /// Messages of this kind go by the stream as long as the connection lasts, though it takes datagrams. After
    /// [`allow_datagrams`](Self::allow_datagrams).
    pub fn exclude_from_datagrams(&mut self, kind: MsgKind) {
        if let Some(datagrams) = &mut self.datagrams
            && is_lossy(kind)
            && !datagrams.excluded.contains(&kind)
        {
            datagrams.excluded.push(kind);
        }
    }

    /// Whether messages of this kind go by datagrams.
    #[inline]
    pub(super) fn takes_datagram(&self, kind: MsgKind) -> bool {
        self.datagrams
            .as_ref()
            .is_some_and(|datagrams| datagrams.takes(kind))
            && self.phase == Phase::Open
    }

    /// Sends a message by a datagram, or by the stream where it does not fit one.
    ///
    /// # Errors
    ///
    /// [`Blocked`] says why it was not taken.
    #[cold]
    pub(super) fn send_datagram(
        &mut self,
        head: &RequestHead<'_>,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), Blocked> {
        self.check_open()?;
        let request = Request::new(head, self.side, self.outbound.next_id(), Flags::NONE);
        let frame = request.into_frame(encode);
        if FaultInjection::SpendForDatagram.is_on() {
            self.send_window.spend(payload_len(&frame));
        }
        let Err(frame) = self.push_datagram(head.kind, frame) else {
            return Ok(());
        };
        self.check_capacity(true)?;
        self.check_droppable_queue(head.kind)?;
        self.send_window.spend(payload_len(&frame));
        self.outgoing.push(priority_of(&frame), |buffer| {
            buffer.extend_from_slice(&frame);
        });
        Ok(())
    }

    /// Sends a message for which there was no capacity by a datagram, which needs none. It is returned where it does not fit one.
    #[cold]
    pub(super) fn instead_by_datagram(&mut self, droppable: Droppable) -> Option<Droppable> {
        let fits = self
            .datagrams
            .as_ref()
            .is_some_and(|datagrams| droppable.frame.len() <= datagrams.max_len);
        if !fits {
            return Some(droppable);
        }
        let kind = droppable.kind;
        let frame = droppable.numbered(self.outbound.next_id(), Flags::NONE);
        // It was measured above.
        let _ = self.push_datagram(kind, frame);
        None
    }

    /// Takes a frame, and drops older ones where it finds no room. It is returned where it is too long.
    fn push_datagram(&mut self, kind: MsgKind, frame: Vec<u8>) -> Result<(), Vec<u8>> {
        let Some(datagrams) = &mut self.datagrams else {
            return Err(frame);
        };
        if frame.len() > datagrams.max_len {
            return Err(frame);
        }
        datagrams.push(kind, frame);
        let limit = QUEUE_LEN.min(self.max_queued / QUEUE_SHARE);
        while datagrams.cost > limit {
            match datagrams.pop() {
                Some(_) if FaultInjection::ForgetDroppedDatagram.is_on() => {}
                Some((kind, _)) => self.dropped.by_kind(kind),
                None => break,
            }
        }
        Ok(())
    }

    /// The next datagram to send.
    pub fn poll_datagram(&mut self) -> Option<Vec<u8>> {
        let (kind, frame) = self.datagrams.as_mut()?.pop()?;
        if FaultInjection::RepeatDatagram.is_on()
            && let Some(datagrams) = &mut self.datagrams
        {
            datagrams.push(kind, frame.clone());
        }
        Some(frame)
    }

    /// Whether [`poll_datagram`](Self::poll_datagram) has something.
    #[inline]
    pub fn has_datagram(&self) -> bool {
        self.datagrams
            .as_ref()
            .is_some_and(|datagrams| !datagrams.waiting.is_empty())
    }

    /// A datagram was taken by [`poll_datagram`](Self::poll_datagram) and could not be sent.
    pub fn datagram_unsent(&mut self, frame: &[u8]) {
        if let Some(kind) = header_of(frame).and_then(|header| header.kind.known().ok()) {
            self.dropped.by_kind(kind);
        }
    }

    /// Whether a datagram may be received now. While it may not, because too many wait for their handlers or memory is short,
    /// the transport keeps what it can, and drops the oldest.
    pub fn may_receive_datagram(&self) -> bool {
        self.phase == Phase::Open
            && !self.share.is_short()
            && self
                .datagrams
                .as_ref()
                .is_none_or(|datagrams| datagrams.unhandled < MAX_UNHANDLED)
    }

    /// Handles a datagram: one whole frame, a LOG or METRIC that asks for no answer. Anything else is counted by
    /// [`Dropped::received`](crate::Dropped::received), and is no fault: a datagram is no part of the conversation.
    pub fn handle_datagram(&mut self, datagram: Bytes) -> Option<Incoming> {
        let received = self.read_datagram(datagram);
        match &received {
            Some(incoming) => {
                let len = incoming.body.len() + HEADER_LEN + FRAME_COST;
                let datagrams = self.datagrams.get_or_insert_default();
                datagrams.unhandled += 1;
                datagrams.longest = datagrams.longest.max(len);
            }
            None => self.dropped.received += 1,
        }
        received
    }

    fn read_datagram(&self, datagram: Bytes) -> Option<Incoming> {
        if self.phase != Phase::Open || self.is_close_received {
            return None;
        }
        // Nothing may follow the frame.
        if first_frame(&datagram)?.len() != datagram.len() {
            return None;
        }
        let header @ Header {
            flags,
            frame_type,
            kind,
            variant,
            msg_id: id,
            ..
        } = header_of(&datagram)?;
        let kind = kind.known().ok().filter(|kind| is_lossy(*kind))?;
        let is_allowed = frame_type == FrameType::opening(self.side.reverse())
            && flags.without(ALLOWED) == Flags::NONE
            && id.chosen_by() != self.side
            && !id.is_delivery()
            && id != MsgId::CONNECTION;
        if !is_allowed {
            return None;
        }
        let frame = Frame {
            header,
            payload: datagram.slice(HEADER_LEN..),
        };
        let payload_len = header.payload_len;
        let (body, topic, metadata) = self.read_message(frame).ok()?;
        Some(Incoming {
            variant,
            kind,
            urgent: flags.contains(Flags::URGENT),
            topic,
            body,
            compressed: flags.contains(Flags::COMPRESSED),
            // It took no credit.
            payload_len: if FaultInjection::GrantForDatagram.is_on() {
                payload_len
            } else {
                0
            },
            reply: ReplyTo::Nobody,
            timeout: metadata.timeout,
            metadata: metadata.other,
            id,
            is_stream: false,
        })
    }

    /// How many messages that came by datagrams wait for their handlers.
    pub(super) fn unhandled_datagrams(&self) -> u32 {
        self.datagrams
            .as_ref()
            .map_or(0, |datagrams| datagrams.unhandled)
    }

    /// What waits to be sent by datagrams, in bytes.
    #[cfg(any(test, fuzzing))]
    pub(super) fn datagrams_to_send(&self) -> usize {
        self.datagrams
            .as_ref()
            .map_or(0, |datagrams| datagrams.held_to_send())
    }

    /// A message has been handled that came by a datagram.
    pub fn datagram_handled(&mut self) {
        if let Some(datagrams) = &mut self.datagrams {
            datagrams.unhandled = datagrams.unhandled.saturating_sub(1);
        }
    }

    /// So many datagrams were received and dropped before the session saw them.
    pub fn count_unreceived(&mut self, count: u64) {
        self.dropped.received += count;
    }

    /// The connection is lost: what waits is dropped.
    pub(super) fn lose_datagrams(&mut self) {
        if let Some(datagrams) = &mut self.datagrams {
            if FaultInjection::KeepDatagrams.is_on() {
                datagrams.max_len = 0;
                return;
            }
            self.dropped.disconnected += u64::try_from(datagrams.waiting.len()).unwrap_or(u64::MAX);
            datagrams.waiting = VecDeque::new();
            datagrams.cost = 0;
            datagrams.max_len = 0;
            datagrams.excluded = Vec::new();
        }
    }
}
