"""The clients of a generated class that share a connection to a broker."""

from __future__ import annotations

from typing import Any, Self, TypeVar, cast

from msip.arguments import check_handler
from msip.broker.topic_client import TopicClient
from msip.broker.topic_clients import TopicClients
from msip.client.client import Client, check_topic
from msip.client.connection_info import ConnectionInfo
from msip.client.handler import ClientHandler
from msip.connection.outbound import Outbound
from msip.errors import ClosedError, Code
from msip.url import UrlError

__all__ = ["shared_client"]

C = TypeVar("C", bound=Client)


class SharedClient(Client):
    """A client of a connection that it does not own; :meth:`msip.BrokerConnection.client` makes one."""

    def __init__(self, clients: TopicClients, topic: str, handler: ClientHandler[Any] | None) -> None:
        if not topic:
            raise UrlError("a client of a shared connection needs a topic, such as room1")
        check_topic(topic)
        if handler is not None:
            check_handler(handler, ClientHandler)
        self._handler = handler
        self._settings = clients.settings
        self._info = ConnectionInfo(clients.info)
        self._clients = clients
        self._topic = topic
        self._at: TopicClient | None = None
        self._outbound = None
        self._supervisor = None

    async def connect(self) -> Self:
        """Subscribes and logs in; from then on the client stays at its topic, until `close`.

        Cancelling closes the client.

        Raises:
            ConnectError: the broker refuses it, a client of the connection is at the topic, or there is no connection.
        """
        if self._at is not None:
            raise ClosedError(Code.FAILED_PRECONDITION, "the client was connected before: make another one")
        clients = self._clients
        self._at = at = TopicClient(self, self.protocol, self._topic, self._handler, self._info, clients)
        self._outbound, self._supervisor = at.outbound, clients.supervisor
        await at.join()
        return self

    async def close(self) -> None:
        """Ends the subscription. What has come is handled, and calls that are open are answered, within `drain_timeout`; the other
        clients of the connection go on."""
        if self._at is not None:
            await self._at.close()

    async def _ready(self, timeout: float | None) -> Outbound:
        self._open().check_open()
        return await super()._ready(timeout)


_TYPES: dict[type[Client], type[SharedClient]] = {}


def shared_client(client: type[C], clients: TopicClients, topic: str, handler: ClientHandler[C] | None) -> C:
    """A client of this class: what generated code adds, on a `SharedClient`."""
    if getattr(client, "protocol", None) is None:
        raise TypeError(f"{client.__name__} has no protocol: a shared connection takes the clients of generated code")
    shared = _TYPES.get(client)
    if shared is None:
        shared = type(f"Shared{client.__name__}", (SharedClient, client), {"__doc__": SharedClient.__doc__})
        _TYPES[client] = shared
    return cast(C, shared(clients, topic, handler))
