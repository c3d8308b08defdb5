"""The clients that share a connection to a broker: what comes is sorted by its topic."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, Final

from msip.attached.sorter import Sorter
from msip.broker.topic_client import TopicClient
from msip.client.connection_info import ConnectionInfo
from msip.client.handler import ClientHandler, Reconnect
from msip.client.supervisor import Supervisor
from msip.connection.driver import Driver
from msip.connection.outbound import Outbound
from msip.errors import ClosedError, Code, ConnectError, MsipError, Status
from msip.protocol import Protocol
from msip.session import events
from msip.settings import ClientSettings

__all__ = ["LinkHandler", "TopicClients"]

_LOGIN_SHARE: Final = 7 / 8
"""How much of the time for logging in each client has, so that one that hangs does not end the attempt for all."""


class TopicClients(Sorter[TopicClient]):
    """The clients of one connection, each at its topic."""

    def __init__(self, driver: Driver, outbound: Outbound, info: ConnectionInfo, settings: ClientSettings) -> None:
        super().__init__(driver, outbound)
        self.supervisor: Supervisor
        self.driver = driver
        self.info = info
        self.settings = settings
        self.login_limit = settings.login_timeout * _LOGIN_SHARE
        self._by_topic: dict[str, TopicClient] = {}
        # Topics that were left while there was no connection.
        self._left: set[str] = set()

    @property
    def _endpoints(self) -> Iterable[TopicClient]:
        return self._by_topic.values()

    def _find(self, topic: str) -> TopicClient | None:
        return self._by_topic.get(topic.partition("/$to/")[0])

    # For a client.

    @property
    def sessions(self) -> int:
        """How many sessions there were before this one."""
        return self.info.lost_sessions

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection, logged in or not."""
        return self.driver.session.is_connected

    def outbound_at(self, topic: str, protocol: Protocol) -> Outbound:
        """What sends to a topic."""
        return self._outbound.at(topic, protocol)

    def grant(self, topic: str, items: int, window: int) -> None:
        """A client has handled so many messages."""
        self._grant(topic, "", items, window)

    def forget_call(self, number: int) -> None:
        """A call is over."""
        self._forget(number)

    def begin(self, work: Coroutine[Any, Any, None], what: str) -> asyncio.Task[None]:
        """Begins what ends before the connection does."""
        return self._begin(work, what)

    async def pass_gate(self) -> None:
        """Waits while the others log in.

        Raises:
            MsipError: there is no connection.
        """
        if self.supervisor.gate is not None:
            await self.supervisor.pass_gate(self.settings.login_timeout)

    def add(self, client: TopicClient) -> None:
        """A client takes its place.

        Raises:
            ConnectError: another one is there.
        """
        topic = client.topic
        if topic in self._by_topic:
            text = f'a client of this connection is at the topic "{topic}" already'
            raise ConnectError(Code.ALREADY_EXISTS, text)
        self._by_topic[topic] = client
        self._left.discard(topic)
        self.driver.session.speak_at(topic, client.protocol)

    def remove(self, client: TopicClient) -> None:
        """A client has left."""
        if self._by_topic.get(client.topic) is client:
            del self._by_topic[client.topic]
            self.driver.session.speak_at(client.topic, None)

    async def unsubscribe(self, topic: str) -> None:
        """Ends a subscription; without a connection, once there is one."""
        self._left.add(topic)
        await self._outbound.unsubscribe(topic)
        self._left.discard(topic)

    # What a supervisor does with an `Inbound`.

    def hold(self) -> None:
        """What comes waits, until `release`."""
        for client in self._endpoints:
            client.inbound.hold()

    def release(self) -> None:
        """What has waited is handled."""
        for client in self._endpoints:
            if client.is_joined:
                client.inbound.release()

    async def close(self, time_limit: float) -> None:
        """The connection is closed, and all of them with it."""
        reason = self.info.closed or ClosedError(Code.UNAVAILABLE, "the connection is closed")
        for client in list(self._endpoints):
            client.end(reason)
        await self._finish_work()

    def on_topic_spoken(self, event: events.TopicSpoken) -> None:
        """A first service has come to a topic."""
        client = self._by_topic.get(event.topic)
        if client is not None:
            client.topic_has(event.service)

    async def _subscription_lost(self, topic: str, status: Status) -> None:
        client = self._by_topic.get(topic)
        if client is not None:
            client.subscription_ended(status)

    # What becomes of the connection.

    @property
    def joined(self) -> list[TopicClient]:
        """Those that are there."""
        return [client for client in self._endpoints if client.is_joined and not client.is_leaving]

    async def connected(self) -> None:
        """There is a connection: each subscribes, in a new session, and logs in."""
        for topic in list(self._left):
            self._begin(self._told(self.unsubscribe(topic)), "end of a subscription")
        await asyncio.gather(*(self._log_in(client) for client in self.joined))

    def forget_session(self) -> None:
        """Nothing of the session is left."""
        self._left.clear()

    async def _log_in(self, client: TopicClient) -> None:
        try:
            await client.log_in()
        except MsipError as error:
            # Where the connection is lost again it is not this client's fault.
            if self.is_connected and not client.is_leaving:
                client.give_up(error)


class LinkHandler(ClientHandler[Any]):
    """What is told of the connection."""

    def __init__(self, clients: TopicClients) -> None:
        self._clients = clients

    async def on_connected(self, client: Any) -> None:
        await self._clients.connected()

    async def on_disconnected(self, client: Any, reason: Status) -> None:
        await asyncio.gather(*(each.disconnected(reason) for each in self._clients.joined))

    async def on_session_lost(self, client: Any) -> None:
        self._clients.forget_session()
        await asyncio.gather(*(each.session_lost() for each in self._clients.joined))

    async def on_connect_failure(self, client: Any, error: ConnectError, attempt: int) -> Reconnect | float:
        await asyncio.gather(*(each.connect_failed(error, attempt) for each in self._clients.joined))
        return Reconnect.BACKOFF

    async def on_closed_by_server(self, client: Any, status: Status) -> Reconnect | float:
        answers = await asyncio.gather(*(each.closed_by_server(status) for each in self._clients.joined))
        return next((answer for answer in answers if answer is not Reconnect.STOP), Reconnect.STOP)
