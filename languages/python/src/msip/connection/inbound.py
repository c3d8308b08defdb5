"""What the other side says, given to a handler: messages one after the other, calls at the same time."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from types import CoroutineType
from typing import Any, cast

from msip.arguments import check_awaitable
from msip.codec import BodyCodec
from msip.codec.keys import cleared_state
from msip.connection.driver import Driver
from msip.connection.request_stream import RequestStream
from msip.connection.waiting import ItemWaiters
from msip.context import Context
from msip.errors import Code, MsipError, Status
from msip.protocol import Member, Protocol, Side
from msip.session import events

_log = logging.getLogger("msip")

# After so many messages without a wait, other tasks have their turn.
_MESSAGES_AT_ONCE = 64


class _OpenCall:
    """A call of the other side that was not answered yet."""

    __slots__ = ("is_cancelled", "requests", "task")

    def __init__(self, requests: RequestStream[Any] | None) -> None:
        self.requests = requests
        self.task: asyncio.Task[None] | None = None
        self.is_cancelled = False


class Inbound:
    """Handles what a session receives. Its tasks are those of the handlers that run; `close` ends them."""

    def __init__(
        self, driver: Driver, side: Side, protocol: Protocol, handler: object, peer: object, item_waiters: ItemWaiters
    ) -> None:
        self.codec: BodyCodec | None = None
        self._driver = driver
        self._session = driver.session
        self._handler = handler
        self._peer = peer
        self._item_waiters = item_waiters
        self._answers = {member.number: member for member in protocol.sent_by(side)}
        self._inbox: deque[events.Message | events.Request] = deque()
        self._open: dict[int, _OpenCall] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._worker: asyncio.Task[None] | None = None
        self._is_held = False
        self._is_closed = False
        self._refusal: Status | None = None

    def register(self) -> None:
        """Handles everything that the session receives."""
        self._driver.routes.update(
            {
                events.Message: self.on_message,
                events.Request: self.on_request,
                events.RequestItem: self.on_request_item,
                events.RequestEnd: self.on_request_end,
                events.Cancelled: self.on_cancelled,
            }
        )

    def hold(self) -> None:
        """What comes waits, until `release`."""
        self._is_held = True

    def release(self) -> None:
        """What has waited is handled."""
        self._is_held = False
        self.go_on()

    def refuse(self, status: Status) -> None:
        """What has waited, and whatever comes yet, is refused with this."""
        self._refusal = status
        while self._inbox:
            self._refuse(self._inbox.popleft(), status)

    def go_on(self) -> None:
        """Begins what waits, where it may."""
        if self._inbox and self._worker is None and not self._is_held and self._session.may_begin_handler:
            self._worker = self._driver.loop.create_task(self._work(), name="msip: messages")
            self._worker.add_done_callback(self._worked)

    @property
    def tasks(self) -> set[asyncio.Task[None]]:
        """The handlers that run."""
        return self._tasks | ({self._worker} if self._worker is not None else set())

    async def close(self, time_limit: float) -> None:
        """Waits for the handlers that run, and cancels those that take longer. Nothing begins any more."""
        self._is_closed = True
        self._inbox.clear()
        tasks = self.tasks
        current = asyncio.current_task()
        tasks.discard(current)
        if not tasks:
            return
        try:
            _, late = await asyncio.wait(tasks, timeout=time_limit)
            if late:
                _log.warning("%d handlers did not end within %g s and were cancelled", len(late), time_limit)
        finally:
            for task in tasks:
                task.cancel()
        await asyncio.wait(tasks)

    # What happens.

    def on_message(self, event: events.Message) -> None:
        """A one-way message or a delivery has come."""
        if self._refusal is not None:
            self._refuse(event, self._refusal)
            return
        if not self._is_wanted(event):
            self._taken(event)
            return
        self._inbox.append(event)
        self.go_on()

    def _is_wanted(self, event: events.Message) -> bool:
        """Whether it is not what the broker says itself, or nobody asked for."""
        return not event.topic.startswith("$") and (self._handler is not None or event.delivery)

    def on_request(self, event: events.Request) -> None:
        """A call begins."""
        if self._refusal is not None:
            self._refuse(event, self._refusal)
            return
        requests: RequestStream[Any] | None = None
        member = event.member
        if member.request_stream:
            requests = RequestStream(
                self._driver, event.id, lambda body, compressed: self._decode(member, body, compressed)
            )
            if event.body:
                requests.put(events.RequestItem(event.id, event.body, event.compressed, len(event.body)))
            if not event.streaming:
                requests.complete()
        self._open[event.id] = _OpenCall(requests)
        if self._inbox or self._worker is not None or self._is_held or not self._session.may_begin_handler:
            self._inbox.append(event)
        else:
            self._begin_call(event)

    def on_request_item(self, event: events.RequestItem) -> None:
        """An item of a call has come."""
        call = self._open.get(event.id)
        if call is not None and call.requests is not None:
            call.requests.put(event)
        else:
            self._session.finished(event.id, 1, event.size)

    def on_request_end(self, event: events.RequestEnd) -> None:
        """A stream of requests is complete."""
        call = self._open.get(event.id)
        if call is not None and call.requests is not None:
            call.requests.complete()

    def on_cancelled(self, event: events.Cancelled) -> None:
        """The caller has given a call up."""
        call = self._open.get(event.id)
        if call is None:
            return
        call.is_cancelled = True
        if call.requests is not None:
            call.requests.cancel()
        if call.task is not None:
            call.task.cancel()

    # Messages, one after the other; a call begins when the handlers of all earlier messages have returned.

    async def _work(self) -> None:
        handled = 0
        while self._inbox and not self._is_held and self._session.may_begin_handler:
            event = self._inbox.popleft()
            if isinstance(event, events.Message):
                await self._handle(event)
            else:
                self._begin_call(event)
            handled += 1
            if handled % _MESSAGES_AT_ONCE == 0:
                await asyncio.sleep(0)

    def _worked(self, _: asyncio.Task[None]) -> None:
        self._worker = None
        if not self._is_closed:
            self.go_on()

    async def _handle(self, event: events.Message) -> None:
        session, member = self._session, event.member
        status: Status | None = None
        try:
            context = Context(self._peer, member, event.metadata, None, 0.0, event.topic)
            if event.body:
                message = self._decode(member, event.body, event.compressed)
                handled = self._handled(member, message, context)
                if handled.__class__ is not CoroutineType:
                    check_awaitable(member, handled)
                await handled
            else:
                await self._cleared(member, context)
        except Exception as error:
            status = self._status(member, error)
            if not event.delivery:
                _log.warning("%s was not handled: %s", member.name, status)
        finally:
            if event.delivery:
                if status is None:
                    session.acknowledge(event.id)
                else:
                    session.fail(event.id, status)
            self._taken(event)
            self._driver.wake()

    def _refuse(self, event: events.Message | events.Request, status: Status) -> None:
        if isinstance(event, events.Request):
            self._finish(event.id, status)
            return
        if event.delivery:
            self._session.fail(event.id, status)
        self._taken(event)
        self._driver.wake()

    def _taken(self, event: events.Message) -> None:
        """A message is handled: its sender may send another one."""
        self._session.finished(0, 1, event.size)

    # Calls.

    def _begin_call(self, event: events.Request) -> None:
        call = self._open.get(event.id)
        if call is None:
            return
        if call.is_cancelled or self._is_closed:
            self._finish(event.id, Status(Code.CANCELLED, "the caller has given the call up"))
            return
        task = _start(self._driver.loop, self._serve(event, call))
        if not task.done():
            call.task = task
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, event: events.Request, call: _OpenCall) -> None:
        member = event.member
        status: Status | None = None
        try:
            request = call.requests
            if request is None:
                request = self._decode(member, event.body, event.compressed, event.id)
            context = Context(self._peer, member, event.metadata, event.deadline, self._driver.loop.time(), event.topic)
            answered = self._handled(member, request, context)
            if member.response_stream:
                await self._send_items(event.id, member, answered)
                self._session.answer_end(event.id, context.answer_metadata())
            else:
                if answered.__class__ is not CoroutineType:
                    check_awaitable(member, answered)
                self._answer(event.id, member, await answered, context)
        except asyncio.CancelledError:
            if not call.is_cancelled:
                status = Status(Code.UNAVAILABLE, "the handler was stopped")
                raise
            status = Status(Code.CANCELLED, "the caller has given the call up")
        except Exception as error:
            status = self._status(member, error)
        finally:
            self._finish(event.id, status)

    def _answer(self, number: int, member: Member, answer: Any, context: Context[Any]) -> None:
        """Answers a call with what its handler has returned."""
        body, compressed = self._encode(member, answer)
        self._session.answer(number, body, context.answer_metadata(), compressed=compressed)

    def _finish(self, number: int, status: Status | None) -> None:
        call = self._open.pop(number, None)
        if status is not None:
            self._session.fail(number, status)
        if call is not None and call.requests is not None:
            call.requests.cancel()
        self._driver.wake()

    async def _send_items(self, number: int, member: Member, answered: Any) -> None:
        iterator: AsyncIterator[Any] = await answered if asyncio.iscoroutine(answered) else answered
        try:
            async for item in iterator:
                body, compressed = self._encode(member, item)
                if not await self._item_waiters.wait(number, len(body), self._is_open):
                    return
                self._session.answer_item(number, body, compressed=compressed)
                self._driver.wake()
        finally:
            close = getattr(iterator, "aclose", None)
            if close is not None:
                await close()

    def _is_open(self, number: int) -> bool:
        call = self._open.get(number)
        return call is not None and not call.is_cancelled

    # Bodies and errors.

    def _handled(self, member: Member, message: Any, context: Context[Any]) -> Any:
        """What the handler's method returns; that of a member that carries nothing takes the context alone."""
        method = self._method(member)
        if member.message is None and not member.request_stream:
            return method(context)
        return method(message, context)

    async def _cleared(self, member: Member, context: Context[Any]) -> None:
        """A STATE is set no longer."""
        state = cleared_state(member, context.metadata.cleared)
        if self._handler is None:
            raise Status(Code.UNIMPLEMENTED, f"there is no handler for {member.name} here")
        # Handlers of both sides have it.
        await cast(Any, self._handler).on_state_cleared(state, context)

    def _method(self, member: Member) -> Callable[..., Any]:
        if self._handler is None:
            raise Status(Code.UNIMPLEMENTED, f"there is no handler for {member.name} here")
        method: Callable[..., Any] = getattr(self._handler, member.handler)
        return method

    def _decode(self, member: Member, body: bytes, compressed: bool, call: int = 0) -> Any:
        assert self.codec is not None
        if compressed:
            body = self._inflate(member, body, call)
        try:
            return self.codec.decode(member, body, False)
        except Status:
            self._session.count_unreadable(self._driver.loop.time())
            raise

    def _inflate(self, member: Member, body: bytes, call: int) -> bytes:
        """Inflates a body. The request of a call counts with what it is then."""
        assert self.codec is not None
        try:
            inflated = self.codec.inflate(member, body)
        except Status:
            self._session.count_unreadable(self._driver.loop.time())
            raise
        if call:
            self._session.grow_request(call, len(inflated))
        return inflated

    def _encode(self, member: Member, answer: Any) -> tuple[bytes, bool]:
        assert self.codec is not None
        answers = self._answers[member.answer]
        if answers.message is not None and not isinstance(answer, answers.message):
            raise TypeError(f"{member.handler} has to answer with a {answers.message.__name__}, not {answer!r:.80}")
        try:
            return self.codec.encode(answers, answer)
        except Status as status:
            _log.error("%s failed: %s", member.handler, status.message)
            raise

    def _status(self, member: Member, error: Exception) -> Status:
        """What the other side is told of an error of a handler: of faults of ours, not what they say."""
        if isinstance(error, Status):
            return error
        if isinstance(error, MsipError):
            return Status(error.code, error.message)
        _log.error("%s failed", member.handler, exc_info=error)
        return Status(Code.INTERNAL, f"{member.handler} failed: {type(error).__name__}")


if sys.version_info >= (3, 12):

    def _start(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Begins at once: a handler that does not wait costs no turn of the event loop."""
        return asyncio.Task(work, loop=loop, eager_start=True)

else:

    def _start(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return loop.create_task(work)
