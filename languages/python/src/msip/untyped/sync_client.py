"""The untyped client for programs without asyncio."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Unpack

from msip.client.options import ClientOptions
from msip.connection.outbound import DEFAULT
from msip.errors import ClosedError
from msip.protocol import Kind
from msip.sync.client import SyncClient
from msip.untyped.client import UntypedClient
from msip.untyped.handler import UntypedHandler
from msip.untyped.message import UntypedMessage
from msip.wire.metadata import Metadata


class UntypedSyncClient(SyncClient):
    """As :class:`msip.UntypedClient`, with methods that block; any number of threads may use it at the same time.

    ::

        with msip.UntypedSyncClient("tcp://127.0.0.1:9000", "fleet") as client:
            client.subscribe("fleet/+/position")
            for message in client.messages():
                print(message.topic, message.body)
    """

    _client: UntypedClient

    def __init__(
        self,
        url: str,
        protocol: str,
        handler: UntypedHandler | None = None,
        *,
        fingerprint: int = 0,
        **options: Unpack[ClientOptions],
    ) -> None:
        """As :class:`msip.UntypedClient`. A handler runs in a thread of its own, and must not block."""
        self._client = UntypedClient(url, protocol, handler, fingerprint=fingerprint, **options)
        self._thread = None
        self._executor = None

    def subscribe(self, topic: str, *, group: str = "") -> None:
        """As :meth:`msip.UntypedClient.subscribe`."""
        self._open().run(self._client.subscribe(topic, group=group))

    def unsubscribe(self, topic: str) -> None:
        """Hears a topic, or what a filter names, no longer."""
        self._open().run(self._client.unsubscribe(topic))

    def publish(
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
        """As :meth:`msip.UntypedClient.publish`."""
        published = self._client.publish(
            topic,
            body,
            kind=kind,
            variant=variant,
            acknowledged=acknowledged,
            urgent=urgent,
            compress=compress,
            metadata=metadata,
        )
        self._open().run(published)

    def request(
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
        """As :meth:`msip.UntypedClient.request`."""
        asked = self._client.request(
            topic, body, variant=variant, timeout=timeout, urgent=urgent, compress=compress, metadata=metadata
        )
        return self._open().run(asked)

    def messages(self) -> Iterator[UntypedMessage]:
        """What is heard, until the client is closed."""
        messages = self._client.messages()
        thread = self._open()
        while True:
            try:
                message = thread.run(_next(messages))
            except ClosedError:
                return
            if message is None:
                return
            yield message


async def _next(messages: AsyncIterator[UntypedMessage]) -> UntypedMessage | None:
    """The next one. A `StopAsyncIteration` cannot leave a coroutine."""
    return await anext(messages, None)
