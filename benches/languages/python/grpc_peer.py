"""gRPC on asyncio (grpc.aio): `server`, or `client PORT LOAD AMOUNT WARM_UP`."""

import asyncio
import sys
from collections.abc import AsyncIterator

import grpc
import load
import rpc_pb2_grpc
from notes_pb2 import Note, Tally


class Bench(rpc_pb2_grpc.BenchServicer):
    async def Echo(self, request: Note, context: grpc.aio.ServicerContext) -> Note:
        return request

    async def Tell(self, requests: AsyncIterator[Note], context: grpc.aio.ServicerContext) -> Tally:
        tally = Tally()
        async for note in requests:
            tally.count += 1
            tally.sum += note.number
        return tally


async def server() -> None:
    server = grpc.aio.server()
    rpc_pb2_grpc.add_BenchServicer_to_server(Bench(), server)
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    await server.start()
    await server.wait_for_termination()


class Caller(load.Caller):
    def __init__(self, stub: rpc_pb2_grpc.BenchStub) -> None:
        self.stub = stub
        self.data = bytes(32)

    async def call(self, number: int) -> int:
        return (await self.stub.Echo(Note(number=number, data=self.data), timeout=30)).number

    async def tell(self, count: int) -> tuple[int, int]:
        async def notes() -> AsyncIterator[Note]:
            for number in range(count):
                yield Note(number=number, data=self.data)

        tally = await self.stub.Tell(notes())
        return tally.count, tally.sum


async def client(port: str, kind: str, amount: str, warm_up: str) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        await load.play(Caller(rpc_pb2_grpc.BenchStub(channel)), kind, float(amount), int(warm_up))


def main() -> None:
    if sys.argv[1] == "--uvloop":
        import uvloop

        del sys.argv[1]
        run = uvloop.run
    else:
        run = asyncio.run
    run(server() if sys.argv[1] == "server" else client(*sys.argv[2:]))


main()
