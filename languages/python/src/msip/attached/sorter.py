"""What comes by a connection to a broker, sorted by topic: for each end of a conversation what it is sent, within a window of its own."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Iterable
from typing import Any, Generic, Protocol, TypeVar

from msip.attached.broker_messages import PEER_CREDIT, peer_credit
from msip.attached.client import ClientWindow, PeerInbound
from msip.codec import BodyCodec
from msip.connection.driver import Driver
from msip.connection.outbound import Outbound
from msip.errors import Code, MsipError, Status
from msip.protocol import Member
from msip.session import events
from msip.untyped.members import UntypedBodies
from msip.wire.hello import Codec

__all__ = ["Endpoint", "Sorter"]

_log = logging.getLogger("msip")


class Endpoint(Protocol):
    """An end of a conversation: a client of a service, or a client at a topic."""

    @property
    def inbound(self) -> PeerInbound: ...

    @property
    def outbound(self) -> Outbound: ...

    @property
    def window(self) -> ClientWindow: ...


E = TypeVar("E", bound=Endpoint)


class Sorter(ABC, Generic[E]):
    """Stands where the `Inbound` of a client with a connection of its own stands."""

    def __init__(self, driver: Driver, outbound: Outbound) -> None:
        self._driver = driver
        self._outbound = outbound
        self._codec: BodyCodec | None = None
        # Who handles each call that is open.
        self._calls: dict[int, PeerInbound] = {}
        # What the end of one of them, or the word to a broker, needs time for.
        self._work: set[asyncio.Task[None]] = set()
        driver.routes.update(
            {
                events.Message: self._on_message,
                events.Request: self._on_request,
                events.RequestItem: self._on_request_item,
                events.RequestEnd: self._on_request_end,
                events.Cancelled: self._on_cancelled,
            }
        )

    @property
    @abstractmethod
    def _endpoints(self) -> Iterable[E]:
        """Those that are there."""

    @abstractmethod
    def _find(self, topic: str) -> E | None:
        """The one that hears what comes at this topic."""

    # What a supervisor does with an `Inbound`.

    @property
    def codec(self) -> BodyCodec | None:
        """How bodies are encoded: as the broker says, for all of them."""
        return self._codec

    @codec.setter
    def codec(self, codec: BodyCodec | None) -> None:
        self._codec = codec
        for endpoint in self._endpoints:
            endpoint.inbound.codec = endpoint.outbound.codec = codec
            # There is another connection.
            endpoint.window.resumed()

    def go_on(self) -> None:
        """Begins what waits, where it may."""
        for endpoint in self._endpoints:
            endpoint.inbound.go_on()

    @property
    def tasks(self) -> set[asyncio.Task[None]]:
        """The handlers that run."""
        return {task for endpoint in self._endpoints for task in endpoint.inbound.tasks}

    # What comes.

    def _on_message(self, event: events.Message) -> None:
        endpoint = self._find(event.topic)
        if endpoint is not None:
            endpoint.inbound.on_message(event)
            return
        self._driver.session.finished(0, 1, event.size)
        if event.delivery:
            self._driver.session.fail(event.id, _nobody())

    def _on_request(self, event: events.Request) -> None:
        endpoint = self._find(event.topic)
        if endpoint is None:
            self._driver.session.fail(event.id, _nobody())
            return
        self._calls[event.id] = endpoint.inbound
        endpoint.inbound.on_request(event)

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
        """A call is over."""
        self._calls.pop(number, None)

    # What the broker is told.

    def _grant(self, topic: str, peer: str, items: int, window: int) -> None:
        """So many messages are handled; of this client, or where that is empty, of what a client hears at the topic."""
        outbound, body = self._to_broker(topic), peer_credit(peer, items, window)
        if not outbound.try_send(PEER_CREDIT, body, False) and self._driver.session.is_connected:
            self._begin(self._told(outbound.send(PEER_CREDIT, body, None)), "word to the broker")

    def _ask(self, topic: str, member: Member, body: bytes) -> None:
        """Asks the broker for something, as soon as there is capacity."""
        self._begin(
            self._told(self._to_broker(topic).exchange(member, body, 30.0, None, None)), "question to the broker"
        )

    def _to_broker(self, topic: str) -> Outbound:
        outbound = self._outbound.at(f"$broker/{topic}")
        outbound.codec = UntypedBodies(Codec.PROTOBUF)
        return outbound

    async def _told(self, told: Coroutine[Any, Any, Any]) -> None:
        try:
            await told
        except MsipError as error:
            _log.warning("the broker was not told something: %s", error)

    # What takes time.

    def _begin(self, work: Coroutine[Any, Any, None], what: str) -> asyncio.Task[None]:
        task = self._driver.loop.create_task(work, name=f"msip: {what}")
        self._own(task)
        return task

    def _own(self, task: asyncio.Task[None] | None) -> None:
        if task is not None and not task.done():
            self._work.add(task)
            task.add_done_callback(self._work.discard)

    async def _finish_work(self) -> None:
        while self._work:
            await asyncio.wait(set(self._work))


def _nobody() -> Status:
    return Status(Code.NOT_FOUND, "nobody of this connection hears the topic")
