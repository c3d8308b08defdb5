"""The clients of a service: what comes by its connection is sorted by the client that has said it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from msip.attached.broker_messages import DISCONNECT, Presence, PresenceInd, disconnect_req
from msip.attached.client import VirtualClient
from msip.attached.sorter import Sorter
from msip.connection.driver import Driver
from msip.connection.outbound import Outbound
from msip.errors import DecodeError
from msip.protocol import Protocol
from msip.server.handler import ServerHandler
from msip.server.peer import Peer
from msip.session import events
from msip.settings import ClientSettings
from msip.wire.hello import Codec

if TYPE_CHECKING:
    from msip.compatibility.peer_schemas import PeerSchemas

_log = logging.getLogger("msip")


class Clients(Sorter[VirtualClient]):
    """The clients that the broker has introduced to this instance."""

    def __init__(
        self,
        driver: Driver,
        outbound: Outbound,
        protocol: Protocol,
        peer_type: type[Peer],
        handler: ServerHandler[Any],
        settings: ClientSettings,
    ) -> None:
        super().__init__(driver, outbound)
        self._protocol = protocol
        self._peer_type = peer_type
        self._handler = handler
        self._settings = settings
        self._schemas: PeerSchemas | None = None
        self._by_topic: dict[str, VirtualClient] = {}
        # A client that comes back is told of after its end.
        self._leaving: dict[str, asyncio.Task[None]] = {}
        driver.routes[events.BrokerSaid] = self._on_broker_said

    def __iter__(self) -> Iterator[VirtualClient]:
        return iter(list(self._by_topic.values()))

    @property
    def _endpoints(self) -> Iterable[VirtualClient]:
        return self._by_topic.values()

    def _find(self, topic: str) -> VirtualClient | None:
        return self._by_topic.get(topic)

    def hold(self) -> None:
        """Handlers are those of clients, and wait for nobody's login."""

    def release(self) -> None:
        """Nothing was held."""

    async def close(self, time_limit: float) -> None:
        """All clients have gone: waits for their handlers."""
        self.all_gone()
        await self._finish_work()

    def all_gone(self) -> None:
        """The session with the broker has ended, or this instance leaves."""
        for client in self:
            self._gone(client)

    async def drained(self) -> None:
        """Waits until everything that has come is handled, and every call is answered."""
        for client in self:
            await client.inbound.drained()
            if tasks := client.inbound.tasks:
                await asyncio.wait(tasks)

    # What the broker says.

    def _on_broker_said(self, event: events.BrokerSaid) -> None:
        if not event.topic.startswith("$presence/"):
            return
        try:
            about = PresenceInd.of_body(event.body)
        except DecodeError as error:
            _log.warning("a malformed message of the broker at %s: %s", event.topic, error)
            return
        if about is None:
            return
        known = self._by_topic.get(about.key)
        if about.presence == Presence.GONE:
            if known is not None:
                self._gone(known)
            return
        if about.presence not in (Presence.CONNECTED, Presence.LOOKED_AFTER):
            return
        client = known or self._introduced(about)
        if about.looks_after or about.presence == Presence.LOOKED_AFTER:
            self._look_after(client)

    def _introduced(self, about: PresenceInd) -> VirtualClient:
        client = VirtualClient(
            about,
            self._driver,
            self._outbound,
            self._protocol,
            self._peer_type,
            self._handler,
            lambda items, window: self._grant(about.topic, about.peer, items, window),
            self._forget,
            lambda status: self._ask(about.topic, DISCONNECT, disconnect_req(about.peer, status)),
        )
        self._by_topic[about.key] = client
        if about.fingerprint not in (0, self._protocol.fingerprint):
            self._compare(client)
        return client

    def _compare(self, client: VirtualClient) -> None:
        """Compares the schema of a client that has another fingerprint. The broker does not tell whether it can describe its own."""
        from msip.compatibility.peer_schemas import PeerSchemas  # late: most clients have the same schema
        from msip.server.schema_check import SchemaCheck

        if self._schemas is None:
            self._schemas = PeerSchemas(self._protocol, "client")
        codec = self._codec.codec if self._codec is not None else Codec.PROTOBUF
        limit = self._settings.handshake_timeout
        client.schema_check = SchemaCheck(self._schemas, client.about.fingerprint, True, codec, client.outbound, limit)

    def _look_after(self, client: VirtualClient) -> None:
        before = self._leaving.get(client.about.key)
        if before is None:
            self._own(client.look_after())
            return
        # It comes back while its last end is told.
        client.inbound.hold()
        before.add_done_callback(lambda _: self._own(client.look_after()))

    def _gone(self, client: VirtualClient) -> None:
        key = client.about.key
        if self._by_topic.get(key) is client:
            del self._by_topic[key]
        before = self._leaving.get(key)
        ending = self._driver.loop.create_task(self._end(client, before), name="msip: end of a client")
        self._leaving[key] = ending
        ending.add_done_callback(lambda _: self._left(key, ending))
        self._own(ending)

    async def _end(self, client: VirtualClient, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        await client.gone(self._settings.drain_timeout)

    def _left(self, key: str, ending: asyncio.Task[None]) -> None:
        if self._leaving.get(key) is ending:
            del self._leaving[key]
