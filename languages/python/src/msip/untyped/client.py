"""The untyped client: publishes, subscribes, calls and serves by topics, without a schema."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import ClassVar, Self, Unpack

from msip.client import Client
from msip.client.options import ClientOptions
from msip.client.schema_watch import SchemaWatch
from msip.codec import BodyCodec
from msip.connection.driver import Driver
from msip.connection.inbound import Inbound
from msip.connection.outbound import DEFAULT, Outbound
from msip.errors import ClosedError, Code, Status
from msip.protocol import Kind, Protocol, Shape, Side
from msip.untyped.handler import MessageReader, UntypedHandler
from msip.untyped.inbound import UntypedInbound
from msip.untyped.members import UntypedBodies, sent_member, untyped_protocol
from msip.untyped.message import UntypedMessage
from msip.url import UrlError
from msip.wire.metadata import Metadata
from msip.wire.subscribe import Subscribe


class UntypedClient(Client):
    """A client of a broker without generated code, on asyncio.

    ::

        async with msip.UntypedClient("tcp://127.0.0.1:9000", "fleet") as client:
            await client.subscribe("fleet/+/position")
            await client.publish("fleet/7/position", b"52.5 north")
            async for message in client.messages():
                print(message.topic, message.body)

    What comes goes to a handler, or without one to `messages`. Everything else is that of :class:`msip.Client`: it connects again by
    itself, and subscriptions are made again in a new session before anything else is sent.
    """

    _codec_type: ClassVar[type[BodyCodec]] = UntypedBodies

    def __init__(
        self,
        url: str,
        protocol: str,
        handler: UntypedHandler | None = None,
        *,
        fingerprint: int = 0,
        **options: Unpack[ClientOptions],
    ) -> None:
        """Nothing is connected yet. `protocol` is the name that the client gives what it speaks, and `fingerprint` that of its schema
        where it knows one.

        Raises:
            UrlError: the URL is not one of a service, or names a topic: methods do.
            SettingError: a setting cannot be used.
        """
        self._own = untyped_protocol(protocol, fingerprint)
        self._reader = MessageReader() if handler is None else None
        super().__init__(url, handler or self._reader, **options)
        if self._url.topic:
            raise UrlError(
                f'the URL names the topic "{self._url.topic}": leave it out, the methods of the client name topics'
            )

    async def connect(self) -> Self:
        """As :meth:`msip.Client.connect`."""
        await super().connect()
        if self._reader is not None and self._supervisor is not None:
            self._supervisor.when_ended(self._reader.end)
        return self

    async def close(self) -> None:
        """As :meth:`msip.Client.close`; `messages` ends."""
        if self._reader is not None:
            self._reader.end()
        await super().close()

    async def subscribe(self, topic: str, *, group: str = "") -> None:
        """Hears a topic from now on, or all that a filter names: a level `+` stands for one, a last `#` for all that follow. With a group
        a message goes to one of its members.

        It lasts until `unsubscribe`, over all connections. Another one of the same filter takes its place.

        Raises:
            CallError: the broker has refused; PERMISSION_DENIED, UNIMPLEMENTED where the server is no broker.
        """
        outbound = await self._ready(None)
        options = Subscribe(group=group, protocol=self._own.name, fingerprint=self._own.fingerprint) if group else None
        await outbound.subscribe(topic, options)

    async def unsubscribe(self, topic: str) -> None:
        """Hears a topic, or what a filter names, no longer."""
        await (await self._ready(None)).unsubscribe(topic)

    async def publish(
        self,
        topic: str,
        body: bytes,
        *,
        kind: Kind = Kind.EVENT,
        variant: int | None = None,
        acknowledged: bool = False,
        urgent: bool = False,
        compress: bool = True,
        metadata: Metadata | None = None,
    ) -> None:
        """Sends a message to a topic; the kind says how it is delivered (docs/broker.md, "Kinds"), and `metadata.key` which STATE it is.
        An empty body of a STATE clears it. The variant is the number of the kind unless a schema has another.

        Returns when it is accepted or, with `acknowledged`, when the broker has it in the queues of its subscribers.
        """
        shape = Shape.ACKNOWLEDGED if acknowledged else Shape.ONE_WAY
        number = int(kind) if variant is None else variant
        member = sent_member(number, kind, shape, urgent=urgent, compress=compress and bool(body))
        await (await self._ready(self._settings.write_timeout)).send(member, body, metadata, topic)

    async def request(
        self,
        topic: str,
        body: bytes,
        *,
        variant: int = int(Kind.COMMAND),
        timeout: float | None = DEFAULT,
        urgent: bool = False,
        compress: bool = True,
        metadata: Metadata | None = None,
    ) -> UntypedMessage:
        """Calls one of the services of a topic, and returns its answer. Cancelling tells the service.

        Raises:
            CallError: UNAVAILABLE where there is no service; whatever the service says; DEADLINE_EXCEEDED after `timeout` seconds, which
                are `call_timeout` where nothing else is said.
        """
        member = sent_member(variant, Kind.COMMAND, Shape.CALL, urgent=urgent, compress=compress)
        outbound = await self._ready(timeout if timeout is not DEFAULT else None)
        limit = self._settings.call_timeout if timeout is DEFAULT else timeout
        answer = await outbound.exchange(member, body, limit, metadata, topic)
        content = bytes(outbound.decoded(member, answer))
        return UntypedMessage(content, "", answer.variant, Kind.STATE, answer.metadata or Metadata())

    def messages(self) -> AsyncIterator[UntypedMessage]:
        """What is heard, until the client is closed. A slow reader holds the broker back, which drops or ends what a slow subscriber does
        not take (docs/broker.md, "Slow consumers")."""
        if self._reader is None:
            raise ClosedError(Code.FAILED_PRECONDITION, "the handler of this client has its messages")
        return _each(self._reader)

    # What the client is made of.

    def _spoken(self) -> Protocol:
        return self._own

    def _inbound(self, driver: Driver, outbound: Outbound) -> Inbound:
        return UntypedInbound(driver, Side.CLIENT, self._own, self._handler, self, outbound.item_waiters)

    def _watch(self, protocol: Protocol, outbound: Outbound) -> SchemaWatch | None:
        return None

    async def _subscription_lost(self, topic: str, status: Status) -> None:
        if isinstance(self._handler, UntypedHandler):
            await self._handler.on_subscription_lost(self, topic, status)


async def _each(reader: MessageReader) -> AsyncIterator[UntypedMessage]:
    while True:
        try:
            message = await reader.next()
        except StopAsyncIteration:
            return
        yield message
