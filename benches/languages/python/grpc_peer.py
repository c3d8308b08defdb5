"""gRPC on asyncio (grpc.aio): `server`, or `client PORT LOAD AMOUNT`."""

import asyncio
import sys
import time
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


async def client(port: str, kind: str, amount: float) -> None:
    data = bytes(32)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        bench = rpc_pb2_grpc.BenchStub(channel)

        async def call(number: int) -> None:
            if (await bench.Echo(Note(number=number, data=data), timeout=30)).number != number:
                sys.exit("the answer is that of another call")

        async def tell(count: int) -> float:
            async def notes() -> AsyncIterator[Note]:
                for number in range(count):
                    yield Note(number=number, data=data)

            start = time.perf_counter()
            tally = await bench.Tell(notes())
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
