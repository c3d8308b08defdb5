//! The items of streams: sending them, and granting more of them (docs/protocol.md, "Exchanges" and "Credit").

use super::{
    Blocked::{self, Closing, NoRoom},
    Phase, ServedSlot, Session, Slot,
    sabotage::Sabotage,
    seal,
    send::{priority, urgency},
    streams::Streams,
};
use crate::wire::{Flags, FrameType, Header, MsgId, RawKind, Side, begin_frame, write_credit};

/// Which of an exchange's two streams is meant: by the end that this session has of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The call was opened here: its requests go out, its answers come in.
    Caller(Slot),
    /// The call is served here: its requests come in, its answers go out.
    Callee(ServedSlot),
}

impl Session {
    /// Sends an item of this end's stream. [`Blocked::Closing`] where the exchange has ended.
    pub(crate) fn send_item(
        &mut self,
        end: End,
        variant: u16,
        compressed: bool,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), Blocked> {
        if self.phase != Phase::Open {
            return Err(Closing);
        }
        let is_full = self.is_queue_full();
        let (id, urgent, streams) = self.streams(end).ok_or(Closing)?;
        let has_credit = streams.sending().ok_or(Closing)?;
        if !(has_credit || Sabotage::SpendWithoutCredit.is_on()) || is_full {
            return Err(NoRoom);
        }
        let flags = if compressed {
            Flags::MORE.union(Flags::COMPRESSED)
        } else {
            Flags::MORE
        };
        let len = self.push_item(end, id, urgent, flags, variant, encode);
        if let Some((_, _, streams)) = self.streams(end) {
            streams.spend(len);
        }
        Ok(())
    }

    /// Ends a request stream.
    pub(crate) fn end_requests(&mut self, slot: Slot) {
        let end = End::Caller(slot);
        let Some((id, urgent, streams)) = self.streams(end) else {
            return;
        };
        if streams.sending().is_none() {
            return;
        }
        streams.end_sending();
        if self.phase == Phase::Open && !Sabotage::ForgetStreamEnd.is_on() {
            self.push_item(end, id, urgent, Flags::NONE, 0, |_| ());
        }
    }

    /// A call's handler begins to answer with a stream.
    pub(crate) fn begin_answers(&mut self, slot: ServedSlot) {
        self.served.begin_streams(slot, true, false);
    }

    /// An item of the other end's stream has been taken: the other end may send another.
    pub(crate) fn taken(&mut self, end: End, payload_len: u32) {
        match end {
            End::Caller(slot) => self.opened.item_taken(slot, payload_len),
            End::Callee(slot) => self.served.item_taken(slot, payload_len),
        }
        let granted = self
            .streams(end)
            .and_then(|(id, urgent, streams)| Some((id, urgent, streams.consume(payload_len)?)));
        let Some((id, urgent, credit)) = granted else {
            return;
        };
        if self.phase == Phase::Open {
            self.outgoing.push_owed(priority(urgent), |buffer| {
                write_credit(buffer, urgency(urgent), id, credit);
                if Sabotage::GrantStreamTwice.is_on() {
                    write_credit(buffer, urgency(urgent), id, credit);
                }
            });
        }
    }

    fn streams(&mut self, end: End) -> Option<(MsgId, bool, &mut Streams)> {
        match end {
            End::Caller(slot) => self.opened.streams(slot),
            End::Callee(slot) => self.served.streams(slot),
        }
    }

    /// Writes the frame, and returns the length of its payload.
    fn push_item(
        &mut self,
        end: End,
        id: MsgId,
        urgent: bool,
        flags: Flags,
        variant: u16,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> usize {
        let (frame_type, flags) = match (end, self.config.side) {
            (End::Callee(_), _) => (FrameType::Ack, flags),
            (End::Caller(_), Side::Connecting) => (FrameType::Publish, flags.union(Flags::ITEM)),
            (End::Caller(_), Side::Accepting) => (FrameType::Event, flags.union(Flags::ITEM)),
        };
        let header = Header {
            flags: flags.union(urgency(urgent)),
            frame_type,
            kind: RawKind::STATE,
            variant,
            payload_len: 0,
            msg_id: id,
        };
        let mut payload_len = 0;
        self.outgoing.push(priority(urgent), |buffer| {
            let mark = begin_frame(buffer, &header);
            let start = buffer.len();
            if matches!(end, End::Caller(_)) {
                // The topic of an item is empty.
                buffer.extend_from_slice(&[0, 0]);
            }
            encode(buffer);
            payload_len = buffer.len() - start;
            seal(buffer, mark);
        });
        payload_len
    }
}
