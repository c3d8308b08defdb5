"""The client: what generated clients derive from."""

from __future__ import annotations

import asyncio
import os
import ssl
from types import TracebackType
from typing import Any, ClassVar, Self

from msip.arguments import check_handler, check_settings
from msip.client.connection_info import ConnectionInfo
from msip.client.credential import Credential, CredentialSource
from msip.client.establish import Connector
from msip.client.handler import ClientHandler
from msip.client.schema_watch import SchemaWatch
from msip.client.supervisor import Supervisor
from msip.codec import BodyCodec
from msip.connection.driver import Driver
from msip.connection.inbound import Inbound
from msip.connection.outbound import DEFAULT, Outbound, Requests, new_correlation_id
from msip.connection.response_stream import ResponseStream
from msip.errors import ClosedError, Code, Status
from msip.protocol import Member, Protocol, Side
from msip.session import Session
from msip.session_settings import of_client
from msip.settings import ClientSettings
from msip.transport.tls import client_context
from msip.url import ServiceUrl, UrlError
from msip.wire.metadata import Metadata
from msip.wire.subscribe import Subscribe

_MAX_TOPIC_LEN = 234


class Client:
    """A client of a protocol, on asyncio; it belongs to the event loop on which it connects.

    ::

        async with ChatClient("tcp://127.0.0.1:7400", handler) as chat:
            print(await chat.connect_req(ConnectReq(user="ada")))

    It stays connected: after a loss it connects again by itself, and resumes its session. What is sent meanwhile fails at once;
    calls and deliveries that were under way go on.
    """

    protocol: ClassVar[Protocol]
    _codec_type: ClassVar[type[BodyCodec]] = BodyCodec

    def __init__(
        self,
        url: str,
        handler: ClientHandler[Any] | None = None,
        *,
        credential: Credential | None = None,
        settings: ClientSettings | None = None,
        tls: ssl.SSLContext | None = None,
        name: str = "",
        version: str = "",
    ) -> None:
        """Nothing is connected yet: that is `connect`, or ``async with``.

        `settings` of the URL win over these. `credential` goes out over confidential connections alone, unless `insecure` is set.
        `tls` replaces what the settings say of certificates. `name` and `version` are this program's, for the server's log.

        Raises:
            UrlError: the URL is not one of a service.
            SettingError: a setting cannot be used.
        """
        self._url = ServiceUrl.parse(url)
        check_topic(self._url.topic)
        scheme = self._url.address.scheme
        check_settings(settings, ClientSettings)
        self._settings = (settings or ClientSettings()).with_url(self._url.settings, scheme)
        if handler is not None:
            check_handler(handler, ClientHandler)
        self._handler = handler
        self._credential = CredentialSource(credential, self._settings)
        self._session_settings = of_client(self._settings, name, version)
        self._tls = tls
        if tls is None and scheme in ("tls", "wss"):
            self._tls = client_context(self._settings, scheme)
        self._info = ConnectionInfo()
        self._outbound: Outbound | None = None
        self._supervisor: Supervisor | None = None

    @property
    def connection(self) -> ConnectionInfo:
        """What is known of the connection."""
        return self._info

    async def connect(self) -> Self:
        """Connects for the first time and logs in; from then on the client stays connected, until `close`.

        Cancelling closes the client.

        Raises:
            ConnectError: the server cannot be reached, does not speak this protocol, or has refused.
        """
        if self._supervisor is not None:
            raise ClosedError(Code.FAILED_PRECONDITION, "the client was connected before: make another one")
        loop = asyncio.get_running_loop()
        protocol = self._spoken()
        session = Session.connect(protocol, self._session_settings, loop.time(), random=os.urandom)
        driver = Driver(session, self._settings.write_timeout)
        outbound = Outbound(driver, Side.CLIENT, protocol, self._settings)
        if self._url.topic:
            outbound.topic = f"{self._url.topic}/$in"
        if self._settings.correlation_ids:
            outbound.new_correlation_id = new_correlation_id
        inbound = self._inbound(driver, outbound)
        inbound.register()
        driver.on_flushed = inbound.go_on
        connector = Connector(driver, self._settings, self._credential, self._tls)
        self._outbound = outbound
        self._supervisor = Supervisor(
            self,
            protocol,
            self._codec_type,
            self._url,
            self._settings,
            self._handler,
            driver,
            connector,
            self._credential,
            outbound,
            inbound,
            self._info,
            self._url.topic,
            Subscribe(protocol=protocol.name, fingerprint=protocol.fingerprint, by_peer=True),
            self._watch(protocol, outbound),
        )
        await self._supervisor.start()
        return self

    async def close(self) -> None:
        """Says goodbye to the server, lets open calls finish within `drain_timeout`, and closes. Nothing is pending after it."""
        if self._supervisor is not None:
            await self._supervisor.close()

    async def ping(self, data: bytes = b"") -> float:
        """Asks whether the server is there. Returns the round trip, in seconds."""
        return await (await self._ready(None)).ping(data)

    async def __aenter__(self) -> Self:
        return await self.connect()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # What a client is made of.

    def _spoken(self) -> Protocol:
        """The protocol."""
        return self.protocol

    def _inbound(self, driver: Driver, outbound: Outbound) -> Inbound:
        """What handles what the server says."""
        return Inbound(driver, Side.CLIENT, self.protocol, self._handler, self, outbound.item_waiters)

    def _watch(self, protocol: Protocol, outbound: Outbound) -> SchemaWatch | None:
        """What compares the schema at the other end with the client's."""
        return SchemaWatch(protocol, outbound, self._info, self._settings.handshake_timeout)

    async def _subscription_lost(self, topic: str, status: Status) -> None:
        """The broker has ended a subscription."""

    # What generated methods call.

    async def _send(self, member: Member, message: Any, metadata: Metadata | None) -> None:
        await (await self._ready(self._settings.write_timeout)).send(member, message, metadata)

    async def _call(self, member: Member, request: Any, timeout: float | None, metadata: Metadata | None) -> Any:
        supervisor = self._supervisor
        if supervisor is None or supervisor.gate is not None:
            await self._ready(member.timeout if timeout is DEFAULT else timeout)
        assert self._outbound is not None
        return await self._outbound.call(member, request, timeout, metadata)

    def _call_stream(
        self, member: Member, request: Any, timeout: float | None, metadata: Metadata | None
    ) -> ResponseStream[Any]:
        return self._open().call_stream(member, request, timeout, metadata, self._pass)

    async def _send_stream(
        self, member: Member, requests: Requests, timeout: float | None, metadata: Metadata | None
    ) -> Any:
        return await (await self._ready(None)).send_stream(member, requests, timeout, metadata)

    def _call_both(
        self, member: Member, requests: Requests, timeout: float | None, metadata: Metadata | None
    ) -> ResponseStream[Any]:
        return self._open().call_both(member, requests, timeout, metadata, self._pass)

    def _open(self) -> Outbound:
        if self._outbound is None:
            raise ClosedError(Code.FAILED_PRECONDITION, "not connected: await connect(), or use `async with`")
        return self._outbound

    async def _pass(self) -> None:
        await self._ready(self._settings.call_timeout)

    async def _ready(self, timeout: float | None) -> Outbound:
        """Waits while somebody logs in."""
        outbound = self._open()
        supervisor = self._supervisor
        if supervisor is not None and supervisor.gate is not None:
            await supervisor.pass_gate(timeout)
        return outbound


def check_topic(topic: str) -> None:
    """Refuses a topic at which no client can speak (docs/broker.md, "Typed clients")."""
    reason = None
    if "+" in topic or "#" in topic:
        reason = "`+` and `#` are for filters, and a client speaks at one topic"
    elif any(level.startswith("$") for level in topic.split("/")):
        reason = "levels that begin with `$` are the broker's"
    elif len(topic.encode()) > _MAX_TOPIC_LEN:
        reason = f"it has {len(topic.encode())} bytes, and {_MAX_TOPIC_LEN} are allowed"
    if reason is not None:
        raise UrlError(f'a client cannot speak at the topic "{topic}": {reason}')
