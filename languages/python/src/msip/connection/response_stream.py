"""A stream of answers, as its caller reads it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from msip.protocol import Member
from msip.session import events
from msip.wire.metadata import Metadata

if TYPE_CHECKING:
    from msip.connection.outbound import Outbound

T = TypeVar("T")


class Items:
    """The items of one stream that were not read yet. The stream's credit bounds them."""

    def __init__(self, outbound: Outbound, number: int, member: Member) -> None:
        self.number = number
        self.pump: asyncio.Task[None] | None = None
        self.metadata: Metadata | None = None
        self._outbound = outbound
        self._member = member
        self._waiting: deque[events.AnswerItem] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._is_ended = False
        self._error: BaseException | None = None
        # What was given out and is not reported: it is finished with when the next one is asked for.
        self._given: int | None = None

    def put(self, event: events.AnswerItem) -> None:
        """An item has come."""
        self._waiting.append(event)
        self._wake()

    def end(self, metadata: Metadata | None) -> None:
        """All items have come."""
        self.metadata = metadata
        self._is_ended = True
        self._wake()

    def fail(self, error: BaseException) -> None:
        """The stream fails after the items that have come."""
        if not self._is_ended:
            self._error = error
            self._is_ended = True
            self._wake()

    async def next(self) -> Any:
        """The next item. Cancelling loses none."""
        if self._given is not None:
            size, self._given = self._given, None
            if not self._is_ended:
                self._outbound.finished(self.number, size)
        while not self._waiting:
            if self._is_ended:
                if self._error is not None:
                    raise self._error
                raise StopAsyncIteration
            self._waiter = self._outbound.driver.loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        event = self._waiting.popleft()
        self._given = event.size
        return self._outbound.decode_answer(self._member, event)

    def cancel(self) -> None:
        """Nobody reads on."""
        self._outbound.cancel_stream(self.number)
        self._waiting.clear()
        self._is_ended = True
        self._error = None
        self._given = None
        if self.pump is not None:
            self.pump.cancel()
        self._wake()

    def cancel_later(self) -> None:
        """The same from wherever a stream is collected that nobody has closed."""
        loop = self._outbound.driver.loop
        if not loop.is_closed():
            loop.call_soon_threadsafe(self.cancel)

    @property
    def is_ended(self) -> bool:
        """Whether nothing more comes."""
        return self._is_ended and not self._waiting

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class ResponseStream(Generic[T]):
    """The answers of a call, one after the other: ``async for answer in stream``.

    The call begins when the stream is entered (``async with``) or first read. A slow reader holds the sender back: an item is
    finished with when the next one is asked for. Leaving ``async with``, or :meth:`cancel`, tells the other side to stop; so does
    dropping a stream that was not read to its end. One task reads at a time.

    Raises :class:`msip.CallError` where the call fails, after the items that came before.
    """

    def __init__(self, begin: Callable[[], Awaitable[Items]]) -> None:
        self._begin: Callable[[], Awaitable[Items]] | None = begin
        self._items: Items | None = None

    @property
    def metadata(self) -> Metadata | None:
        """What came with the end of the stream, such as headers."""
        return self._items.metadata if self._items is not None else None

    async def __aenter__(self) -> Self:
        await self._begun()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.cancel()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        items = self._items or await self._begun()
        try:
            item: T = await items.next()
        except asyncio.CancelledError:
            raise
        except BaseException:
            await self._stop_pump()
            raise
        return item

    async def cancel(self) -> None:
        """Ends the call, unless it has ended: the other side is told, and nothing more is read."""
        self._begin = None
        if self._items is not None:
            self._items.cancel()
            await self._stop_pump()

    async def _begun(self) -> Items:
        if self._items is None:
            begin, self._begin = self._begin, None
            if begin is None:
                raise StopAsyncIteration
            self._items = await begin()
        return self._items

    async def _stop_pump(self) -> None:
        pump = self._items.pump if self._items is not None else None
        if pump is not None and not pump.done():
            pump.cancel()
            await asyncio.wait([pump])

    def __del__(self) -> None:
        items = self._items
        if items is not None and not items.is_ended:
            items.cancel_later()
