"""What one side says to the other: calls, messages and streams, over the session's connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from copy import copy
from typing import Any, Final

from msip.arguments import check_metadata, check_timeout
from msip.codec import BodyCodec
from msip.codec.keys import key_text
from msip.connection.clearing import Clearing, with_cleared, with_key
from msip.connection.driver import Driver
from msip.connection.failures import CallError
from msip.connection.response_stream import Items, ResponseStream
from msip.connection.waiting import ItemWaiters, SendQueue
from msip.errors import ClosedError, Code, MsipError, NotReadyError, Status
from msip.protocol import Kind, Member, Protocol, Shape, Side
from msip.record import record
from msip.session import DESCRIBE, Cause, events
from msip.settings import ConnectionSettings
from msip.wire.metadata import Metadata
from msip.wire.subscribe import Subscribe


class _Default(float):
    def __repr__(self) -> str:
        return "DEFAULT"


DEFAULT: Final[float] = _Default(-1)
"""The time limit of a call as the schema says, or else the setting `call_timeout`."""
_SCHEMA_DEFAULT = 30.0
_DESCRIBE = Member("schema description", DESCRIBE, None, Kind.COMMAND, Shape.CALL, answer=DESCRIBE, compress=False)


@record
class CallMetadata(Metadata):
    """Metadata of a call whose answer's metadata are of interest too: `answer` has them once the call has returned."""

    answer: Metadata | None = None


Requests = AsyncIterable[Any] | Iterable[Any]


def new_correlation_id() -> str:
    """The id of a chain of calls that begins."""
    import uuid  # late: few programs want one for each message

    return uuid.uuid4().hex


class Outbound:
    """Sends for one side of a session. What is sent first leaves first, by kind of exchange."""

    def __init__(self, driver: Driver, side: Side, protocol: Protocol, settings: ConnectionSettings) -> None:
        self.driver = driver
        self.codec: BodyCodec | None = None
        self.closed: MsipError | None = None
        """Why nothing can be sent any more."""
        self.topic = ""
        """To which everything is sent, where there is a broker between."""
        self.new_correlation_id: Callable[[], str] | None = None
        self._session = driver.session
        self._call_timeout = settings.call_timeout
        other = Side.SERVER if side is Side.CLIENT else Side.CLIENT
        self._answers = _by_number(protocol.sent_by(other))
        self._calls: dict[int, asyncio.Future[Any]] = {}
        self._streams: dict[int, Items] = {}
        self.item_waiters = ItemWaiters(driver)
        self._call_queue = SendQueue(driver, None)
        self._message_queue = SendQueue(driver, settings.write_timeout)
        self._pumps: set[asyncio.Task[None]] = set()
        driver.routes.update(
            {
                events.Answer: self._on_answer,
                events.AnswerItem: self._on_answer_item,
                events.AnswerEnd: self._on_answer_end,
                events.Failed: self._on_failed,
                events.Acknowledged: self._on_done,
                events.Pong: self._on_done,
                events.Subscribed: self._on_done,
                events.Writable: self._on_writable,
            }
        )

    def at(self, topic: str, protocol: Protocol | None = None) -> Outbound:
        """The same, to another topic, of another protocol: it shares everything but these, `codec` and `closed`."""
        other = copy(self)
        other.topic = topic
        if protocol is not None:
            other._answers = _by_number(protocol.server_to_client)
        return other

    # Calls and messages. Each of them checks, encodes and hands over without waiting where there is capacity.

    async def send(self, member: Member, message: Any, metadata: Metadata | None, topic: str | None = None) -> None:
        """Sends a one-way message, or a delivery and waits for its acknowledgment.

        Cancelling takes a message back that still waits for capacity; the acknowledgment of a delivery is not waited for.
        """
        if metadata is not None:
            check_metadata(metadata, Metadata)
        topic = self.topic if topic is None else topic
        if isinstance(metadata, Clearing):
            self.check_open()
            metadata = with_cleared(member, message, metadata)
            body, compressed = b"", False
        else:
            body, compressed = self._encode(member, message)
        key = metadata.key if metadata is not None else ""
        if member.key and not key and (topic or member.kind is Kind.STATE):
            key = key_text(member, message)
            if topic and key:
                metadata = with_key(metadata, key)
        session = self._session
        if not (self._message_queue.is_empty and session.can_send(member, len(body))):
            await self._message_queue.wait(lambda: session.can_send(member, len(body)), None)
            self.check_open()
        number = session.send(
            member,
            body,
            now=self.driver.loop.time(),
            compressed=compressed,
            metadata=self._with_correlation(metadata),
            topic=topic,
            key=key,
        )
        self.driver.wake()
        if member.shape is Shape.ACKNOWLEDGED:
            await self._outcome(number)

    def try_send(
        self, member: Member, body: bytes, compressed: bool, metadata: Metadata | None = None, key: str = ""
    ) -> bool:
        """Sends a one-way message that is encoded already, where that takes no wait. Returns whether it was accepted."""
        if self.closed is not None or not self._session.is_connected:
            return False
        if not (self._message_queue.is_empty and self._session.can_send(member, len(body))):
            return False
        try:
            self._session.send(
                member,
                body,
                now=self.driver.loop.time(),
                compressed=compressed,
                metadata=metadata,
                topic=self.topic,
                key=key,
            )
        except MsipError:
            # Larger than this one takes.
            return False
        self.driver.wake()
        return True

    async def call(self, member: Member, request: Any, timeout: float | None, metadata: Metadata | None) -> Any:
        """Calls, and returns the answer. Cancelling tells the other side, whose handler is cancelled."""
        timeout = self._time_limit(member, timeout)
        if isinstance(metadata, Clearing):
            with_cleared(member, request, metadata)
        answer = await self.exchange(member, request, timeout, metadata, None)
        return self._decode(member, answer.body, answer.compressed)

    async def exchange(
        self, member: Member, request: Any, timeout: float | None, metadata: Metadata | None, topic: str | None
    ) -> events.Answer:
        """Calls, and returns the answer as it came."""
        body, compressed = self._encode(member, request)
        topic = self.topic if topic is None else topic
        if topic and member.key:
            metadata = self._with_key(member, request, metadata)
        number = await self._open(member, body, compressed, timeout, metadata, topic)
        answer: events.Answer = await self._outcome(number)
        if metadata is not None and isinstance(metadata, CallMetadata):
            metadata.answer = answer.metadata
        return answer

    def decoded(self, member: Member, answer: events.Answer) -> Any:
        """The message of an answer."""
        return self._decode(member, answer.body, answer.compressed)

    async def describe(self, timeout: float) -> bytes:
        """Asks the other side for the description of its schema (docs/protocol.md, "Schema fingerprint").

        Raises:
            CallError: there is no answer, or none that can be used.
        """
        number = await self._open(_DESCRIBE, b"", False, timeout, None)
        answer: events.Answer = await self._outcome(number)
        if not answer.compressed:
            return answer.body
        # A broker may compress what it passes on.
        if not self.topic or self.codec is None:
            raise CallError(Status(Code.INTERNAL, "the answer is no description"), Cause.UNREADABLE)
        return self.codec.inflate(_DESCRIBE, answer.body)

    async def subscribe(self, topic: str, options: Subscribe | None, *, lasts: bool = True) -> events.Subscribed:
        """Subscribes to a topic, and waits until the broker has accepted that. One that `lasts` is made again in a new session.

        Raises:
            CallError: it has refused.
        """
        subscribed: events.Subscribed = await self._asked(
            lambda now: self._session.subscribe(topic, options, now=now, lasts=lasts)
        )
        return subscribed

    async def unsubscribe(self, topic: str) -> None:
        """Ends a subscription."""
        await self._asked(lambda now: self._session.unsubscribe(topic, now=now))

    async def _asked(self, ask: Callable[[float], int]) -> Any:
        """What a broker answers to a subscription."""
        while True:
            self.check_open()
            try:
                number = ask(self.driver.loop.time())
            except NotReadyError:
                await self._call_queue.wait(lambda: self._session.has_capacity, None)
            else:
                return await self.outcome(number)

    def call_stream(
        self,
        member: Member,
        request: Any,
        timeout: float | None,
        metadata: Metadata | None,
        ready: Callable[[], Awaitable[None]],
    ) -> ResponseStream[Any]:
        """Calls for a stream of answers, once it is read and `ready` has returned."""

        async def begin() -> Items:
            await ready()
            limit = self._time_limit(member, timeout)
            body, compressed = self._encode(member, request)
            more = self._with_key(member, request, metadata) if self.topic and member.key else metadata
            return await self._open_stream(member, body, compressed, limit, more)

        return ResponseStream(begin)

    async def send_stream(
        self, member: Member, requests: Requests, timeout: float | None, metadata: Metadata | None
    ) -> Any:
        """Calls with a stream of requests, and returns the answer; one that comes early ends the stream."""
        limit = self._time_limit(member, timeout)
        self.check_open()
        number = await self._open(member, b"", False, limit, metadata)
        pump = self._start_pump(number, member, requests, self._calls[number])
        try:
            answer: events.Answer = await self._outcome(number)
        finally:
            await _stopped(pump)
        if metadata is not None and isinstance(metadata, CallMetadata):
            metadata.answer = answer.metadata
        return self._decode(member, answer.body, answer.compressed)

    def call_both(
        self,
        member: Member,
        requests: Requests,
        timeout: float | None,
        metadata: Metadata | None,
        ready: Callable[[], Awaitable[None]],
    ) -> ResponseStream[Any]:
        """Calls with streams both ways, once the answers are read and `ready` has returned."""

        async def begin() -> Items:
            await ready()
            limit = self._time_limit(member, timeout)
            self.check_open()
            items = await self._open_stream(member, b"", False, limit, metadata)
            items.pump = self._start_pump(items.number, member, requests, None, items)
            return items

        return ResponseStream(begin)

    async def ping(self, data: bytes) -> float:
        """Asks whether the other side is there. Returns how long that took, in seconds."""
        self.check_open()
        number = self._session.ping(self.driver.loop.time(), data)
        self.driver.wake()
        pong: events.Pong = await self._outcome(number)
        return pong.round_trip

    async def outcome(self, number: int) -> Any:
        """What becomes of an operation that was begun by its owner, such as a subscription."""
        self.driver.wake()
        return await self._outcome(number)

    # What all of them need.

    def check_open(self) -> None:
        """Raises the reason for which nothing can be sent."""
        if self.closed is not None:
            raise self.closed

    def close(self, error: MsipError) -> None:
        """Nothing can be sent any more; who waits hears of it."""
        self.closed = error
        self._call_queue.fail(error)
        self._message_queue.fail(error)
        self.item_waiters.wake_all()

    def end(self) -> None:
        """Nothing more will come: everything that is still open fails."""
        error = self.closed or ClosedError(Code.UNAVAILABLE, "closed")
        for future in list(self._calls.values()):
            if not future.done():
                future.set_exception(error)
        self._calls.clear()
        for items in list(self._streams.values()):
            items.fail(error)
        self._streams.clear()
        for pump in self._pumps:
            pump.cancel()

    @property
    def tasks(self) -> set[asyncio.Task[None]]:
        """The tasks that send streams of requests; they end with their calls."""
        return self._pumps

    def _time_limit(self, member: Member, timeout: float | None) -> float | None:
        if timeout is DEFAULT:
            return self._call_timeout if member.timeout == _SCHEMA_DEFAULT else member.timeout
        if timeout is None and not (member.request_stream or member.response_stream):
            # Calls without streams have a limit; a day is as good as none.
            return 86_400.0
        if timeout is not None:
            check_timeout(timeout)
        return timeout

    def _with_key(self, member: Member, message: Any, metadata: Metadata | None) -> Metadata | None:
        """The metadata with the key that the schema names: a broker reads no bodies."""
        key = key_text(member, message)
        return with_key(metadata, key) if key else metadata

    def _with_correlation(self, metadata: Metadata | None) -> Metadata | None:
        if self.new_correlation_id is None or (metadata is not None and metadata.correlation_id):
            return metadata
        metadata = metadata or Metadata()
        metadata.correlation_id = self.new_correlation_id()
        return metadata

    def _encode(self, member: Member, message: Any) -> tuple[bytes, bool]:
        if self.closed is not None:
            raise self.closed
        codec = self.codec
        if codec is None:
            raise ClosedError(Code.UNAVAILABLE, "not connected: call connect(), or use `async with`")
        return codec.encode(member, message)

    def _decode(self, member: Member, body: bytes, compressed: bool) -> Any:
        assert self.codec is not None
        try:
            return self.codec.decode(self._answers.get(member.answer, member), body, compressed)
        except Status as status:
            self._session.count_unreadable(self.driver.loop.time())
            # The side that has sent it is at fault, whatever the reason.
            unreadable = Status(Code.INTERNAL, f"the answer cannot be read: {status.message}")
            raise CallError(unreadable, Cause.UNREADABLE) from status

    async def _open(
        self,
        member: Member,
        body: bytes,
        compressed: bool,
        timeout: float | None,
        metadata: Metadata | None,
        topic: str | None = None,
    ) -> int:
        """Begins a call, whose outcome comes by `_calls`."""
        if metadata is not None:
            check_metadata(metadata, Metadata)
        session, loop = self._session, self.driver.loop
        now = loop.time()
        if not (self._call_queue.is_empty and session.can_send(member, len(body))):
            deadline = None if timeout is None else now + timeout
            await self._call_queue.wait(lambda: session.can_send(member, len(body)), deadline)
            self.check_open()
            now = loop.time()
            timeout = None if deadline is None else max(deadline - now, 0.001)
        if self.new_correlation_id is not None:
            metadata = self._with_correlation(metadata)
        number = session.call(
            member,
            body,
            now=now,
            timeout=timeout,
            compressed=compressed,
            metadata=metadata,
            topic=self.topic if topic is None else topic,
        )
        if not member.response_stream:
            self._calls[number] = loop.create_future()
        self.driver.wake()
        return number

    async def _open_stream(
        self, member: Member, body: bytes, compressed: bool, timeout: float | None, metadata: Metadata | None
    ) -> Items:
        number = await self._open(member, body, compressed, timeout, metadata)
        items = Items(self, number, member)
        self._streams[number] = items
        return items

    async def _outcome(self, number: int) -> Any:
        future = self._calls.get(number)
        if future is None:
            future = self._calls[number] = self.driver.loop.create_future()
        try:
            return await future
        except asyncio.CancelledError:
            if not future.done() or future.cancelled():
                self._session.cancel(number, self.driver.loop.time())
                self.driver.wake()
            raise
        finally:
            self._calls.pop(number, None)

    # Streams of answers, for `Items`.

    def decode_answer(self, member: Member, event: events.AnswerItem) -> Any:
        """The message of an item."""
        return self._decode(member, event.body, event.compressed)

    def finished(self, number: int, size: int) -> None:
        """The reader of a stream is done with an item."""
        self._session.finished(number, 1, size)
        self.driver.wake()

    def cancel_stream(self, number: int) -> None:
        """Nobody reads this stream any more."""
        if self._streams.pop(number, None) is not None:
            self._session.cancel(number, self.driver.loop.time())
            self.driver.wake()

    # Streams of requests.

    def _start_pump(
        self,
        number: int,
        member: Member,
        requests: Requests,
        answer: asyncio.Future[Any] | None,
        items: Items | None = None,
    ) -> asyncio.Task[None]:
        pump = self.driver.loop.create_task(
            self._pump(number, member, requests, answer, items), name=f"msip: requests of {member.name}"
        )
        self._pumps.add(pump)
        pump.add_done_callback(self._pumps.discard)
        return pump

    async def _pump(
        self,
        number: int,
        member: Member,
        requests: Requests,
        answer: asyncio.Future[Any] | None,
        items: Items | None,
    ) -> None:
        """Sends the items of a stream of requests. Where their source fails, the call fails with that."""
        try:
            async for request in _each(requests):
                body, compressed = self._encode(member, request)
                if not await self.item_waiters.wait(number, len(body), self._is_open):
                    return
                self._session.item(number, body, compressed=compressed)
                self.driver.wake()
            if self._is_open(number):
                self._session.item(number, b"", True)
                self.driver.wake()
        except Exception as error:
            if not self._is_open(number):
                return
            self._session.cancel(number, self.driver.loop.time())
            self.driver.wake()
            if answer is not None and not answer.done():
                answer.set_exception(error)
            if items is not None:
                self._streams.pop(number, None)
                items.fail(error)

    def _is_open(self, number: int) -> bool:
        return number in self._calls or number in self._streams

    # What happens.

    def _on_answer(self, event: events.Answer) -> None:
        future = self._calls.get(event.id)
        if future is not None and not future.done():
            future.set_result(event)

    def _on_done(self, event: events.Acknowledged | events.Pong | events.Subscribed) -> None:
        future = self._calls.get(event.id)
        if future is not None and not future.done():
            future.set_result(event)

    def _on_answer_item(self, event: events.AnswerItem) -> None:
        items = self._streams.get(event.id)
        if items is not None:
            items.put(event)
        else:
            self._session.finished(event.id, 1, event.size)

    def _on_answer_end(self, event: events.AnswerEnd) -> None:
        items = self._streams.pop(event.id, None)
        self.item_waiters.wake(event.id)
        if items is not None:
            items.end(event.metadata)

    def _on_failed(self, event: events.Failed) -> None:
        error = CallError(event.status, event.cause)
        future = self._calls.get(event.id)
        if future is not None and not future.done():
            future.set_exception(error)
        items = self._streams.pop(event.id, None)
        if items is not None:
            items.fail(error)
        self.item_waiters.wake(event.id)

    def _on_writable(self, event: events.Writable) -> None:
        if event.id == 0:
            self._call_queue.wake_next()
            self._message_queue.wake_next()
        else:
            self.item_waiters.wake(event.id)


def _by_number(members: Iterable[Member]) -> dict[int, Member]:
    return {member.number: member for member in members}


async def _each(requests: Requests) -> AsyncIterator[Any]:
    if isinstance(requests, AsyncIterable):
        iterator = aiter(requests)
        try:
            async for request in iterator:
                yield request
        finally:
            # A generator that was not read to its end is closed here, and not whenever it is collected.
            close = getattr(iterator, "aclose", None)
            if close is not None:
                await close()
        return
    for request in requests:
        yield request


async def _stopped(task: asyncio.Task[None]) -> None:
    """Cancels a task of ours, and waits until it has ended."""
    task.cancel()
    await asyncio.wait([task])
