"""The clients of a service: what comes by its connection is sorted by the client that has said it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterator
from typing import TYPE_CHECKING, Any

from msip.attached.broker_messages import (
    DISCONNECT,
    PEER_CREDIT,
    Presence,
    PresenceInd,
    disconnect_req,
    peer_credit,
)
from msip.attached.client import PeerInbound, VirtualClient
from msip.codec import BodyCodec
from msip.connection.driver import Driver
from msip.connection.outbound import Outbound
from msip.errors import Code, DecodeError, MsipError, Status
from msip.protocol import Protocol
from msip.server.handler import ServerHandler
from msip.server.peer import Peer
from msip.session import events
from msip.settings import ClientSettings
from msip.untyped.members import UntypedBodies
from msip.wire.hello import Codec

if TYPE_CHECKING:
    from msip.compatibility.peer_schemas import PeerSchemas

_log = logging.getLogger("msip")


class Clients:
    """The clients that the broker has introduced to this instance; stands where a client's `Inbound` stands."""

    def __init__(
        self,
        driver: Driver,
        outbound: Outbound,
        protocol: Protocol,
        peer_type: type[Peer],
        handler: ServerHandler[Any],
        settings: ClientSettings,
    ) -> None:
        self._driver = driver
        self._outbound = outbound
        self._protocol = protocol
        self._peer_type = peer_type
        self._handler = handler
        self._settings = settings
        self._schemas: PeerSchemas | None = None
        self._codec: BodyCodec | None = None
        self._by_topic: dict[str, VirtualClient] = {}
        # The client of each call that is open.
        self._calls: dict[int, PeerInbound] = {}
        # What the end of one client, or the word to a broker, needs time for.
        self._work: set[asyncio.Task[None]] = set()
        # A client that comes back is told of after its end.
        self._leaving: dict[str, asyncio.Task[None]] = {}
        driver.routes.update(
            {
                events.Message: self._on_message,
                events.Request: self._on_request,
                events.RequestItem: self._on_request_item,
                events.RequestEnd: self._on_request_end,
                events.Cancelled: self._on_cancelled,
                events.BrokerSaid: self._on_broker_said,
            }
        )

    def __iter__(self) -> Iterator[VirtualClient]:
        return iter(list(self._by_topic.values()))

    # What a supervisor does with an `Inbound`.

    @property
    def codec(self) -> BodyCodec | None:
        """How bodies are encoded: as the broker says, for all clients."""
        return self._codec

    @codec.setter
    def codec(self, codec: BodyCodec | None) -> None:
        self._codec = codec
        for client in self._by_topic.values():
            client.inbound.codec = client.outbound.codec = codec
            # There is another connection.
            client.window.resumed()

    def hold(self) -> None:
        """Handlers are those of clients, and wait for nobody's login."""

    def release(self) -> None:
        """Nothing was held."""

    def go_on(self) -> None:
        """Begins what waits, where it may."""
        for client in self._by_topic.values():
            client.inbound.go_on()

    @property
    def tasks(self) -> set[asyncio.Task[None]]:
        """The handlers that run."""
        return {task for client in self._by_topic.values() for task in client.inbound.tasks}

    async def close(self, time_limit: float) -> None:
        """All clients have gone: waits for their handlers."""
        self.all_gone()
        while self._work:
            await asyncio.wait(set(self._work))

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
            lambda items, window: self._say(about.topic, PEER_CREDIT, peer_credit(about.peer, items, window)),
            lambda number: self._forget(number),
            lambda status: self._say(about.topic, DISCONNECT, disconnect_req(about.peer, status)),
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

    # What clients say.

    def _on_message(self, event: events.Message) -> None:
        client = self._by_topic.get(event.topic)
        if client is not None:
            client.inbound.on_message(event)
            return
        self._driver.session.finished(0, 1, event.size)
        if event.delivery:
            self._driver.session.fail(event.id, _nobody())

    def _on_request(self, event: events.Request) -> None:
        client = self._by_topic.get(event.topic)
        if client is None:
            self._driver.session.fail(event.id, _nobody())
            return
        self._calls[event.id] = client.inbound
        client.inbound.on_request(event)

    def _on_request_item(self, event: events.RequestItem) -> None:
        inbound = self._calls.get(event.id)
        if inbound is not None:
            inbound.on_request_item(event)
        else:
            self._driver.session.finished(event.id, 1, event.size)

    def _on_request_end(self, event: events.RequestEnd) -> None:
        inbound = self._calls.get(event.id)
        if inbound is not None:
            inbound.on_request_end(event)

    def _on_cancelled(self, event: events.Cancelled) -> None:
        inbound = self._calls.get(event.id)
        if inbound is not None:
            inbound.on_cancelled(event)

    def _forget(self, number: int) -> None:
        self._calls.pop(number, None)

    # What this side tells the broker.

    def _say(self, topic: str, member: Any, body: bytes) -> None:
        """Tells the broker something about a client, as soon as there is capacity."""
        outbound = self._outbound.at(f"$broker/{topic}")
        outbound.codec = UntypedBodies(Codec.PROTOBUF)
        if member is PEER_CREDIT:
            if not outbound.try_send(member, body, False) and self._driver.session.is_connected:
                self._begin(self._told(outbound.send(member, body, None)), "word to the broker")
        else:
            self._begin(self._told(outbound.exchange(member, body, 30.0, None, None)), "word to the broker")

    async def _told(self, told: Coroutine[Any, Any, Any]) -> None:
        try:
            await told
        except MsipError as error:
            _log.warning("the broker was not told something of a client: %s", error)

    def _begin(self, work: Coroutine[Any, Any, None], what: str) -> None:
        self._own(self._driver.loop.create_task(work, name=f"msip: {what}"))

    def _own(self, task: asyncio.Task[None] | None) -> None:
        if task is not None and not task.done():
            self._work.add(task)
            task.add_done_callback(self._work.discard)


def _nobody() -> Status:
    return Status(Code.NOT_FOUND, "nobody of this connection hears the topic")
