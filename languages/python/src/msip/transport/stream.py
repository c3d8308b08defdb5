"""A stream of bytes on asyncio: what a transport makes, and who reads and writes it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, cast

from msip.record import record

# Beyond this a write waits for the peer: the session's own queue holds the rest.
_WRITE_BUFFER_LEN = 256 * 1024


@record(frozen=True)
class UnixUser:
    """Who is at the other end of a Unix socket, as the system says: its user and primary group when it connected."""

    uid: int
    gid: int


@record(frozen=True)
class CertificateNames:
    """Who is at the other end of TLS: the names in its certificate, each with its kind (``DNS``, ``URI``, ``email``, ``IP Address``)."""

    names: tuple[tuple[str, str], ...]


PeerCredential = UnixUser | CertificateNames
"""Who the peer is, as far as the transport has proved it."""


@record(frozen=True)
class StreamInfo:
    """What a transport tells of a connection (docs/transports.md, "What a connection tells")."""

    local_address: str
    peer_address: str
    is_confidential: bool
    credential: PeerCredential | None = None


class StreamError(Exception):
    """Why a stream could not be opened, or broke, beyond what the system says of its socket."""


class Receiver(Protocol):
    """Who is given the bytes of a stream. All methods are called by the event loop; none of them may wait."""

    def data_received(self, data: bytes) -> None:
        """Some bytes have come."""

    def stream_ended(self, error: Exception | None) -> None:
        """There is nothing more: the peer has closed, or the connection broke with this error. Called once."""

    def writing_resumed(self) -> None:
        """The stream takes bytes again."""


class ByteStream(asyncio.Protocol):
    """A connection of TCP, TLS or a Unix socket. It is read once it was given a receiver.

    Of what is written no more than 256 KiB wait here: then `can_write` is false, until the receiver hears `writing_resumed`.
    """

    def __init__(self) -> None:
        self.can_write = True
        self.is_open = True
        self._receiver: Receiver | None = None
        self._transport: asyncio.Transport | None = None
        self._early: list[bytes] = []
        self._error: Exception | None = None
        self._ended = asyncio.get_running_loop().create_future()

    async def upgrade(self) -> None:
        """The handshake of a stream that has one of its own, before everything else. Cancelling leaves the stream to be aborted.

        Raises:
            StreamError: the peer did not agree.
        """

    def start(self, receiver: Receiver) -> None:
        """Gives what is received to `receiver`, beginning with what has come already."""
        self._receiver = receiver
        early, self._early = self._early, []
        for data in early:
            if self._receiver is receiver:
                receiver.data_received(data)
        if not self.is_open:
            receiver.stream_ended(self._error)
        else:
            self.resume_reading()

    def write(self, data: bytes) -> None:
        """Writes some bytes; they are dropped where the stream has ended."""
        if self._transport is not None and self.is_open:
            self._transport.write(data)

    def close(self) -> None:
        """Ends the stream, once everything is written."""
        if self._transport is not None:
            self._transport.close()

    def end_writing(self) -> None:
        """Writes no more, and reads on, once everything is written. Where TLS knows no such thing the stream is closed."""
        if self._transport is None or not self.is_open:
            return
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()

    def abort(self) -> None:
        """Ends the stream now, and drops what is not written."""
        if self._transport is not None:
            self._transport.abort()

    async def wait_ended(self) -> None:
        """Waits until the stream has ended and its socket is closed."""
        await asyncio.shield(self._ended)

    def when_ended(self, callback: Callable[[], None]) -> None:
        """Calls this once the stream has ended."""
        self._ended.add_done_callback(lambda _: callback())

    @property
    def unwritten_len(self) -> int:
        """How many bytes wait to be written."""
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    def pause_reading(self) -> None:
        """Reads no more, so that the peer has to wait."""
        if self._transport is not None and self.is_open:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Reads on."""
        if self._transport is not None and self.is_open:
            self._transport.resume_reading()

    def extra(self, name: str) -> object:
        """What asyncio knows of the connection: ``peername``, ``socket``, ``ssl_object``."""
        return self._transport.get_extra_info(name) if self._transport is not None else None

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=_WRITE_BUFFER_LEN)

    def data_received(self, data: bytes) -> None:
        receiver = self._receiver
        if receiver is not None:
            receiver.data_received(data)
        else:
            # One read at most waits for a receiver.
            self._early.append(data)
            self.pause_reading()

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        self.can_write = False

    def resume_writing(self) -> None:
        self.can_write = True
        if self._receiver is not None and self.is_open:
            self._receiver.writing_resumed()

    def connection_lost(self, exc: Exception | None) -> None:
        self.end(exc)
        if not self._ended.done():
            self._ended.set_result(None)

    def end(self, error: Exception | None) -> None:
        """There is nothing more to read; the receiver hears of it once."""
        if not self.is_open:
            return
        self.is_open = False
        self._error = error
        if self._receiver is not None:
            self._receiver.stream_ended(error)
