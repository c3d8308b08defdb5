"""Clients without asyncio."""

from __future__ import annotations

import asyncio
import os
import threading
import time
import unittest
from collections.abc import Iterator

import msip
from lab import Heard, LabClient, LabServer, LabSyncClient, Served, Text


class ServerThread:
    """A server in a thread of its own."""

    def __enter__(self) -> ServerThread:
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        self.served = Served()
        async with LabServer("tcp://127.0.0.1:0?drain_timeout=1s", self.served) as server:
            self.url = server.urls[0]
            self._ready.set()
            await self._stopped.wait()


class SyncTest(unittest.TestCase):
    def test_calls_and_streams(self) -> None:
        with ServerThread() as server, LabSyncClient(server.url) as client:
            self.assertEqual(client.echo_req("hi"), "hi")
            client.save_ind("two")
            with self.assertRaises(msip.CallError) as caught:
                client.echo_req("fail")
            self.assertEqual(caught.exception.code, msip.Code.NOT_FOUND)
            self.assertEqual([item.text for item in client.count_req(100)], [str(number) for number in range(100)])
            with client.count_req(100_000) as stream:
                for item in stream:
                    if item.text == "3":
                        break

            def numbers() -> Iterator[Text]:
                for number in range(5):
                    time.sleep(0.001)
                    yield Text(str(number))

            self.assertEqual(client.sum_req(numbers()), "10")
            self.assertEqual([item.text for item in client.both_req([Text("a"), Text("b")])], ["A", "B"])
            self.assertGreater(client.ping(), 0)

    def test_many_threads(self) -> None:
        with ServerThread() as server, LabSyncClient(server.url) as client:
            found: list[str] = []
            threads = [
                threading.Thread(target=lambda name=name: found.append(client.echo_req(name)))
                for name in map(str, range(32))
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(sorted(found), sorted(map(str, range(32))))

    def test_handlers_run_in_the_thread_of_the_client(self) -> None:
        class Handler(Heard):
            async def on_ask_req(self, request: Text, context: msip.Context[LabClient]) -> Text:
                if request.text == "block":
                    try:
                        client.echo_req("x")
                    except msip.ClosedError as error:
                        return Text(error.message)
                return Text(await context.peer.echo_req("from the handler"))

        with ServerThread() as server:
            client = LabSyncClient(server.url, asyncio.run(_made(Handler)))
            with client:
                self.assertEqual(client.echo_req("ask it"), "from the handler")
                self.assertIn("a handler of the client cannot wait", client.echo_req("ask block"))

    def test_a_closed_client_says_so(self) -> None:
        with ServerThread() as server:
            client = LabSyncClient(server.url)
            with self.assertRaises(msip.ClosedError):
                client.echo_req("x")
            with client:
                client.echo_req("x")
            with self.assertRaises(msip.ClosedError):
                client.echo_req("x")
            client.close()
            with self.assertRaises(msip.ConnectError):
                LabSyncClient("tcp://127.0.0.1:1").connect()

    def test_closing_ends_the_calls_of_other_threads(self) -> None:
        with ServerThread() as server:
            client = LabSyncClient(f"{server.url}?drain_timeout=50ms").connect()
            errors: list[BaseException] = []

            def wait() -> None:
                try:
                    client.echo_req("wait")
                except msip.MsipError as error:
                    errors.append(error)

            thread = threading.Thread(target=wait)
            thread.start()
            while "waiting" not in server.served.events:
                time.sleep(0.001)
            client.close()
            thread.join(20)
            self.assertEqual(len(errors), 1)

    @unittest.skipUnless(hasattr(os, "fork"), "there is no fork here")
    def test_a_fork_does_not_hang(self) -> None:
        with ServerThread() as server, LabSyncClient(server.url) as client:
            client.echo_req("x")
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    client.echo_req("x")
                except msip.ClosedError as error:
                    status = 0 if "forked" in error.message else 2
                finally:
                    client.close()
                    os._exit(status)
            _, status = os.waitpid(child, 0)
            self.assertEqual(os.waitstatus_to_exitcode(status), 0)
            self.assertEqual(client.echo_req("x"), "x")


async def _made(kind: type[Heard]) -> Heard:
    return kind()


if __name__ == "__main__":
    unittest.main()
