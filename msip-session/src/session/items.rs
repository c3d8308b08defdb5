//! The items of streams: sending them, and granting more of them (docs/protocol.md, "Exchanges" and "Credit").

#[cfg(any(test, fuzzing))]
use std::time::Duration;

use super::{
    Blocked::{self, Closing, NoRoom},
    InboundSlot, Item, ItemBatch, Phase, Session, Slot, Token,
    fast_path::{NO_TOPIC, write_exactly},
    fault_injection::FaultInjection,
    send::{priority, urgency},
    streams::Streams,
    to_usize,
};
#[cfg(any(test, fuzzing))]
use super::{Event, Fault};
#[cfg(any(test, fuzzing))]
use crate::wire::Frame;
use crate::wire::{Credit, Flags, FrameRef, FrameType, Header, MsgId, RawKind, Side, write_credit};

/// Which of an exchange's two streams is meant: by the end that this session has of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StreamSide {
    /// The call was opened here: its requests go out, its answers come in.
    Caller(Slot),
    /// The call is served here: its requests come in, its answers go out.
    Callee(InboundSlot),
}

/// Where items come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inlet {
    /// The answers to a call that was opened here.
    Answers(Token),
    /// The requests of a call that is served here.
    Requests(InboundSlot),
}

/// How the frames of a stream's items begin.
#[derive(Debug, Clone, Copy)]
pub struct ItemHead {
    id: MsgId,
    frame_type: FrameType,
    flags: Flags,
}

impl ItemHead {
    fn new(end: StreamSide, side: Side, id: MsgId, urgent: bool) -> Self {
        let (frame_type, flags) = match end {
            StreamSide::Callee(_) => (FrameType::Ack, Flags::NONE),
            StreamSide::Caller(_) => (FrameType::opening(side), Flags::ITEM),
        };
        Self {
            id,
            frame_type,
            flags: flags.union(urgency(urgent)),
        }
    }

    /// Writes a frame, whose body is `body_len` bytes long unless its encoder errs. Returns the length of its payload.
    #[inline]
    pub(super) fn write(
        &self,
        buffer: &mut Vec<u8>,
        flags: Flags,
        variant: u16,
        body_len: usize,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> usize {
        let topic: &[u8] = match self.frame_type {
            FrameType::Ack => &[],
            _ => &NO_TOPIC,
        };
        let payload_len = body_len + topic.len();
        let header = Header {
            flags: self.flags.union(flags),
            frame_type: self.frame_type,
            kind: RawKind::STATE,
            variant,
            // What no header can announce is refused long before.
            payload_len: u32::try_from(payload_len).unwrap_or(u32::MAX),
            msg_id: self.id,
        };
        write_exactly(buffer, &header, topic, payload_len, encode)
    }
}

/// The flags of an item, after which more may follow.
pub(super) fn item_flags(compressed: bool) -> Flags {
    if compressed {
        Flags::MORE.union(Flags::COMPRESSED)
    } else {
        Flags::MORE
    }
}

impl Session {
    /// Sends an item of this end's stream. [`Blocked::Closing`] where the exchange has ended.
    pub fn send_item(
        &mut self,
        end: StreamSide,
        variant: u16,
        compressed: bool,
        body_len: usize,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), Blocked> {
        if self.phase != Phase::Open {
            return Err(Closing);
        }
        let is_full = self.is_queue_full();
        let (id, urgent, streams) = self.streams(end).ok_or(Closing)?;
        let has_credit = streams.sending().ok_or(Closing)?;
        if !(has_credit || FaultInjection::SpendWithoutCredit.is_on()) || is_full {
            return Err(NoRoom);
        }
        let head = ItemHead::new(end, self.config.side, id, urgent);
        let mut len = 0;
        self.outgoing.push(priority(urgent), |buffer| {
            len = head.write(buffer, item_flags(compressed), variant, body_len, encode);
        });
        if let Some((_, _, streams)) = self.streams(end) {
            streams.spend(1, len);
        }
        Ok(())
    }

    /// How the items of this end's stream begin; `None` where the exchange has ended.
    pub fn item_head(&mut self, end: StreamSide) -> Option<ItemHead> {
        let side = self.config.side;
        let (id, urgent, _) = self.streams(end)?;
        Some(ItemHead::new(end, side, id, urgent))
    }

    /// How much this end's stream may send now: so many items, and the last of them may exceed the bytes.
    pub fn item_room(&mut self, end: StreamSide) -> Credit {
        let queue = if self.is_queue_full() {
            0
        } else {
            self.room.saturating_sub(self.outgoing.cost())
        };
        let queue = u32::try_from(queue).unwrap_or(u32::MAX);
        let left = self.streams(end).map(|(_, _, streams)| streams.left());
        left.map_or(Credit { items: 0, bytes: 0 }, |left| Credit {
            items: left.items,
            bytes: left.bytes.min(queue),
        })
    }

    /// Whether this end's stream has credit for the batch, or for an item where that is empty.
    pub fn has_item_credit(&mut self, end: StreamSide, batch: &ItemBatch) -> bool {
        let (items, bytes) = (batch.item_count().max(1), batch.payload_len_before_last());
        let streams = self.streams(end);
        streams.is_some_and(|(_, _, streams)| streams.lasts(items, bytes).unwrap_or(false))
    }

    /// Sends all items of the batch, or none of them. [`Blocked::Closing`] where the exchange has ended.
    pub fn send_items(&mut self, end: StreamSide, batch: &mut ItemBatch) -> Result<(), Blocked> {
        if self.phase != Phase::Open {
            return Err(Closing);
        }
        let is_full = self.is_queue_full();
        let (_, urgent, streams) = self.streams(end).ok_or(Closing)?;
        let (items, bytes) = (batch.item_count(), batch.payload_len());
        let has_credit = streams
            .lasts(items, batch.payload_len_before_last())
            .ok_or(Closing)?;
        if !(has_credit || FaultInjection::SpendWithoutCredit.is_on()) || is_full {
            return Err(NoRoom);
        }
        streams.spend(items, bytes);
        self.outgoing.append(priority(urgent), items, |buffer| {
            buffer.extend_from_slice(batch.bytes());
        });
        batch.clear();
        Ok(())
    }

    /// Takes one frame if it is an item of a stream, after which more may follow, and nothing can be said against it: the
    /// short way for what there is most of. `None` where it is another, nothing has happened, and it is one for
    /// [`handle_frame`](Self::handle_frame).
    #[inline]
    pub fn handle_item(&mut self, frame: FrameRef<'_>) -> Option<(Inlet, Item)> {
        const ANSWER: Flags = Flags::MORE;
        const REQUEST: Flags = Flags::MORE.union(Flags::ITEM);
        let &Header {
            flags,
            frame_type,
            kind,
            variant,
            payload_len,
            msg_id: id,
        } = frame.header;
        let essence = flags.without(Flags::URGENT).without(Flags::COMPRESSED);
        let is_answer = frame_type == FrameType::Ack && essence == ANSWER;
        let is_request =
            frame_type == FrameType::opening(self.config.side.reverse()) && essence == REQUEST;
        if !(is_answer || is_request) || self.phase != Phase::Open {
            return None;
        }
        let payload = frame.payload();
        let compressed = flags.contains(Flags::COMPRESSED);
        let topic_len = if is_answer { 0 } else { NO_TOPIC.len() };
        let is_readable = (is_answer || payload.first_chunk() == Some(&NO_TOPIC))
            && payload.len() > topic_len
            && payload.len() - topic_len <= to_usize(self.config.limits.max_body)
            && (!compressed || self.takes_compressed)
            && (is_answer || kind.known().is_ok());
        if !is_readable || FaultInjection::LoseLastOfCredit.is_on() {
            return None;
        }
        let inlet = if is_answer {
            match self.outbound.item(id, payload_len) {
                Some((token, true)) => Inlet::Answers(token),
                _ => return None,
            }
        } else {
            match self.inbound.item(id, payload_len) {
                Some((slot, true)) => Inlet::Requests(slot),
                _ => return None,
            }
        };
        let item = Item {
            variant,
            body: frame.payload_after(topic_len),
            compressed,
            payload_len,
            metadata: None,
        };
        Some((inlet, item))
    }

    /// Takes one frame as a driver does: on a short way, where there is one for it.
    #[cfg(any(test, fuzzing))]
    pub fn handle_any(&mut self, frame: Frame, now: Duration) -> Result<Option<Event>, Fault> {
        match self.handle_item(FrameRef::from(&frame)) {
            Some((Inlet::Answers(token), item)) => Ok(Some(Event::Item { token, item })),
            Some((Inlet::Requests(slot), item)) => Ok(Some(Event::RequestItem {
                slot,
                item: Some(item),
                is_last: false,
            })),
            None => match self.handle_fast(FrameRef::from(&frame)) {
                Some(short) => Ok(Some(short.into_event(&frame))),
                None => self.handle_frame(frame, now),
            },
        }
    }

    /// Ends a request stream.
    pub fn end_requests(&mut self, slot: Slot) {
        let end = StreamSide::Caller(slot);
        let Some((id, urgent, streams)) = self.streams(end) else {
            return;
        };
        if streams.sending().is_none() {
            return;
        }
        streams.end_sending();
        if self.phase == Phase::Open && !FaultInjection::ForgetStreamEnd.is_on() {
            let head = ItemHead::new(end, self.config.side, id, urgent);
            self.outgoing.push(priority(urgent), |buffer| {
                head.write(buffer, Flags::NONE, 0, 0, |_| ());
            });
        }
    }

    /// A call's handler begins to answer with a stream.
    pub fn begin_answers(&mut self, slot: InboundSlot) {
        self.inbound.begin_streams(slot, true, false);
    }

    /// Items of the other end's stream have been taken: the other end may send more. Returns how much is to be taken before
    /// this is worth being told again; `None` where it never is, since the stream is over.
    pub fn taken(&mut self, end: StreamSide, taken: Credit) -> Option<Credit> {
        match end {
            StreamSide::Caller(slot) => self.outbound.item_taken(slot, taken.bytes),
            StreamSide::Callee(slot) => self.inbound.item_taken(slot, taken.bytes),
        }
        let (id, urgent, streams) = self.streams(end)?;
        let granted = streams.consume(taken);
        let due = streams.due();
        if let Some(credit) = granted.filter(|_| self.phase == Phase::Open) {
            self.outgoing.push_response(priority(urgent), |buffer| {
                write_credit(buffer, urgency(urgent), id, credit);
                if FaultInjection::GrantStreamTwice.is_on() {
                    write_credit(buffer, urgency(urgent), id, credit);
                }
            });
        }
        due
    }

    pub(super) fn streams(&mut self, end: StreamSide) -> Option<(MsgId, bool, &mut Streams)> {
        match end {
            StreamSide::Caller(slot) => self.outbound.streams(slot),
            StreamSide::Callee(slot) => self.inbound.streams(slot),
        }
    }
}
