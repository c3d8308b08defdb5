"""One client of a service, whose messages come through a broker."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from msip.attached.broker_messages import PresenceInd
from msip.connection.driver import Driver
from msip.connection.inbound import Inbound
from msip.connection.outbound import Outbound
from msip.errors import ClosedError, Code, Status
from msip.protocol import Protocol, Side
from msip.server.authenticate import ConnectRequest, Principal
from msip.server.handler import ServerHandler
from msip.server.peer import Peer
from msip.session import Session, events

if TYPE_CHECKING:
    from msip.server.schema_check import SchemaCheck

_log = logging.getLogger("msip")

WINDOW_ITEMS = 256
"""What the broker sends of a client at first ahead of what was handled: so many messages, of so many bytes together."""
WINDOW_BYTES = 256 * 1024
MAX_WINDOW_ITEMS = 16 * WINDOW_ITEMS
"""How many messages it may become, of a client that uses its window up."""
_MAX_WAITING = 4 * MAX_WINDOW_ITEMS
"""What may wait of a client, with what came by earlier connections."""


class ClientWindow:
    """Counts what is handled of a client's messages, and says when the broker is to hear of it.

    It grows while it is used up: else broker and service take turns for every few messages.
    """

    def __init__(self, grant: Callable[[int, int], None]) -> None:
        """`grant` is told how many messages are handled, and how large the window is from here on; 0 where that is as before."""
        self._grant = grant
        self._size = WINDOW_ITEMS
        self._connection = 0
        self._items = 0
        self._bytes = 0
        # By which connection each message came that waits.
        self._arrivals: deque[int] = deque()

    @property
    def is_full(self) -> bool:
        """Whether the broker has sent more than it may."""
        return len(self._arrivals) >= _MAX_WAITING

    def received(self) -> None:
        """A message has come."""
        self._arrivals.append(self._connection)

    def handled(self, size: int) -> None:
        """The oldest one is handled. What came by an earlier connection counts no longer: the broker's windows were full again."""
        if self._arrivals.popleft() != self._connection:
            return
        self._items += 1
        self._bytes += size
        if self._items >= self._size // 2 or self._bytes >= WINDOW_BYTES // 2:
            items, self._items, self._bytes = self._items, 0, 0
            self._grant(items, self._grown(items))

    def _grown(self, granted: int) -> int:
        """How large the window is once so many are granted again, where it grows: a broker that has little left could have sent more."""
        left = self._size - len(self._arrivals) - granted
        if left >= self._size // 4 or self._size == MAX_WINDOW_ITEMS:
            return 0
        self._size = min(2 * self._size, MAX_WINDOW_ITEMS)
        return self._size

    def resumed(self) -> None:
        """The session has another connection."""
        self._connection += 1
        self._size = WINDOW_ITEMS
        self._items = self._bytes = 0


class PeerInbound(Inbound):
    """Handles what one client says. Its messages have a window of their own: that of the session is granted as they come."""

    def __init__(self, window: ClientWindow, forget: Callable[[int], None], *arguments: Any) -> None:
        super().__init__(*arguments)
        self._window = window
        self._forget = forget
        self._idle: asyncio.Future[None] | None = None
        # The bytes of what waits or is being handled, which the session does not count any longer.
        self._held = 0

    def on_message(self, event: events.Message) -> None:
        self._session.finished(0, 1, event.size)
        if self._window.is_full:
            if event.delivery:
                text = "more messages of this client than its window allows"
                self._session.fail(event.id, Status(Code.RESOURCE_EXHAUSTED, text))
            return
        self._window.received()
        self._hold(event.size)
        super().on_message(event)

    async def drained(self) -> None:
        """Waits until everything that has come is handled; calls may run still."""
        while self._inbox or self._worker is not None:
            self._idle = self._driver.loop.create_future()
            await self._idle

    async def close(self, time_limit: float) -> None:
        """As of any `Inbound`; what is given up counts no longer."""
        try:
            await super().close(time_limit)
        finally:
            self._hold(-self._held)

    def _hold(self, by: int) -> None:
        self._held += by
        self._session.held_elsewhere += by

    def _taken(self, event: events.Message) -> None:
        if self._held:
            self._hold(-event.size)
        self._window.handled(event.size)

    def _worked(self, _: asyncio.Task[None]) -> None:
        super()._worked(_)
        if self._worker is None and not self._inbox and self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    def _finish(self, number: int, status: Status | None) -> None:
        super()._finish(number, status)
        self._forget(number)


class VirtualClient:
    """What a service keeps of one client of its topic: what a `Peer` stands for."""

    def __init__(
        self,
        about: PresenceInd,
        driver: Driver,
        outbound: Outbound,
        protocol: Protocol,
        peer_type: type[Peer],
        handler: ServerHandler[Any],
        grant: Callable[[int, int], None],
        forget: Callable[[int], None],
        disconnect: Callable[[Status], None],
    ) -> None:
        self.about = about
        self.peer_id = int(about.peer, 16)
        self.principal = _principal(about)
        self.request = ConnectRequest(b"", about.client_name, "", about.fingerprint, about.address, False, None)
        self.topic = about.topic
        self.is_resumed = False
        self.schema_check: SchemaCheck | None = None
        self.is_looked_after = False
        self.window = ClientWindow(grant)
        self.outbound = outbound.at(f"{about.topic}/$to/{about.peer}")
        self.peer = peer_type(self)
        self.inbound = PeerInbound(
            self.window, forget, driver, Side.SERVER, protocol, handler, self.peer, outbound.item_waiters
        )
        self.inbound.codec = outbound.codec
        self._driver = driver
        self._handler = handler
        self._disconnect = disconnect
        self._greeting: asyncio.Task[None] | None = None

    @property
    def session(self) -> Session:
        """The session with the broker."""
        return self._driver.session

    @property
    def form(self) -> object:
        """What bodies for this client have in common with those for others: all that the broker speaks."""
        return None

    def look_after(self) -> asyncio.Task[None] | None:
        """This instance tells its handler of the client, before anything that the client says is handled further."""
        if self.is_looked_after:
            return None
        self.is_looked_after = True
        self.inbound.hold()
        self._greeting = self._driver.loop.create_task(self._greet(), name="msip: on_client_connected")
        return self._greeting

    def disconnect(self, status: Status) -> None:
        """Asks the broker to end the client's session."""
        self._disconnect(status)

    async def gone(self, drain_timeout: float) -> None:
        """The client has gone, or this instance leaves: what has come is handled, and the handler is told."""
        if self._greeting is not None:
            await asyncio.wait([self._greeting])
        await self.inbound.drained()
        await self.inbound.close(drain_timeout)
        self.outbound.closed = ClosedError(Code.UNAVAILABLE, "the client's session has ended")
        if self.schema_check is not None:
            await self.schema_check.stop()
        if self.is_looked_after:
            await _told(self._handler.on_client_gone(self.peer))

    async def _greet(self) -> None:
        await _told(self._handler.on_client_connected(self.peer))
        self.inbound.release()


def _principal(about: PresenceInd) -> Principal | None:
    """Who the client is, as the broker has authenticated it."""
    is_named = about.user or about.service or about.roles
    if not is_named and about.principal in ("", "anonymous"):
        return None
    return Principal(
        "broker", user=about.user, subject=about.principal, service=about.service, roles=tuple(about.roles)
    )


async def _told(told: Any) -> None:
    try:
        await told
    except Exception:
        _log.exception("a handler of the service failed")
