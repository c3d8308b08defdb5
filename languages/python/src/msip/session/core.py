"""What all parts of a session stand on: its state, its events, and the frames that it sends."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import inf
from typing import Final

from msip.errors import Code, Status
from msip.protocol import Member, Protocol, Shape, Side
from msip.session.droppable import DroppableQueue, Dropped
from msip.session.ended_calls import EndedCalls
from msip.session.events import Cancelled, Cause, Closed, Event, Failed, TransportDead, Writable
from msip.session.exchanges import Class, InboundCall, Outbound
from msip.session.keepalive import Keepalive
from msip.session.outgoing import PROVOKED, OutgoingQueue
from msip.session.received_deliveries import ReceivedDeliveries
from msip.session.settings import Settings
from msip.session.token_bucket import TokenBucket
from msip.session.windows import WINDOW_GROWTH, ReceiveWindow, SendWindow
from msip.wire.decoder import Decoder
from msip.wire.error_text import format_error_text
from msip.wire.header import (
    CANCEL,
    CLOSE,
    ERROR,
    EVENT,
    MAGIC,
    PUBLISH,
    SERVER_ID,
    URGENT,
    FrameError,
    FrameFault,
    pack_frame,
)
from msip.wire.header import HEADER as _HEADER
from msip.wire.limits import DEFAULT_MAX_BODY, MAX_HELLO, max_payload
from msip.wire.subscribe import Subscribe

__all__ = [
    "AWAIT_WELCOME",
    "DEFAULT_MAX_CALLS",
    "LATE_FRAMES",
    "NEW",
    "OPEN",
    "OVER",
    "SUSPENDED",
    "UNWANTED",
    "WIRE_ID",
    "SessionCore",
]

# The phases of a session are plain numbers, since each operation compares them.
NEW: Final = 0
"""A client that has not begun, or whose HELLO was refused."""
AWAIT_WELCOME: Final = 1
OPEN: Final = 2
SUSPENDED: Final = 3
"""The connection is lost; another may follow."""
OVER: Final = 4

WIRE_ID: Final = (1 << 64) - 1
"""An id as it is on the wire. The ids by which users know the exchanges of the peer have the number of the session in front, since
a client goes on after the loss of one, and handlers of the earlier one may still run."""

LATE_FRAMES: Final = 32
"""How many frames of a stream may be under way when its exchange ends."""
DEFAULT_MAX_CALLS: Final = 1024
_MOST_CALLS = 1 << 15

_MAX_QUEUED = 1024 * 1024
"""A request, or an item, waits for capacity while so many bytes are queued, however large the queue may be."""

_UNWANTED_BURST = 2000
_UNWANTED_PER_SECOND = 200
UNWANTED: Final = "pings, stray answers and malformed messages"

_CANCEL_BURST = 10_000
_CANCELS_PER_SECOND = 1000

_FRAME_SECONDS = 30.0
_BYTES_PER_SECOND = 16 * 1024


class SessionCore:
    """The state of a session. What it does is in the classes that derive from this one, an idea each."""

    __slots__ = (
        "_abandoned",
        "_aliases",
        "_budget",
        "_allows_compressed",
        "_allows_error_metadata",
        "_allows_topics",
        "_at_topics",
        "_call_count",
        "_cancels",
        "_close_text",
        "_decoder",
        "_delivery_count",
        "_described",
        "_drain_at",
        "_drain_streams_at",
        "_droppable",
        "_dropped",
        "_ended_calls",
        "_events",
        "_generation",
        "_handling",
        "_handshake_at",
        "_has_lingered",
        "_has_session",
        "_has_written",
        "_hello_id",
        "_inbound",
        "_inbound_size",
        "_incoming",
        "_is_close_begun",
        "_is_close_received",
        "_is_client",
        "_is_kept",
        "_keepalive",
        "_kept_cost",
        "_last_credit",
        "_late_inbound",
        "_late_outbound",
        "_linger_at",
        "_max_calls",
        "_message_type",
        "_next_deadline",
        "_next_delivery",
        "_now",
        "_oldest_delivery",
        "_orphans",
        "_outbound",
        "_outgoing",
        "_own_bit",
        "_partial_at",
        "_partial_frame",
        "_peer_bit",
        "_peer_ends_cancelled",
        "_peer_id",
        "_peer_max_body",
        "_peer_message_type",
        "_pending_close",
        "_phase",
        "_placeholders",
        "_pong_count",
        "_random",
        "_receive_window",
        "_received",
        "_relief_at",
        "_request_queue",
        "_resend",
        "_same_schema",
        "_secret",
        "_send_window",
        "_sequence",
        "_session_id",
        "_stale_items",
        "_starved",
        "_subscriptions",
        "_unfinished",
        "_unwanted",
        "_waiting_streams",
        "_waits",
        "held_elsewhere",
        "ignored",
        "protocol",
        "settings",
        "side",
    )

    def __init__(self, side: Side, protocol: Protocol, settings: Settings, now: float) -> None:
        self.side = side
        self.protocol = protocol
        self.settings = settings
        self.ignored = 0
        """How many frames were ignored, because they answer nothing or could not be read and asked for no answer."""
        self.held_elsewhere = 0
        """The bytes of what the owner has taken and finished, and has not handled: they count as the session's."""
        self._is_client = side is Side.CLIENT
        self._own_bit = 0 if self._is_client else SERVER_ID
        self._peer_bit = SERVER_ID if self._is_client else 0
        self._message_type = PUBLISH if self._is_client else EVENT
        self._peer_message_type = EVENT if self._is_client else PUBLISH
        peer = Side.SERVER if self._is_client else Side.CLIENT
        self._incoming = accepted(protocol, peer)
        self._at_topics: dict[str, tuple[Protocol, dict[int, Member]]] = {}
        self._request_queue = min(settings.outgoing_queue, _MAX_QUEUED)
        self._budget = settings.budget
        self._now = now
        self._phase = NEW
        self._events: deque[Event] = deque()
        self._dropped = Dropped()
        self._unwanted = TokenBucket(_UNWANTED_BURST, _UNWANTED_PER_SECOND, now)
        self._cancels = TokenBucket(_CANCEL_BURST, _CANCELS_PER_SECOND, now)
        self._sequence = 0
        self._session_id = 0
        self._secret = b""
        self._peer_id = 0
        self._random: Callable[[int], bytes] = bytes
        self._handshake_at = inf
        self._hello_id = 0
        # With whether the session makes it again.
        self._subscriptions: dict[str, tuple[Subscribe | None, bool]] = {}
        self._generation = 0
        self._unfinished = 0
        self._begin_session()
        self._begin_connection(now)

    def _begin_session(self) -> None:
        """Everything that belongs to one session, as it is when that begins."""
        self._has_session = False
        self._is_kept = False
        self._described = 0
        self._same_schema = False
        self._peer_ends_cancelled = False
        self._allows_compressed = False
        self._allows_error_metadata = False
        self._allows_topics = False
        self._outbound: dict[int, Outbound] = {}
        self._abandoned: dict[int, bool] = {}
        self._placeholders: dict[int, Outbound] = {}
        self._aliases: dict[int, int] = {}
        self._call_count = 0
        self._delivery_count = 0
        self._next_delivery = 1
        self._oldest_delivery = 1
        self._kept_cost = 0
        self._max_calls = DEFAULT_MAX_CALLS
        self._late_outbound = 0
        self._inbound: dict[int, InboundCall] = {}
        self._inbound_size = 0
        self._handling: dict[int, bool] = {}
        self._late_inbound = 0
        self._orphans = 0
        self._received = ReceivedDeliveries()
        self._ended_calls = EndedCalls()
        self._resend: deque[tuple[int, bytes]] = deque()
        self._droppable = DroppableQueue()
        self._next_deadline = inf
        self._peer_max_body = DEFAULT_MAX_BODY
        self._is_close_begun = False
        self._is_close_received = False
        self._pending_close: tuple[Code, str] | None = None
        self._close_text: tuple[Code, str] = (Code.UNAVAILABLE, "")
        self._drain_at = inf
        self._drain_streams_at = inf
        self._linger_at = inf
        self._has_lingered = False

    def _begin_connection(self, now: float) -> None:
        """Everything that belongs to one connection."""
        settings = self.settings
        self._outgoing = OutgoingQueue()
        self._decoder = Decoder(MAX_HELLO)
        self._keepalive = Keepalive(settings.ping_interval, now)
        self._send_window = SendWindow(settings.window_items, settings.window_bytes)
        self._receive_window = ReceiveWindow(settings.window_items, settings.window_bytes, WINDOW_GROWTH)
        # Windows start afresh: what was received before is not granted again.
        self._stale_items = self._unfinished
        self._last_credit = now
        self._pong_count = 0
        self._waits = False
        self._waiting_streams: set[int] = set()
        self._starved: dict[int, int] = {}
        self._relief_at = inf
        self._partial_at = inf
        self._partial_frame = -1
        self._has_written = now

    def _open(self, peer_max_body: int) -> None:
        """The handshake is done."""
        self._phase = OPEN
        self._handshake_at = inf
        self._peer_max_body = peer_max_body or DEFAULT_MAX_BODY
        self._decoder.set_max_payload(max_payload(self.settings.max_body))

    def _allow_calls(self, max_calls: int) -> None:
        """How many calls the peer allows; 0 is the default."""
        self._max_calls = min(max_calls, _MOST_CALLS) or DEFAULT_MAX_CALLS

    def _held_inbound(self) -> int:
        """The bytes of what has come and is not handled, and of a part of a frame."""
        return self._inbound_size + self._receive_window.taken + self._decoder.pending_len + self.held_elsewhere

    # --- Frames

    def _push_error(self, id: int, code: Code, text: str, urgent: bool = False, frame_class: int = PROVOKED) -> None:
        """An ERROR of the session itself."""
        frame = pack_frame(ERROR, URGENT if urgent else 0, id & WIRE_ID, format_error_text(code, text))
        self._outgoing.push(frame, urgent, frame_class)

    def _push_cancel(self, id: int, urgent: bool) -> None:
        self._outgoing.push(pack_frame(CANCEL, URGENT if urgent else 0, id), urgent, PROVOKED)

    def _pack(self, frame_type: int, flags: int, kind: int, variant: int, id: int, payload: bytes) -> bytes:
        return _HEADER.pack(MAGIC, 1, flags, frame_type, kind, variant, len(payload), id) + payload

    # --- Faults of the peer

    def _fault(self, error: FrameError) -> None:
        """The peer has broken the protocol: reports it, and ends the session. What comes in place of a Welcome is from no peer of
        the session, which is kept."""
        was_open = self._phase == OPEN
        self._outgoing.clear()
        if error.fault is not FrameFault.MIP:
            self._push_error(error.msg_id, error.code, error.message, urgent=True)
            if was_open and error.fault is FrameFault.RULE:
                text = format_error_text(error.code, error.message)
                self._outgoing.push(pack_frame(CLOSE, 0, 0, text), True, PROVOKED)
        if was_open:
            self._end_all(Status(error.code, error.message), by_peer=False, is_clean=False)
        else:
            self._without_welcome(TransportDead(error.message))

    def _without_welcome(self, event: Event) -> None:
        """There is no Welcome: an earlier session waits for another connection."""
        self._phase = SUSPENDED if self._has_session else NEW
        self._handshake_at = inf
        self._events.append(event)

    def _end_all(self, status: Status, *, by_peer: bool, is_clean: bool) -> None:
        """The session is over: everything that is open fails."""
        if self._phase == OVER:
            return
        self._phase = OVER
        self._fail_all(f"the session has ended: {status}")
        self._events.append(Closed(status.code, status.message, by_peer, is_clean))

    def _fail_all(self, text: str) -> None:
        """Ends every exchange of the session, at both of its ends."""
        is_sent = self._is_sent
        for id, entry in list(self._outbound.items()) + list(self._placeholders.items()):
            sent = is_sent(entry)
            cause = Cause.LOST if sent else Cause.NOT_SENT
            code = Code.UNKNOWN if sent else Code.UNAVAILABLE
            known = f"{text}; it may have run" if sent else f"{text}; nothing was sent"
            if entry.topic and entry.alias != -1:
                # Its user hears that it has failed: it is not made again.
                self._subscriptions.pop(entry.topic, None)
            if entry.alias != -1:
                self._events.append(Failed(entry.alias or id, Status(code, known), cause))
        for id, call in self._inbound.items():
            if call.interest == 0 and not call.is_expired:
                self._events.append(Cancelled(id))
        self._outbound.clear()
        self._placeholders.clear()
        self._aliases.clear()
        self._abandoned.clear()
        self._inbound.clear()
        self._inbound_size = 0
        self._resend.clear()
        self._droppable = DroppableQueue()
        self._call_count = self._delivery_count = self._kept_cost = self._orphans = 0
        self._ended_calls.clear_kept()
        self._next_deadline = inf
        self._pending_close = None

    def _is_sent(self, entry: Outbound) -> bool:
        """Whether any of an exchange was handed to a transport."""
        if entry.was_sent:
            return True
        lane = self._outgoing.urgent if entry.urgent else self._outgoing.normal
        return 0 <= entry.position < lane.taken

    # --- Allowances

    def _ignore(self, id: int) -> None:
        """Ignores an unwanted frame."""
        self.ignored += 1
        self._limit(id, UNWANTED)

    def _limit(self, id: int, what: str) -> None:
        """A frame that only costs us: too many of them are a fault."""
        if not self._unwanted.take(self._now):
            raise FrameError(
                f"more than {_UNWANTED_PER_SECOND} {what} a second", code=Code.RESOURCE_EXHAUSTED, msg_id=id
            )

    def _limit_cancels(self, id: int) -> None:
        if not self._cancels.take(self._now):
            rule = f"more than {_CANCELS_PER_SECOND} calls cancelled a second"
            raise FrameError(rule, code=Code.RESOURCE_EXHAUSTED, msg_id=id)

    def _ignore_late(self, id: int) -> None:
        """A frame of an exchange that is not open: so many may be late, others are unwanted."""
        self.ignored += 1
        if id & SERVER_ID == self._own_bit:
            if id and self._late_outbound > 0:
                self._late_outbound -= 1
                return
        elif self._late_inbound > 0:
            self._late_inbound -= 1
            return
        self._limit(id, UNWANTED)

    # --- Outbound exchanges

    def _remove(self, id: int, entry: Outbound) -> None:
        """An exchange of this side has ended, and was in the table until now."""
        cls = entry.cls
        if cls is Class.CALL:
            self._call_count -= 1
            if entry.has_streams:
                self._late_outbound += LATE_FRAMES
                self._waiting_streams.discard(id)
            if self._waits:
                self._wake()
        elif cls is Class.DELIVERY:
            self._delivery_count -= 1
            if entry.frame:
                self._kept_cost -= len(entry.frame) + 64
            if entry.alias:
                self._aliases.pop(entry.alias, None)
            if self._waits:
                self._wake()

    def _wake(self) -> None:
        """Senders that were refused may try again."""
        self._waits = False
        self._events.append(Writable(0))

    def _note_partial(self) -> None:
        """A part of a frame is left: the rest must come in time."""
        decoder = self._decoder
        if not decoder.pending_len:
            self._partial_at = inf
        elif self._partial_frame != decoder.frame_count or self._partial_at == inf:
            self._partial_frame = decoder.frame_count
            self._partial_at = self._now + _FRAME_SECONDS + decoder.pending_len / _BYTES_PER_SECOND

    @property
    def _is_closing(self) -> bool:
        """Whether either side has said that it opens nothing new."""
        return self._is_close_begun or self._is_close_received


def accepted(protocol: Protocol, peer: Side) -> dict[int, Member]:
    """What the peer may begin, by its number."""
    return {member.number: member for member in protocol.sent_by(peer) if member.shape is not Shape.ANSWER}
