"""A client of the protocol `gauges`: sets and clears STATEs as the lines of its standard input say, and says what it hears of them."""

from __future__ import annotations

import asyncio
import sys

import msip
from gauges import GaugesClient, GaugesClientHandler, Level


class Handler(GaugesClientHandler):
    async def on_level_state(self, message: Level, context: msip.Context[GaugesClient]) -> None:
        print(f"level {message.gauge} {message.level}", flush=True)

    async def on_state_cleared(self, state: Level, context: msip.Context[GaugesClient]) -> None:
        print(f"cleared {state.gauge} {state.level}", flush=True)


async def main(url: str) -> None:
    async with GaugesClient(url, Handler()) as client:
        print("connected", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            match line.split():
                case ("set", gauge, level):
                    await client.level_state(Level(gauge=gauge, level=int(level)))
                case ("clear", gauge):
                    await client.level_state(Level(gauge=gauge), metadata=msip.Clearing())


asyncio.run(main(sys.argv[1]))
