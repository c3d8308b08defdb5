"""The loads of a client, the same for every contender: who answers, and how fast, is the contender's alone."""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable

WARM_UP = 0.3


async def calls(call: Callable[[int], Awaitable[None]], at_once: int, seconds: float) -> None:
    """Calls for some time, so many at once, and prints how many a second were answered."""
    await run(call, at_once, WARM_UP)
    count, took = await run(call, at_once, seconds)
    report(count / took)


async def run(call: Callable[[int], Awaitable[None]], at_once: int, seconds: float) -> tuple[int, float]:
    start = time.perf_counter()
    end = start + seconds
    count = 0

    async def caller(number: int) -> None:
        nonlocal count
        while time.perf_counter() < end:
            await call(number)
            number += at_once
            count += 1

    await asyncio.gather(*(caller(number) for number in range(at_once)))
    return count, time.perf_counter() - start


def check_tally(count: int, total: int, sent: int) -> None:
    """Fails where a note was lost, repeated or changed."""
    if (count, total) != (sent, sent * (sent - 1) // 2):
        sys.exit(f"{count} of {sent} notes came, and their sum is {total}")


def report(figure: float) -> None:
    print(json.dumps(figure), flush=True)
