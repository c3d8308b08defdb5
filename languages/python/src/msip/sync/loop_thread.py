"""An event loop in a thread of its own, and how other threads wait for what it does."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from msip.errors import ClosedError, Code

T = TypeVar("T")


class LoopThread:
    """Runs coroutines for any number of threads. It ends with `stop`, or with the process."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._process = os.getpid()
        self._is_stopped = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Waits for a coroutine. An interruption of the waiting thread cancels it.

        Raises:
            ClosedError: the thread has ended, belongs to another process, or is the one that asks.
        """
        try:
            self._check()
            with self._lock:
                if self._is_stopped:
                    raise ClosedError(Code.UNAVAILABLE, "the client is closed")
                future = asyncio.run_coroutine_threadsafe(work, self._loop)
        except BaseException:
            work.close()
            raise
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise ClosedError(Code.UNAVAILABLE, "the client was closed meanwhile") from None
        except BaseException:
            future.cancel()
            raise

    def stop(self) -> None:
        """Ends the thread; what still runs in it is cancelled."""
        if os.getpid() != self._process:
            return
        with self._lock:
            if self._is_stopped:
                return
            self._is_stopped = True
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def call_soon(self, call: Any) -> None:
        """Calls something in the thread, and does not wait."""
        with self._lock:
            if not self._is_stopped and os.getpid() == self._process:
                self._loop.call_soon_threadsafe(call)

    def _check(self) -> None:
        if os.getpid() != self._process:
            raise ClosedError(
                Code.FAILED_PRECONDITION, "the client belongs to the process that has forked: make another one here"
            )
        if threading.current_thread() is self._thread:
            raise ClosedError(
                Code.FAILED_PRECONDITION,
                "a handler of the client cannot wait for the client: use the asynchronous one that it was given",
            )
        if not self._thread.is_alive():
            raise ClosedError(Code.UNAVAILABLE, "the client is closed")

    def _run(self) -> None:
        loop = self._loop
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
        finally:
            tasks = asyncio.all_tasks(loop)
            for task in tasks:
                task.cancel()
            if tasks:
                loop.run_until_complete(asyncio.wait(tasks))
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
