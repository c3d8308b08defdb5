"""Handshake and resumption: a session begins, and goes on over several connections (docs/protocol.md, "Handshake" and
"Resumption")."""

from __future__ import annotations

from math import inf

from msip.errors import Code, Status
from msip.session.accepting import Accepting
from msip.session.closing import Closing
from msip.session.core import AWAIT_WELCOME, NEW, OPEN, OVER, SUSPENDED, WIRE_ID
from msip.session.events import Cause, Connected, Failed, Refused
from msip.session.exchanges import Class, Interest
from msip.session.outgoing import PROVOKED, REQUEST, RESPONSE
from msip.session.queueing import numbered
from msip.wire.error_text import format_error_text, parse_error_text
from msip.wire.header import (
    ACK,
    ACK_REQUIRED,
    CLOSE,
    DELIVERY_ID,
    ERROR,
    EVENT,
    FRAME_TYPES,
    HEADER,
    HELLO,
    ITEM,
    MORE,
    PUBLISH,
    SERVER_ID,
    FrameError,
    pack_frame,
)
from msip.wire.hello import (
    ENDS_CANCELLED,
    ERROR_METADATA,
    SCHEMA_DESCRIPTION,
    SECRET_LEN,
    Compression,
    Hello,
    Welcome,
    parse_welcome,
)

__all__ = ["Resuming"]

_MAX_AWAITED = 1024
_SEQUENCE = (1 << 62) - 1
_MAX_NAME = 256
_WINDOWS_BEHIND = 4


class Resuming(Closing):
    """The connections of a session."""

    __slots__ = ()

    # --- The connecting side

    def begin(self, now: float, *, credential: bytes = b"") -> None:
        """Client: a new transport is there. Writes HELLO, which resumes the session if there is one."""
        if self._phase in (AWAIT_WELCOME, OPEN):
            raise RuntimeError("`begin` while another transport is in use: call `lost` first")
        self._now = now
        settings = self.settings
        if self._phase == OVER or not self._session_id:
            if self._phase == OVER:
                self._begin_session()
                self._generation += 1 << 64
            self._session_id = 0
            while not self._session_id:
                self._session_id = int.from_bytes(self._random(8), "big")
            self._secret = self._random(SECRET_LEN)
        self._begin_connection(now)
        awaited = self._awaited_calls()
        self._late_outbound += len(awaited)
        self._sequence += 1
        self._hello_id = self._own_bit | self._sequence
        hello = Hello(
            session_id=self._session_id,
            protocol=self.protocol.name,
            fingerprint=self.protocol.fingerprint,
            codecs=[int(codec) for codec in settings.codecs],
            compressions=[int(compression) for compression in settings.compressions if compression],
            keepalive_ms=int(settings.ping_interval * 1000),
            max_body=settings.max_body,
            credential=credential,
            client_name=_cut(settings.name),
            client_version=_cut(settings.version),
            session_secret=self._secret,
            awaited=awaited,
            extensions={ENDS_CANCELLED: b"", ERROR_METADATA: b"", **self._describing()},
        )
        self._outgoing.push(pack_frame(HELLO, 0, self._hello_id, hello.encode()), False, REQUEST)
        self._phase = AWAIT_WELCOME
        self._handshake_at = now + settings.handshake_timeout

    def _describing(self) -> dict[str, bytes]:
        """The extension of a side that can describe its schema."""
        return {SCHEMA_DESCRIPTION: b""} if self.protocol.description else {}

    def _receive_welcome(self, frame_type: int, id: int, payload: bytes) -> None:
        if frame_type in (ERROR, CLOSE):
            self._without_welcome(Refused(*parse_error_text(payload)))
            return
        if frame_type != ACK or id != self._hello_id:
            text = f"{FRAME_TYPES[frame_type]} before the answer to HELLO"
            raise FrameError(text, code=Code.FAILED_PRECONDITION, msg_id=id)
        welcome = parse_welcome(id, payload)
        settings = self.settings
        codec = welcome.codec or 1
        if codec not in settings.codecs:
            raise FrameError(f"the server has chosen codec {codec}, which was not offered", msg_id=id)
        if welcome.compression and welcome.compression not in settings.compressions:
            raise FrameError(
                f"the server has chosen compression {welcome.compression}, which was not offered", msg_id=id
            )
        welcome.codec = codec
        had_session = self._has_session
        # A server may resume a session that it has begun itself, whose Welcome did not come: the peer id tells.
        resumed = had_session and welcome.resumed and welcome.peer_id == self._peer_id
        if had_session and not resumed:
            self._fail_all("the session was lost")
            sequence, late = self._sequence, self._late_outbound
            self._begin_session()
            self._sequence, self._late_outbound = sequence, late
            self._generation += 1 << 64
        self._has_session = True
        self._peer_id = welcome.peer_id
        self._is_kept = welcome.session_expiry_ms > 0
        self._allows_topics = welcome.broker
        self._allow_calls(welcome.max_open_calls)
        if not resumed:
            self._agree(welcome.extensions, welcome.fingerprint, welcome.compression)
        self._open(welcome.max_body)
        self._events.append(Connected(welcome, resumed, session_lost=had_session and not resumed))
        if resumed:
            self._go_on(welcome.awaited)
        else:
            self._subscribe_again()

    def _agree(self, extensions: dict[str, bytes], fingerprint: int, compression: int) -> None:
        """What both sides have agreed on for the whole session."""
        self._peer_ends_cancelled = ENDS_CANCELLED in extensions
        self._allows_error_metadata = ERROR_METADATA in extensions
        self._allows_compressed = compression != Compression.NONE
        # Without a fingerprint it is nobody's: that of a broker, which passes on what others say.
        self._same_schema = 0 != fingerprint == self.protocol.fingerprint

    # --- The accepting side

    def _accepted(self, accepting: Accepting, welcome: Welcome, now: float) -> None:
        """A client's HELLO is answered: the session begins."""
        hello = accepting.hello
        self._session_id = hello.session_id
        self._secret = _hashed(hello.session_secret)
        self._peer_id = welcome.peer_id
        self._has_session = True
        self._is_kept = welcome.session_expiry_ms > 0
        self._agree(hello.extensions, hello.fingerprint, welcome.compression)
        welcome.resumed = False
        self._welcome(accepting, welcome, now)

    def _welcome(self, accepting: Accepting, welcome: Welcome, now: float) -> None:
        hello = accepting.hello
        self._now = now
        self._begin_connection(now)
        self._decoder = accepting.decoder
        welcome.session_id = hello.session_id
        welcome.server_name = welcome.server_name or _cut(self.settings.name)
        welcome.server_version = welcome.server_version or _cut(self.settings.version)
        welcome.extensions.setdefault(ENDS_CANCELLED, b"")
        if self._allows_error_metadata:
            welcome.extensions.setdefault(ERROR_METADATA, b"")
        for name, content in self._describing().items():
            welcome.extensions.setdefault(name, content)
        # Nothing may overtake the answer.
        self._outgoing.push(pack_frame(ACK, 0, accepting.hello_id, welcome.encode()), True, REQUEST)
        self._open(hello.max_body)
        self._events.append(Connected(welcome, welcome.resumed))

    def resume(self, accepting: Accepting, welcome: Welcome, now: float) -> None:
        """Server: the client of this session is there again, by `accepting`, and was found entitled (`owns`).

        Where the older transport is still there, write what `take_over` gives to it first. `welcome` is as for `accept`;
        `resumed`, `awaited` and the peer id are filled in. Codec and compression have to be those of the session.
        """
        if self._phase != SUSPENDED:
            raise RuntimeError("`resume` of a session that has a transport, or is over")
        welcome.resumed = True
        welcome.peer_id = self._peer_id
        welcome.awaited = self._awaited_calls()
        self._welcome(accepting, welcome, now)
        self._go_on(accepting.hello.awaited)

    def owns(self, secret: bytes) -> bool:
        """Server: whether this is the secret of the session, compared in constant time."""
        from hmac import compare_digest  # late: clients need none

        return compare_digest(_hashed(secret), self._secret)

    @property
    def is_behind(self) -> bool:
        """Whether handlers are more than four windows of messages behind: then a further connection is to be refused with
        RESOURCE_EXHAUSTED, and the session stays."""
        return self._unfinished > _WINDOWS_BEHIND * self.settings.window_items

    def take_over(self, now: float) -> bytes:
        """Server: another transport claims the session. The last bytes for the older one; includes `lost`."""
        text = format_error_text(Code.ABORTED, "session taken over")
        last = b""
        if self._phase == OPEN:
            last = pack_frame(ERROR, 0, 0, text) + pack_frame(CLOSE, 0, 0, text)
        self.lost(now)
        return last

    # --- Both

    def lost(self, now: float) -> None:
        """The transport is gone. Streams and pings fail, one-way messages that were queued are dropped; the rest is kept for
        `begin` or `resume`, until the session is ended by `end`. Where the session is not kept (`session_expiry`), or was
        closing, it is over: `Closed` follows."""
        self._now = now
        if self._phase == AWAIT_WELCOME:
            self._outgoing.clear()
            self._phase = SUSPENDED if self._has_session else NEW
            self._handshake_at = inf
            return
        if self._phase != OPEN:
            return
        if self._is_closing:
            self._lost_while_closing()
            return
        if not self._is_kept:
            status = Status(Code.UNAVAILABLE, "the connection was lost, and the session is not kept")
            self._end_all(status, by_peer=False, is_clean=False)
            return
        self._detach_outbound()
        self._detach_inbound()
        self._phase = SUSPENDED
        self._waiting_streams.clear()
        self._starved.clear()
        self._relief_at = self._partial_at = inf

    def _detach_outbound(self) -> None:
        """Fails streams and pings, and queues again what may be sent on another connection."""
        again: list[tuple[int, bytes]] = []
        unsent: list[tuple[int, bytes]] = []
        earlier = list(self._resend)
        for id, entry in list(self._outbound.items()):
            if entry.position >= 0:
                sent = self._is_sent(entry)
                frame = self._outgoing.at(entry.position, entry.urgent) or b""
                entry.was_sent = entry.was_sent or sent
            else:
                frame = b""
            entry.position = -1
            if entry.cls is Class.PING or entry.has_streams:
                del self._outbound[id]
                self._remove(id, entry)
                cause = Cause.LOST if entry.was_sent else Cause.NOT_SENT
                code = Code.UNKNOWN if entry.was_sent else Code.UNAVAILABLE
                self._events.append(Failed(id, Status(code, "the connection was lost"), cause))
            elif entry.cls is Class.DELIVERY:
                if entry.was_sent:
                    again.append((id, b""))
                elif frame:
                    unsent.append((id, b""))
            elif entry.cls is Class.CALL and frame and not entry.was_sent:
                unsent.append((id, frame))
        self._resend.clear()
        self._resend.extend(again)
        self._resend.extend(unsent)
        # What waited already before this loss, and was not sent since.
        queued = {id for id, _ in self._resend}
        self._resend.extend((id, frame) for id, frame in earlier if id in self._outbound and id not in queued)
        # The peer counts the calls that are not awaited no longer.
        self._late_outbound += len(self._abandoned)
        self._abandoned.clear()
        self._keep_unwritten()
        self._number_droppable()

    def _keep_unwritten(self) -> None:
        """Keeps replies that were not handed to the transport; counts messages that are dropped."""
        for frame, urgent in self._outgoing.clear():
            _, _, flags, frame_type, _, _, _, id = HEADER.unpack_from(frame)
            if frame_type in (PUBLISH, EVENT):
                if not flags & (ITEM | ACK_REQUIRED):
                    self._dropped.disconnected += 1
            elif (
                frame_type in (ACK, ERROR)
                and not flags & MORE
                and id
                and not id & DELIVERY_ID
                and id & SERVER_ID == self._peer_bit
            ):
                self._ended_calls.keep(id, frame, urgent)
            # Deliveries are answered again when they come again; credit and pings belong to the lost connection.

    def _number_droppable(self) -> None:
        """Messages that are awaited go on with the next connection, and get their numbers now, so that no later message comes
        before them; the rest is dropped."""
        queue = self._droppable
        while (droppable := queue.take_first()) is not None:
            entry = self._placeholders.pop(droppable.waiter, None)
            if entry is None:
                self._dropped.disconnected += 1
                continue
            if not self._may_deliver():
                status = Status(Code.UNAVAILABLE, "the connection was lost; nothing was sent")
                self._events.append(Failed(entry.alias, status, Cause.NOT_SENT))
                continue
            id = self._own_bit | DELIVERY_ID | self._next_delivery
            self._next_delivery += 1
            entry.frame = numbered(droppable.frame, id, ACK_REQUIRED)
            self._kept_cost += droppable.cost
            self._aliases[entry.alias] = id
            self._outbound[id] = entry
            self._delivery_count += 1
            self._resend.append((id, b""))

    def _detach_inbound(self) -> None:
        """Cancels the peer's calls with streams, and forgets those that it had cancelled."""
        for id, call in self._inbound.items():
            if call.interest is Interest.NOTHING:
                continue
            if call.interest is Interest.END or call.has_streams:
                if call.interest is Interest.ANSWER and not call.is_expired:
                    self._tell_cancelled(id)
                call.interest = Interest.NOTHING
                self._orphans += 1

    def _awaited_calls(self) -> list[int]:
        """The calls that this side still awaits. Those that are too many to be listed are given up."""
        # The peer cancels, and counts no longer, what is not named.
        self._late_outbound += len(self._abandoned)
        self._abandoned.clear()
        awaited = sorted(id for id, entry in self._outbound.items() if entry.cls is Class.CALL and entry.was_sent)
        for id in awaited[: max(0, len(awaited) - _MAX_AWAITED)]:
            entry = self._outbound.pop(id)
            self._remove(id, entry)
            status = Status(Code.UNKNOWN, "the connection was lost; it may have run")
            self._events.append(Failed(id, status, Cause.LOST))
        return awaited[-_MAX_AWAITED:]

    def _go_on(self, awaited: list[int]) -> None:
        """The session continues with a further connection; the peer still awaits these calls."""
        named = set(awaited[:_MAX_AWAITED])
        for id in awaited[:_MAX_AWAITED]:
            self._answer_awaited(id)
        self._ended_calls.clear_kept()
        # These were given up after they had been named as awaited.
        for id, urgent in self._abandoned.items():
            self._push_cancel(id, urgent)
        self._resubscribe()
        for id, call in self._inbound.items():
            if call.interest is not Interest.NOTHING and id & WIRE_ID not in named:
                if call.interest is Interest.ANSWER and not call.is_expired:
                    self._tell_cancelled(id)
                call.interest = Interest.NOTHING
                self._orphans += 1
        self._send_waiting()

    def _answer_awaited(self, id: int) -> None:
        """The peer still awaits this call: answers it, unless its handler runs."""
        is_call = id & SERVER_ID == self._peer_bit and not id & DELIVERY_ID and id & _SEQUENCE
        if not is_call or id | self._generation in self._inbound:
            return
        known = self._ended_calls.take(id)
        first, second = known
        if isinstance(first, bytes):
            self._outgoing.push(first, bool(second), RESPONSE)
        elif isinstance(first, Code) and isinstance(second, str):
            self._push_error(id, first, second, frame_class=PROVOKED)
            # The caller may cancel it before it has the answer.
            self._late_inbound += 1


def _cut(name: str) -> str:
    """The first 256 bytes of a name, to the end of a character."""
    return name.encode()[:_MAX_NAME].decode("utf-8", "ignore")


def _hashed(secret: bytes) -> bytes:
    from hashlib import sha256  # late: clients need none

    return sha256(secret).digest()
