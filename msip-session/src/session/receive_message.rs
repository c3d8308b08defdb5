//! Receiving messages: calls, deliveries, one-way messages and request items, on the slow path.

use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;

use super::{
    Event, Fault, InboundSlot, Incoming, Item, ReplyTo, Session,
    close::NOT_ACCEPTED,
    fault_injection::FaultInjection,
    frame_writer::NO_TOPIC,
    received::DeliveryState,
    request::{Priority, urgency},
    to_usize,
};
use crate::{
    MsgKind,
    wire::{
        Code, Credit, Flags, Frame, Header, Metadata, MsgId, Payload, PayloadError, Side, Topic,
        write_ack, write_error,
    },
};

/// Why a compressed body is refused.
pub(super) const UNAGREED_COMPRESSION: &str = "a compressed body, and no compression was agreed";

impl Session {
    /// Handles a PUBLISH or EVENT.
    pub(super) fn handle_message(
        &mut self,
        frame: Frame,
        now: Duration,
    ) -> Result<Option<Event>, Fault> {
        let header = frame.header;
        let Header {
            flags,
            payload_len,
            msg_id: id,
            ..
        } = header;
        if flags.contains(Flags::ITEM) {
            return self.handle_request_item(frame, now);
        }
        let wants_answer = flags.contains(Flags::ACK_REQUIRED);
        if id.chosen_by() == self.side {
            return Err(Fault::new(
                id,
                format!("message id {id} is one that only the other side chooses"),
            ));
        }
        if wants_answer && id.sequence() == 0 {
            return Err(Fault::new(
                id,
                "message id 0 on a message that is to be answered",
            ));
        }
        if is_call(&header) {
            if FaultInjection::WindowOverAllIds.is_on() {
                self.received.advance(id.sequence());
            }
        } else {
            let urgent = flags.contains(Flags::URGENT);
            if !self.receive_window.accept(payload_len, urgent) {
                return Err(Fault::exhausted(
                    id,
                    "a message beyond the credit that was granted",
                ));
            }
            self.unhandled.add(payload_len);
            self.watch_window();
            if wants_answer && self.is_duplicate(&header, now)? {
                return Ok(None);
            }
        }
        match self.read_message(frame) {
            Ok((body, topic, metadata)) => self.accept_message(&header, body, topic, metadata, now),
            Err((code, reason)) => {
                self.ignore(id, now)?;
                if !is_call(&header) {
                    self.consume_one(payload_len);
                }
                self.reject(&header, code, &reason);
                Ok(None)
            }
        }
    }

    /// Accepts a message that can be read, or answers why not.
    fn accept_message(
        &mut self,
        header: &Header,
        body: Bytes,
        topic: Topic,
        metadata: IncomingMetadata,
        now: Duration,
    ) -> Result<Option<Event>, Fault> {
        let &Header {
            flags,
            kind,
            variant,
            payload_len,
            msg_id: id,
            ..
        } = header;
        let urgent = flags.contains(Flags::URGENT);
        let is_stream = is_call(header) && flags.contains(Flags::MORE);
        let reply = if !flags.contains(Flags::ACK_REQUIRED) {
            // Accepted even while closing: the peer sent it before it could know, and would not be notified.
            ReplyTo::Nobody
        } else if self.refuses_requests() {
            if !is_call(header) {
                self.consume_one(payload_len);
            }
            self.reject(header, NOT_ACCEPTED.0, NOT_ACCEPTED.1);
            return Ok(None);
        } else if is_call(header) {
            let len = to_usize(payload_len).saturating_add(metadata.decoded_len());
            if let Err(short) = self.check_memory(len) {
                // The caller is not at fault.
                self.reject(header, Code::ResourceExhausted, &short.to_string());
                return Ok(None);
            }
            match self.inbound.begin(id, urgent, len) {
                Ok(slot) => {
                    if is_stream {
                        self.inbound
                            .open_streams(slot, &mut self.streams, false, true);
                        self.stream_begun(now);
                    }
                    ReplyTo::Call(slot)
                }
                Err(busy) => {
                    if !self.is_excusable(&busy) {
                        self.limit_unwanted(id, now)?;
                    }
                    self.reject(header, Code::ResourceExhausted, &busy.to_string());
                    return Ok(None);
                }
            }
        } else {
            self.inbound.begin_delivery();
            ReplyTo::Delivery { id, urgent }
        };
        Ok(Some(Event::Incoming(Incoming {
            variant,
            // `read_message` has refused any other.
            kind: kind.known().unwrap_or(MsgKind::Event),
            urgent,
            topic,
            body,
            compressed: flags.contains(Flags::COMPRESSED),
            payload_len,
            reply,
            timeout: metadata.timeout,
            metadata: metadata.other,
            id,
            is_stream,
        })))
    }

    /// Reads a message. The error is what it is answered.
    pub(super) fn read_message(
        &self,
        frame: Frame,
    ) -> Result<(Bytes, Topic, IncomingMetadata), (Code, String)> {
        let invalid = |reason: String| (Code::InvalidArgument, reason);
        let header @ Header { flags, kind, .. } = frame.header;
        kind.known().map_err(|error| invalid(error.to_string()))?;
        if flags.contains(Flags::COMPRESSED) && !self.allows_compressed {
            return Err(invalid(UNAGREED_COMPRESSION.to_owned()));
        }
        if flags.contains(Flags::MORE) && !is_call(&header) && !flags.contains(Flags::ITEM) {
            return Err(invalid(
                "MORE on a message that is no call: only a request stream has it".to_owned(),
            ));
        }
        let payload = Payload::parse(frame, &self.limits).map_err(|error| {
            let code = match error {
                PayloadError::BodyTooLarge { .. } => Code::ResourceExhausted,
                _ => Code::InvalidArgument,
            };
            (code, error.to_string())
        })?;
        if !payload.topic.is_empty() && !self.allows_topics {
            return Err(invalid(
                "a topic, and this is a direct connection".to_owned(),
            ));
        }
        let metadata = match payload.metadata {
            Some(metadata) => IncomingMetadata::read(metadata, self.side).map_err(invalid)?,
            None => IncomingMetadata::default(),
        };
        Ok((payload.body, payload.topic, metadata))
    }

    /// Whether a delivery was received before; it is answered as its original was, or will be.
    fn is_duplicate(&mut self, header: &Header, now: Duration) -> Result<bool, Fault> {
        let id = header.msg_id;
        let state = self.received.begin(id.sequence());
        if state == DeliveryState::New {
            return Ok(false);
        }
        if !header.flags.contains(Flags::REDELIVERED) {
            // A correct sender repeats only what its connection may have lost.
            self.ignore(id, now)?;
        }
        self.consume_one(header.payload_len);
        let answer = match state {
            DeliveryState::Handling if FaultInjection::AcknowledgeWhileHandling.is_on() => Ok(()),
            DeliveryState::New | DeliveryState::Handling => return Ok(true),
            DeliveryState::Failed if FaultInjection::AcknowledgeFailed.is_on() => Ok(()),
            DeliveryState::Handled => Ok(()),
            DeliveryState::Failed => Err("failed earlier"),
            DeliveryState::Forgotten => Err("older than the window of 4096 deliveries"),
        };
        let (priority, flags) = answer_priority(header);
        self.outgoing
            .push_provoked(priority, |buffer| match answer {
                Ok(()) => write_ack(buffer, flags, id),
                Err(reason) => write_error(buffer, flags, id, Code::Aborted, reason),
            });
        Ok(true)
    }

    /// A one-way message needs no handler: its credit is granted again.
    fn consume_one(&mut self, payload_len: u32) {
        let handled = Credit {
            items: 1,
            bytes: payload_len,
        };
        self.consumed(handled, self.connection);
    }

    /// Handles an item of a request stream, or the end of one.
    fn handle_request_item(&mut self, frame: Frame, now: Duration) -> Result<Option<Event>, Fault> {
        let Header {
            flags,
            variant,
            payload_len,
            msg_id: id,
            ..
        } = frame.header;
        let Some((slot, key)) = self.inbound.streams_of(id) else {
            return self.ignore_late(id, now).map(|()| None);
        };
        let is_last = !flags.contains(Flags::MORE);
        // The end of a stream is no item, and needs no credit.
        let is_item = to_usize(payload_len) > NO_TOPIC.len();
        let accepted = if is_item || !is_last {
            self.streams.accept(key, payload_len)
        } else {
            let stream = self.streams.get(key);
            stream.and_then(|stream| stream.is_receiving().then_some(true))
        };
        match accepted {
            Some(true) => {}
            Some(false) => return Err(beyond_credit(id)),
            None => return self.ignore_late(id, now).map(|()| None),
        }
        if let Some(stream) = self.streams.get_mut(key) {
            if FaultInjection::LoseLastOfCredit.is_on() && is_item && stream.is_used_up() {
                return Ok(None);
            }
            if is_last {
                stream.end_receiving();
            }
        }
        let item = match self.read_message(frame) {
            Ok((body, ..)) => is_item.then_some(Item {
                variant,
                body,
                compressed: flags.contains(Flags::COMPRESSED),
                payload_len,
                metadata: None,
            }),
            Err((code, reason)) => {
                self.ignore(id, now)?;
                let reason = format!("an item of variant {variant} cannot be read: {reason}");
                self.refuse_items(slot, code, &reason);
                return Ok(Some(Event::Cancelled(slot)));
            }
        };
        Ok(Some(Event::RequestItem {
            slot,
            item,
            is_last,
        }))
    }

    /// Answers a call of which an item cannot be read, and whose handler has not ended.
    fn refuse_items(&mut self, slot: InboundSlot, code: Code, reason: &str) {
        let Some((id, is_urgent)) = self.inbound.disown(slot) else {
            return;
        };
        // More items, credit and a CANCEL may be under way.
        self.inbound.refused(true);
        self.outgoing
            .push_response(Priority::new(is_urgent), |buffer| {
                write_error(buffer, urgency(is_urgent), id, code, reason);
            });
    }

    /// Answers a message that is not accepted.
    pub(super) fn reject(&mut self, header: &Header, code: Code, reason: &str) {
        let id = header.msg_id;
        if id.is_connection() {
            // An ERROR with id 0 would mean that the connection ends.
            return;
        }
        if is_call(header) {
            self.ended_calls.end(id);
            self.inbound.refused(header.flags.contains(Flags::MORE));
        } else if header.flags.contains(Flags::ACK_REQUIRED) {
            self.received.end(id.sequence(), false);
        }
        let (priority, flags) = match (code, reason) {
            // It must not overtake the CLOSE that explains it.
            NOT_ACCEPTED => (Priority::Normal, Flags::NONE),
            _ => answer_priority(header),
        };
        self.outgoing.push_provoked(priority, |buffer| {
            write_error(buffer, flags, id, code, reason);
        });
    }
}

/// Whether a message is a call.
const fn is_call(header: &Header) -> bool {
    header.flags.contains(Flags::ACK_REQUIRED) && !header.msg_id.is_delivery()
}

/// How the answer to a message is sent: urgent if the message was.
fn answer_priority(header: &Header) -> (Priority, Flags) {
    let priority = Priority::of(header.flags);
    (priority, urgency(priority == Priority::Urgent))
}

pub(super) fn beyond_credit(id: MsgId) -> Fault {
    Fault::exhausted(id, "an item of a stream beyond the credit that was granted")
}

/// The metadata of a message.
#[derive(Debug, Default)]
pub(super) struct IncomingMetadata {
    /// What remains of the deadline.
    pub(super) timeout: Option<Duration>,
    /// All else, where there is any.
    pub(super) other: Option<Box<Metadata>>,
}

impl IncomingMetadata {
    fn read(metadata: Bytes, side: Side) -> Result<Self, String> {
        let mut metadata = read_metadata(metadata)?;
        if side == Side::Accepting {
            // A client cannot assert an identity.
            metadata.identity = None;
        }
        // Only an error has any: on a message they would be kept for nobody.
        metadata.details = Vec::new();
        let timeout = metadata.deadline_ms.take();
        Ok(Self {
            timeout: timeout.map(|milliseconds| Duration::from_millis(milliseconds.into())),
            other: (metadata != Metadata::default()).then(|| Box::new(metadata)),
        })
    }

    /// What its headers take beyond their bytes: a name and a value of one byte each are 8 bytes on the wire.
    fn decoded_len(&self) -> usize {
        let headers = self.other.as_ref().map_or(0, |other| other.headers.len());
        headers * HEADER_OVERHEAD
    }
}

/// A place in the map, and two allocations.
const HEADER_OVERHEAD: usize = 160;

pub(super) fn read_metadata(metadata: Bytes) -> Result<Metadata, String> {
    Metadata::decode(metadata).map_err(|error| format!("malformed metadata: {error}"))
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::wire::Detail;

    #[test]
    fn headers_count_with_what_they_take_and_details_are_dropped() {
        let mut sent = Metadata {
            headers: (0..100).map(|n| (n.to_string(), String::new())).collect(),
            ..Metadata::default()
        };
        let read = |sent: &Metadata| {
            let encoded = Bytes::from(sent.encode_to_vec());
            IncomingMetadata::read(encoded, Side::Accepting).expect("can be read")
        };
        assert_eq!(read(&sent).decoded_len(), 100 * HEADER_OVERHEAD);
        sent.headers.clear();
        sent.details = vec![Detail::default(); 100];
        assert!(read(&sent).other.is_none());
    }
}
