"""Listening at an address: sockets that accept, and what is done with what they accept."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import stat
from collections.abc import Callable

from msip.transport.stream import ByteStream
from msip.url import Address

_BACKLOG = 1024
_TLS_SHUTDOWN = 1.0


class Listener:
    """A socket that listens. `address` has the port that the system has chosen."""

    def __init__(self, own: socket.socket, address: Address, identity: tuple[int, int] | None = None) -> None:
        self.address = address
        self._socket = own
        # Which file a Unix socket is: another one at its path is left alone.
        self._identity = identity

    @classmethod
    async def bind(cls, address: Address, mode: int) -> Listener:
        """Listens. `mode` is that of a Unix socket.

        Raises:
            OSError: what the system says, with a text.
        """
        if address.scheme == "unix":
            return cls._bind_unix(address, mode)
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, place = found[0]
        own = socket.socket(family, kind, protocol)
        try:
            own.setblocking(False)
            own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            own.bind(place)
            own.listen(_BACKLOG)
            port = int(own.getsockname()[1])
        except BaseException:
            own.close()
            raise
        return cls(own, Address(address.scheme, address.host, port, address.path))

    @classmethod
    def _bind_unix(cls, address: Address, mode: int) -> Listener:
        _remove_stale(address.path)
        own = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            own.setblocking(False)
            own.bind(address.path)
            # Nobody can connect before it listens.
            os.chmod(address.path, mode)
            status = os.stat(address.path)
            own.listen(_BACKLOG)
        except BaseException:
            own.close()
            raise
        return cls(own, address, (status.st_dev, status.st_ino))

    async def accept(self) -> socket.socket:
        """The next connection. Cancelling loses none but one that was accepted in the same moment."""
        accepted, _ = await asyncio.get_running_loop().sock_accept(self._socket)
        accepted.setblocking(False)
        return accepted

    def close(self) -> None:
        """Listens no more, and removes its own Unix socket."""
        self._socket.close()
        if self._identity is None:
            return
        path = self.address.path
        try:
            status = os.stat(path, follow_symlinks=False)
            if (status.st_dev, status.st_ino) == self._identity:
                os.unlink(path)
        except OSError:
            pass


async def upgrade(
    accepted: socket.socket, tls: ssl.SSLContext | None, factory: Callable[[], ByteStream], timeout: float
) -> ByteStream:
    """Makes a stream of an accepted connection, with the handshakes of TLS and of the stream. Whoever waits sets a limit.

    Cancelling closes the connection.

    Raises:
        OSError: the handshake of TLS failed.
        StreamError: the stream's own failed.
    """
    loop = asyncio.get_running_loop()
    try:
        if accepted.family != socket.AF_UNIX:
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is None:
            _, stream = await loop.connect_accepted_socket(factory, accepted)
        else:
            _, stream = await loop.connect_accepted_socket(
                factory, accepted, ssl=tls, ssl_handshake_timeout=timeout, ssl_shutdown_timeout=_TLS_SHUTDOWN
            )
    except BaseException:
        accepted.close()
        raise
    try:
        await stream.upgrade()
    except BaseException:
        stream.abort()
        raise
    return stream


def _remove_stale(path: str) -> None:
    """Removes what a server of the same user has left behind that was killed; anything else is left alone."""
    try:
        status = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(status.st_mode):
        raise OSError(f"{path} is not a socket, and is left alone")
    if status.st_uid != os.geteuid():
        raise OSError(f"{path} is the socket of another user, and is left alone")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            return
        except BlockingIOError:
            pass
    raise OSError(f"{path} is a socket at which somebody listens, and is left alone")
