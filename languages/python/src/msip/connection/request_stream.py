"""A stream of requests, as its handler reads it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar

from msip.connection.driver import Driver
from msip.errors import Code, Status
from msip.session import events

T = TypeVar("T")


class RequestStream(Generic[T]):
    """The requests of a call, one after the other: ``async for request in requests``.

    A slow handler holds the caller back: an item is finished with when the next one is asked for.
    """

    def __init__(self, driver: Driver, number: int, decode: Callable[[bytes, bool], Any]) -> None:
        self._driver = driver
        self._number = number
        self._decode = decode
        self._waiting: deque[events.RequestItem] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._is_complete = False
        self._is_cancelled = False
        self._given: int | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        if self._given is not None:
            size, self._given = self._given, None
            self._driver.session.finished(self._number, 1, size)
            self._driver.wake()
        while not self._waiting:
            if self._is_cancelled:
                raise Status(Code.CANCELLED, "the caller has given the call up")
            if self._is_complete:
                raise StopAsyncIteration
            self._waiter = self._driver.loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        item = self._waiting.popleft()
        self._given = item.size
        message: T = self._decode(item.body, item.compressed)
        return message

    def put(self, item: events.RequestItem) -> None:
        """A request has come."""
        self._waiting.append(item)
        self._wake()

    def complete(self) -> None:
        """All requests have come."""
        self._is_complete = True
        self._wake()

    def cancel(self) -> None:
        """No more will come."""
        self._is_cancelled = True
        self._waiting.clear()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
