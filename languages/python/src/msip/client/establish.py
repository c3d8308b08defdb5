"""One attempt to connect: a stream, and the handshake of MSIP over it."""

from __future__ import annotations

import asyncio
import ssl

from msip.client.credential import CredentialSource
from msip.connection.driver import Driver
from msip.errors import Code, ConnectError, Status
from msip.record import record
from msip.session import events
from msip.settings import ClientSettings
from msip.transport.connect import describe, failure, open_stream
from msip.transport.stream import ByteStream
from msip.url import Address


class ConnectRefusedError(ConnectError):
    """The server has refused the client: its code and text are the server's."""


@record
class Established:
    """A connection whose handshake is done."""

    address: Address
    is_confidential: bool
    connected: events.Connected
    ended: asyncio.Future[Status]
    """Why the connection has ended, once it has."""


class Connector:
    """Connects a session, again and again."""

    def __init__(
        self, driver: Driver, settings: ClientSettings, credential: CredentialSource, tls: ssl.SSLContext | None
    ) -> None:
        self._driver = driver
        self._settings = settings
        self._credential = credential
        self._tls = tls
        self._handshake: asyncio.Future[events.Connected] | None = None
        driver.routes[events.Connected] = self._on_connected
        driver.routes[events.Refused] = self._on_refused

    async def connect(self, address: Address) -> Established:
        """Connects to one address. Cancelling closes the connection.

        Raises:
            ConnectError: why it failed.
        """
        limit = self._settings.connect_timeout
        try:
            async with asyncio.timeout(limit):
                credential = await self._credential.read()
                stream = await open_stream(address, self._tls, self._settings.server_name)
        except TimeoutError:
            raise ConnectError(Code.DEADLINE_EXCEEDED, f"{address} did not answer within {limit:g} s") from None
        info = describe(stream, address.scheme)
        if credential and not (info.is_confidential or self._settings.insecure):
            stream.abort()
            raise ConnectError(
                Code.FAILED_PRECONDITION,
                f"the connection to {address} is not confidential, and the credential was not sent: encrypt the connection,"
                " or set `insecure`",
            )
        connected, ended = await self._shake_hands(address, stream, credential)
        return Established(address, info.is_confidential, connected, ended)

    async def _shake_hands(
        self, address: Address, stream: ByteStream, credential: bytes
    ) -> tuple[events.Connected, asyncio.Future[Status]]:
        driver = self._driver
        handshake = self._handshake = driver.loop.create_future()
        driver.session.begin(driver.now(), credential=credential)
        ended = driver.attach(stream)
        try:
            await asyncio.wait([handshake, ended], return_when=asyncio.FIRST_COMPLETED)
            if handshake.done():
                return handshake.result(), ended
            raise self._not_connected(address, ended.result())
        except BaseException as error:
            if driver.stream is not None:
                driver.lose("the attempt to connect was given up")
            if isinstance(error, ConnectRefusedError):
                raise ConnectRefusedError(error.code, f"refused by {address}: {error.message}") from None
            raise
        finally:
            self._handshake = None

    def _not_connected(self, address: Address, reason: Status) -> ConnectError:
        """What came instead of a handshake, in words."""
        driver = self._driver
        first = driver.first
        if first[:1] in (b"\x15", b"\x16") and first[1:2] == b"\x03":
            return ConnectError(reason.code, f"{address} speaks TLS: connect to tls:// instead")
        if first.startswith(b"HTTP/"):
            return ConnectError(reason.code, f"{address} speaks MSIP over WebSocket: connect to ws:// instead")
        if driver.error is not None:
            return failure(address, driver.error, self._settings.server_name or address.host)
        return ConnectError(reason.code, f"{address} does not speak MSIP: {reason.message}")

    def _on_connected(self, event: events.Connected) -> None:
        if self._handshake is not None and not self._handshake.done():
            self._handshake.set_result(event)

    def _on_refused(self, event: events.Refused) -> None:
        if self._handshake is not None and not self._handshake.done():
            self._handshake.set_exception(ConnectRefusedError(event.code, event.text))
