"""The loads of a client, the same for every contender: who answers, and how fast, is the contender's alone."""

import asyncio
import json
import sys
import time


class Caller:
    """What a contender can do."""

    async def call(self, number: int) -> int:
        """Makes a call, and returns the number of its answer."""
        raise NotImplementedError

    async def tell(self, count: int) -> tuple[int, int]:
        """Sends so many messages that nothing answers, and returns what the receiver has counted and added up."""
        raise NotImplementedError


async def play(caller: Caller, kind: str, amount: float, warm_up: int) -> None:
    """Plays one load, and prints how much of it there was in a second; how much there was, and this process's time for it.

    So many calls come first: what runs for the first time takes longer.
    """
    begun = time.process_time()
    if kind == "one-way":
        few, many = int(amount) // 5, int(amount)
        await tell(caller, few)
        figure, total = many / await tell(caller, many), few + many
    elif kind == "start":
        total, took = await calls(caller, 1, 0)
        figure = total / took
    else:
        warm, _ = await calls(caller, int(kind), 0, warm_up)
        count, took = await calls(caller, int(kind), amount)
        figure, total = count / took, warm + count
    print(json.dumps([figure, total, time.process_time() - begun]), flush=True)


async def calls(caller: Caller, at_once: int, seconds: float, least: int = 0) -> tuple[int, float]:
    """Calls for some time, so many at once, until there were so many at least; each caller once."""
    start = time.perf_counter()
    end = start + seconds
    count = 0

    async def one(number: int) -> None:
        nonlocal count
        while True:
            if await caller.call(number) != number:
                sys.exit("the answer is that of another call")
            number += at_once
            count += 1
            if count >= least and time.perf_counter() >= end:
                return

    await asyncio.gather(*(one(number) for number in range(at_once)))
    return count, time.perf_counter() - start


async def tell(caller: Caller, sent: int) -> float:
    start = time.perf_counter()
    tally = await caller.tell(sent)
    took = time.perf_counter() - start
    if tally != (sent, sent * (sent - 1) // 2):
        sys.exit(f"{tally[0]} of {sent} notes came, and their sum is {tally[1]}")
    return took
