"""Talks to servers of the protocol `lab`, each given by its URL, and prints `ok` for each; what is not as it should be is raised.

The generated code is a package of the folder that PYTHONPATH names.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator

import msip
from lab import (
    AskReq,
    AskRsp,
    ActReq,
    CountReq,
    EchoReq,
    LabClient,
    LabClientHandler,
    NoteInd,
    SaveInd,
    ShoutReq,
    SumReq,
)


class Handler(LabClientHandler):
    async def on_ask_req(self, request: AskReq, context: msip.Context[LabClient]) -> AskRsp:
        # Calls the server while that waits for this answer.
        await context.peer.echo_req(EchoReq(text="meanwhile"))
        return AskRsp(answer=f"{request.question} me")


async def code_of(call: object) -> msip.Code:
    try:
        await call  # type: ignore[misc]
    except msip.Status as status:
        return status.code
    raise AssertionError("it did not fail")


async def sums(*numbers: int) -> AsyncIterator[SumReq]:
    for number in numbers:
        yield SumReq(number=number)


async def talk(url: str) -> None:
    async with LabClient(url, Handler()) as lab:
        for length in (0, 1, 2000, 300_000):
            answer = await lab.echo_req(EchoReq(text="é" * length, ballast=b"\x00\xff" * length))
            assert (answer.text, answer.ballast) == ("é" * length, b"\x00\xff" * length), length
        answers = await asyncio.gather(*(lab.echo_req(EchoReq(text=str(each))) for each in range(1000)))
        assert [answer.text for answer in answers] == [str(each) for each in range(1000)]
        await lab.tick_ind()
        await lab.note_ind(NoteInd(number=1))
        await lab.alarm_ind(NoteInd(number=2))
        await lab.save_ind(SaveInd(number=3))
        if not lab.connection.is_broker:
            # A broker answers by itself that it has a delivery.
            assert await code_of(lab.save_ind(SaveInd(number=13))) is msip.Code.FAILED_PRECONDITION

        assert (await lab.act_req(ActReq(what="ask"))).done == "who? me"
        assert await code_of(lab.act_req(ActReq(what="fail"))) is msip.Code.NOT_FOUND
        assert await code_of(lab.act_req(ActReq(what="panic"))) is msip.Code.INTERNAL
        assert await code_of(lab.act_req(ActReq(what="hang"), timeout=0.05)) is msip.Code.DEADLINE_EXCEEDED
        hanging = asyncio.create_task(lab.act_req(ActReq(what="hang")))
        assert int((await lab.act_req(ActReq(what="remaining"))).done) <= 20_000
        hanging.cancel()

        for count in (0, 1, 1000):
            numbers = [item.number async for item in lab.count_req(CountReq(from_=100, to=100 + count, ballast_len=100))]
            assert numbers == list(range(100, 100 + count))
        found = []
        try:
            async for item in lab.count_req(CountReq(from_=10, to=20)):
                found.append(item.number)
        except msip.CallError as error:
            assert error.code is msip.Code.FAILED_PRECONDITION
        assert found == [10, 11, 12]
        async with lab.count_req(CountReq()) as endless:
            async for item in endless:
                if item.number == 100:
                    break
        assert (await lab.sum_req(sums())).sum == 0
        assert (await lab.sum_req(sums(*range(13)))).sum == 78
        assert await code_of(lab.sum_req(sums(*range(100)))) is msip.Code.FAILED_PRECONDITION
        shouted = [item.text async for item in lab.shout_req(ShoutReq(text=f"é{each}") for each in range(100))]
        assert shouted == [f"É{each}" for each in range(100)], shouted[:3]
        assert await lab.ping(b"x" * 1000) > 0
        assert lab.connection.is_confidential


async def main(urls: list[str]) -> None:
    for url in urls:
        async with asyncio.timeout(60):
            await talk(url)
        print("ok", flush=True)


asyncio.run(main(sys.argv[1:]))
