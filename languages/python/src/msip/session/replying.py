"""Replying: answers to calls of the peer, acknowledgments, and credit for what was handled."""

from __future__ import annotations

from math import inf

from msip.errors import Code, NotReadyError, Status
from msip.session.core import AWAIT_WELCOME, LATE_FRAMES, OPEN, SUSPENDED, WIRE_ID
from msip.session.ended_calls import NOT_ACCEPTED, NOT_RECEIVED
from msip.session.events import Cancelled
from msip.session.exchanges import InboundCall, Interest
from msip.session.outgoing import PROVOKED, RESPONSE
from msip.session.sending import Sending
from msip.session.windows import ReceiveWindow
from msip.wire.credit import pack_credit
from msip.wire.error_text import MAX_LONG_TEXT_LEN, MAX_TEXT_LEN, format_error_text
from msip.wire.header import ACK, COMPRESSED, CREDIT, ERROR, HEADER, MAGIC, META, MORE, STATE, URGENT, pack_frame
from msip.wire.limits import MAX_DETAILS, MAX_DETAILS_LEN, MAX_ERROR_METADATA, max_payload
from msip.wire.metadata import Metadata, check_metadata
from msip.wire.payload import with_length

__all__ = ["Replying"]

_GIVEN_UP = "given up by its caller"
_SEQUENCE = (1 << 62) - 1
_RELIEF = 0.1
"""A window that is used up is granted again what was handled after so many seconds, or up to twice as long."""
_pack = HEADER.pack


class Replying(Sending):
    """What this side answers."""

    __slots__ = ()

    # --- Answers

    def answer(
        self,
        id: int,
        body: bytes,
        metadata: Metadata | None = None,
        *,
        compressed: bool = False,
        variant: int | None = None,
    ) -> None:
        """Answers a call of the peer that has no stream of answers, with the member that answers it or another `variant`. Ignored where
        the call has ended.

        An answer that is larger than the caller accepts becomes an error. Raises `Status` for bad metadata, and nothing has
        happened then.
        """
        call = self._inbound.get(id)
        if call is None:
            return
        content = self._answer_metadata(metadata) if metadata is not None else None
        if not self._end_call(id, call):
            return
        if len(body) > self._peer_max_body:
            text = (
                f"an answer of {len(body)} bytes, where the caller accepts {self._peer_max_body} "
                "(its setting `max_body`)"
            )
            self._reply_error(id, call, Status(Code.RESOURCE_EXHAUSTED, text))
            return
        urgent = call.urgent
        flags = (URGENT if urgent else 0) | (COMPRESSED if compressed else 0)
        payload = body
        if content is not None:
            flags |= META
            payload = content + body
        number = call.member.answer if variant is None else variant
        frame = _pack(MAGIC, 1, flags, ACK, STATE, number, len(payload), id & WIRE_ID) + payload
        if self._phase == OPEN:
            self._outgoing.push(frame, urgent, RESPONSE)
        else:
            self._keep_reply(id, frame, urgent)

    def answer_item(self, id: int, body: bytes, *, compressed: bool = False) -> None:
        """Sends an item of a stream of answers; `can_send_item` first. Ignored where the call has ended."""
        call = self._inbound.get(id)
        if call is None or call.interest or call.is_expired or self._phase != OPEN:
            return
        if not self.can_send_item(id, len(body)) or call.sends is None:
            raise NotReadyError(Code.RESOURCE_EXHAUSTED, "no credit for an item: wait for `Writable`")
        self._check_body(call.member, body)
        flags = MORE | (URGENT if call.urgent else 0) | (COMPRESSED if compressed else 0)
        call.sends.spend(len(body))
        frame = _pack(MAGIC, 1, flags, ACK, STATE, call.member.answer, len(body), id & WIRE_ID) + body
        self._outgoing.push(frame, call.urgent, RESPONSE)

    def answer_end(self, id: int, metadata: Metadata | None = None) -> None:
        """Ends a stream of answers, and the call."""
        call = self._inbound.get(id)
        if call is None:
            return
        content = self._answer_metadata(metadata) if metadata is not None else b""
        if not self._end_call(id, call):
            return
        flags = (URGENT if call.urgent else 0) | (META if content else 0)
        if self._phase == OPEN:
            self._outgoing.push(pack_frame(ACK, flags, id & WIRE_ID, content), call.urgent, RESPONSE)

    def _answer_metadata(self, metadata: Metadata) -> bytes:
        """Encodes what goes with an answer, with its length in front."""
        check_metadata(metadata)
        return with_length(metadata.encode())

    def fail(self, id: int, status: Status) -> None:
        """Ends a call of the peer, or a delivery, with an error."""
        call = self._inbound.get(id)
        if call is not None:
            if self._end_call(id, call):
                self._reply_error(id, call, status)
        elif id & 1 << 62:
            self._end_delivery(id, status)

    def acknowledge(self, id: int) -> None:
        """The handler of a delivery has returned."""
        self._end_delivery(id, None)

    def _end_delivery(self, id: int, status: Status | None) -> None:
        urgent = self._handling.pop(id, None)
        if urgent is None:
            return
        self._received.end(id & _SEQUENCE, status is None)
        # Without a connection the delivery comes again, and is answered then.
        if self._phase != OPEN:
            return
        if status is None:
            frame = pack_frame(ACK, URGENT if urgent else 0, id & WIRE_ID)
        else:
            frame = self._error_frame(id, urgent, status)
        self._outgoing.push(frame, urgent, RESPONSE)

    def _end_call(self, id: int, call: InboundCall) -> bool:
        """The handler of a call has ended; True where its answer is awaited."""
        del self._inbound[id]
        self._inbound_size -= call.size
        self._late_inbound += 1
        if call.has_streams:
            self._late_inbound += LATE_FRAMES
            self._waiting_streams.discard(id)
            self._starved.pop(id, None)
        interest = call.interest
        if interest is Interest.ANSWER:
            self._ended_calls.end(id & WIRE_ID)
            if call.is_expired:
                self._reply_error(id, call, Status(Code.DEADLINE_EXCEEDED, "the deadline has passed"))
                return False
            return True
        if interest is Interest.NOTHING:
            self._orphans -= 1
        elif self._phase == OPEN:
            self._push_error(id, Code.CANCELLED, _GIVEN_UP, call.urgent, RESPONSE)
        return False

    def _reply_error(self, id: int, call: InboundCall, status: Status) -> None:
        frame = self._error_frame(id, call.urgent, status)
        if self._phase == OPEN:
            self._outgoing.push(frame, call.urgent, RESPONSE)
        elif not call.has_streams:
            self._keep_reply(id, frame, call.urgent)

    def _keep_reply(self, id: int, frame: bytes, urgent: bool) -> None:
        """Keeps a reply for the next connection. More than `session_buffer` of them end the session."""
        # While a Welcome is awaited the handler may end as well.
        if self._phase in (SUSPENDED, AWAIT_WELCOME):
            self._ended_calls.keep(id & WIRE_ID, frame, urgent)
            if self._ended_calls.kept_cost > self.settings.session_buffer:
                status = Status(Code.RESOURCE_EXHAUSTED, "more replies are kept for the other side than session_buffer")
                self._end_all(status, by_peer=False, is_clean=False)

    def _error_frame(self, id: int, urgent: bool, status: Status) -> bytes:
        """The ERROR of a handler, which must not be taken for the session's own statement that a message was not received, or not
        accepted."""
        text = status.message
        if (status.code, text) in (NOT_RECEIVED, NOT_ACCEPTED):
            text += ", says the handler"
        id &= WIRE_ID
        flags = URGENT if urgent else 0
        if not self._allows_error_metadata:
            return pack_frame(ERROR, flags, id, format_error_text(status.code, text, MAX_TEXT_LEN))
        payload = format_error_text(status.code, text, MAX_LONG_TEXT_LEN)
        content = _error_metadata(status)
        if content and len(content) + len(payload) <= max_payload(self._peer_max_body):
            flags |= META
            payload = content + payload
        return pack_frame(ERROR, flags, id, payload)

    def _tell_cancelled(self, id: int) -> None:
        self._waiting_streams.discard(id)
        self._events.append(Cancelled(id))

    # --- Credit

    def finished(self, id: int, items: int, size: int) -> None:
        """Handlers are done with so many items and bytes of stream `id`, or with id 0 of messages: they are granted again."""
        if id == 0:
            self._finish_messages(items, size)
            return
        if id & (1 << 63) == self._own_bit:
            entry = self._outbound.get(id)
            window = entry.receives if entry is not None else None
            urgent = entry is not None and entry.urgent
        else:
            call = self._inbound.get(id)
            window = call.receives if call is not None and not call.interest else None
            urgent = call is not None and call.urgent
        if window is None or self._phase != OPEN:
            return
        granted = window.consume(items, size)
        if granted is not None:
            self._grant(id, urgent, granted)
        elif window.is_used_up:
            self._watch(id, window)

    def _finish_messages(self, items: int, size: int) -> None:
        self._unfinished -= items
        # Windows start afresh with each connection. Handlers of messages run one after the other, so that those of an earlier
        # connection end first.
        if self._stale_items > 0:
            stale = min(items, self._stale_items)
            self._stale_items -= stale
            if stale == items:
                return
            size = size * (items - stale) // items
            items -= stale
        if self._phase != OPEN:
            return
        window = self._receive_window
        granted = window.consume(items, size)
        if granted is not None:
            self._grant(0, True, granted)
        elif window.is_used_up:
            self._watch(0, window)

    def _grant(self, id: int, urgent: bool, granted: tuple[int, int]) -> None:
        flags = URGENT if urgent and id else 0
        self._outgoing.push(pack_frame(CREDIT, flags, id & WIRE_ID, pack_credit(*granted)), urgent, PROVOKED)

    def _watch(self, id: int, window: ReceiveWindow) -> None:
        """A window is used up: it is looked at for relief."""
        if id not in self._starved:
            self._starved[id] = window.grant_count
            if self._relief_at == inf:
                self._relief_at = self._now + _RELIEF

    def _relieve(self) -> None:
        """Grants what was handled of windows that have been used up for a while."""
        self._relief_at = inf
        starved, self._starved = self._starved, {}
        for id, grant_count in starved.items():
            urgent = id == 0
            window: ReceiveWindow | None = self._receive_window
            if id & (1 << 63) == self._own_bit and id:
                entry = self._outbound.get(id)
                window, urgent = (entry.receives, entry.urgent) if entry is not None else (None, False)
            elif id:
                call = self._inbound.get(id)
                window, urgent = (call.receives, call.urgent) if call is not None else (None, False)
            if window is None or window.grant_count != grant_count:
                continue
            granted = window.relieve()
            if granted is not None:
                self._grant(id, urgent, granted)


def _error_metadata(status: Status) -> bytes:
    """What goes with an ERROR, with its length in front; nothing where there is none, or too much."""
    if not status.headers and not status.details:
        return b""
    details = list(status.details)
    if len(details) > MAX_DETAILS:
        return b""
    metadata = Metadata(headers=status.headers, details=details)
    content = metadata.encode()
    if len(content) > MAX_ERROR_METADATA or len(Metadata(details=details).encode()) > MAX_DETAILS_LEN:
        return b""
    return with_length(content)
