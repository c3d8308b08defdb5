"""Exchanges: what they are told, and what of them is reported."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msip
from conformance import control
from conformance.control import Report


def told(error: BaseException) -> control.Status:
    """An error as it is reported."""
    if isinstance(error, asyncio.CancelledError):
        return control.Status(code="CANCELLED", message="given up")
    if isinstance(error, msip.Status):
        details = {detail.type_name: detail.value for detail in error.details}
        return control.Status(code=error.code.name, message=error.message, headers=error.headers, details=details)
    if isinstance(error, msip.MsipError):
        return control.Status(code=error.code.name, message=error.message)
    return control.Status(code="UNKNOWN", message=f"{type(error).__name__}: {error}")


def status(of: control.Status | None) -> msip.Status:
    """A status as it was told."""
    of = control.Status(code="UNKNOWN") if of is None else of
    details = [msip.Detail(type_name, value) for type_name, value in of.details.items()]
    return msip.Status(msip.Code[of.code], of.message, headers=of.headers, details=details)


def encoded(message: Any) -> bytes:
    """A message as it is reported; of a member that carries nothing there is none."""
    return b"" if message is None else bytes(message.to_bytes())


class Reading:
    """How many items of a stream are still to be read."""

    def __init__(self, left: int = 0) -> None:
        self.left = left
        self.changed = asyncio.Event()

    def allow(self, count: int) -> None:
        self.left += count
        self.changed.set()

    async def next(self, items: AsyncIterator[Any]) -> Any:
        """The next item, once it may be read. Raises StopAsyncIteration at the end."""
        while self.left == 0:
            self.changed.clear()
            await self.changed.wait()
        item = await anext(items)
        self.left -= 1
        return item


class Exchange:
    """An exchange: what it is told, and the items that this side sends."""

    def __init__(self, read: int = 0) -> None:
        self.steps: asyncio.Queue[Any] = asyncio.Queue()
        self.items: asyncio.Queue[Any] = asyncio.Queue()
        self.reading = Reading(read)
        self.task: asyncio.Task[None] | None = None


async def requests(member: msip.Member, exchange: Exchange) -> AsyncIterator[Any]:
    """The items of a request, as they are told."""
    while isinstance(step := await exchange.items.get(), control.Send):
        assert member.message is not None
        item = member.message.from_bytes(step.message)
        for _ in range(max(step.count, 1)):
            yield item


def answered(exchange: int, answer: Any, metadata: msip.Metadata | None) -> Any:
    headers = dict(metadata.headers) if metadata else {}
    return Report.Answered_(control.Answered(exchange=exchange, message=encoded(answer), headers=headers))
