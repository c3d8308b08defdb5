"""A client at a topic of a connection that it shares with others: what its `Client` stands for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Coroutine
from typing import Any
from typing import Protocol as TypingProtocol

from msip.attached.client import ClientWindow, PeerInbound
from msip.client.client import Client
from msip.client.connection_info import ConnectionInfo, ConnectionState
from msip.client.handler import ClientHandler, Reconnect
from msip.client.schema_watch import SchemaWatch
from msip.connection.driver import Driver
from msip.connection.outbound import Outbound
from msip.errors import ClosedError, Code, ConnectError, MsipError, Status
from msip.protocol import Protocol, Side
from msip.settings import ClientSettings
from msip.wire.subscribe import Subscribe, Subscribed

_log = logging.getLogger("msip")


class Owner(TypingProtocol):
    """The connection, for one of its clients."""

    @property
    def driver(self) -> Driver: ...

    @property
    def settings(self) -> ClientSettings: ...

    @property
    def login_limit(self) -> float:
        """How many seconds a client has to log in."""
        ...

    @property
    def sessions(self) -> int:
        """How many sessions there were before this one."""
        ...

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection, logged in or not."""
        ...

    async def pass_gate(self) -> None:
        """Waits while the others log in.

        Raises:
            MsipError: there is no connection.
        """

    def add(self, client: TopicClient) -> None:
        """A client takes its place.

        Raises:
            ConnectError: another one is there.
        """

    def remove(self, client: TopicClient) -> None:
        """A client has left."""

    async def unsubscribe(self, topic: str) -> None:
        """Ends a subscription; without a connection, once there is one."""

    def outbound_at(self, topic: str, protocol: Protocol) -> Outbound:
        """What sends to a topic."""
        ...

    def grant(self, topic: str, items: int, window: int) -> None:
        """A client has handled so many messages."""

    def forget_call(self, number: int) -> None:
        """A call is over."""

    def begin(self, work: Coroutine[Any, Any, None], what: str) -> asyncio.Task[None]:
        """Begins what ends before the connection does."""
        ...


class TopicClient:
    """Subscribes, lets the handler log in, and leaves."""

    def __init__(
        self,
        client: Client,
        protocol: Protocol,
        topic: str,
        handler: ClientHandler[Any] | None,
        info: ConnectionInfo,
        clients: Owner,
    ) -> None:
        self.topic = topic
        self.protocol = protocol
        self.info = info
        self.is_joined = False
        """Whether it has logged in, and logs in again with each connection."""
        self.outbound = clients.outbound_at(f"{topic}/$in", protocol)
        self.window = ClientWindow(lambda items, window: clients.grant(topic, items, window))
        self.inbound = PeerInbound(
            self.window,
            clients.forget_call,
            clients.driver,
            Side.CLIENT,
            protocol,
            handler,
            client,
            self.outbound.item_waiters,
        )
        self.inbound.codec = self.outbound.codec
        self._client = client
        self._handler: ClientHandler[Any] = handler if handler is not None else _NoHandler()
        self._clients = clients
        self._watch = SchemaWatch(protocol, self.outbound, info, clients.settings.handshake_timeout)
        # The session in which it is subscribed, by its number; -1 for none.
        self._subscribed_in = -1
        self._leaving: asyncio.Task[None] | None = None
        self._ended = clients.driver.loop.create_future()

    @property
    def is_leaving(self) -> bool:
        """Whether it is closed, or about to be."""
        return self.outbound.closed is not None

    @property
    def _is_subscribed(self) -> bool:
        return self._subscribed_in == self._clients.sessions

    async def join(self) -> None:
        """Subscribes and logs in for the first time.

        Raises:
            ConnectError: the broker refuses it, its login fails, or there is no connection.
        """
        clients = self._clients
        try:
            await clients.pass_gate()
            clients.add(self)
            sessions = -1
            while sessions != clients.sessions:
                # Another session that has begun meanwhile does not know of it.
                sessions = clients.sessions
                await self.log_in()
            self.is_joined = True
            self.info.state = ConnectionState.CONNECTED
            self.inbound.release()
        except MsipError as error:
            self.end(error)
            await self._ended
            raise error if isinstance(error, ConnectError) else ConnectError(error.code, error.message) from error
        except BaseException:
            self.end(ClosedError(Code.CANCELLED, "the attempt to connect was given up"))
            await self._ended
            raise

    async def log_in(self) -> None:
        """Subscribes, unless the session has the subscription, and lets the handler log in.

        Raises:
            MsipError: that was refused, has failed or took too long.
        """
        self.inbound.hold()
        limit = self._clients.login_limit
        self.info.follow()
        try:
            async with asyncio.timeout(limit):
                if not self._is_subscribed:
                    await self._subscribe()
                await self._handler.on_connected(self._client)
        except TimeoutError:
            text = f"`on_connected` did not return within {limit:g} s (setting `login_timeout`)"
            raise ConnectError(Code.DEADLINE_EXCEEDED, text) from None
        except MsipError:
            raise
        except Exception as error:
            _log.error("on_connected failed", exc_info=error)
            raise ConnectError(Code.INTERNAL, f"the login failed: {error!r}") from error
        self.outbound.check_open()

    async def _subscribe(self) -> None:
        own, sessions = self.protocol, self._clients.sessions
        options = Subscribe(protocol=own.name, fingerprint=own.fingerprint, by_peer=True, own_window=True)
        try:
            subscribed = await self.outbound.subscribe(self.topic, options, lasts=False)
        except Status as status:
            raise ConnectError(
                status.code, f'the broker refused the topic "{self.topic}": {status.message}'
            ) from status
        self._subscribed_in = sessions
        self._watch.topic_has(subscribed.service)

    # What becomes of the connection.

    async def disconnected(self, reason: Status) -> None:
        """The connection was lost or closed."""
        await self._tell(self._handler.on_disconnected(self._client, reason))

    async def session_lost(self) -> None:
        """Nothing of the session is left."""
        self.info.lost_sessions += 1
        await self._tell(self._handler.on_session_lost(self._client))

    async def connect_failed(self, error: ConnectError, attempt: int) -> None:
        """An attempt to connect again has failed."""
        if await self._asked(self._handler.on_connect_failure(self._client, error, attempt)) is Reconnect.STOP:
            self.end(ClosedError(error.code, f"the client has given up: {error.message}"))

    async def closed_by_server(self, status: Status) -> Reconnect | float:
        """The broker has closed the session."""
        return await self._asked(self._handler.on_closed_by_server(self._client, status), Reconnect.STOP)

    def give_up(self, error: MsipError) -> None:
        """It could not log in again: it is closed, and the others go on."""
        refused = error if isinstance(error, ConnectError) else ConnectError(error.code, error.message)
        _log.warning("a client of a shared connection is closed: %s: %s", self.topic, refused)
        self.end(ClosedError(error.code, error.message))
        self._clients.begin(self._failed(refused), "on_connect_failure")

    async def _failed(self, error: ConnectError) -> None:
        await self._asked(self._handler.on_connect_failure(self._client, error, 1))

    def topic_has(self, service: Subscribed) -> None:
        """A first service has come to the topic."""
        self._watch.topic_has(service)

    def subscription_ended(self, status: MsipError) -> None:
        """The broker has ended the subscription."""
        self._subscribed_in = -1
        self.end(status)

    # The end.

    async def close(self) -> None:
        """Ends the subscription; what has come is handled, and calls of both sides are answered, within `drain_timeout`."""
        if not self._ended.done() and self._leaving is None:
            self.outbound.closed = ClosedError(Code.UNAVAILABLE, "the client is closed")
            self._leaving = self._clients.begin(self._leave(self.outbound.closed), "end of a client")
        if asyncio.current_task() in self.inbound.tasks:
            # A handler closes its own client: that ends when it has returned.
            return
        await asyncio.shield(self._ended)

    def end(self, reason: MsipError) -> None:
        """It is over, and the others go on."""
        if self.info.closed is not None:
            return
        self._is_closed(reason)
        if self._leaving is None:
            self._leaving = self._clients.begin(self._stop(), "end of a client")

    async def _leave(self, reason: MsipError) -> None:
        try:
            async with asyncio.timeout(self._clients.settings.drain_timeout):
                await self._unsubscribe()
                if self.is_joined:
                    await self.inbound.drained()
                    if tasks := self.inbound.tasks:
                        await asyncio.wait(tasks)
        except (TimeoutError, MsipError):
            # The rest is cancelled, or went with the connection.
            pass
        self._is_closed(reason)
        await self._stop()

    def _is_closed(self, reason: MsipError) -> None:
        if self.info.closed is None:
            self.info.closed = reason
            self.info.state = ConnectionState.CLOSED
        if self.outbound.closed is None:
            self.outbound.closed = (
                reason if isinstance(reason, ClosedError) else ClosedError(reason.code, reason.message)
            )

    async def _unsubscribe(self) -> None:
        if self._is_subscribed:
            self._subscribed_in = -1
            await self._clients.unsubscribe(self.topic)

    async def _stop(self) -> None:
        try:
            await self.inbound.close(self._clients.settings.drain_timeout)
            if self._is_subscribed and self._clients.is_connected:
                await self._unsubscribe()
        except MsipError as error:
            _log.info("the subscription to %s was not ended: %s", self.topic, error)
        finally:
            self._watch.stop()
            if self._watch.tasks:
                await asyncio.wait(set(self._watch.tasks))
            self._clients.remove(self)
            if not self._ended.done():
                self._ended.set_result(None)

    # The handler's answers.

    async def _tell(self, told: Awaitable[None]) -> None:
        try:
            await told
        except Exception:
            _log.exception("a handler of the client failed")

    async def _asked(
        self, asked: Awaitable[Reconnect | float], otherwise: Reconnect = Reconnect.BACKOFF
    ) -> Reconnect | float:
        try:
            return await asked
        except Exception:
            _log.exception("a handler of the client failed")
            return otherwise


class _NoHandler(ClientHandler[Any]):
    """For a client that was given none."""
