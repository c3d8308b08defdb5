"""Those who wait to send: for credit, for open calls, for a queue."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable

from msip.connection.driver import Driver
from msip.connection.failures import not_sent
from msip.errors import Code


class SendQueue:
    """A line of senders, served in their order. One is woken at a time, and wakes the next when it has sent."""

    def __init__(self, driver: Driver, write_timeout: float | None) -> None:
        """`write_timeout` is how long nothing may move; calls wait for their deadline alone, with `None`."""
        self._driver = driver
        self._write_timeout = write_timeout
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def is_empty(self) -> bool:
        """Whether nobody waits: only then may others send at once."""
        return not self._waiting

    def wake_next(self) -> None:
        """Lets the first one try again."""
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)
            return

    def fail(self, error: BaseException) -> None:
        """Everybody fails with this."""
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_exception(error)

    async def wait(self, can_send: Callable[[], bool], deadline: float | None) -> None:
        """Waits until it is this one's turn and `can_send` is true. The caller sends before it waits for anything else.

        Cancelling gives the place up.

        Raises:
            CallError: RESOURCE_EXHAUSTED where nothing has moved for `write_timeout`, DEADLINE_EXCEEDED at `deadline`.
        """
        loop = self._driver.loop
        waiter: asyncio.Future[None] = loop.create_future()
        self._waiting.append(waiter)
        since = loop.time()
        is_next = len(self._waiting) == 1
        try:
            while not (is_next and can_send()):
                when = min(self._patience(since), math.inf if deadline is None else deadline)
                timer = loop.call_at(when, _wake, waiter) if when < math.inf else None
                try:
                    await waiter
                finally:
                    if timer is not None:
                        timer.cancel()
                is_next = self._waiting[0] is waiter
                now = loop.time()
                if not (is_next and can_send()):
                    if deadline is not None and now >= deadline:
                        raise not_sent(Code.DEADLINE_EXCEEDED, "the deadline passed before there was capacity to send")
                    if now >= self._patience(since):
                        raise not_sent(
                            Code.RESOURCE_EXHAUSTED,
                            f"the receiver is slow: no capacity for {self._write_timeout:g} s (setting `write_timeout`)",
                        )
                    self._renew(waiter, waiter := loop.create_future())
        finally:
            self._waiting.remove(waiter)
            self.wake_next()

    def _patience(self, since: float) -> float:
        """Until when nothing may move: credit and written bytes are movement."""
        if self._write_timeout is None:
            return math.inf
        driver = self._driver
        moved = max(since, driver.session.last_credit)
        if driver.stream is not None and not driver.stream.can_write:
            moved = max(moved, driver.last_progress)
        return moved + self._write_timeout

    def _renew(self, old: asyncio.Future[None], new: asyncio.Future[None]) -> None:
        self._waiting[self._waiting.index(old)] = new


class ItemWaiters:
    """Those who wait until a stream takes another item; one for each stream."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._waiting: dict[int, asyncio.Future[None]] = {}

    async def wait(self, number: int, size: int, is_open: Callable[[int], bool]) -> bool:
        """Waits until the stream takes an item of this size. Returns whether it is open still."""
        session = self._driver.session
        while is_open(number) and not session.can_send_item(number, size):
            waiter = self._waiting[number] = self._driver.loop.create_future()
            try:
                await waiter
            finally:
                self._waiting.pop(number, None)
        return is_open(number)

    def wake(self, number: int) -> None:
        """This stream takes more, or has ended."""
        waiter = self._waiting.get(number)
        if waiter is not None:
            _wake(waiter)

    def wake_all(self) -> None:
        """Everything has ended."""
        for waiter in self._waiting.values():
            _wake(waiter)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
