"""Publishes, subscribes, calls and serves by topics of the broker at the URL that it is given, without a schema. Prints `ok`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator

import msip
from msip import Kind, UntypedClient, UntypedHandler, UntypedMessage, UntypedSyncClient


class Clock(UntypedHandler):
    """Answers at a topic."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.told: asyncio.Queue[UntypedMessage] = asyncio.Queue()

    async def on_message(self, message: UntypedMessage, context: msip.Context[UntypedClient]) -> None:
        self.told.put_nowait(message)

    async def on_request(
        self, message: UntypedMessage, context: msip.Context[UntypedClient]
    ) -> bytes | UntypedMessage:
        match message.body:
            case b"fail":
                raise msip.Status(msip.Code.NOT_FOUND, "no such thing", headers={"why": "asked to"})
            case b"hang":
                await asyncio.Event().wait()
            case b"variant":
                return UntypedMessage(b"another", variant=77)
            case b"headers":
                context.headers.update(message.metadata.headers)
        return self.name.encode() + b": " + message.body


async def code_of(call: object) -> msip.Code:
    try:
        await call  # type: ignore[misc]
    except msip.Status as status:
        return status.code
    raise AssertionError("it did not fail")


async def take(messages: AsyncIterator[UntypedMessage], count: int) -> list[UntypedMessage]:
    return [await anext(messages) for _ in range(count)]


async def publishing(url: str) -> None:
    async with UntypedClient(url, "fleet") as ear, UntypedClient(url, "fleet") as mouth:
        await ear.subscribe("fleet/+/position")
        messages = ear.messages()
        await mouth.publish("fleet/7/position", b"north")
        await mouth.publish("fleet/8/fuel", b"not heard")
        await mouth.publish("fleet/8/position", b"", variant=9, acknowledged=True)
        metadata = msip.Metadata(headers={"unit": "m"}, correlation_id="c")
        await mouth.publish("fleet/9/position", b"x" * 100_000, kind=Kind.LOG, metadata=metadata)
        first, second, third = await take(messages, 3)
        assert (first.topic, first.body, first.variant, first.kind) == ("fleet/7/position", b"north", 1, Kind.EVENT)
        assert (second.topic, second.body, second.variant) == ("fleet/8/position", b"", 9)
        assert (third.kind, len(third.body), third.metadata.headers) == (Kind.LOG, 100_000, {"unit": "m"})
        assert third.metadata.identity is not None and third.metadata.identity.peer == mouth.connection.peer_id

        # Another one for the same filter takes its place, and what is revoked is not heard.
        await ear.subscribe("fleet/#")
        await ear.unsubscribe("fleet/+/position")
        await mouth.publish("fleet/8/fuel", b"low", acknowledged=True)
        assert [message.body for message in await take(messages, 1)] == [b"low"]
        await ear.unsubscribe("fleet/#")
        await mouth.publish("fleet/8/fuel", b"lower", acknowledged=True)
        await ear.subscribe("end")
        await mouth.publish("end", b"end")
        assert [message.body for message in await take(messages, 1)] == [b"end"]

        assert await code_of(ear.subscribe("a/\x07b")) is msip.Code.INVALID_ARGUMENT
        assert await code_of(ear.subscribe("$broker")) is msip.Code.PERMISSION_DENIED

    async for _ in messages:
        raise AssertionError("a closed client hears nothing")


async def states(url: str) -> None:
    async with UntypedClient(url, "fleet") as mouth:
        for key, body in (("oil", b"1"), ("gas", b"2"), ("oil", b"3"), ("air", b"4"), ("air", b"")):
            await mouth.publish("levels", body, kind=Kind.STATE, metadata=msip.Metadata(key=key), acknowledged=True)
        async with UntypedClient(url, "fleet") as late:
            await late.subscribe("levels")
            kept = await take(late.messages(), 2)
            assert {(message.metadata.key, message.body) for message in kept} == {("oil", b"3"), ("gas", b"2")}
            await mouth.publish("levels", b"", kind=Kind.STATE, metadata=msip.Metadata(key="gas"))
            [cleared] = await take(late.messages(), 1)
            assert cleared.clears and cleared.metadata.key == "gas"


async def groups(url: str) -> None:
    async with (
        UntypedClient(url, "jobs") as one,
        UntypedClient(url, "jobs") as other,
        UntypedClient(url, "jobs") as mouth,
    ):
        for member in (one, other):
            await member.subscribe("jobs", group="workers")
            await member.subscribe("end")
        for number in range(20):
            await mouth.publish("jobs", str(number).encode(), acknowledged=True)
        await mouth.publish("end", b"end", acknowledged=True)
        heard = []
        for member in (one, other):
            mine = []
            async for message in member.messages():
                if message.topic == "end":
                    break
                mine.append(int(message.body))
            assert mine == sorted(mine) and mine
            heard += mine
        assert sorted(heard) == list(range(20))


async def serving(url: str) -> None:
    clock, spare = Clock("clock"), Clock("spare")
    async with UntypedClient(url, "time", clock) as service, UntypedClient(url, "time", spare) as second:
        async with UntypedClient(url, "time") as asker:
            assert await code_of(asker.request("time", b"x", timeout=5.0)) is msip.Code.UNAVAILABLE
            await service.subscribe("time/$in")
            answer = await asker.request("time", b"late?")
            assert (answer.body, answer.variant) == (b"clock: late?", 2)
            answer = await asker.request("time", b"variant", variant=5)
            assert (answer.body, answer.variant) == (b"another", 77)
            answer = await asker.request("time", b"headers", metadata=msip.Metadata(headers={"a": "b"}))
            assert answer.metadata.headers == {"a": "b"}
            assert await code_of(asker.request("time", b"fail")) is msip.Code.NOT_FOUND
            assert await code_of(asker.request("time", b"hang", timeout=0.05)) is msip.Code.DEADLINE_EXCEEDED
            await asker.publish("time", b"one way", kind=Kind.COMMAND)
            told = await clock.told.get()
            assert (told.topic, told.body, told.kind) == ("time", b"one way", Kind.COMMAND), told
            # Several services share the work.
            await second.subscribe("time/$in")
            answers = await asyncio.gather(*(asker.request("time", b"who?") for _ in range(40)))
            assert {answer.body for answer in answers} == {b"clock: who?", b"spare: who?"}
            # They hear of what nobody could handle.
            await second.subscribe("$dead/time")


def without_asyncio(url: str) -> None:
    with UntypedSyncClient(url, "fleet") as ear, UntypedSyncClient(url, "fleet") as mouth:
        ear.subscribe("sync/#")
        for number in range(100):
            mouth.publish(f"sync/{number}", b"n")
        messages = ear.messages()
        assert [next(messages).topic for _ in range(100)] == [f"sync/{number}" for number in range(100)]
        try:
            mouth.request("nobody", b"x", timeout=5.0)
        except msip.CallError as error:
            assert error.code is msip.Code.UNAVAILABLE
        else:
            raise AssertionError("nobody is there")
        ear.unsubscribe("sync/#")
    assert list(messages) == []


async def main(url: str) -> None:
    async with asyncio.timeout(60):
        for part in (publishing, states, groups, serving):
            await part(url)
        await asyncio.to_thread(without_asyncio, url)
    print("ok", flush=True)


asyncio.run(main(sys.argv[1]))
