"""A client of `lab` that saves the numbers of each line of its input, from the first to the last, and says what happens."""

from __future__ import annotations

import asyncio
import sys

import msip
from lab import AskReq, AskRsp, LabClient, LabClientHandler, SaveInd


def say(line: str) -> None:
    print(line, flush=True)


class Handler(LabClientHandler):
    async def on_connected(self, client: LabClient) -> None:
        say("connected")

    async def on_disconnected(self, client: LabClient, reason: msip.Status) -> None:
        say("disconnected")

    async def on_session_lost(self, client: LabClient) -> None:
        say("session lost")

    async def on_ask_req(self, request: AskReq, context: msip.Context[LabClient]) -> AskRsp:
        return AskRsp(answer="me")


async def save(client: LabClient, number: int) -> None:
    while True:
        try:
            await client.save_ind(SaveInd(number=number))
        except msip.CallError as error:
            # Whoever does not know whether it was saved does not save it twice.
            if not error.is_safe_to_repeat:
                raise
            await asyncio.sleep(0.001)
        else:
            break
    say(f"saved {number}")


async def main(url: str) -> None:
    async with LabClient(url, Handler()) as client:
        while line := await asyncio.to_thread(sys.stdin.readline):
            first, last = line.split()
            for number in range(int(first), int(last) + 1):
                await save(client, number)


asyncio.run(main(sys.argv[1]))
