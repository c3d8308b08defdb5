"""Receiving: each frame is checked against the state of the session, and becomes at most one event."""

from __future__ import annotations

from typing import Final

from msip.errors import Code, DecodeError, Detail, Status
from msip.protocol import ANY_ANSWER
from msip.session.core import AWAIT_WELCOME, NEW, OPEN, OVER, SUSPENDED, UNWANTED
from msip.session.ended_calls import NOT_ACCEPTED, NOT_RECEIVED
from msip.session.events import (
    Acknowledged,
    Answer,
    AnswerEnd,
    AnswerItem,
    Cause,
    Draining,
    Failed,
    Pong,
    Writable,
)
from msip.session.exchanges import Class, Interest, Outbound
from msip.session.outgoing import PROVOKED
from msip.session.receiving_messages import ReceivingMessages
from msip.wire.credit import parse_credit
from msip.wire.error_text import MAX_LONG_TEXT_LEN, parse_error_text
from msip.wire.header import (
    ACK,
    CANCEL,
    CLOSE,
    COMPRESSED,
    CREDIT,
    ERROR,
    EVENT,
    FRAME_TYPES,
    HELLO,
    META,
    MORE,
    PING,
    PONG,
    PUBLISH,
    SERVER_ID,
    SUBSCRIBE,
    UNSUBSCRIBE,
    FrameError,
    pack_frame,
)
from msip.wire.limits import MAX_ERROR_METADATA
from msip.wire.metadata import Metadata
from msip.wire.payload import PayloadError, split_answer, split_metadata

__all__ = ["Receiving"]

_MAX_PONGS: Final = 16
_CONNECTION_ENDS: Final = "ERRORs and CLOSEs of a connection"
_UNEARNED: Final = "CREDITs beyond one for each message"


class Receiving(ReceivingMessages):
    """The frames of the peer."""

    __slots__ = ()

    def receive(self, data: bytes, now: float) -> None:
        """Bytes have come, cut anywhere. Never raises."""
        phase = self._phase
        if phase in (NEW, SUSPENDED, OVER):
            return
        self._now = now
        self._keepalive.received(now)
        message_type = self._peer_message_type
        try:
            for frame_type, flags, kind, variant, id, payload in self._decoder.frames(data):
                if self._phase != OPEN:
                    if self._phase != AWAIT_WELCOME:
                        return
                    self._receive_welcome(frame_type, id, payload)
                elif frame_type == ACK:
                    self._receive_answer(flags, variant, id, payload)
                elif frame_type == message_type:
                    self._receive_message(flags, kind, variant, id, payload)
                elif frame_type == CREDIT:
                    self._receive_credit(id, payload)
                else:
                    self._receive_other(frame_type, flags, id, payload)
            self._note_partial()
        except FrameError as error:
            self._fault(error)
        self._look_at_drain()

    def _receive_welcome(self, frame_type: int, id: int, payload: bytes) -> None:
        """A frame before the answer to HELLO; defined where the handshake is."""
        raise NotImplementedError

    def _look_at_drain(self) -> None:
        """Something has happened while the session drains; defined where closing is."""
        raise NotImplementedError

    def _receive_other(self, frame_type: int, flags: int, id: int, payload: bytes) -> None:
        if frame_type == ERROR:
            self._receive_error(flags, id, payload)
        elif frame_type == CANCEL:
            self._receive_cancel(id)
        elif frame_type == PING:
            self._receive_ping(id, payload)
        elif frame_type == PONG:
            self._receive_pong(id)
        elif frame_type == CLOSE:
            self._receive_close(id, payload)
        elif self._is_client or frame_type in (PUBLISH, EVENT):
            raise FrameError(f"{FRAME_TYPES[frame_type]} in the wrong direction", msg_id=id)
        elif frame_type == HELLO:
            raise FrameError("a second HELLO on one connection", msg_id=id)
        elif frame_type in (SUBSCRIBE, UNSUBSCRIBE):
            self._ignore(id)
            if id:
                self._push_error(id, Code.UNIMPLEMENTED, "this is a direct connection: topics need a broker")

    # --- Answers

    def _receive_answer(self, flags: int, variant: int, id: int, payload: bytes) -> None:
        entry = self._outbound.get(id)
        if entry is None:
            if flags & MORE:
                # An item that was under way: the call has not ended there.
                self._ignore_late(id)
            else:
                self._answer_to_nothing(id)
            return
        cls = entry.cls
        if cls is Class.CALL:
            member = entry.member
            # Each call has its member.
            assert member is not None
            if flags & MORE or member.response_stream:
                self._receive_stream_answer(flags, variant, id, payload, entry)
                return
            if flags == 0 and variant == member.answer and 0 < len(payload) <= self.settings.max_body:
                # What `_remove` does for a call without streams.
                del self._outbound[id]
                self._call_count -= 1
                if self._waits:
                    self._wake()
                self._events.append(Answer(id, payload, False, None))
                return
        elif cls is Class.PING:
            self._answer_to_nothing(id)
            return
        elif cls is Class.DELIVERY:
            del self._outbound[id]
            alias = entry.alias
            self._remove(id, entry)
            self._events.append(Acknowledged(alias or id))
            return
        self._receive_rare_answer(flags, variant, id, payload, entry)

    def _receive_rare_answer(self, flags: int, variant: int, id: int, payload: bytes, entry: Outbound) -> None:
        """One answer with metadata, compressed or wrong; and that to a SUBSCRIBE."""
        del self._outbound[id]
        self._remove(id, entry)
        try:
            metadata, body = self._read_answer(flags, payload)
        except (PayloadError, DecodeError) as error:
            self._unreadable(id, entry, error.message)
            return
        member = entry.member
        if member is None:
            self._subscription_answered(id, entry, body)
        elif member.answer not in (variant, ANY_ANSWER) or not body:
            found = f"variant {variant}" if body else "nothing"
            self._unreadable(id, entry, f"{found}, where variant {member.answer} answers {member.name}")
        else:
            self._events.append(Answer(id, body, bool(flags & COMPRESSED), metadata, variant))

    def _receive_stream_answer(self, flags: int, variant: int, id: int, payload: bytes, entry: Outbound) -> None:
        member = entry.member
        assert member is not None
        window = entry.receives
        if window is None:
            self._end_unreadable(id, entry, "a stream, where one answer was asked for")
            return
        if flags & MORE:
            if not window.accept(len(payload), False):
                raise FrameError(
                    "an item of a stream beyond the credit that was granted",
                    code=Code.RESOURCE_EXHAUSTED,
                    msg_id=id,
                )
            if window.is_used_up:
                self._watch(id, window)
        try:
            metadata, body = self._read_answer(flags, payload)
        except (PayloadError, DecodeError) as error:
            self._end_unreadable(id, entry, error.message)
            return
        if body and variant != member.answer:
            self._end_unreadable(id, entry, f"variant {variant}, where variant {member.answer} answers {member.name}")
            return
        if flags & MORE:
            if not body:
                self._end_unreadable(id, entry, "an empty item")
                return
            self._events.append(AnswerItem(id, body, bool(flags & COMPRESSED), len(payload)))
            return
        del self._outbound[id]
        self._remove(id, entry)
        if body:
            # The last item may come with the end, and needs no credit.
            self._events.append(AnswerItem(id, body, bool(flags & COMPRESSED), 0))
        self._events.append(AnswerEnd(id, metadata))

    def _read_answer(self, flags: int, payload: bytes) -> tuple[Metadata | None, bytes]:
        if flags & COMPRESSED and not self._allows_compressed:
            raise PayloadError(Code.INVALID_ARGUMENT, "a compressed body, and no compression was agreed")
        encoded, body = split_answer(payload, bool(flags & META), self.settings.max_body)
        return self._read_answer_metadata(encoded), body

    def _read_answer_metadata(self, encoded: bytes | None) -> Metadata | None:
        if encoded is None:
            return None
        metadata = Metadata.decode(encoded)
        if not self._is_client:
            # A client cannot assert an identity.
            metadata.identity = None
        return metadata

    def _end_unreadable(self, id: int, entry: Outbound, reason: str) -> None:
        """An item cannot be read, and more may follow: the call has failed, and is cancelled."""
        del self._outbound[id]
        self._give_up_call(id, entry, says_cancel=True)
        self._remove(id, entry)
        self._unreadable(id, entry, reason)

    def _unreadable(self, id: int, entry: Outbound, reason: str) -> None:
        status = Status(Code.INTERNAL, f"the answer cannot be read: {reason}")
        failed = Failed(entry.alias or id, status, Cause.UNREADABLE)
        if entry.cls is Class.SUBSCRIBE:
            self._subscription_failed(id, entry, failed)
        else:
            self._events.append(failed)

    def _answer_to_nothing(self, id: int) -> None:
        """An ACK or ERROR for an exchange that nobody waits for: it may be the end of a call that was given up."""
        if self._abandoned.pop(id, None) is None:
            self._ignore_late(id)
        elif self._waits:
            self._wake()

    def _receive_error(self, flags: int, id: int, payload: bytes) -> None:
        if id == 0:
            # It ends the connection, so that one would do.
            self._limit(id, _CONNECTION_ENDS)
            code, text = parse_error_text(payload)
            self._end_all(Status(code, text), by_peer=True, is_clean=False)
            return
        entry = self._outbound.get(id)
        if entry is None or entry.cls is Class.PING:
            self._answer_to_nothing(id)
            return
        was_sent = entry.was_sent
        del self._outbound[id]
        alias = entry.alias
        self._remove(id, entry)
        try:
            status = self._read_error(flags, payload)
        except (PayloadError, DecodeError) as error:
            self._unreadable(id, entry, error.message)
            return
        known = (status.code, status.message)
        cause = Cause.PEER
        if known == NOT_RECEIVED and was_sent and entry.cls is Class.CALL:
            cause = Cause.NOT_RECEIVED
        elif known == NOT_ACCEPTED and self._is_close_received:
            cause = Cause.NOT_ACCEPTED
        failed = Failed(alias or id, status, cause)
        if entry.cls is Class.SUBSCRIBE:
            self._subscription_failed(id, entry, failed)
        else:
            self._events.append(failed)

    def _read_error(self, flags: int, payload: bytes) -> Status:
        if not self._allows_error_metadata:
            return Status(*parse_error_text(payload))
        metadata = None
        if flags & META:
            encoded, payload = split_metadata(payload, MAX_ERROR_METADATA)
            metadata = self._read_answer_metadata(encoded)
        code, text = parse_error_text(payload, MAX_LONG_TEXT_LEN)
        if metadata is None:
            return Status(code, text)
        details: list[Detail] = metadata.details
        return Status(code, text, headers=metadata.headers, details=details)

    # --- Credit

    def _receive_credit(self, id: int, payload: bytes) -> None:
        items, size = parse_credit(payload, id)
        if id == 0:
            window = self._send_window
            if window.uncredited <= 0:
                self._limit(id, _UNEARNED)
            if not window.grant(items, size):
                raise _overflow(id)
            self._last_credit = self._now
            self._send_waiting()
            if self._waits:
                self._wake()
            return
        key = id if id & SERVER_ID == self._own_bit else id | self._generation
        stream = self._send_window_of(key)
        if stream is None:
            self._ignore_late(id)
            return
        is_earned = stream.uncredited > 0
        if not stream.grant(items, size):
            raise _overflow(id)
        if not is_earned:
            self._limit(id, _UNEARNED)
        if key in self._waiting_streams:
            self._waiting_streams.discard(key)
            self._events.append(Writable(key))

    # --- The rest

    def _receive_cancel(self, id: int) -> None:
        key = id | self._generation
        call = self._inbound.get(key)
        if call is None or call.interest:
            self._ignore_late(id)
            return
        self._limit_cancels(id)
        call.interest = Interest.END
        if not call.is_expired:
            self._tell_cancelled(key)

    def _receive_ping(self, id: int, payload: bytes) -> None:
        self._limit(id, UNWANTED)
        if self._pong_count >= _MAX_PONGS:
            self.ignored += 1
            return
        self._pong_count += 1
        self._outgoing.push(pack_frame(PONG, 0, id, payload), True, PROVOKED)

    def _receive_pong(self, id: int) -> None:
        if self._keepalive.ponged(id, self._now):
            return
        entry = self._outbound.get(id)
        if entry is None or entry.cls is not Class.PING:
            self._ignore_late(id)
            return
        del self._outbound[id]
        self._events.append(Pong(id, self._now - entry.at))

    def _receive_close(self, id: int, payload: bytes) -> None:
        if self._is_close_received:
            self._limit(id, _CONNECTION_ENDS)
            return
        code, text = parse_error_text(payload)
        self._is_close_received = True
        self._start_draining(code, text)
        self._events.append(Draining(code, text))

    def _start_draining(self, code: Code, text: str) -> None:
        """Either side has said CLOSE; defined where closing is."""
        raise NotImplementedError


def _overflow(id: int) -> FrameError:
    return FrameError("a CREDIT that makes the window larger than 4294967295", msg_id=id)
