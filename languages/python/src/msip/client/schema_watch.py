"""The schema at the other end: compared with a client's own where it is another one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from msip.client.connection_info import ConnectionInfo
from msip.connection.outbound import Outbound
from msip.protocol import Protocol
from msip.wire.hello import Codec
from msip.wire.subscribe import Subscribed

if TYPE_CHECKING:
    from msip.compatibility.peer_schemas import PeerSchemas


class SchemaWatch:
    """Asks for the schema of a server, or of the first service of a topic, and tells the client's `ConnectionInfo`."""

    def __init__(self, protocol: Protocol, outbound: Outbound, info: ConnectionInfo, limit: float) -> None:
        """An answer has so many seconds."""
        self._protocol = protocol
        self._outbound = outbound
        self._info = info
        self._limit = limit
        self._schemas: PeerSchemas | None = None
        self.tasks: set[asyncio.Task[None]] = set()
        """Those that compare."""

    def topic_has(self, service: Subscribed | None) -> None:
        """This is the first service of the client's topic, where there is one that says what it speaks."""
        theirs = service.fingerprint if service is not None else 0
        self.compare(theirs or self._protocol.fingerprint, True)

    def compare(self, theirs: int, describes: bool) -> None:
        """The other end has this fingerprint, and describes its schema or does not."""
        self.stop()
        self._info.schema_difference = None
        if theirs == self._protocol.fingerprint:
            return
        from msip.compatibility.peer_schemas import PeerSchemas  # late: most servers have the same schema

        if self._schemas is None:
            self._schemas = PeerSchemas(self._protocol, "server")
        comparing = self._outbound.driver.loop.create_task(
            self._comparing(self._schemas, theirs, describes), name="msip: comparison of schemas"
        )
        self._info.comparing(comparing)
        self.tasks.add(comparing)
        comparing.add_done_callback(self.tasks.discard)

    def stop(self) -> None:
        """Nothing is compared any more."""
        before = self._info.comparing(None)
        if before is not None:
            before.cancel()

    async def _comparing(self, schemas: PeerSchemas, theirs: int, describes: bool) -> None:
        codec = self._outbound.codec.codec if self._outbound.codec is not None else Codec.PROTOBUF
        self._info.schema_difference = await schemas.difference(
            theirs, describes, codec, lambda: self._outbound.describe(self._limit)
        )
