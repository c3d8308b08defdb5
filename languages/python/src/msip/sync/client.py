"""The client for programs without asyncio: what generated synchronous clients derive from."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self, Unpack

from msip.client import Client, ClientHandler, ConnectionInfo
from msip.client.options import ClientOptions
from msip.errors import ClosedError, Code
from msip.protocol import Member, Protocol
from msip.sync.loop_thread import LoopThread
from msip.sync.response_stream import SyncResponseStream
from msip.wire.metadata import Metadata

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

_END = object()


class SyncClient:
    """A client whose methods block; any number of threads may use it at the same time.

    ::

        with ChatSyncClient("tcp://127.0.0.1:7400") as chat:
            print(chat.connect_req(ConnectReq(user="ada")))

    It runs an asynchronous client in a thread of its own. Handlers are those of that client: they run in that thread, and must
    not block. After a fork it belongs to the parent: the child makes another one.
    """

    protocol: ClassVar[Protocol]
    client_type: ClassVar[type[Client]] = Client

    def __init__(
        self,
        url: str,
        handler: ClientHandler[Any] | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        """As :class:`msip.Client`: nothing is connected yet."""
        kind = self.client_type
        if kind is Client:
            kind = type(f"{type(self).__name__}Inner", (Client,), {"protocol": self.protocol})
        self._client = kind(url, handler, **options)
        self._thread: LoopThread | None = None
        self._executor: ThreadPoolExecutor | None = None

    @property
    def connection(self) -> ConnectionInfo:
        """What is known of the connection."""
        return self._client.connection

    def connect(self) -> Self:
        """Connects for the first time and logs in; from then on the client stays connected, until `close`.

        Raises:
            ConnectError: the server cannot be reached, does not speak this protocol, or has refused.
        """
        if self._thread is not None:
            raise ClosedError(Code.FAILED_PRECONDITION, "the client was connected before: make another one")
        self._thread = LoopThread(f"msip: {self._client._spoken().name}")
        try:
            self._thread.run(self._client.connect())
        except BaseException:
            self._thread.stop()
            raise
        return self

    def close(self) -> None:
        """Says goodbye to the server, lets open calls finish within `drain_timeout`, and ends the thread."""
        thread = self._thread
        if thread is None:
            return
        try:
            thread.run(self._client.close())
        except ClosedError:
            # It is closed already, or belongs to another process.
            pass
        finally:
            thread.stop()
            if self._executor is not None:
                self._executor.shutdown(wait=False, cancel_futures=True)

    def ping(self, data: bytes = b"") -> float:
        """Asks whether the server is there. Returns the round trip, in seconds."""
        return self._open().run(self._client.ping(data))

    def __enter__(self) -> Self:
        return self.connect()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # What generated methods call.

    def _send(self, member: Member, message: Any, metadata: Metadata | None) -> None:
        self._open().run(self._client._send(member, message, metadata))

    def _call(self, member: Member, request: Any, timeout: float | None, metadata: Metadata | None) -> Any:
        return self._open().run(self._client._call(member, request, timeout, metadata))

    def _call_stream(
        self, member: Member, request: Any, timeout: float | None, metadata: Metadata | None
    ) -> SyncResponseStream[Any]:
        thread = self._open()
        return SyncResponseStream(self._client._call_stream(member, request, timeout, metadata), thread)

    def _send_stream(
        self, member: Member, requests: Iterable[Any], timeout: float | None, metadata: Metadata | None
    ) -> Any:
        thread = self._open()
        return thread.run(self._client._send_stream(member, self._each(requests), timeout, metadata))

    def _call_both(
        self, member: Member, requests: Iterable[Any], timeout: float | None, metadata: Metadata | None
    ) -> SyncResponseStream[Any]:
        thread = self._open()
        return SyncResponseStream(self._client._call_both(member, self._each(requests), timeout, metadata), thread)

    def _open(self) -> LoopThread:
        if self._thread is None:
            raise ClosedError(Code.FAILED_PRECONDITION, "not connected: connect(), or use `with`")
        return self._thread

    async def _each(self, requests: Iterable[Any]) -> AsyncIterator[Any]:
        """The requests, asked for in a thread: whoever makes them may block."""
        if isinstance(requests, list | tuple):
            for request in requests:
                yield request
            return
        if self._executor is None:
            from concurrent.futures import ThreadPoolExecutor  # late: few programs block so

            self._executor = ThreadPoolExecutor(thread_name_prefix="msip: requests")
        iterator = iter(requests)
        loop = asyncio.get_running_loop()
        while (request := await loop.run_in_executor(self._executor, next, iterator, _END)) is not _END:
            yield request
