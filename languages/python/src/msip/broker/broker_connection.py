"""One connection to a broker, by which many clients speak, each its protocol, at its topic."""

from __future__ import annotations

import asyncio
import os
import ssl
from types import TracebackType
from typing import Final, Self, TypeVar

from msip.arguments import check_settings
from msip.broker.shared_client import shared_client
from msip.broker.topic_clients import LinkHandler, TopicClients
from msip.client.client import Client
from msip.client.connection_info import ConnectionInfo
from msip.client.credential import Credential, CredentialSource
from msip.client.establish import Connector
from msip.client.handler import ClientHandler
from msip.client.supervisor import Supervisor
from msip.codec import BodyCodec
from msip.connection.driver import Driver
from msip.connection.outbound import Outbound, new_correlation_id
from msip.errors import ClosedError, Code
from msip.protocol import Protocol, Side
from msip.session import Session, events
from msip.session_settings import of_client
from msip.settings import ClientSettings
from msip.transport.tls import client_context
from msip.url import ServiceUrl, UrlError

__all__ = ["BrokerConnection"]

_BROKER: Final = Protocol("msip.broker.v1", 0, (), ())
"""What the broker itself speaks: each client has its own protocol."""

C = TypeVar("C", bound=Client)


class BrokerConnection:
    """A connection to a broker for many clients, on asyncio; it belongs to the event loop on which it connects.

    ::

        async with msip.BrokerConnection("tcp://broker.example.org:9000") as broker:
            async with broker.client(ChatClient, "room1", Screen()) as chat:
                fleet = await broker.client(FleetClient, "devices/17").connect()

    When it is lost it is made again, and its session resumed; in a new session each client subscribes again, and then the
    `on_connected` of each is called. Until all have returned the sends of all wait. A client whose topic is refused then, or whose
    `on_connected` fails, is closed, and the others go on.
    """

    def __init__(
        self,
        url: str,
        *,
        credential: Credential | None = None,
        settings: ClientSettings | None = None,
        tls: ssl.SSLContext | None = None,
        name: str = "",
        version: str = "",
    ) -> None:
        """Nothing is connected yet: that is `connect`, or ``async with``. All of it is as of :class:`msip.Client`.

        Raises:
            UrlError: the URL is not one of a service, or names a topic: the clients name theirs.
            SettingError: a setting cannot be used.
        """
        self._url = ServiceUrl.parse(url)
        if self._url.topic:
            raise UrlError(f'the URL names the topic "{self._url.topic}": leave it out, the clients name their topics')
        scheme = self._url.address.scheme
        check_settings(settings, ClientSettings)
        self._settings = (settings or ClientSettings()).with_url(self._url.settings, scheme)
        self._credential = CredentialSource(credential, self._settings)
        self._session_settings = of_client(self._settings, name, version)
        self._tls = tls
        if tls is None and scheme in ("tls", "wss"):
            self._tls = client_context(self._settings, scheme)
        self._info = ConnectionInfo()
        self._clients: TopicClients | None = None

    @property
    def connection(self) -> ConnectionInfo:
        """What is known of the connection."""
        return self._info

    async def connect(self) -> Self:
        """Connects for the first time; from then on it stays connected, until `close`. Cancelling closes it.

        Raises:
            ConnectError: the broker cannot be reached, is none, or has refused.
        """
        if self._clients is not None:
            raise ClosedError(Code.FAILED_PRECONDITION, "it was connected before: make another one")
        loop = asyncio.get_running_loop()
        settings = self._settings
        session = Session.connect(_BROKER, self._session_settings, loop.time(), random=os.urandom)
        driver = Driver(session, settings.write_timeout)
        outbound = Outbound(driver, Side.CLIENT, _BROKER, settings)
        if settings.correlation_ids:
            outbound.new_correlation_id = new_correlation_id
        self._clients = clients = TopicClients(driver, outbound, self._info, settings)
        driver.on_flushed = clients.go_on
        clients.supervisor = Supervisor(
            clients,
            _BROKER,
            BodyCodec,
            self._url,
            settings,
            LinkHandler(clients),
            driver,
            Connector(driver, settings, self._credential, self._tls),
            self._credential,
            outbound,
            clients,
            self._info,
            None,
        )
        driver.routes[events.TopicSpoken] = clients.on_topic_spoken
        await clients.supervisor.start()
        return self

    def client(self, client: type[C], topic: str, handler: ClientHandler[C] | None = None) -> C:
        """A client of a generated class, such as `ChatClient`, at a topic. It is subscribed and logged in by its `connect`, or
        ``async with``. The connection has one client at a topic.

        Raises:
            UrlError: no client can speak at the topic.
            ClosedError: there was no `connect` of this connection.
        """
        if self._clients is None:
            raise ClosedError(Code.FAILED_PRECONDITION, "not connected: await connect(), or use `async with`")
        return shared_client(client, self._clients, topic, handler)

    async def close(self) -> None:
        """Closes the connection, and all of its clients with it: open calls may finish within `drain_timeout`."""
        if self._clients is not None:
            await self._clients.supervisor.close()

    async def __aenter__(self) -> Self:
        return await self.connect()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
