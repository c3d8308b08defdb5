"""A protocol with one of everything, as generated code would have it, over messages that are written by hand."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import unittest
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, cast

import msip
from msip import Kind, Member, Protocol, Shape
from msip.message import Field, Scalar


class Text:
    """Text, encoded as protobuf would (field 1)."""

    def __init__(self, text: str = "") -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Text) and self.text == other.text

    def __repr__(self) -> str:
        return f"Text({self.text!r:.40})"

    def to_bytes(self) -> bytes:
        data = self.text.encode()
        length, head = len(data), bytearray(b"\x0a")
        while length > 127:
            head.append(length & 127 | 128)
            length >>= 7
        return bytes(head) + bytes([length]) + data

    @classmethod
    def from_bytes(cls, data: bytes) -> Text:
        if not data:
            return cls()
        if data[:1] != b"\x0a":
            raise msip.DecodeError("expected a text", "text")
        place = 1
        while data[place] & 128:
            place += 1
        return cls(bytes(data[place + 1 :]).decode())

    @classmethod
    def _table(cls) -> tuple[Field, ...]:
        return (Field("text", 1, Scalar.STRING, "text", "text"),)

    def to_json(self) -> str:
        return f'{{"text":"{self.text}"}}'


def _member(name: str, number: int, shape: Shape, **more: Any) -> Member:
    kind = Kind.COMMAND if shape is Shape.CALL else Kind.EVENT
    if "kind" in more:
        kind = more.pop("kind")
    handler = "" if shape is Shape.ANSWER else f"on_{name}"
    timeout = 30.0 if shape is Shape.CALL else None
    message = cast("type[Any]", Text)
    options: dict[str, Any] = {"timeout": timeout} | more
    return Member(name, number, message, kind, shape, handler, **options)


ECHO_REQ = _member("echo_req", 1, Shape.CALL, answer=1)
NOTE_IND = _member("note_ind", 2, Shape.ONE_WAY)
SAVE_IND = _member("save_ind", 3, Shape.ACKNOWLEDGED)
COUNT_REQ = _member("count_req", 4, Shape.CALL, answer=4, response_stream=True, timeout=None)
SUM_REQ = _member("sum_req", 5, Shape.CALL, answer=5, request_stream=True, timeout=None)
BOTH_REQ = _member("both_req", 6, Shape.CALL, answer=6, request_stream=True, response_stream=True, timeout=None)
ALARM_IND = _member("alarm_ind", 7, Shape.ONE_WAY, urgent=True)
ASK_RSP = _member("ask_rsp", 8, Shape.ANSWER)
LEVEL_STATE = _member("level_state", 9, Shape.ONE_WAY, kind=Kind.STATE, key=1)
LEVEL_SAVED = _member("level_saved", 10, Shape.ACKNOWLEDGED, kind=Kind.STATE, key=1)

ECHO_RSP = _member("echo_rsp", 1, Shape.ANSWER)
PEER_NOTE_IND = _member("note_ind", 2, Shape.ONE_WAY)
PEER_SAVE_IND = _member("save_ind", 3, Shape.ACKNOWLEDGED)
COUNT_RSP = _member("count_rsp", 4, Shape.ANSWER)
SUM_RSP = _member("sum_rsp", 5, Shape.ANSWER)
BOTH_RSP = _member("both_rsp", 6, Shape.ANSWER)
ASK_REQ = _member("ask_req", 8, Shape.CALL, answer=8, timeout=2.0)

LAB = Protocol(
    "lab",
    0x1234,
    (ECHO_REQ, NOTE_IND, SAVE_IND, COUNT_REQ, SUM_REQ, BOTH_REQ, ALARM_IND, ASK_RSP, LEVEL_STATE, LEVEL_SAVED),
    (ECHO_RSP, PEER_NOTE_IND, PEER_SAVE_IND, COUNT_RSP, SUM_RSP, BOTH_RSP, ASK_REQ, LEVEL_STATE),
)


class LabClient(msip.Client):
    protocol = LAB

    async def echo_req(self, text: str, *, timeout: float | None = msip.DEFAULT, metadata: Any = None) -> str:
        answer: Text = await self._call(ECHO_REQ, Text(text), timeout, metadata)
        return answer.text

    async def note_ind(self, text: str, *, metadata: Any = None) -> None:
        await self._send(NOTE_IND, Text(text), metadata)

    async def alarm_ind(self, text: str, *, metadata: Any = None) -> None:
        await self._send(ALARM_IND, Text(text), metadata)

    async def save_ind(self, text: str, *, metadata: Any = None) -> None:
        await self._send(SAVE_IND, Text(text), metadata)

    async def level_state(self, text: str, *, metadata: Any = None) -> None:
        await self._send(LEVEL_STATE, Text(text), metadata)

    async def level_saved(self, text: str, *, metadata: Any = None) -> None:
        await self._send(LEVEL_SAVED, Text(text), metadata)

    def count_req(self, to: object, *, timeout: float | None = msip.DEFAULT) -> msip.ResponseStream[Text]:
        return self._call_stream(COUNT_REQ, Text(str(to)), timeout, None)

    async def sum_req(self, requests: Any, *, timeout: float | None = msip.DEFAULT) -> str:
        answer: Text = await self._send_stream(SUM_REQ, requests, timeout, None)
        return answer.text

    def both_req(self, requests: Any, *, timeout: float | None = msip.DEFAULT) -> msip.ResponseStream[Text]:
        return self._call_both(BOTH_REQ, requests, timeout, None)


class LabSyncClient(msip.SyncClient):
    protocol = LAB
    client_type = LabClient

    def echo_req(self, text: str, *, timeout: float | None = msip.DEFAULT, metadata: Any = None) -> str:
        answer: Text = self._call(ECHO_REQ, Text(text), timeout, metadata)
        return answer.text

    def save_ind(self, text: str, *, metadata: Any = None) -> None:
        self._send(SAVE_IND, Text(text), metadata)

    def count_req(self, to: object, *, timeout: float | None = msip.DEFAULT) -> msip.SyncResponseStream[Text]:
        return self._call_stream(COUNT_REQ, Text(str(to)), timeout, None)

    def sum_req(self, requests: Any, *, timeout: float | None = msip.DEFAULT) -> str:
        answer: Text = self._send_stream(SUM_REQ, requests, timeout, None)
        return answer.text

    def both_req(self, requests: Any, *, timeout: float | None = msip.DEFAULT) -> msip.SyncResponseStream[Text]:
        return self._call_both(BOTH_REQ, requests, timeout, None)


class LabPeer(msip.Peer):
    protocol = LAB

    async def note_ind(self, text: str) -> None:
        await self._send(PEER_NOTE_IND, Text(text), None)

    async def save_ind(self, text: str) -> None:
        await self._send(PEER_SAVE_IND, Text(text), None)

    async def ask_req(self, text: str, *, timeout: float | None = msip.DEFAULT, metadata: Any = None) -> str:
        answer: Text = await self._call(ASK_REQ, Text(text), timeout, metadata)
        return answer.text


class LabBroadcast(msip.Broadcast):
    def note_ind(self, text: str) -> int:
        return self._send_all(PEER_NOTE_IND, Text(text))

    def level_state(self, text: str) -> int:
        return self._send_all(LEVEL_STATE, Text(text))


class LabServer(msip.Server[LabPeer]):
    protocol = LAB
    peer_type = LabPeer

    def everyone(self) -> LabBroadcast:
        return LabBroadcast(self)

    def others(self, peer: LabPeer) -> LabBroadcast:
        return LabBroadcast(self, peer)


class Heard(msip.ClientHandler[LabClient]):
    """Writes down what the server says."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self._changed = asyncio.Event()

    def tell(self, event: str) -> None:
        self.events.append(event)
        self._changed.set()

    async def until(self, event: str, count: int = 1) -> None:
        """Waits until this was heard so often."""
        async with asyncio.timeout(60):
            while self.events.count(event) < count:
                self._changed.clear()
                await self._changed.wait()

    async def on_connected(self, client: LabClient) -> None:
        self.tell("connected")

    async def on_disconnected(self, client: LabClient, reason: msip.Status) -> None:
        self.tell("disconnected")

    async def on_session_lost(self, client: LabClient) -> None:
        self.tell("session lost")

    async def on_note_ind(self, message: Text, context: msip.Context[LabClient]) -> None:
        self.tell(f"note {message.text}")

    async def on_save_ind(self, message: Text, context: msip.Context[LabClient]) -> None:
        self.tell(f"save {message.text}")

    async def on_level_state(self, message: Text, context: msip.Context[LabClient]) -> None:
        self.tell(f"level {message.text}")

    async def on_state_cleared(self, state: Text, context: msip.Context[LabClient]) -> None:
        self.tell(f"cleared {context.member.name} {state.text}")

    async def on_ask_req(self, request: Text, context: msip.Context[LabClient]) -> Text:
        return Text(f"answer to {request.text}")


class Served(msip.ServerHandler[LabPeer]):
    """Does what it is told by the text of a request."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.gate = asyncio.Event()
        self.running = 0
        self._changed = asyncio.Event()

    def tell(self, event: str) -> None:
        self.events.append(event)
        self._changed.set()

    async def until(self, event: str, count: int = 1) -> None:
        """Waits until this was seen so often."""
        async with asyncio.timeout(60):
            while self.events.count(event) < count:
                self._changed.clear()
                await self._changed.wait()

    async def on_client_connected(self, peer: LabPeer) -> None:
        self.tell("resumed" if peer.is_resumed else "connected")

    async def on_client_disconnected(self, peer: LabPeer, reason: msip.Status) -> None:
        self.tell("disconnected")

    async def on_client_gone(self, peer: LabPeer) -> None:
        self.tell("gone")

    async def on_echo_req(self, request: Text, context: msip.Context[LabPeer]) -> Text:
        match request.text.partition(" "):
            case ("wait", _, _):
                self.tell("waiting")
                try:
                    await self.gate.wait()
                except asyncio.CancelledError:
                    self.tell("cancelled")
                    raise
            case ("fail", _, _):
                raise msip.Status(msip.Code.NOT_FOUND, "not here", headers={"why": "because"})
            case ("break", _, _):
                raise ValueError("a fault")
            case ("ask", _, question):
                return Text(await context.peer.ask_req(question))
            case ("disconnect", _, code):
                context.peer.disconnect(msip.Status(msip.Code[code], "told to"))
            case ("headers", _, _):
                context.headers.update(context.metadata.headers)
            case ("events", _, _):
                return Text(",".join(self.events))
        return request

    async def on_note_ind(self, message: Text, context: msip.Context[LabPeer]) -> None:
        if message.text == "wait":
            await self.gate.wait()
        self.tell(f"note {message.text:.20}")

    async def on_alarm_ind(self, message: Text, context: msip.Context[LabPeer]) -> None:
        self.tell(f"alarm {message.text}")

    async def on_save_ind(self, message: Text, context: msip.Context[LabPeer]) -> None:
        if message.text == "fail":
            raise msip.Status(msip.Code.DATA_LOSS, "not saved")
        self.tell(f"save {message.text}")

    async def on_level_state(self, message: Text, context: msip.Context[LabPeer]) -> None:
        if message.text == "wait":
            await self.gate.wait()
        self.tell(f"level {message.text}")

    async def on_level_saved(self, message: Text, context: msip.Context[LabPeer]) -> None:
        self.tell(f"level {message.text}")

    async def on_state_cleared(self, state: Text, context: msip.Context[LabPeer]) -> None:
        if state.text == "fail":
            raise msip.Status(msip.Code.DATA_LOSS, "not cleared")
        self.tell(f"cleared {context.member.name} {state.text}")

    async def on_count_req(self, request: Text, context: msip.Context[LabPeer]) -> AsyncIterator[Text]:
        to, _, ballast = request.text.partition(" ")
        try:
            for number in range(int(to)):
                yield Text(f"{number}" + "." * int(ballast or 0))
                self.tell(f"counted {number}")
        finally:
            self.tell("count ended")

    async def on_sum_req(self, requests: AsyncIterator[Text], context: msip.Context[LabPeer]) -> Text:
        total = 0
        async for each in requests:
            if each.text == "enough":
                return Text("enough")
            total += int(each.text)
        return Text(str(total))

    async def on_both_req(self, requests: AsyncIterator[Text], context: msip.Context[LabPeer]) -> AsyncIterator[Text]:
        async for each in requests:
            yield Text(each.text.upper())


class LabTest(unittest.TestCase):
    """Runs each test in a loop of its own, with asyncio's debug mode, and sees that nothing is left behind."""

    new_loop: Callable[[], asyncio.AbstractEventLoop] | None = None

    def setUp(self) -> None:
        logging.getLogger("msip").setLevel(logging.CRITICAL)
        logging.getLogger("asyncio").setLevel(logging.ERROR)

    def run_lab(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Runs a test's coroutine."""
        faults: list[dict[str, Any]] = []

        async def watched() -> None:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: faults.append(context))
            async with asyncio.timeout(120):
                await work()
            left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            self.assertEqual(left, [], "tasks are pending")

        with asyncio.Runner(debug=self.new_loop is None, loop_factory=self.new_loop) as runner:
            runner.run(watched())
        self.assertEqual(faults, [])


def advance(seconds: float) -> None:
    """Moves the clock of the running loop on, so that timers of this time are due, those of both sides."""
    loop = asyncio.get_running_loop()
    time = loop.time
    loop.time = lambda: time() + seconds  # type: ignore[method-assign]


@contextlib.asynccontextmanager
async def lab(url: str = "tcp://127.0.0.1:0", **options: Any) -> AsyncIterator[tuple[LabServer, Served]]:
    """A server that runs."""
    served = Served()
    async with LabServer(url, served, **options) as server:
        yield server, served
