"""Opening a stream to an address."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable
from functools import partial

from msip.errors import Code, ConnectError
from msip.transport.stream import ByteStream, StreamError, StreamInfo, UnixUser
from msip.transport.tls import in_words, names_of
from msip.url import Address, is_loopback

_TLS_SHUTDOWN = 1.0


async def open_stream(address: Address, tls: ssl.SSLContext | None, server_name: str | None) -> ByteStream:
    """Connects, and does the handshakes of TLS and WebSocket. Whoever waits sets a limit.

    Cancelling closes the connection.

    Raises:
        ConnectError: why it failed, and what to do.
    """
    loop = asyncio.get_running_loop()
    factory: Callable[[], ByteStream] = ByteStream
    if address.scheme in ("ws", "wss"):
        from msip.transport.websocket import ClientWebSocket  # late: few programs speak it

        factory = partial(ClientWebSocket, address.authority, address.path)
    name = server_name or address.host
    stream: ByteStream | None = None
    try:
        if address.scheme == "unix":
            _, stream = await loop.create_unix_connection(factory, address.path)
        elif tls is not None:
            _, stream = await loop.create_connection(
                factory,
                address.host,
                address.port,
                ssl=tls,
                server_hostname=name,
                ssl_shutdown_timeout=_TLS_SHUTDOWN,
            )
        else:
            _, stream = await loop.create_connection(factory, address.host, address.port)
        await stream.upgrade()
    except BaseException as error:
        if stream is not None:
            stream.abort()
        if isinstance(error, StreamError | OSError):
            raise failure(address, error, name) from error
        raise
    return stream


def failure(address: Address, error: Exception, server_name: str) -> ConnectError:
    """The error of a connection that could not be opened, or broke in its handshake."""
    if isinstance(error, ssl.SSLError):
        return ConnectError(
            Code.UNAVAILABLE, f"no TLS connection to {address}: {in_words(error, address.scheme, server_name)}"
        )
    if isinstance(error, ConnectionResetError | BrokenPipeError) and address.scheme in ("tls", "wss"):
        return ConnectError(
            Code.UNAVAILABLE,
            f"no TLS connection to {address}: the server closed the connection in the TLS handshake: it may not speak TLS",
        )
    if isinstance(error, ConnectionRefusedError):
        # What asyncio says of it is no text.
        return ConnectError(Code.UNAVAILABLE, f"cannot reach {address}: connection refused, so nobody listens there")
    if isinstance(error, OSError):
        why = error.strerror or str(error) or type(error).__name__
        return ConnectError(Code.UNAVAILABLE, f"cannot reach {address}: {why}")
    if isinstance(error, StreamError):
        return ConnectError(Code.UNAVAILABLE, f"cannot reach {address}: {error}")
    return ConnectError(Code.UNAVAILABLE, f"cannot reach {address}: {error!r}")


def describe(stream: ByteStream, scheme: str) -> StreamInfo:
    """What is known of a connection."""
    if scheme == "unix":
        path = _text(stream.extra("sockname")) or _text(stream.extra("peername"))
        return StreamInfo(path, path, is_confidential=True, credential=unix_user(stream.extra("socket")))
    local, peer = stream.extra("sockname"), stream.extra("peername")
    tls = stream.extra("ssl_object")
    is_local = isinstance(peer, tuple) and is_loopback(str(peer[0]))
    return StreamInfo(
        _text(local),
        _text(peer),
        is_confidential=tls is not None or is_local,
        credential=None if tls is None else names_of(tls),
    )


def unix_user(own: object) -> UnixUser | None:
    """Who has connected this Unix socket, where the system says so."""
    option = getattr(socket, "SO_PEERCRED", None)
    getsockopt = getattr(own, "getsockopt", None)
    if option is None or getsockopt is None:
        return None
    _, uid, gid = struct.unpack("3i", getsockopt(socket.SOL_SOCKET, option, struct.calcsize("3i")))
    return UnixUser(uid, gid)


def _text(address: object) -> str:
    if isinstance(address, tuple):
        host = f"[{address[0]}]" if ":" in str(address[0]) else address[0]
        return f"{host}:{address[1]}"
    return address.decode(errors="replace") if isinstance(address, bytes) else str(address or "")
