"""The session: what two peers keep between them, across connections. No I/O, no clock, no tasks."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from msip.errors import Code, Status
from msip.protocol import Protocol, Side
from msip.session.accepting import Accepting
from msip.session.budget import FLOOR, SUSPENDED_SESSION
from msip.session.core import AWAIT_WELCOME, OPEN, OVER, SUSPENDED
from msip.session.droppable import Dropped
from msip.session.events import Event, TransportDead, Writable
from msip.session.outgoing import REQUEST
from msip.session.resuming import Resuming
from msip.session.settings import Settings
from msip.wire.header import PING, pack_frame
from msip.wire.hello import Welcome

__all__ = ["Session"]

_REFUSAL_COST = 256
"""What a refusal costs that is not read, in bytes, at most."""
_MIN_PROVOKED = 256 * 1024
"""What reading alone may lead to before it is paused, at least."""
_PATIENCE = 1.0
"""After so many seconds without a write a session reads on: the peer may wait in the same way."""
_UNREADABLE = "unreadable messages"


class Session(Resuming):
    """One side of a session.

    Bytes and times go in (`receive`, `handle_timeout`), bytes and events come out (`transmit`, `poll`). `now` is in seconds
    since a moment of the caller's choice, and never goes back. After each call of anything here: write what `transmit`
    gives, handle what `poll` gives, and come back at `timeout` at the latest.

    Bodies are bytes of the connection's codec (`Connected.welcome.codec`): the session neither encodes nor compresses;
    `msip.codec.BodyCodec` does.

    Nothing that a peer sends makes a method raise: it becomes events, and frames in `transmit`. What is raised is the
    caller's mistake or bad luck: `NotReadyError` where `can_send` would have said no, `ClosedError` where the session is over
    or closing, `Status` where the message itself cannot be sent (a body over the peer's `max_body`, bad metadata).

    The parts, each on the one before: `core` (state), `queueing`, `sending`, `replying`, `subscribing`, `receiving_messages`,
    `receiving`, `closing`, `resuming`.
    """

    __slots__ = ()

    # --- Beginning

    @classmethod
    def connect(cls, protocol: Protocol, settings: Settings, now: float, *, random: Callable[[int], bytes]) -> Session:
        """The connecting side; `random(n)` gives n random bytes (`os.urandom`). `begin` is next."""
        session = cls(Side.CLIENT, protocol, settings, now)
        session._random = random
        return session

    @classmethod
    def accept(
        cls, protocol: Protocol, settings: Settings, accepting: Accepting, welcome: Welcome, now: float
    ) -> Session:
        """The accepting side: answers the HELLO with this Welcome (`negotiate` makes one), and is connected."""
        session = cls(Side.SERVER, protocol, settings, now)
        session._accepted(accepting, welcome, now)
        return session

    # --- Bytes, events and time

    def transmit(self) -> bytes:
        """What is to be written now: whole frames, joined up to 64 KiB; `b""` where there is nothing.

        What this has returned counts as handed to the transport. Call it again when the transport takes more; what waits
        here meanwhile is bounded by `outgoing_queue`.
        """
        outgoing = self._outgoing
        if not outgoing.cost:
            return b""
        data = outgoing.take()
        self._has_written = self._now
        if not outgoing.urgent.frames:
            self._pong_count = 0
        if self._waits or self._waiting_streams or self._drain_at != inf or len(self._droppable):
            self._written()
        return data

    def _written(self) -> None:
        """There is a place in the queue again."""
        if self._phase != OPEN:
            return
        if self._has_request_capacity():
            self._send_droppable(1 if self._waits else 0)
            if self._waits and self._send_window.is_open:
                self._wake()
            for id in [id for id in self._waiting_streams if self._has_item_credit(id)]:
                self._waiting_streams.discard(id)
                self._events.append(Writable(id))
        self._look_at_drain()

    def _has_item_credit(self, id: int) -> bool:
        window = self._send_window_of(id)
        return window is None or window.is_open

    def poll(self) -> Event | None:
        """The next event, or None."""
        return self._events.popleft() if self._events else None

    @property
    def has_events(self) -> bool:
        """Whether `poll` has something: `transmit` may have led to it, such as `Writable` and `Closed`."""
        return bool(self._events)

    def timeout(self) -> float | None:
        """When to call `handle_timeout`, at the latest; None is never. May be earlier than anything is due."""
        phase = self._phase
        if phase == OPEN:
            at = min(
                self._keepalive.timeout(),
                self._next_deadline,
                self._relief_at,
                self._partial_at,
                self._drain_streams_at,
                self._linger_at,
                inf if self._has_lingered else self._drain_at,
            )
        elif phase == AWAIT_WELCOME:
            at = min(self._handshake_at, self._next_deadline)
        elif phase == SUSPENDED:
            at = self._next_deadline
        else:
            return None
        return None if at == inf else at

    def handle_timeout(self, now: float) -> None:
        """Does what is due."""
        self._now = now
        if self._phase == OVER:
            return
        if now >= self._next_deadline:
            self._expire()
        if self._phase == AWAIT_WELCOME and now >= self._handshake_at:
            self._handshake_at = inf
            seconds = self.settings.handshake_timeout
            self._events.append(TransportDead(f"no answer to HELLO within {seconds:g} s"))
        if self._phase != OPEN:
            return
        if now >= self._partial_at:
            self._partial_at = inf
            self._events.append(TransportDead("a frame was begun, and the rest of it did not come in time"))
        if now >= self._relief_at:
            self._relieve()
        silence = self._keepalive.silence(now)
        if silence is not None:
            self._keepalive.received(now)
            self._events.append(TransportDead(f"nothing was received for {silence:.1f} s"))
        elif self._keepalive.is_due(now):
            self._sequence += 1
            id = self._own_bit | self._sequence
            self._outgoing.push(pack_frame(PING, 0, id), True, REQUEST)
            self._keepalive.pinged(id, now)
        if self._drain_at != inf:
            self._handle_drain_timeout()

    # --- What is known of it

    def count_unreadable(self, now: float) -> None:
        """A body of the peer could not be decoded. Where both sides have one schema, too many end the session."""
        self.ignored += 1
        if self._same_schema and self._phase == OPEN and not self._unwanted.take(now):
            status = Status(Code.RESOURCE_EXHAUSTED, f"more than 200 {_UNREADABLE} a second")
            self.end(status)

    @property
    def may_begin_handler(self) -> bool:
        """Whether a handler may begin: false while more answers wait to be written than `outgoing_queue`."""
        cost = self._outgoing.response_cost
        return cost <= self.settings.outgoing_queue and not (self._budget.is_short and cost > FLOOR)

    def wants_read(self, now: float) -> bool:
        """Whether the transport should be read. False where requests that wait, or what reading leads to, have reached their
        limits (docs/protocol.md, "Owed answers"); ask again after each write, and after a second without one."""
        outgoing = self._outgoing
        if outgoing.cost == 0:
            return True
        settings = self.settings
        if outgoing.provoked_cost > min(
            settings.outgoing_queue, max(settings.max_calls * _REFUSAL_COST, _MIN_PROVOKED)
        ):
            return False
        defers = not self.may_begin_handler and self._inbound_size >= settings.max_call_bytes // 2
        return not defers or now - self._has_written >= _PATIENCE

    @property
    def is_connected(self) -> bool:
        """Whether the handshake is done and the transport was not lost."""
        return self._phase == OPEN

    @property
    def is_over(self) -> bool:
        """Whether the session has ended; a client may `begin` another one."""
        return self._phase == OVER

    @property
    def is_closing(self) -> bool:
        """Whether either side has said CLOSE: nothing new is sent or accepted."""
        return self._is_closing

    @property
    def last_credit(self) -> float:
        """When the peer has last granted credit for messages, or the connection began: a sender that has waited for longer
        than the write timeout since fails."""
        return self._last_credit

    @property
    def has_capacity(self) -> bool:
        """Whether the outgoing queue takes a subscription."""
        return self._phase == OPEN and self._has_request_capacity()

    @property
    def lacks_credit(self) -> bool:
        """Whether messages that wait, wait for credit."""
        return self._phase == OPEN and not self._send_window.is_open

    @property
    def queued(self) -> int:
        """The bytes that wait for `transmit`, each frame counted as its length + 64."""
        return self._outgoing.cost + self._droppable.cost

    @property
    def held(self) -> int:
        """The bytes that it holds: what waits to be sent, what is kept, and what has come and is not handled. Items of streams that
        were not read are not among them."""
        if self._phase == OVER:
            return 0
        size = self._outgoing.cost + self._droppable.cost + self._kept_cost + self._ended_calls.kept_cost
        size += self._held_inbound()
        return size + SUSPENDED_SESSION if self._phase == SUSPENDED else size

    @property
    def dropped(self) -> Dropped:
        """How many messages were taken and then dropped."""
        return self._dropped

    @property
    def round_trip(self) -> float | None:
        """Of the last keepalive ping that was answered, in seconds."""
        return self._keepalive.round_trip

    @property
    def peer_max_body(self) -> int:
        """The largest body that the peer accepts, in bytes."""
        return self._peer_max_body

    @property
    def peer_id(self) -> int:
        """The number under which others know the client of this session; 0 before the handshake."""
        return self._peer_id

    @property
    def session_id(self) -> int:
        """The session's id; 0 before a client begins."""
        return self._session_id

    @property
    def open_calls(self) -> int:
        """How many calls are open: of this side, and of the peer until their handlers have ended."""
        return self._call_count + len(self._inbound)
