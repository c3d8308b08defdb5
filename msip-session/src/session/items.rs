//! Stream items: sending and receiving them, and granting credit (docs/protocol.md, "Exchanges" and "Credit").

#[cfg(any(test, fuzzing))]
use std::time::Duration;

use super::{
    Blocked::{self, Closing, NoCapacity},
    InboundSlot, Item, ItemBatch, ItemHead, ItemTarget, Phase, Session, Slot, StreamSide,
    bare::BareFrame,
    fault_injection::FaultInjection,
    frame_writer::NO_TOPIC,
    request::{Priority, urgency},
    streams::{StreamKey, StreamState},
};
#[cfg(any(test, fuzzing))]
use super::{Event, Fault};
#[cfg(any(test, fuzzing))]
use crate::wire::Frame;
use crate::wire::{Credit, Flags, FrameRef, Header, MsgId, write_credit};

impl Session {
    /// Sends an item of this side's stream; `encode` appends the body, which should have `body_len` bytes.
    ///
    /// # Errors
    ///
    /// [`Blocked::Closing`] where the exchange has ended, [`Blocked::NoCapacity`] where credit or the queue is used up.
    pub fn send_item(
        &mut self,
        stream: StreamSide,
        variant: u16,
        compressed: bool,
        body_len: usize,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), Blocked> {
        let (key, head, is_urgent) = self.check_items(stream, 1, 0)?;
        let mut len = 0;
        self.outgoing.push(Priority::new(is_urgent), |buffer| {
            len = head.write_item(buffer, variant, compressed, body_len, encode);
        });
        if let Some(stream) = self.streams.get_mut(key) {
            stream.spend(1, len);
        }
        Ok(())
    }

    /// Sends all items of the batch, or none of them.
    ///
    /// # Errors
    ///
    /// As of [`send_item`](Self::send_item).
    pub fn send_items(&mut self, stream: StreamSide, batch: &mut ItemBatch) -> Result<(), Blocked> {
        let (items, bytes) = (batch.item_count(), batch.payload_len());
        let (key, _, is_urgent) =
            self.check_items(stream, items, batch.payload_len_before_last())?;
        if let Some(stream) = self.streams.get_mut(key) {
            stream.spend(items, bytes);
        }
        self.outgoing
            .append(Priority::new(is_urgent), items, |buffer| {
                buffer.extend_from_slice(batch.bytes());
            });
        batch.clear();
        Ok(())
    }

    /// Checks that so many items of this side's stream can be sent, of which all but the last have so many bytes. Returns
    /// where the stream is, how its items begin, and whether they are urgent.
    fn check_items(
        &mut self,
        side: StreamSide,
        items: usize,
        bytes_before_last: usize,
    ) -> Result<(StreamKey, ItemHead, bool), Blocked> {
        if self.phase != Phase::Open {
            return Err(Closing);
        }
        let key = self.stream_key(side).ok_or(Closing)?;
        let stream = self.streams.get(key).ok_or(Closing)?;
        let (id, is_urgent) = (stream.id, stream.is_urgent);
        let has_credit = stream.allows(items, bytes_before_last).ok_or(Closing)?;
        let may_send = has_credit || FaultInjection::SpendWithoutCredit.is_on();
        if !may_send || !self.has_request_capacity() {
            return Err(NoCapacity);
        }
        let head = ItemHead::new(side, self.side, id, is_urgent);
        Ok((key, head, is_urgent))
    }

    /// How the items of this side's stream begin, to encode them outside of the session; `None` where the exchange has
    /// ended.
    pub fn item_head(&mut self, side: StreamSide) -> Option<ItemHead> {
        let own_side = self.side;
        let stream = self.stream(side)?;
        Some(ItemHead::new(side, own_side, stream.id, stream.is_urgent))
    }

    /// How much this side's stream may send now; the last item may exceed the bytes.
    pub fn item_capacity(&mut self, side: StreamSide) -> Credit {
        let queue = if self.has_request_capacity() {
            self.queue_capacity()
        } else {
            0
        };
        let queue = u32::try_from(queue).unwrap_or(u32::MAX);
        let credit = self
            .stream(side)
            .map_or(Credit::NOTHING, |stream| stream.credit());
        Credit {
            items: credit.items,
            bytes: credit.bytes.min(queue),
        }
    }

    /// Whether this side's stream has credit for the batch, or for an item where that is empty.
    pub fn has_item_credit(&mut self, side: StreamSide, batch: &ItemBatch) -> bool {
        let (items, bytes) = (batch.item_count().max(1), batch.payload_len_before_last());
        self.stream(side)
            .is_some_and(|stream| stream.allows(items, bytes).unwrap_or(false))
    }

    /// Handles an item of a stream after which more may follow, if it has nothing but a body and is accepted. `None` for
    /// any other frame: nothing has happened, and it is one for [`handle_frame`](Self::handle_frame).
    #[inline]
    pub fn handle_item(&mut self, frame: FrameRef<'_>) -> Option<(ItemTarget, Item)> {
        let &Header {
            flags,
            variant,
            payload_len,
            msg_id: id,
            ..
        } = frame.header;
        let compressed = flags.contains(Flags::COMPRESSED);
        if self.phase != Phase::Open
            || (compressed && !self.allows_compressed)
            || FaultInjection::LoseLastOfCredit.is_on()
        {
            return None;
        }
        let bare = BareFrame::of(frame, self.side, self.limits.max_body)?;
        let (target, key, topic_len) = match bare {
            BareFrame::AnswerItem => {
                let (key, token) = self.outbound.streams_of(id)?;
                (ItemTarget::Answers(token), key, 0)
            }
            BareFrame::RequestItem => {
                let (slot, key) = self.inbound.streams_of(id)?;
                (ItemTarget::Requests(slot), key, NO_TOPIC.len())
            }
            BareFrame::Message | BareFrame::Call | BareFrame::Answer => return None,
        };
        let body = frame.payload_after(topic_len);
        // Without credit the slow path finds the fault.
        if body.is_empty() || self.streams.accept(key, payload_len) != Some(true) {
            return None;
        }
        let item = Item {
            variant,
            body,
            compressed,
            payload_len,
            metadata: None,
        };
        Some((target, item))
    }

    /// Handles one frame as a driver does: on a fast path, where there is one for it.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn handle_any(
        &mut self,
        frame: Frame,
        now: Duration,
    ) -> Result<Option<Event>, Fault> {
        match self.handle_item(FrameRef::from(&frame)) {
            Some((ItemTarget::Answers(token), item)) => Ok(Some(Event::Item { token, item })),
            Some((ItemTarget::Requests(slot), item)) => Ok(Some(Event::RequestItem {
                slot,
                item: Some(item),
                is_last: false,
            })),
            None => match self.handle_fast(FrameRef::from(&frame)) {
                Some(fast) => Ok(Some(fast.into_event(&frame))),
                None => match self.handle_topic(FrameRef::from(&frame)) {
                    Some(message) => Ok(Some(Event::Incoming(message.to_incoming(&frame.payload)))),
                    None => self.handle_frame(frame, now),
                },
            },
        }
    }

    /// Ends this side's stream of requests.
    pub fn end_requests(&mut self, slot: Slot) {
        let side = StreamSide::Caller(slot);
        let own_side = self.side;
        let Some(stream) = self.stream(side).filter(|stream| stream.is_sending()) else {
            return;
        };
        stream.end_sending();
        let head = ItemHead::new(side, own_side, stream.id, stream.is_urgent);
        let priority = Priority::new(stream.is_urgent);
        if self.phase == Phase::Open && !FaultInjection::ForgetStreamEnd.is_on() {
            self.outgoing
                .push(priority, |buffer| head.write_end(buffer));
        }
    }

    /// Begins a stream of answers to a call, unless credit for it has begun it; [`reply`](Self::reply) ends it.
    pub fn begin_answers(&mut self, slot: InboundSlot) {
        self.inbound
            .open_streams(slot, &mut self.streams, true, false);
    }

    /// Notes that items of the peer's stream have been read: it may send more. Returns how much is to be read before this
    /// is worth noting again; `None` where it never is, since the stream is over.
    ///
    /// A [`CreditBatcher`](super::CreditBatcher) counts until then.
    pub fn items_consumed(&mut self, side: StreamSide, items: Credit) -> Option<Credit> {
        // Items that are read after the call was cancelled are no longer held either.
        let key = match side {
            StreamSide::Caller(slot) => self.outbound.streams(slot),
            StreamSide::Callee(slot) => self.inbound.all_streams(slot),
        }?;
        let granted = self.streams.consume(key, items);
        self.stream_key(side)?;
        let stream = self.streams.get(key)?;
        let (id, is_urgent, due) = (stream.id, stream.is_urgent, stream.due());
        if let Some(credit) = granted.filter(|_| self.phase == Phase::Open) {
            self.grant_items(id, is_urgent, credit);
        }
        due
    }

    /// Grants credit for the peer's stream of this call.
    pub(super) fn grant_items(&mut self, id: MsgId, is_urgent: bool, credit: Credit) {
        let flags = urgency(is_urgent);
        self.outgoing
            .push_provoked(Priority::new(is_urgent), |buffer| {
                write_credit(buffer, flags, id, credit);
                if FaultInjection::GrantStreamTwice.is_on() {
                    write_credit(buffer, flags, id, credit);
                }
            });
    }

    #[inline]
    fn stream_key(&self, side: StreamSide) -> Option<StreamKey> {
        match side {
            StreamSide::Caller(slot) => self.outbound.streams(slot),
            StreamSide::Callee(slot) => self.inbound.streams(slot),
        }
    }

    #[inline]
    pub(super) fn stream(&mut self, side: StreamSide) -> Option<&mut StreamState> {
        let key = self.stream_key(side)?;
        self.streams.get_mut(key)
    }
}
