"""One client's session: its connections, one after the other, and its handlers."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from msip.codec import BodyCodec
from msip.connection.driver import Driver
from msip.connection.inbound import Inbound
from msip.connection.outbound import Outbound, new_correlation_id
from msip.errors import ClosedError, Code, Status
from msip.protocol import Protocol, Side
from msip.server.authenticate import ConnectRequest, Principal
from msip.server.handler import ServerHandler
from msip.server.peer import Peer
from msip.session import Session, events
from msip.settings import ServerSettings
from msip.transport.stream import ByteStream
from msip.wire.hello import Codec, Compression, Welcome

if TYPE_CHECKING:
    from msip.server.schema_check import SchemaCheck

_log = logging.getLogger("msip")


class Served:
    """What a server keeps of one client."""

    def __init__(
        self,
        session: Session,
        session_id: int,
        welcome: Welcome,
        protocol: Protocol,
        peer_type: type[Peer],
        handler: ServerHandler[Any],
        settings: ServerSettings,
        principal: Principal | None,
        request: ConnectRequest,
    ) -> None:
        self._session = session
        self.session_id = session_id
        self.peer_id = welcome.peer_id
        self.principal = principal
        self.request = request
        self.is_resumed = False
        self.topic = ""
        self.expiry: asyncio.TimerHandle | None = None
        self.form = (welcome.codec, welcome.compression)
        """What bodies for this client have in common with those for others."""
        self._handler = handler
        self._settings = settings
        self._identity_ends: asyncio.TimerHandle | None = None
        self.schema_check: SchemaCheck | None = None
        """Where its schema has another fingerprint."""
        self.is_admitted = True
        """Whether it is served: under ``schema=compatible`` that is decided once the schemas were compared."""
        self.driver = driver = Driver(session, settings.write_timeout)
        self.outbound = Outbound(driver, Side.SERVER, protocol, settings)
        if settings.correlation_ids:
            self.outbound.new_correlation_id = new_correlation_id
        self.peer = peer_type(self)
        self.inbound = Inbound(driver, Side.SERVER, protocol, handler, self.peer, self.outbound.item_waiters)
        self.inbound.register()
        self.outbound.codec = self.inbound.codec = BodyCodec(
            Codec(welcome.codec),
            Compression(welcome.compression),
            max_body=settings.max_body,
            threshold=settings.compress_threshold,
            max_decoded=settings.max_decoded,
        )
        driver.on_flushed = self.inbound.go_on
        driver.routes[events.Closed] = self._on_closed
        driver.routes[events.TransportDead] = driver.on_dead
        for ignored in (events.Connected, events.Draining, events.SubscriptionEnded):
            driver.routes[ignored] = _ignore

    @property
    def session(self) -> Session:
        """The session."""
        return self._session

    @property
    def owner(self) -> object:
        """To whom the session belongs: without authentication, to whom the transport knows."""
        return self.principal.owner if self.principal is not None else self.request.transport_credential

    async def run(self, stream: ByteStream) -> None:
        """Runs one connection until it has ended."""
        ended = self.driver.attach(stream)
        self._watch_identity()
        self.inbound.hold()
        greeting = asyncio.create_task(self._greet(), name="msip: on_client_connected")
        try:
            reason = await asyncio.shield(ended)
            if not greeting.done() and self.is_admitted:
                await asyncio.wait([greeting], timeout=self._settings.drain_timeout)
            if self.is_admitted:
                await _told(self._handler.on_client_disconnected(self.peer, reason))
        except asyncio.CancelledError:
            self.driver.lose("the server was stopped")
            raise
        finally:
            greeting.cancel()
            await asyncio.wait([greeting])
            if self._identity_ends is not None:
                self._identity_ends.cancel()

    def take_over(self) -> ByteStream | None:
        """Another connection of the client is there: says so to the older one, which is returned."""
        last = self.session.take_over(self.driver.now())
        stream = self.driver.detach()
        if stream is not None:
            if last:
                stream.write(last)
            stream.close()
        return stream

    def disconnect(self, status: Status) -> None:
        """Ends the session: gracefully where there is a connection."""
        if self.session.is_connected:
            self.session.close(self.driver.now(), status.code, status.message)
        elif not self.session.is_over:
            self.session.end(status)
        self.driver.wake()

    def end(self, status: Status) -> None:
        """Ends the session at once; everything that is open in it fails."""
        if not self.session.is_over:
            self.session.end(status)
        self.driver.flush()
        self.driver.finish(status)

    async def gone(self) -> None:
        """The session has ended: waits for its handlers, and forgets everything."""
        self.outbound.close(ClosedError(Code.UNAVAILABLE, "the client's session has ended"))
        self.outbound.end()
        if self.schema_check is not None:
            await self.schema_check.stop()
        await self.inbound.close(self._settings.drain_timeout)
        if self.is_admitted:
            await _told(self._handler.on_client_gone(self.peer))
        pumps = self.outbound.tasks
        if pumps:
            await asyncio.wait(pumps)
        await self.driver.closed()
        self.driver.stop()

    async def _greet(self) -> None:
        if not self.is_admitted and self.schema_check is not None:
            refusal = await self.schema_check.refusal()
            if refusal is not None:
                _log.info("%r was refused: %s", self.peer, refusal)
                self.inbound.refuse(refusal)
                self.disconnect(refusal)
                return
            self.is_admitted = True
        await _told(self._handler.on_client_connected(self.peer))
        self.inbound.release()

    def _watch_identity(self) -> None:
        expires_in = self.principal.expires_in if self.principal is not None else None
        if expires_in is not None:
            ended = Status(Code.UNAUTHENTICATED, "the client's identity has expired")
            self._identity_ends = self.driver.loop.call_later(expires_in, self.disconnect, ended)

    def _on_closed(self, event: events.Closed) -> None:
        self.driver.finish(Status(event.code, event.text))


def _ignore(_: object) -> None:
    """Nothing is to be done."""


async def _told(told: Any) -> None:
    try:
        await told
    except Exception:
        _log.exception("a handler of the server failed")
