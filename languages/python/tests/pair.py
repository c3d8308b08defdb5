"""Two sessions back to back, for tests: a protocol without generated code, and a link between them."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TypeVar

from msip.protocol import Kind, Member, Protocol, Shape
from msip.session import Accepting, Event, Session, Settings, negotiate

NOTE = Member("note", 1, None, Kind.EVENT, Shape.ONE_WAY, "on_note")
ORDER = Member("order", 2, None, Kind.EVENT, Shape.ACKNOWLEDGED, "on_order")
ECHO = Member("echo_req", 3, None, Kind.COMMAND, Shape.CALL, "on_echo_req", answer=4, timeout=30.0)
ECHOED = Member("echo_rsp", 4, None, Kind.COMMAND, Shape.ANSWER)
WATCH = Member("watch_req", 5, None, Kind.COMMAND, Shape.CALL, "on_watch_req", answer=4, response_stream=True)
UPLOAD = Member("upload_req", 6, None, Kind.COMMAND, Shape.CALL, "on_upload_req", answer=4, request_stream=True)
BOTH = Member(
    "both_req", 7, None, Kind.COMMAND, Shape.CALL, "on_both_req", answer=4, request_stream=True, response_stream=True
)
POSITION = Member("position", 8, None, Kind.STATE, Shape.ONE_WAY, "on_position", key=1)
LINE = Member("line", 9, None, Kind.LOG, Shape.ONE_WAY, "on_line")
ALARM = Member("alarm_req", 10, None, Kind.COMMAND, Shape.CALL, "on_alarm_req", answer=4, timeout=30.0, urgent=True)
URGENT_ORDER = Member("urgent_order", 11, None, Kind.EVENT, Shape.ACKNOWLEDGED, "on_urgent_order", urgent=True)

MEMBERS = (NOTE, ORDER, ECHO, ECHOED, WATCH, UPLOAD, BOTH, POSITION, LINE, ALARM, URGENT_ORDER)
PROTOCOL = Protocol("test.v1", 0x1122334455667788, MEMBERS, MEMBERS)


T = TypeVar("T", Settings, Member)


class Pair:
    """A client and a server, and the time of both. What one has written is read by the other at `exchange`."""

    def __init__(
        self, client: Settings | None = None, server: Settings | None = None, protocol: Protocol = PROTOCOL
    ) -> None:
        self.now = 0.0
        self.protocol = protocol
        self.server_settings = server or Settings()
        self.random = random.Random(7)
        self.client = Session.connect(protocol, client or Settings(), self.now, random=self.random.randbytes)
        self.server: Session
        self.connect()

    def connect(self, *, is_resumed: bool = False) -> None:
        """A new transport: handshakes, and moves what both have to say."""
        self.client.begin(self.now)
        accepting = Accepting(self.server_settings, self.now)
        hello = accepting.receive(self.client.transmit(), self.now)
        assert hello is not None
        welcome = negotiate(hello, PROTOCOL, self.server_settings, peer_id=self.random.getrandbits(60))
        if is_resumed:
            assert self.server.owns(hello.session_secret)
            self.server.resume(accepting, welcome, self.now)
        else:
            self.server = Session.accept(PROTOCOL, self.server_settings, accepting, welcome, self.now)

    def lose(self) -> None:
        """The transport is gone, with all that was not exchanged."""
        self.client.lost(self.now)
        self.server.lost(self.now)

    def exchange(self) -> None:
        """Moves bytes until neither side has any."""
        while True:
            to_server, to_client = self.client.transmit(), self.server.transmit()
            if not to_server and not to_client:
                return
            if to_server:
                self.server.receive(to_server, self.now)
            if to_client:
                self.client.receive(to_client, self.now)

    def pass_time(self, seconds: float) -> None:
        """Time passes, with everything that is due meanwhile."""
        end = self.now + seconds
        while True:
            self.exchange()
            due = [at for at in (self.client.timeout(), self.server.timeout()) if at is not None]
            if not due or min(due) > end:
                break
            self.now = max(self.now, min(due))
            self.client.handle_timeout(self.now)
            self.server.handle_timeout(self.now)
        self.now = end
        self.exchange()


def events(session: Session) -> list[Event]:
    """All events that wait."""
    found = []
    while (event := session.poll()) is not None:
        found.append(event)
    return found


def of(session: Session, kind: type[Event]) -> list[Event]:
    """The events of one class that wait; others are dropped."""
    return [event for event in events(session) if isinstance(event, kind)]


def small(settings: T, **changes: object) -> T:
    """The same, but for these."""
    return replace(settings, **changes)  # type: ignore[arg-type]
