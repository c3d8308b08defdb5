"""A WebSocket as a stream of bytes, over TCP or TLS (docs/protocol.md, "WebSocket")."""

from __future__ import annotations

import asyncio
import os

from msip.transport.stream import ByteStream
from msip.transport.websocket_accept import Accepting, RefusedUpgradeError, UpgradeResponse
from msip.transport.websocket_frames import MAX_SENT_LEN, FrameReader, Opcode, ViolationError, write_frame
from msip.transport.websocket_request import UpgradeError, UpgradeRequest

# How long, and for how many bytes, a client that was refused is still read: a system takes back what it has not delivered where
# a connection is closed with bytes unread.
_LAST_BYTES = 1.0
_LAST_LEN = 256 * 1024


class WebSocketStream(ByteStream):
    """Bytes as the payload of binary messages, after the upgrade."""

    def __init__(self, *, is_client: bool) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._is_client = is_client
        self._frames = FrameReader(is_client=is_client)
        self._upgraded: asyncio.Future[None] = self._loop.create_future()
        self._has_closed = False
        self._has_sent = self._has_received = False

    def write(self, data: bytes) -> None:
        self._has_sent = True
        self._note_established()
        parts = (data[start : start + MAX_SENT_LEN] for start in range(0, len(data), MAX_SENT_LEN))
        super().write(b"".join([self._frame(Opcode.BINARY, part) for part in parts]))

    def close(self) -> None:
        self._send_close(1000)
        super().close()

    def data_received(self, data: bytes) -> None:
        if not self.is_open or self._has_closed:
            return
        if not self._upgraded.done():
            self._read_upgrade(data)
            return
        try:
            payload = self._frames.receive(data, self._loop.time())
        except ViolationError as error:
            self._send_close(error.status)
            super().close()
            self.end(error)
            return
        if self._frames.pongs:
            # A peer that reads none is owed none: they would wait here without end.
            if self.can_write:
                super().write(b"".join([self._frame(Opcode.PONG, ping) for ping in self._frames.pongs]))
            self._frames.pongs.clear()
        if payload:
            self._has_received = True
            self._note_established()
            super().data_received(payload)
        if self._frames.close is not None:
            # The end of input, as the end of the TCP connection is.
            self._send_close(1000)
            super().close()
            self.end(None)

    def eof_received(self) -> bool:
        self._fail_upgrade()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail_upgrade(exc)
        super().connection_lost(exc)

    def _read_upgrade(self, data: bytes) -> None:
        """Takes bytes that belong to the upgrade, and sets `_upgraded` once it has ended."""
        raise NotImplementedError

    def _cut_upgrade(self) -> Exception:
        """The error where the peer closes within the upgrade."""
        raise NotImplementedError

    def _fail_upgrade(self, cause: Exception | None = None) -> None:
        if self._upgraded.done():
            return
        error = self._cut_upgrade()
        if cause is not None:
            error.__cause__ = cause
        self._upgraded.set_exception(error)

    def _frame(self, opcode: Opcode, payload: bytes) -> bytes:
        return write_frame(opcode, payload, os.urandom(4) if self._is_client else b"")

    def _note_established(self) -> None:
        if self._has_sent and self._has_received:
            self._frames.establish()

    def _send_close(self, status: int) -> None:
        if self._has_closed or not self._upgraded.done():
            return
        self._has_closed = True
        super().write(self._frame(Opcode.CLOSE, status.to_bytes(2)))


class ClientWebSocket(WebSocketStream):
    """The client's end."""

    def __init__(self, authority: str, path: str) -> None:
        super().__init__(is_client=True)
        self._request = UpgradeRequest(authority, path, os.urandom(16))

    async def upgrade(self) -> None:
        """Asks the server for a WebSocket.

        Raises:
            UpgradeError: the server did not agree.
        """
        ByteStream.write(self, self._request.text)
        await self._upgraded

    def _read_upgrade(self, data: bytes) -> None:
        try:
            rest = self._request.receive(data)
        except UpgradeError as error:
            self._upgraded.set_exception(error)
            self.abort()
            return
        if rest is not None:
            self._upgraded.set_result(None)
            if rest:
                self.data_received(rest)

    def _cut_upgrade(self) -> Exception:
        return self._request.cut()


class ServerWebSocket(WebSocketStream):
    """The server's end."""

    def __init__(self, accepting: Accepting) -> None:
        super().__init__(is_client=False)
        self._response = UpgradeResponse(accepting)
        self._is_refused = False
        self._unread_len = 0

    async def upgrade(self) -> None:
        """Waits for the request, and answers it.

        Raises:
            RefusedUpgradeError: there is no WebSocket for it; it was told so, and the stream has ended.
        """
        try:
            await self._upgraded
        except RefusedUpgradeError as refused:
            await self._refuse(refused.answer)
            raise

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            self._unread_len += len(data)
            if self._unread_len > _LAST_LEN:
                self.abort()
            return
        super().data_received(data)

    async def _refuse(self, answer: bytes) -> None:
        ByteStream.write(self, answer)
        self.end_writing()
        try:
            async with asyncio.timeout(_LAST_BYTES):
                await self.wait_ended()
        except TimeoutError:
            self.abort()
            await self.wait_ended()

    def _read_upgrade(self, data: bytes) -> None:
        try:
            answer = self._response.receive(data)
        except RefusedUpgradeError as refused:
            self._is_refused = True
            self._upgraded.set_exception(refused)
            return
        if answer is not None:
            ByteStream.write(self, answer)
            self._upgraded.set_result(None)

    def _cut_upgrade(self) -> Exception:
        return self._response.cut()
