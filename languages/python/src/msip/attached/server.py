"""A server that is a service of a broker's topic, or of all topics that a filter names."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Iterable
from typing import Any, Generic, Self, TypeVar, cast

from msip.arguments import check_handler, check_settings
from msip.attached.clients import Clients
from msip.client.client import check_topic
from msip.client.connection_info import ConnectionInfo
from msip.client.credential import Credential, CredentialSource
from msip.client.establish import Connector
from msip.client.supervisor import Supervisor
from msip.codec import BodyCodec
from msip.connection.driver import Driver
from msip.connection.outbound import Outbound, new_correlation_id
from msip.errors import ClosedError, Code, MsipError
from msip.protocol import Protocol, Side
from msip.server.broadcast import Audience
from msip.server.handler import ServerHandler
from msip.server.peer import Peer
from msip.server.server import Server
from msip.session import Session, events
from msip.session_settings import of_client
from msip.settings import ClientSettings
from msip.transport.tls import client_context
from msip.url import ServiceUrl, UrlError
from msip.wire.subscribe import SCHEMA_RULE_STRICT, Subscribe

P = TypeVar("P", bound=Peer)


class AttachedServer(Server[P], Generic[P]):
    """A server behind a broker; :meth:`msip.Server.attach` makes one.

    Each client that the broker introduces to this instance is a peer. What is different from a server that listens: docs/python.md,
    "Services behind a broker".
    """

    def __init__(
        self,
        url: str,
        handler: ServerHandler[P],
        *,
        credential: Credential | None = None,
        settings: ClientSettings | None = None,
        tls: ssl.SSLContext | None = None,
        name: str = "",
        version: str = "",
        strict_schema: bool = False,
    ) -> None:
        self._url = ServiceUrl.parse(url)
        _check_filter(self._url.topic)
        scheme = self._url.address.scheme
        check_settings(settings, ClientSettings)
        check_handler(handler, ServerHandler)
        self._client_settings = (settings or ClientSettings()).with_url(self._url.settings, scheme)
        self._credential = CredentialSource(credential, self._client_settings)
        self._session_settings = of_client(self._client_settings, name, version)
        self._session_settings.hears_presence = True
        self._tls = tls
        if tls is None and scheme in ("tls", "wss"):
            self._tls = client_context(self._client_settings, scheme)
        self._handler = handler
        self._is_strict = strict_schema
        self._info = ConnectionInfo()
        self._supervisor: Supervisor | None = None
        self._outbound: Outbound | None = None
        self._clients: Clients | None = None
        self._ended: asyncio.Future[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._refused: MsipError | None = None

    @property
    def connection(self) -> ConnectionInfo:
        """What is known of the connection to the broker."""
        return self._info

    @property
    def topic(self) -> str:
        """The topic that it serves, or the filter that names many."""
        return self._url.topic

    @property
    def urls(self) -> list[str]:
        """Where it serves: at its broker."""
        return [str(self._url.address)]

    @property
    def peers(self) -> list[P]:
        """The clients that this instance knows: those that have sent it something, or that it looks after."""
        return [cast(P, client.peer) for client in self._clients or ()]

    async def start(self) -> Self:
        """Connects to the broker, and serves from now on. After a loss it connects again by itself.

        Raises:
            ConnectError: the broker cannot be reached, or does not let it serve this topic.
        """
        if self._supervisor is not None:
            raise ClosedError(Code.FAILED_PRECONDITION, "the server was started before: make another one")
        loop = asyncio.get_running_loop()
        self._ended = loop.create_future()
        settings, own = self._client_settings, self.protocol
        session = Session.connect(_reversed(own), self._session_settings, loop.time(), random=os.urandom)
        driver = Driver(session, settings.write_timeout)
        self._outbound = outbound = Outbound(driver, Side.SERVER, own, settings)
        if settings.correlation_ids:
            outbound.new_correlation_id = new_correlation_id
        self._clients = clients = Clients(driver, outbound, own, self.peer_type, self._handler, settings)
        driver.on_flushed = clients.go_on
        self._supervisor = Supervisor(
            _Attachment(self),
            own,
            BodyCodec,
            self._url,
            settings,
            None,
            driver,
            Connector(driver, settings, self._credential, self._tls),
            self._credential,
            outbound,
            clients,
            self._info,
            f"{self.topic}/$in",
            Subscribe(
                protocol=own.name,
                fingerprint=own.fingerprint,
                by_peer=True,
                schema_rule=SCHEMA_RULE_STRICT if self._is_strict else 0,
            ),
        )
        connected = driver.routes[events.Connected]

        def on_connected(event: events.Connected) -> None:
            if not event.resumed:
                # Before the broker introduces the clients of the new session, who may be the same.
                clients.all_gone()
            connected(event)

        driver.routes[events.Connected] = on_connected
        await self._supervisor.start()
        self._supervisor.when_ended(self._end)
        return self

    async def serve_forever(self) -> None:
        """Waits until it is closed.

        Raises:
            ClosedError: the broker does not let it serve any longer.
        """
        if self._ended is None:
            await self.start()
        assert self._ended is not None
        await asyncio.shield(self._ended)
        if self._refused is not None:
            raise self._refused

    async def close(self) -> None:
        """Serves no more: the broker gives it nothing new, what has come is handled and answered within `drain_timeout`, and then the
        connection is closed. Nothing is pending after it."""
        if self._supervisor is None:
            return
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._close(), name="msip: end of a service")
        await asyncio.shield(self._closing)

    def reload_tls(self) -> None:
        """Nothing is read again here: the next connection reads its certificates with another client."""
        raise ClosedError(Code.FAILED_PRECONDITION, "a server behind a broker does not listen, and has no certificates")

    async def _close(self) -> None:
        assert self._supervisor is not None and self._outbound is not None and self._clients is not None
        if self._info.is_connected:
            try:
                async with asyncio.timeout(self._client_settings.drain_timeout):
                    await self._outbound.unsubscribe(f"{self.topic}/$in")
                    await self._clients.drained()
            except (TimeoutError, MsipError):
                # The rest is cancelled, or went with the connection.
                pass
        await self._supervisor.close()

    async def _withdrawn(self, status: MsipError) -> None:
        """The broker does not let it serve any longer."""
        self._refused = ClosedError(status.code, f"the broker lets it serve no longer: {status.message}")
        # This runs in a task that ends before the server does.
        self._closing = self._closing or asyncio.get_running_loop().create_task(
            self._close(), name="msip: end of a service"
        )

    def _end(self) -> None:
        if self._refused is None and self._closing is None:
            self._refused = self._info.closed
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    def _connected_but(self, but: Peer | None) -> Iterable[Audience]:
        return (client for client in self._clients or () if client.peer is not but)

    def _everyone(self) -> Iterable[Audience]:
        """The topic itself: the broker gives one message to all of its clients, whichever instance knows them. With a filter, the topics
        of the clients that this instance knows."""
        if self._outbound is None:
            return ()
        topics = [self.topic]
        if "+" in self.topic.split("/"):
            topics = list(dict.fromkeys(client.topic for client in self._clients or ()))
        return [_AtTopic(self._outbound.at(topic)) for topic in topics]


class _AtTopic:
    """All clients of a topic."""

    peer = None
    form = None

    def __init__(self, outbound: Outbound) -> None:
        self.outbound = outbound


class _Attachment:
    """What a supervisor tells of the subscription."""

    def __init__(self, server: AttachedServer[Any]) -> None:
        self._server = server

    async def _subscription_lost(self, topic: str, status: MsipError) -> None:
        await self._server._withdrawn(status)


def _reversed(protocol: Protocol) -> Protocol:
    """The protocol as a session of a service has it, which connects: what servers say is what it sends."""
    return Protocol(
        protocol.name,
        protocol.fingerprint,
        protocol.server_to_client,
        protocol.client_to_server,
        protocol.description,
    )


def _check_filter(topic: str) -> None:
    """Refuses what cannot be served."""
    if not topic:
        raise UrlError("the URL names no topic: append the one to serve, as in tcp://broker:9000/room1")
    check_topic("/".join("x" if level == "+" else level for level in topic.split("/")))


_TYPES: dict[type[Server[Any]], type[AttachedServer[Any]]] = {}


def attached_type(server: type[Server[Any]]) -> type[AttachedServer[Any]]:
    """The class of the servers of a protocol behind a broker: what generated code adds, on an `AttachedServer`."""
    attached = _TYPES.get(server)
    if attached is None:
        attached = type(f"Attached{server.__name__}", (AttachedServer, server), {"__doc__": AttachedServer.__doc__})
        _TYPES[server] = attached
    return attached
