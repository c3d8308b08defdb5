"""A stream of answers, as a program without asyncio reads it."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from msip.connection.response_stream import ResponseStream
from msip.sync.loop_thread import LoopThread
from msip.wire.metadata import Metadata

T = TypeVar("T")


class SyncResponseStream(Generic[T]):
    """The answers of a call, one after the other: ``for answer in stream``.

    As :class:`msip.ResponseStream`: leaving ``with``, or :meth:`cancel`, tells the other side to stop.
    """

    def __init__(self, stream: ResponseStream[Any], thread: LoopThread) -> None:
        self._stream = stream
        self._thread = thread

    @property
    def metadata(self) -> Metadata | None:
        """What came with the end of the stream, such as headers."""
        return self._stream.metadata

    def __enter__(self) -> Self:
        self._thread.run(self._stream.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        try:
            item: T = self._thread.run(self._stream.__anext__())
        except StopAsyncIteration:
            raise StopIteration from None
        return item

    def cancel(self) -> None:
        """Ends the call, unless it has ended."""
        self._thread.run(self._stream.cancel())
