"""The comparison of a client's schema with that of the server, and what comes of it."""

from __future__ import annotations

import asyncio
import logging

from msip.compatibility.difference import SchemaDifference
from msip.compatibility.peer_schemas import PeerSchemas
from msip.connection.outbound import Outbound
from msip.errors import Code, Status
from msip.wire.hello import Codec

__all__ = ["SchemaCheck"]

_log = logging.getLogger("msip")


class SchemaCheck:
    """The check of one client, whose schema has another fingerprint. Its task ends with the session."""

    def __init__(
        self, schemas: PeerSchemas, theirs: int, describes: bool, codec: Codec, outbound: Outbound, limit: float
    ) -> None:
        """Begins it: the client is asked, if it `describes` its schema, and has so many seconds to answer."""
        self.difference: SchemaDifference | None = None
        """What differs, once that is known."""
        self._task = outbound.driver.loop.create_task(
            schemas.difference(theirs, describes, codec, lambda: outbound.describe(limit)),
            name="msip: comparison of schemas",
        )
        self._task.add_done_callback(self._compared)

    async def compared(self) -> SchemaDifference | None:
        """Waits for what differs; None where the session ends before."""
        await asyncio.wait([self._task])
        return self.difference

    async def refusal(self) -> Status | None:
        """Waits for the comparison. With what the client is refused under ``schema=compatible``, if it is."""
        difference = await self.compared()
        if difference is None:
            return Status(Code.UNAVAILABLE, "the session has ended before the schemas were compared")
        if not difference.is_compared:
            why = "cannot be compared"
        elif difference.is_wire_breaking:
            why = "are not compatible"
        else:
            return None
        return Status(Code.FAILED_PRECONDITION, f"the schemas {why}, which this server requires: {difference}")

    async def stop(self) -> None:
        """The session has ended."""
        self._task.cancel()
        await asyncio.wait([self._task])

    def _compared(self, task: asyncio.Task[SchemaDifference]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            self.difference = task.result()
        else:
            _log.error("a fault in the comparison of schemas", exc_info=error)
