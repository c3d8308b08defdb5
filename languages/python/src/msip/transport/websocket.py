"""A WebSocket as a stream of bytes: the client's end, over TCP or TLS (docs/protocol.md, "WebSocket")."""

from __future__ import annotations

import asyncio
import os

from msip.transport.stream import ByteStream
from msip.transport.websocket_frames import MAX_SENT_LEN, FrameReader, Opcode, ViolationError, write_frame
from msip.transport.websocket_upgrade import Upgrade, UpgradeError


class WebSocketStream(ByteStream):
    """Bytes as the payload of binary messages. `upgrade` comes before everything else."""

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._frames = FrameReader()
        self._upgrade: Upgrade | None = None
        self._upgraded: asyncio.Future[None] = self._loop.create_future()
        self._has_closed = False
        self._has_sent = self._has_received = False

    async def upgrade(self, authority: str, path: str) -> None:
        """Asks the server for a WebSocket.

        Raises:
            UpgradeError: the server did not agree.
        """
        self._upgrade = Upgrade(authority, path, os.urandom(16))
        super().write(self._upgrade.request)
        await self._upgraded

    def write(self, data: bytes) -> None:
        self._has_sent = True
        self._note_established()
        for start in range(0, len(data), MAX_SENT_LEN):
            part = data[start : start + MAX_SENT_LEN]
            super().write(write_frame(Opcode.BINARY, part, os.urandom(4)))

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
        for ping in self._frames.pongs:
            super().write(write_frame(Opcode.PONG, ping, os.urandom(4)))
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

    def _note_established(self) -> None:
        if self._has_sent and self._has_received:
            self._frames.establish()

    def _read_upgrade(self, data: bytes) -> None:
        if self._upgrade is None:
            # The server speaks first: it is no HTTP.
            self._upgrade = Upgrade("", "", b"")
        try:
            rest = self._upgrade.receive(data)
        except UpgradeError as error:
            self._upgraded.set_exception(error)
            self.abort()
            return
        if rest is not None:
            self._upgraded.set_result(None)
            if rest:
                self.data_received(rest)

    def _fail_upgrade(self, cause: Exception | None = None) -> None:
        if self._upgraded.done():
            return
        error = self._upgrade.cut() if self._upgrade is not None else UpgradeError("the server closed the connection")
        if cause is not None:
            error.__cause__ = cause
        self._upgraded.set_exception(error)

    def _send_close(self, status: int) -> None:
        if self._has_closed or not self._upgraded.done():
            return
        self._has_closed = True
        super().write(write_frame(Opcode.CLOSE, status.to_bytes(2), os.urandom(4)))
