"""MSIP, by its package for Python: `server`, or `client PORT LOAD AMOUNT`."""

import asyncio
import sys
import time

import load
import msip
from ours.bench import BenchClient, BenchPeer, BenchServer, BenchServerHandler
from ours.notes import Note, Tally, TallyReq


class Handler(BenchServerHandler):
    def __init__(self) -> None:
        self.count = 0
        self.sum = 0

    async def on_echo_req(self, request: Note, context: msip.Context[BenchPeer]) -> Note:
        return request

    async def on_note_ind(self, message: Note, context: msip.Context[BenchPeer]) -> None:
        self.count += 1
        self.sum += message.number

    async def on_tally_req(self, request: TallyReq, context: msip.Context[BenchPeer]) -> Tally:
        tally = Tally(count=self.count, sum=self.sum)
        self.count = self.sum = 0
        return tally


async def server() -> None:
    async with BenchServer("tcp://127.0.0.1:0", Handler()) as server:
        print(server.urls[0].rpartition(":")[2], flush=True)
        await server.serve_forever()


async def client(port: str, kind: str, amount: float) -> None:
    data = bytes(32)
    async with BenchClient(f"tcp://127.0.0.1:{port}") as bench:

        async def call(number: int) -> None:
            if (await bench.echo_req(Note(number=number, data=data))).number != number:
                sys.exit("the answer is that of another call")

        async def tell(count: int) -> float:
            start = time.perf_counter()
            for number in range(count):
                await bench.note_ind(Note(number=number, data=data))
            tally = await bench.tally_req(TallyReq())
            took = time.perf_counter() - start
            load.check_tally(tally.count, tally.sum, count)
            return took

        if kind == "start":
            await call(0)
        elif kind == "one-way":
            await tell(int(amount) // 10)
            load.report(int(amount) / await tell(int(amount)))
        else:
            await load.calls(call, int(kind), amount)


def main() -> None:
    if sys.argv[1] == "--uvloop":
        import uvloop

        del sys.argv[1]
        run = uvloop.run
    else:
        run = asyncio.run
    run(server() if sys.argv[1] == "server" else client(sys.argv[2], sys.argv[3], float(sys.argv[4])))


main()
