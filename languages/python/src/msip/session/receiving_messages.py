"""Receiving messages: calls, deliveries, one-way messages and request items of the peer."""

from __future__ import annotations

from functools import lru_cache
from math import inf
from typing import Final

from msip.errors import Code, DecodeError, Status
from msip.protocol import Kind, Member, Protocol, Shape
from msip.session.budget import FLOOR
from msip.session.core import LATE_FRAMES, UNWANTED
from msip.session.ended_calls import NOT_ACCEPTED
from msip.session.events import Message, Request, RequestEnd, RequestItem
from msip.session.exchanges import InboundCall, Interest
from msip.session.outgoing import PROVOKED
from msip.session.received_deliveries import DeliveryState
from msip.session.subscribing import BROKER, BROKER_TOPICS, Subscribing
from msip.session.windows import STREAM_GROWTH, ReceiveWindow
from msip.wire.header import (
    ACK,
    ACK_REQUIRED,
    COMPRESSED,
    DELIVERY_ID,
    ITEM,
    META,
    MORE,
    REDELIVERED,
    SERVER_ID,
    STATE,
    URGENT,
    FrameError,
    pack_frame,
)
from msip.wire.metadata import Metadata
from msip.wire.payload import NO_TOPIC, PayloadError, split_message

__all__ = ["DESCRIBE", "ReceivingMessages"]

_SEQUENCE = (1 << 62) - 1
_DEFAULT_TIMEOUT = 30.0
_HEADER_OVERHEAD = 160
"""What a header of metadata takes beyond its bytes."""
_COMMAND = int(Kind.COMMAND)
_KINDS = range(1, 6)
DESCRIBE: Final = 0xFFFF
"""The variant of the call for the description of the schema, which no member has."""
_MAX_DESCRIBED = 4
"""How often a description is sent to the peer of one session, which asks once."""


@lru_cache(1024)
def open_member(variant: int, kind: int, is_call: bool) -> Member:
    """What a message is where there is no schema."""
    shape = Shape.CALL if is_call else Shape.ONE_WAY
    return Member(f"variant {variant}", variant, None, Kind(kind), shape, answer=variant, timeout=_DEFAULT_TIMEOUT)


class _RejectedError(Exception):
    """A message that is answered with this error, while the connection goes on."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class ReceivingMessages(Subscribing):
    """PUBLISH and EVENT of the peer."""

    __slots__ = ()

    def _receive_message(self, flags: int, kind: int, variant: int, id: int, payload: bytes) -> None:
        # The usual call, told by one look.
        if flags == ACK_REQUIRED and payload[:2] == NO_TOPIC and not id & DELIVERY_ID and kind == _COMMAND:
            member = self._incoming.get(variant)
            if (
                member is not None
                and member.shape is Shape.CALL
                and not member.request_stream
                and 2 < len(payload) <= self.settings.max_body
                and id & SERVER_ID == self._peer_bit
                and id & _SEQUENCE
            ):
                timeout = member.timeout
                self._begin_call(flags, member, id, payload[2:], len(payload), None, timeout, "")
                return
        self._receive_any_message(flags, kind, variant, id, payload)

    def _receive_any_message(self, flags: int, kind: int, variant: int, id: int, payload: bytes) -> None:
        if flags & ITEM:
            self._receive_item(flags, kind, variant, id, payload)
            return
        if id & SERVER_ID != self._peer_bit:
            raise FrameError(f"message id {id} is one that only the other side chooses", msg_id=id)
        wants_answer = bool(flags & ACK_REQUIRED)
        if wants_answer and not id & _SEQUENCE:
            raise FrameError("message id 0 on a message that is to be answered", msg_id=id)
        is_call = wants_answer and not id & DELIVERY_ID
        size = len(payload)
        if not is_call:
            window = self._receive_window
            if not window.accept(size, bool(flags & URGENT)):
                raise FrameError(
                    "a message beyond the credit that was granted", code=Code.RESOURCE_EXHAUSTED, msg_id=id
                )
            self._unfinished += 1
            if window.is_used_up:
                self._watch(0, window)
            if wants_answer and self._is_duplicate(flags, id, size):
                return
        is_read = False
        try:
            metadata, topic, body = self._read_message(flags, kind, is_call, payload)
            is_read = True
            if is_call and variant == DESCRIBE:
                self._describe(flags, id, topic)
                return
            member = self._member_of(flags, kind, variant, is_call, topic, body)
        except _RejectedError as rejected:
            if self._same_schema or rejected.code is not Code.UNIMPLEMENTED:
                self._ignore(id)
            else:
                self.ignored += 1
            if not is_call:
                self._finish_messages(1, size)
            if wants_answer or not is_read:
                self._reject(flags, id, rejected.code, rejected.text)
            return
        if member is None:
            self._broker_says(topic, variant, body)
            self._finish_messages(1, size)
            if wants_answer:
                self._received.end(id & _SEQUENCE, True)
                self._outgoing.push(pack_frame(ACK, flags & URGENT, id), bool(flags & URGENT), PROVOKED)
            return
        if wants_answer and self._is_close_begun and self._pending_close is None:
            # One that comes while CLOSE waits to be sent is accepted, since the peer has to read the CLOSE first.
            if not is_call:
                self._finish_messages(1, size)
            self._reject(flags, id, *NOT_ACCEPTED)
            return
        if is_call:
            timeout = member.timeout
            if metadata is not None:
                size += len(metadata.headers) * _HEADER_OVERHEAD
                if metadata.deadline_ms is not None:
                    timeout = metadata.deadline_ms / 1000
                    metadata.deadline_ms = None
                    if metadata == Metadata():
                        metadata = None
            elif timeout is None and not (member.request_stream or member.response_stream):
                timeout = _DEFAULT_TIMEOUT
            self._begin_call(flags, member, id, body, size, metadata, timeout, topic)
            return
        key = id | self._generation
        if wants_answer:
            self._handling[key] = bool(flags & URGENT)
        compressed = bool(flags & COMPRESSED)
        self._events.append(Message(key, member, body, compressed, metadata, topic, wants_answer, size))

    def _begin_call(
        self,
        flags: int,
        member: Member,
        id: int,
        body: bytes,
        size: int,
        metadata: Metadata | None,
        timeout: float | None,
        topic: str,
    ) -> None:
        """Accepts a call, or refuses it because there are too many."""
        inbound = self._inbound
        if self._is_close_begun and self._pending_close is None:
            self._reject(flags, id, *NOT_ACCEPTED)
            return
        settings = self.settings
        key = id | self._generation
        if key in inbound:
            raise FrameError(f"message id {id} is that of an open call", msg_id=id)
        if len(inbound) >= settings.max_calls + min(self._orphans, settings.max_calls):
            self._limit(id, UNWANTED)
            text = f"too many open calls: {settings.max_calls} (max_calls)"
            self._reject(flags, id, Code.RESOURCE_EXHAUSTED, text)
            return
        # One request alone may exceed the limit: else the largest body could never be served under a small one.
        if inbound and self._inbound_size + size > settings.max_call_bytes:
            # A peer knows how many calls are accepted, and not how many bytes.
            if self._outgoing.response_cost <= settings.outgoing_queue:
                self._limit(id, UNWANTED)
            text = f"the requests of open calls are too large: {settings.max_call_bytes} bytes (max_call_bytes)"
            self._reject(flags, id, Code.RESOURCE_EXHAUSTED, text)
            return
        if self._budget.is_short and self._held_inbound() > FLOOR:
            self._limit(id, UNWANTED)
            text = f"memory is short: {self._budget.limit} bytes (max_memory)"
            self._reject(flags, id, Code.RESOURCE_EXHAUSTED, text)
            return
        deadline = inf if timeout is None else self._now + timeout
        inbound[key] = call = InboundCall(member, bool(flags & URGENT), size, deadline)
        self._inbound_size += size
        if deadline < self._next_deadline:
            self._next_deadline = deadline
        streaming = bool(flags & MORE)
        if streaming:
            call.receives = ReceiveWindow(settings.stream_items, settings.stream_bytes, STREAM_GROWTH)
        if streaming or member.response_stream:
            self._streams_begin()
        self._events.append(
            Request(
                key,
                member,
                body,
                bool(flags & COMPRESSED),
                metadata,
                None if deadline == inf else deadline,
                topic,
                streaming,
            )
        )

    def grow_request(self, id: int, size: int) -> None:
        """The request of a call of the peer has so many bytes, inflated: it counts with them from now on. Raises `Status`
        (RESOURCE_EXHAUSTED) where the requests of open calls are too large together; the call is still to be ended."""
        call = self._inbound.get(id)
        if call is None or size <= call.size:
            return
        limit = self.settings.max_call_bytes
        # One request alone may exceed it.
        if len(self._inbound) > 1 and self._inbound_size + size - call.size > limit:
            raise Status(
                Code.RESOURCE_EXHAUSTED,
                f"the requests of open calls are too large: {limit} bytes (max_call_bytes)",
            )
        self._inbound_size += size - call.size
        call.size = size

    def _read_message(self, flags: int, kind: int, is_call: bool, payload: bytes) -> tuple[Metadata | None, str, bytes]:
        """The metadata, topic and body. Raises `_RejectedError`."""
        metadata, topic, body = self._read_payload(flags, kind, payload)
        if flags & MORE and not is_call:
            raise _RejectedError(
                Code.INVALID_ARGUMENT, "MORE on a message that is no call: only a request stream has it"
            )
        if topic and not self._allows_topics:
            raise _RejectedError(Code.INVALID_ARGUMENT, "a topic, and this is a direct connection")
        return metadata, topic, body

    def _describe(self, flags: int, id: int, topic: str) -> None:
        """Answers the call for the schema, whatever the handlers are doing (docs/protocol.md, "Schema fingerprint"). Raises
        `_RejectedError`."""
        if self._is_close_begun and self._pending_close is None:
            self._reject(flags, id, *NOT_ACCEPTED)
            return
        text = self._spoken_at(topic)[0].description.encode()
        if flags & MORE:
            raise _RejectedError(Code.INVALID_ARGUMENT, "the call for a schema is no stream")
        if not text:
            raise _RejectedError(Code.UNIMPLEMENTED, "this side has no description of its schema")
        if len(text) > self._peer_max_body:
            reason = f"the description has {len(text)} bytes: {self._peer_max_body} are allowed (max_body)"
            raise _RejectedError(Code.RESOURCE_EXHAUSTED, reason)
        if not topic:
            if self._described >= _MAX_DESCRIBED:
                reason = f"the schema was sent {_MAX_DESCRIBED} times already"
                raise _RejectedError(Code.RESOURCE_EXHAUSTED, reason)
            self._described += 1
        urgent = flags & URGENT
        self._ended_calls.end(id)
        # Its caller may cancel it before it has the answer.
        self._late_inbound += 1
        self._outgoing.push(self._pack(ACK, urgent, STATE, DESCRIBE, id, text), bool(urgent), PROVOKED)

    def _member_of(self, flags: int, kind: int, variant: int, is_call: bool, topic: str, body: bytes) -> Member | None:
        """The member, or None for what a broker itself says. Raises `_RejectedError`."""
        is_open = self.protocol.is_open
        if topic.startswith(BROKER_TOPICS) and not is_call and not (is_open and not topic.startswith(BROKER)):
            return None
        if is_open:
            if flags & MORE:
                raise _RejectedError(Code.UNIMPLEMENTED, "an untyped client serves no streams")
            return open_member(variant, kind, is_call)
        incoming = self._incoming if not self._at_topics else self._spoken_at(topic)[1]
        member = incoming.get(variant)
        if member is None:
            raise _RejectedError(Code.UNIMPLEMENTED, f"unknown variant {variant}")
        name = member.name
        if member.shape is Shape.CALL:
            if not is_call:
                raise _RejectedError(Code.INVALID_ARGUMENT, f"`{name}` is a call, and nobody waits for its answer")
            if flags & MORE and not member.request_stream:
                raise _RejectedError(Code.INVALID_ARGUMENT, f"`{name}` asks for one request, and this is a stream")
            if member.request_stream and not flags & MORE:
                raise _RejectedError(Code.INVALID_ARGUMENT, f"`{name}` asks for a stream of requests")
        elif is_call:
            raise _RejectedError(Code.INVALID_ARGUMENT, f"`{name}` has no answer, and somebody waits for one")
        clears = member.kind is Kind.STATE and kind == STATE and not flags & COMPRESSED
        if not body and not clears and not member.request_stream:
            raise _RejectedError(
                Code.INVALID_ARGUMENT, f"the body does not contain {name} ({variant}), which its header names"
            )
        return member

    def _spoken_at(self, topic: str) -> tuple[Protocol, dict[int, Member]]:
        """The protocol of what comes at a topic, and what of it the peer may begin."""
        return self._at_topics.get(topic.partition("/$to/")[0]) or (self.protocol, self._incoming)

    def _read_payload(self, flags: int, kind: int, payload: bytes) -> tuple[Metadata | None, str, bytes]:
        if kind not in _KINDS:
            raise _RejectedError(
                Code.INVALID_ARGUMENT, f"unknown msg_kind {kind}: 1 (EVENT) to 5 (METRIC) are understood"
            )
        if flags & COMPRESSED and not self._allows_compressed:
            raise _RejectedError(Code.INVALID_ARGUMENT, "a compressed body, and no compression was agreed")
        try:
            encoded, topic, body = split_message(payload, bool(flags & META), self.settings.max_body)
            metadata = None if encoded is None else Metadata.decode(encoded)
        except PayloadError as error:
            raise _RejectedError(error.code, error.message) from None
        except DecodeError as error:
            raise _RejectedError(Code.INVALID_ARGUMENT, f"malformed metadata: {error.message}") from None
        if metadata is not None:
            if not self._is_client:
                # A client cannot assert an identity.
                metadata.identity = None
            # Only an error has any.
            metadata.details = []
        return metadata, topic, body

    def _is_duplicate(self, flags: int, id: int, size: int) -> bool:
        """Whether a delivery was received before; it is answered as its original was, or will be."""
        state = self._received.begin(id & _SEQUENCE)
        if state is DeliveryState.NEW:
            return False
        if not flags & REDELIVERED:
            # A correct sender repeats only what its connection may have lost.
            self._ignore(id)
        self._finish_messages(1, size)
        urgent = bool(flags & URGENT)
        if state is DeliveryState.HANDLED:
            self._outgoing.push(pack_frame(ACK, flags & URGENT, id), urgent, PROVOKED)
        elif state is DeliveryState.FAILED:
            self._push_error(id, Code.ABORTED, "failed earlier", urgent)
        elif state is DeliveryState.FORGOTTEN:
            self._push_error(id, Code.ABORTED, "older than the window of 4096 deliveries", urgent)
        return True

    def _reject(self, flags: int, id: int, code: Code, text: str) -> None:
        """Answers a message that is not accepted."""
        if not id & _SEQUENCE:
            # An ERROR with id 0 would mean that the connection ends.
            return
        if id & DELIVERY_ID:
            if flags & ACK_REQUIRED:
                self._received.end(id & _SEQUENCE, False)
        elif flags & ACK_REQUIRED:
            self._ended_calls.end(id)
            # Its caller may cancel it, and send items of it, before it has the answer.
            self._late_inbound += 1 + LATE_FRAMES if flags & MORE else 1
        # What is not accepted must not overtake the CLOSE that explains it.
        urgent = bool(flags & URGENT) and (code, text) != NOT_ACCEPTED
        self._push_error(id, code, text, urgent)

    def _receive_item(self, flags: int, kind: int, variant: int, id: int, payload: bytes) -> None:
        """An item of a request stream, or the end of one."""
        key = id | self._generation
        call = self._inbound.get(key)
        if call is None or call.interest or call.receives is None:
            self._ignore_late(id)
            return
        is_last = not flags & MORE
        # The end of a stream is no item, and needs no credit.
        is_item = len(payload) > 2
        window = call.receives
        if (is_item or not is_last) and not window.accept(len(payload), False):
            raise FrameError(
                "an item of a stream beyond the credit that was granted", code=Code.RESOURCE_EXHAUSTED, msg_id=id
            )
        if is_last:
            call.receives = None
        elif window.is_used_up:
            self._watch(key, window)
        try:
            _, _, body = self._read_payload(flags, kind, payload)
            if is_item and variant != call.member.number:
                raise _RejectedError(Code.INVALID_ARGUMENT, f"variant {variant} does not belong to this call")
            if not body and not is_last:
                raise _RejectedError(Code.INVALID_ARGUMENT, "it is empty")
        except _RejectedError as rejected:
            self._ignore(id)
            text = f"an item of variant {variant} cannot be read: {rejected.text}"
            self._refuse_items(key, call, rejected.code, text)
            return
        if body:
            self._events.append(RequestItem(key, body, bool(flags & COMPRESSED), len(payload)))
        if is_last:
            self._events.append(RequestEnd(key))

    def _refuse_items(self, id: int, call: InboundCall, code: Code, text: str) -> None:
        """Answers a call of which an item cannot be read, and whose handler has not ended."""
        call.interest = Interest.NOTHING
        self._orphans += 1
        # More items, credit and a CANCEL may be under way.
        self._late_inbound += 1 + LATE_FRAMES
        self._push_error(id, code, text, call.urgent)
        if not call.is_expired:
            self._tell_cancelled(id)
