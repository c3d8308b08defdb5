"""The session: what two peers keep between them, across connections. No I/O, no clock, no tasks."""

from __future__ import annotations

from collections.abc import Callable

from msip.errors import Code, Status
from msip.protocol import Member, Protocol, Side
from msip.session.accepting import Accepting
from msip.session.events import Event
from msip.session.settings import Settings
from msip.wire.hello import Welcome
from msip.wire.metadata import Metadata
from msip.wire.subscribe import Subscribe

__all__ = ["Session"]


class Session:
    """One side of a session.

    Bytes and times go in (`receive`, `handle_timeout`), bytes and events come out (`transmit`, `poll`). `now` is in seconds
    since a moment of the caller's choice, and never goes back. After each call of anything here: write what `transmit`
    gives, handle what `poll` gives, and come back at `timeout` at the latest.

    Bodies are bytes of the connection's codec (`Connected.welcome.codec`): the session neither encodes nor compresses;
    `msip.codec.BodyCodec` does.

    Nothing that a peer sends makes a method raise: it becomes events, and frames in `transmit`. What is raised is the
    caller's mistake or bad luck: `NotReadyError` where `can_send` would have said no, `ClosedError` where the session is over
    or closing, `Status` where the message itself cannot be sent (a body over the peer's `max_body`, bad metadata).
    """

    side: Side
    protocol: Protocol
    settings: Settings

    # --- Opening

    @classmethod
    def connect(
        cls, protocol: Protocol, settings: Settings, now: float, *, random: Callable[[int], bytes]
    ) -> Session:
        """The connecting side; `random(n)` gives n random bytes (`os.urandom`). `begin` is next."""
        raise NotImplementedError

    @classmethod
    def accept(
        cls, protocol: Protocol, settings: Settings, accepting: Accepting, welcome: Welcome, now: float
    ) -> Session:
        """The accepting side: answers the HELLO with this Welcome (`negotiate` makes one), and is connected."""
        raise NotImplementedError

    def begin(self, now: float, *, credential: bytes = b"") -> None:
        """Client: a new transport is there. Writes HELLO, which resumes the session if there is one."""
        raise NotImplementedError

    def resume(self, accepting: Accepting, welcome: Welcome, now: float) -> None:
        """Server: the client of this session is there again, by `accepting`, and was found entitled (`owns`).

        Where the older transport is still there, write what `take_over` gives to it first. `welcome` is as for `accept`;
        `resumed`, `awaited` and what was agreed on when the session began are filled in.
        """
        raise NotImplementedError

    def owns(self, secret: bytes) -> bool:
        """Server: whether this is the secret of the session, compared in constant time."""
        raise NotImplementedError

    def take_over(self, now: float) -> bytes:
        """Server: another transport claims the session. The last bytes for the older one; includes `lost`."""
        raise NotImplementedError

    # --- Bytes and time

    def receive(self, data: bytes, now: float) -> None:
        """Bytes have come, cut anywhere. Never raises."""
        raise NotImplementedError

    def transmit(self) -> bytes:
        """What is to be written now: whole frames, joined up to 64 KiB; `b""` where there is nothing.

        What this has returned counts as handed to the transport. Call it again when the transport takes more; what waits
        here meanwhile is bounded by `outgoing_queue`.
        """
        raise NotImplementedError

    def poll(self) -> Event | None:
        """The next event, or None."""
        raise NotImplementedError

    def timeout(self) -> float | None:
        """When to call `handle_timeout`, at the latest; None is never. May be earlier than anything is due."""
        raise NotImplementedError

    def handle_timeout(self, now: float) -> None:
        """Does what is due."""
        raise NotImplementedError

    def lost(self, now: float) -> None:
        """The transport is gone. Streams and pings fail, one-way messages that were queued are dropped; the rest is kept for
        `begin` or `resume`, until the session is ended: by `end`, or where the server's `session_expiry` is 0."""
        raise NotImplementedError

    def end(self, status: Status) -> None:
        """Gives the session up at once, with or without a transport: all that is open fails with this status, `Closed`
        follows. Where a transport is there, CLOSE with this status is written."""
        raise NotImplementedError

    def close(self, now: float, code: Code = Code.UNAVAILABLE, text: str = "") -> None:
        """Begins a graceful close: says CLOSE, refuses what is new, lets open exchanges finish within `drain_timeout`.

        `Closed` follows when it is done."""
        raise NotImplementedError

    # --- What this side sends

    def can_send(self, member: Member, size: int = 0) -> bool:
        """Whether `send` or `call` of this member, with a body of so many bytes, would be taken now.

        Where it is not because of credit, open calls or a full queue, `Writable(0)` follows."""
        raise NotImplementedError

    def call(
        self,
        member: Member,
        body: bytes,
        *,
        now: float,
        timeout: float | None,
        compressed: bool = False,
        metadata: Metadata | None = None,
        topic: str = "",
    ) -> int:
        """Begins a call, and returns its id. Ends with `Answer`, `AnswerEnd` or `Failed`.

        Of a member with a stream of requests the body is the first item, or empty; `item` sends the others.
        `timeout` is in seconds from `now`, None without limit (calls with streams alone)."""
        raise NotImplementedError

    def send(
        self,
        member: Member,
        body: bytes,
        *,
        now: float,
        timeout: float | None = None,
        compressed: bool = False,
        metadata: Metadata | None = None,
        topic: str = "",
        acknowledged: bool | None = None,
    ) -> int:
        """Sends a one-way message or a delivery, and returns its id; `acknowledged` is the member's shape where it is None.

        A delivery ends with `Acknowledged` or `Failed`. Of kinds that may be dropped (STATE, LOG, METRIC) what has no
        credit waits here, and is replaced or dropped by its kind."""
        raise NotImplementedError

    def can_send_item(self, id: int, size: int) -> bool:
        """Whether the stream of this call, of this side's requests or answers, takes an item. `Writable(id)` follows otherwise."""
        raise NotImplementedError

    def item(self, id: int, body: bytes, last: bool = False, *, compressed: bool = False) -> None:
        """Sends a request item of a call of this side. `last` ends the stream; with an empty body it is an end alone, which
        needs no credit. Does nothing where the call has ended."""
        raise NotImplementedError

    def cancel(self, id: int, now: float) -> None:
        """The answer of a call, delivery or ping is not wanted any more: no event follows for it. Unknown ids are ignored."""
        raise NotImplementedError

    def ping(self, now: float, data: bytes = b"") -> int:
        """Sends a PING; ends with `Pong` or `Failed`."""
        raise NotImplementedError

    def subscribe(self, topic: str, options: Subscribe | None = None, *, now: float, timeout: float | None = 30.0) -> int:
        """Client of a broker: subscribes. Ends with `Subscribed` or `Failed`; made again by itself in a new session."""
        raise NotImplementedError

    def unsubscribe(self, topic: str, *, now: float, timeout: float | None = 30.0) -> int:
        """Revokes a subscription. Ends with `Subscribed` or `Failed`."""
        raise NotImplementedError

    # --- What this side answers

    def answer(self, id: int, body: bytes, metadata: Metadata | None = None, *, compressed: bool = False) -> None:
        """Answers a call of the peer that has no stream of answers. Ignored where the call has ended."""
        raise NotImplementedError

    def answer_item(self, id: int, body: bytes, *, compressed: bool = False) -> None:
        """Sends an item of a stream of answers; `can_send_item` first."""
        raise NotImplementedError

    def answer_end(self, id: int, metadata: Metadata | None = None) -> None:
        """Ends a stream of answers, and the call."""
        raise NotImplementedError

    def fail(self, id: int, status: Status) -> None:
        """Ends a call of the peer, or a delivery, with an error."""
        raise NotImplementedError

    def acknowledge(self, id: int) -> None:
        """The handler of a delivery has returned."""
        raise NotImplementedError

    def finished(self, id: int, items: int, size: int) -> None:
        """Handlers are done with so many items and bytes of stream `id`, or with id 0 of messages: they are granted again."""
        raise NotImplementedError

    def count_unreadable(self, now: float) -> None:
        """A body of the peer could not be decoded. Where both sides have one schema, too many end the connection."""
        raise NotImplementedError

    # --- What holds it up

    @property
    def may_begin_handler(self) -> bool:
        """Whether a handler may begin: false while more answers wait to be written than `outgoing_queue`."""
        raise NotImplementedError

    def wants_read(self, now: float) -> bool:
        """Whether the transport should be read. False where requests that wait, or what reading leads to, have reached their
        limits (docs/protocol.md, "Owed answers"); ask again after each write, and after a second without one."""
        raise NotImplementedError

    @property
    def is_connected(self) -> bool:
        """Whether the handshake is done and the transport was not lost."""
        raise NotImplementedError

    @property
    def is_over(self) -> bool:
        """Whether the session has ended; a client may `begin` another one."""
        raise NotImplementedError

    @property
    def last_credit(self) -> float:
        """When the peer has last granted credit for messages, or the connection began: a sender that has waited for longer
        than the write timeout since fails."""
        raise NotImplementedError

    @property
    def queued(self) -> int:
        """The bytes that wait for `transmit`, each frame counted as its length + 64."""
        raise NotImplementedError
