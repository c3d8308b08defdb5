"""The beginning of a connection, as a server reads it: a HELLO, within its time."""

from __future__ import annotations

import asyncio

from msip.errors import Code, Status
from msip.protocol import Protocol
from msip.session import Accepting, RefusedError, Settings
from msip.transport.stream import ByteStream
from msip.wire.hello import SCHEMA_DESCRIPTION, Hello

_LAST_BYTES = 1.0


class LeftError(Exception):
    """The client left, or sent what is no HELLO, before it was served."""


class Handshake:
    """Reads the HELLO of one stream."""

    def __init__(self, stream: ByteStream, settings: Settings) -> None:
        self._loop = asyncio.get_running_loop()
        self._stream = stream
        self.accepting = Accepting(settings, self._loop.time())
        self._hello: asyncio.Future[Hello] = self._loop.create_future()
        self._left: asyncio.Future[None] = self._loop.create_future()

    async def hello(self) -> Hello:
        """The HELLO, once it is there.

        Raises:
            LeftError: the client left, or sent something else.
        """
        self._stream.start(self)
        return await self._hello

    @property
    def has_hello(self) -> bool:
        """Whether there is a HELLO to be answered."""
        return self._hello.done() and not self._hello.cancelled() and self._hello.exception() is None

    async def wait_left(self) -> None:
        """Returns when the client has left: nobody waits for an answer any more."""
        await self._left

    async def refuse(self, status: Status) -> None:
        """Answers with an error, and closes; waits a second at most until it was read."""
        if self._stream.is_open:
            self._stream.write(self.accepting.refuse(status))
        await close_stream(self._stream)

    # What the stream calls.

    def data_received(self, data: bytes) -> None:
        if self._hello.done():
            # Nothing follows a HELLO before its answer; what does all the same waits in the system.
            self._stream.pause_reading()
            self.accepting.receive(data, self._loop.time())
            return
        try:
            hello = self.accepting.receive(data, self._loop.time())
        except RefusedError as error:
            if error.reply:
                self._stream.write(error.reply)
            self._hello.set_exception(LeftError(error.message))
            return
        if hello is not None:
            self._hello.set_result(hello)

    def stream_ended(self, error: Exception | None) -> None:
        if not self._hello.done():
            self._hello.set_exception(LeftError("it closed the connection" if error is None else str(error)))
        if not self._left.done():
            self._left.set_result(None)

    def writing_resumed(self) -> None:
        """Nothing waits to be written here."""


def check_fingerprint(hello: Hello, own: Protocol, rule: str) -> None:
    """Raises the `Status` with which a client of this fingerprint is refused. What can be compared is compared later."""
    if hello.protocol != own.name or hello.fingerprint == own.fingerprint or rule == "any":
        return
    if rule == "strict":
        why = ""
    elif not own.description:
        why = ", and the server cannot compare them"
    elif SCHEMA_DESCRIPTION not in hello.extensions:
        why = ", and the client cannot describe its own"
    else:
        return
    raise Status(
        Code.FAILED_PRECONDITION,
        f"the server's schema has the fingerprint {own.fingerprint:016x}, the client's {hello.fingerprint:016x}{why}"
        f" (schema={rule})",
    )


async def close_stream(stream: ByteStream) -> None:
    """Closes a stream, and waits until its last bytes are written, a second at most."""
    stream.close()
    try:
        async with asyncio.timeout(_LAST_BYTES):
            await stream.wait_ended()
    except TimeoutError:
        stream.abort()
        await stream.wait_ended()


NOT_AUTHENTICATED = Status(Code.UNAUTHENTICATED, "not authenticated")
