"""The task of a client: connects, logs in, waits for the end of the connection, and connects again."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable
from typing import Any
from typing import Protocol as TypingProtocol

from msip.client.backoff import Backoff
from msip.client.connection_info import ConnectionInfo, ConnectionState
from msip.client.credential import CredentialSource
from msip.client.establish import Connector, ConnectRefusedError, Established
from msip.client.handler import ClientHandler, Reconnect
from msip.client.route import Route
from msip.client.schema_watch import SchemaWatch
from msip.codec import BodyCodec
from msip.connection.driver import Driver
from msip.connection.failures import not_sent
from msip.connection.outbound import Outbound
from msip.errors import ClosedError, Code, ConnectError, MsipError, Status
from msip.protocol import Protocol
from msip.session import events
from msip.settings import ClientSettings
from msip.url import ServiceUrl
from msip.wire.hello import SCHEMA_DESCRIPTION, Codec, Compression
from msip.wire.subscribe import Subscribe

_log = logging.getLogger("msip")

_LOGIN: contextvars.ContextVar[object] = contextvars.ContextVar("msip.login", default=None)
# What the server may say at the end of a session after which a client comes back by itself.
_COMES_BACK = (Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED)


class Subscriber(TypingProtocol):
    """Whose subscriptions they are."""

    async def _subscription_lost(self, topic: str, status: Status) -> None: ...


class Receiver(TypingProtocol):
    """What handles what comes: an `Inbound`, or many of them."""

    @property
    def codec(self) -> BodyCodec | None: ...

    @codec.setter
    def codec(self, codec: BodyCodec | None) -> None: ...

    def hold(self) -> None: ...

    def release(self) -> None: ...

    @property
    def tasks(self) -> set[asyncio.Task[None]]: ...

    async def close(self, time_limit: float) -> None: ...


class Supervisor:
    """Keeps a client connected. `gate` is `None` while anybody may send at once."""

    def __init__(
        self,
        client: Subscriber,
        protocol: Protocol,
        codec_type: type[BodyCodec],
        url: ServiceUrl,
        settings: ClientSettings,
        handler: ClientHandler[Any] | None,
        driver: Driver,
        connector: Connector,
        credential: CredentialSource,
        outbound: Outbound,
        inbound: Receiver,
        info: ConnectionInfo,
        topic: str | None,
        subscribe: Subscribe | None = None,
        watch: SchemaWatch | None = None,
    ) -> None:
        """Without a `topic` it is a connection to a broker whose clients name theirs; an empty one is for a direct connection."""
        self.gate: asyncio.Future[None] | None = driver.loop.create_future()
        self.info = info
        self._client = client
        self._protocol = protocol
        self._codec_type = codec_type
        self._topic = topic
        self._subscribe = subscribe
        self._settings = settings
        self._handler: ClientHandler[Any] = handler if handler is not None else _NoHandler()
        self._driver = driver
        self._connector = connector
        self._credential = credential
        self._outbound = outbound
        self._inbound = inbound
        self._route = Route(url, settings.address_order)
        self._backoff = Backoff(settings.reconnect_min, settings.reconnect_max, _drawn)
        self._task: asyncio.Task[None] | None = None
        self._disconnecting: asyncio.Task[None] | None = None
        self._telling: set[asyncio.Task[None]] = set()
        self._login: object = None
        self._is_stopping = False
        self._is_subscribed = False
        self._closed: events.Closed | None = None
        self._ended_with: Status | None = None
        self._watch = watch
        driver.routes[events.Closed] = self._on_closed
        driver.routes[events.Draining] = self._on_draining
        driver.routes[events.TransportDead] = driver.on_dead
        driver.routes[events.SubscriptionEnded] = self._on_subscription_ended
        driver.routes[events.TopicSpoken] = self._on_topic_spoken

    async def start(self) -> None:
        """Connects for the first time and logs in. Cancelling closes everything.

        Raises:
            ConnectError: why it failed.
        """
        first: asyncio.Future[None] = self._driver.loop.create_future()
        self._task = self._driver.loop.create_task(self._run(first), name=f"msip: client of {self._protocol.name}")
        try:
            await asyncio.shield(first)
        except BaseException:
            self._task.cancel()
            await asyncio.wait([self._task])
            raise

    def when_ended(self, call: Callable[[], None]) -> None:
        """Calls this once everything has ended."""
        if self._task is not None:
            self._task.add_done_callback(lambda _: call())

    async def close(self) -> None:
        """Says goodbye, lets open calls finish within `drain_timeout`, and ends everything."""
        task = self._task
        if task is None or task.done():
            return
        self._is_stopping = True
        if self.info.is_connected and self._driver.session.is_connected:
            self._driver.session.close(self._driver.now(), Code.UNAVAILABLE, "the client is closed")
            self._driver.wake()
        else:
            task.cancel()
        if asyncio.current_task() in self._inbound.tasks or (_LOGIN.get() is not None and _LOGIN.get() is self._login):
            # A handler closes its own client: that ends when it has returned.
            return
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait([task])
            raise

    async def pass_gate(self, timeout: float | None) -> None:
        """Waits while somebody else logs in.

        Raises:
            CallError: there is no connection, or the login takes longer than `timeout`.
            ClosedError: the client is closed.
        """
        self._outbound.check_open()
        gate = self.gate
        if gate is None or (self._login is not None and _LOGIN.get() is self._login):
            return
        if self._login is None:
            reason = self._ended_with
            text = (
                "not connected yet"
                if reason is None
                else f"there is no connection: the last one has ended with {reason}"
            )
            raise not_sent(Code.UNAVAILABLE, text)
        try:
            async with asyncio.timeout(timeout):
                await asyncio.shield(gate)
        except TimeoutError:
            raise not_sent(Code.DEADLINE_EXCEEDED, "the login (`on_connected`) was not done in time") from None
        self._outbound.check_open()

    # The task.

    async def _run(self, first: asyncio.Future[None]) -> None:
        reason: MsipError = ClosedError(Code.UNAVAILABLE, "the client is closed")
        try:
            reason = await self._supervise(first)
        except ConnectError as error:
            reason = error
            first.set_exception(error)
        except asyncio.CancelledError:
            pass
        except Exception as error:
            _log.exception("a fault in the client")
            reason = ClosedError(Code.INTERNAL, f"a fault in the client: {error!r}")
        finally:
            await self._end(reason)
            if not first.done():
                first.set_exception(reason)
            # Where nobody waits any more it is told by what is sent later.
            first.exception()

    async def _supervise(self, first: asyncio.Future[None]) -> MsipError:
        established = await self._establish()
        await self._log_in(established)
        first.set_result(None)
        while True:
            since = self._driver.loop.time()
            reason = await established.ended
            self._backoff.connected_for(self._driver.loop.time() - since)
            if self._is_stopping:
                # The server may close the connection first.
                reason = Status(Code.UNAVAILABLE, "the client is closed")
            self._is_disconnected(reason)
            if self._is_stopping:
                return ClosedError(Code.UNAVAILABLE, "the client is closed")
            wait = await self._after(reason)
            if wait is None:
                return ClosedError(reason.code, reason.message)
            connected = await self._reconnect(wait)
            if connected is None:
                return self.info.closed or ClosedError(Code.UNAVAILABLE, "the client has given up")
            established = connected

    def _is_disconnected(self, reason: Status) -> None:
        _log.info("disconnected: %s", reason)
        self._ended_with = reason
        self.gate = self._driver.loop.create_future()
        self.info.state = ConnectionState.RECONNECTING
        self._disconnecting = self._driver.loop.create_task(
            self._tell(self._handler.on_disconnected(self._client, reason)), name="msip: on_disconnected"
        )

    async def _after(self, reason: Status) -> float | None:
        """How long to wait after a connection; `None` is for ever."""
        closed, self._closed = self._closed, None
        if closed is None or not closed.by_peer:
            return self._backoff.next()
        if closed.code is Code.UNAVAILABLE:
            self._route.leave()
        if closed.code in _COMES_BACK or (closed.code is Code.UNAUTHENTICATED and self._credential.is_fresh):
            return self._backoff.next()
        if self._disconnecting is not None:
            await asyncio.wait([self._disconnecting])
        return await self._asked(self._handler.on_closed_by_server(self._client, reason), Reconnect.STOP)

    async def _reconnect(self, wait: float) -> Established | None:
        """Connects and logs in, or returns `None` where the handler gives up."""
        attempt = 0
        while True:
            await asyncio.sleep(wait)
            try:
                established = await self._establish()
                if self._disconnecting is not None:
                    await asyncio.wait([self._disconnecting])
                await self._log_in(established)
                return established
            except ConnectError as error:
                attempt += 1
                _log.warning("cannot connect (attempt %d): %s", attempt, error)
                asked = self._handler.on_connect_failure(self._client, error, attempt)
                answer = await self._asked(asked, Reconnect.BACKOFF)
                if answer is None:
                    self.info.closed = ClosedError(error.code, f"the client has given up: {error.message}")
                    return None
                wait = answer

    async def _establish(self) -> Established:
        """Tries each address once."""
        failures: list[ConnectError] = []
        for address in self._route.round():
            try:
                try:
                    established = await self._connector.connect(address)
                except ConnectRefusedError as error:
                    if error.code is not Code.UNAUTHENTICATED:
                        raise
                    if not self._credential.is_fresh:
                        self._give_session_up(error)
                        raise
                    # Once more, with a credential that was asked for anew.
                    try:
                        established = await self._connector.connect(address)
                    except ConnectRefusedError as again:
                        self._give_session_up(again)
                        raise
                self._is_established(established)
                return established
            except ConnectError as error:
                failures.append(error)
        if len(failures) == 1:
            raise failures[0]
        texts = "; ".join(str(error) for error in failures)
        raise ConnectError(failures[-1].code, f"cannot connect to any of {len(failures)} addresses: {texts}")

    def _give_session_up(self, error: ConnectError) -> None:
        """The session is another's by now, or the credential is wrong: another session is tried next."""
        session = self._driver.session
        if error.code is Code.UNAUTHENTICATED and not session.is_over:
            session.end(Status(error.code, error.message))
            self._closed = None
            self._driver.wake()

    def _is_established(self, established: Established) -> None:
        connected = established.connected
        welcome = connected.welcome
        codec = self._codec_type(
            Codec(welcome.codec),
            Compression(welcome.compression),
            max_body=self._settings.max_body,
            threshold=self._settings.compress_threshold,
            max_decoded=self._settings.max_decoded,
        )
        self._outbound.codec = self._inbound.codec = codec
        self._closed = None
        self.info.connected(welcome, established.address, established.is_confidential, connected.resumed)
        _log.info("connected to %s%s", established.address, " (resumed)" if connected.resumed else "")
        if not connected.resumed:
            self._is_subscribed = False
        if connected.session_lost:
            self.info.lost_sessions += 1
        if self._watch is not None and not (welcome.broker or connected.resumed):
            self._watch.compare(welcome.fingerprint, SCHEMA_DESCRIPTION in welcome.extensions)

    # Login.

    async def _log_in(self, established: Established) -> None:
        """Lets the handler log in, while everybody else waits.

        Raises:
            ConnectError: it failed, took too long, or the connection has ended.
        """
        self._check_broker(established)
        self._login = login = object()
        if self.gate is None or self.gate.done():
            self.gate = self._driver.loop.create_future()
        self._inbound.hold()
        context = contextvars.copy_context()
        context.run(_LOGIN.set, login)
        limit = self._settings.login_timeout
        task = self._driver.loop.create_task(
            self._logging_in(established.connected), name="msip: on_connected", context=context
        )
        try:
            either: list[asyncio.Future[Any]] = [task, established.ended]
            await asyncio.wait(either, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
            if established.ended.done():
                reason = established.ended.result()
                raise ConnectError(reason.code, f"the connection ended before `on_connected` had returned: {reason}")
            if not task.done():
                raise ConnectError(
                    Code.DEADLINE_EXCEEDED,
                    f"`on_connected` did not return within {limit:g} s (setting `login_timeout`)",
                )
            task.result()
        except ConnectError:
            self._leave()
            raise
        except MsipError as error:
            self._leave()
            raise ConnectError(error.code, f"the login failed: {error}") from error
        except Exception as error:
            self._leave()
            _log.error("on_connected failed", exc_info=error)
            raise ConnectError(Code.INTERNAL, f"the login failed: {error!r}") from error
        finally:
            task.cancel()
            await asyncio.wait([task])
            self._login = None
        self.info.state = ConnectionState.CONNECTED
        gate, self.gate = self.gate, None
        gate.set_result(None)
        self._inbound.release()

    async def _logging_in(self, connected: events.Connected) -> None:
        if self._topic and not self._is_subscribed:
            # This makes it again in a new session.
            session, now = self._driver.session, self._driver.now()
            number = session.subscribe(self._topic, self._subscribe, now=now, lasts=False)
            try:
                subscribed: events.Subscribed = await self._outbound.outcome(number)
            except Status as status:
                raise ConnectError(
                    status.code, f'the broker refused the topic "{self._topic}": {status.message}'
                ) from status
            self._is_subscribed = True
            if self._watch is not None:
                self._watch.topic_has(subscribed.service)
        if connected.session_lost:
            await self._handler.on_session_lost(self._client)
        await self._handler.on_connected(self._client)

    def _leave(self) -> None:
        """The login has failed: the connection is of no use."""
        if self._driver.stream is not None:
            self._driver.lose("the login failed")

    def _check_broker(self, established: Established) -> None:
        is_broker = established.connected.welcome.broker
        if is_broker == (self._topic != "") or self._protocol.is_open:
            return
        self._leave()
        address = established.address
        if is_broker:
            raise ConnectError(
                Code.FAILED_PRECONDITION,
                f"the server at {address} is a broker, and the URL names no topic: append the one at which"
                f" `{self._protocol.name}` is spoken, such as {address}?topic=room1",
            )
        if self._topic is None:
            raise ConnectError(Code.FAILED_PRECONDITION, f"the server at {address} is no broker, and has no topics")
        raise ConnectError(
            Code.FAILED_PRECONDITION,
            f'the URL names the topic "{self._topic}", and the server at {address} is no broker: leave the topic'
            " out to speak with it directly",
        )

    # The end.

    async def _end(self, reason: MsipError) -> None:
        """Ends everything; nothing is pending after it."""
        self.info.state = ConnectionState.CLOSED
        self.info.closed = reason
        self._outbound.close(reason)
        comparing: set[asyncio.Task[None]] = set()
        if self._watch is not None:
            self._watch.stop()
            comparing = self._watch.tasks
        session, driver = self._driver.session, self._driver
        if not session.is_over:
            session.end(Status(Code.UNAVAILABLE, "the client is closed"))
        driver.flush()
        driver.finish(Status(reason.code, reason.message))
        self._outbound.end()
        gate, self.gate = self.gate, driver.loop.create_future()
        if gate is not None and not gate.done():
            gate.set_result(None)
        waits_for = (self._disconnecting, *self._telling, *comparing, *self._outbound.tasks)
        others = [task for task in waits_for if task is not None]
        if others:
            await asyncio.wait(others, timeout=self._settings.drain_timeout)
            for task in others:
                task.cancel()
            await asyncio.wait(others)
        await self._inbound.close(self._settings.drain_timeout)
        await driver.closed()
        driver.stop()

    def _on_closed(self, event: events.Closed) -> None:
        self._closed = event
        self._driver.finish(Status(event.code, event.text))

    def _on_draining(self, event: events.Draining) -> None:
        _log.info("the server goes away: %s: %s", event.code.name, event.text)

    def _on_subscription_ended(self, event: events.SubscriptionEnded) -> None:
        _log.warning("the subscription to %s has ended: %s", event.topic, event.status)
        told = self._driver.loop.create_task(
            self._tell(self._client._subscription_lost(event.topic, event.status)), name="msip: on_subscription_lost"
        )
        self._telling.add(told)
        told.add_done_callback(self._telling.discard)

    def _on_topic_spoken(self, event: events.TopicSpoken) -> None:
        if self._watch is not None:
            self._watch.topic_has(event.service)

    # The handler's answers.

    async def _tell(self, told: Awaitable[None]) -> None:
        try:
            await told
        except Exception:
            _log.exception("a handler of the client failed")

    async def _asked(self, asked: Awaitable[Reconnect | float], otherwise: Reconnect) -> float | None:
        try:
            answer = await asked
        except Exception:
            _log.exception("a handler of the client failed")
            answer = otherwise
        if isinstance(answer, Reconnect):
            return self._backoff.next() if answer is Reconnect.BACKOFF else None
        return max(float(answer), 0.0)


class _NoHandler(ClientHandler[Any]):
    """For a client that was given none."""


def _drawn() -> float:
    from random import random  # late: a client that stays connected draws nothing

    return random()
