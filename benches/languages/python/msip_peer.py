"""MSIP, by its package for Python: `server`, or `client PORT LOAD AMOUNT WARM_UP`."""

import asyncio
import sys

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


class Caller(load.Caller):
    def __init__(self, client: BenchClient) -> None:
        self.client = client
        self.data = bytes(32)

    async def call(self, number: int) -> int:
        return (await self.client.echo_req(Note(number=number, data=self.data))).number

    async def tell(self, count: int) -> tuple[int, int]:
        for number in range(count):
            await self.client.note_ind(Note(number=number, data=self.data))
        tally = await self.client.tally_req(TallyReq())
        return tally.count, tally.sum


async def client(port: str, kind: str, amount: str, warm_up: str) -> None:
    async with BenchClient(f"tcp://127.0.0.1:{port}") as client:
        await load.play(Caller(client), kind, float(amount), int(warm_up))


def main() -> None:
    if sys.argv[1] == "--uvloop":
        import uvloop

        del sys.argv[1]
        run = uvloop.run
    else:
        run = asyncio.run
    run(server() if sys.argv[1] == "server" else client(*sys.argv[2:]))


main()
