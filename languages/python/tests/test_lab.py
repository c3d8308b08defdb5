"""Clients and servers that talk in one process, over real sockets."""

from __future__ import annotations

import asyncio
import tempfile
import unittest
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msip
from lab import Heard, LabClient, LabTest, Text, advance, lab


class Untold:
    """A timer as uvloop's may be: it does not tell its time."""

    # Asyncio looks for it.
    _source_traceback = None

    def __init__(self, handle: asyncio.TimerHandle) -> None:
        self._handle = handle

    def cancel(self) -> None:
        self._handle.cancel()


class UntoldLoop(asyncio.SelectorEventLoop):
    """A loop with such timers."""

    def call_at(self, *arguments: Any, **options: Any) -> Any:  # type: ignore[override]
        return Untold(super().call_at(*arguments, **options))


class TimersTest(LabTest):
    new_loop = UntoldLoop

    def test_timers_that_do_not_tell_their_time(self) -> None:
        async def work() -> None:
            async with lab() as (server, _), LabClient(server.urls[0]) as client:
                # The second deadline is before the first, whose timer gives way to it.
                calls = (client.echo_req(text, timeout=timeout) for text, timeout in (("long", 9), ("short", 5)))
                self.assertEqual(await asyncio.gather(*calls), ["long", "short"])

        self.run_lab(work)


class ExchangesTest(LabTest):
    def test_calls_messages_and_deliveries(self) -> None:
        async def work() -> None:
            async with lab() as (server, served), LabClient(server.urls[0]) as client:
                self.assertEqual(await client.echo_req("hi"), "hi")
                answers = await asyncio.gather(*(client.echo_req(str(number)) for number in range(500)))
                self.assertEqual(answers, [str(number) for number in range(500)])
                await client.note_ind("one")
                await client.save_ind("two")
                self.assertEqual(served.events, ["connected", "note one", "save two"])
                with self.assertRaises(msip.CallError) as caught:
                    await client.save_ind("fail")
                self.assertEqual(caught.exception.code, msip.Code.DATA_LOSS)
                self.assertGreaterEqual(await client.ping(b"x"), 0)

        self.run_lab(work)

    def test_errors_of_handlers(self) -> None:
        async def work() -> None:
            async with lab() as (server, _), LabClient(server.urls[0]) as client:
                with self.assertRaises(msip.Status) as caught:
                    await client.echo_req("fail")
                self.assertEqual(str(caught.exception), "NOT_FOUND: not here")
                self.assertEqual(caught.exception.headers, {"why": "because"})
                with self.assertRaises(msip.CallError) as broken:
                    await client.echo_req("break")
                self.assertEqual(str(broken.exception), "INTERNAL: on_echo_req failed: ValueError")
                self.assertFalse(broken.exception.is_safe_to_repeat)

        self.run_lab(work)

    def test_a_server_calls_its_clients(self) -> None:
        async def work() -> None:
            async with lab() as (server, _), LabClient(server.urls[0], Heard()) as client:
                self.assertEqual(await client.echo_req("ask why"), "answer to why")
            async with lab() as (server, _), LabClient(server.urls[0]) as client:
                with self.assertRaisesRegex(msip.CallError, "UNIMPLEMENTED: there is no handler for ask_req here"):
                    await client.echo_req("ask why")

        self.run_lab(work)

    def test_a_deadline_and_a_cancelled_task_end_the_handler(self) -> None:
        async def work() -> None:
            async with lab() as (server, served), LabClient(server.urls[0]) as client:
                hurried = asyncio.create_task(client.echo_req("wait", timeout=5))
                await served.until("waiting")
                advance(5)
                with self.assertRaises(msip.CallError) as caught:
                    await hurried
                self.assertEqual(caught.exception.code, msip.Code.DEADLINE_EXCEEDED)
                await served.until("cancelled")
                call = asyncio.create_task(client.echo_req("wait"))
                await served.until("waiting", 2)
                call.cancel()
                await served.until("cancelled", 2)
                with self.assertRaises(asyncio.CancelledError):
                    await call

        self.run_lab(work)

    def test_metadata_and_headers_of_the_answer(self) -> None:
        async def work() -> None:
            async with lab() as (server, _), LabClient(server.urls[0]) as client:
                metadata = msip.CallMetadata(headers={"tenant": "north"})
                await client.echo_req("headers", metadata=metadata)
                assert metadata.answer is not None
                self.assertEqual(metadata.answer.headers, {"tenant": "north"})

        self.run_lab(work)

    def test_messages_are_handled_in_order_and_calls_after_them(self) -> None:
        async def work() -> None:
            async with lab() as (server, served), LabClient(server.urls[0]) as client:
                await client.note_ind("wait")
                for number in range(100):
                    await client.note_ind(str(number))
                call = asyncio.create_task(client.echo_req("events"))
                await asyncio.sleep(0)
                served.gate.set()
                events = (await call).split(",")
                self.assertEqual(events[1:], ["note wait", *(f"note {number}" for number in range(100))])

        self.run_lab(work)

    def test_a_sender_that_waits_for_the_queue_goes_on_with_the_next_write(self) -> None:
        async def work() -> None:
            # Nothing of the peer wakes it: no credit is due, and no ping.
            async with lab("tcp://127.0.0.1:0?ping_interval=60s") as (server, _):
                url = f"{server.urls[0]}?outgoing_queue=65536&ping_interval=60s"
                async with LabClient(url) as client:
                    for _ in range(8):
                        await client.note_ind("x" * 60_000)

        self.run_lab(work)

    def test_a_slow_handler_holds_up_its_sender(self) -> None:
        async def work() -> None:
            async with lab() as (server, served), LabClient(server.urls[0]) as client:
                await client.note_ind("wait")
                sent = 0

                async def send() -> None:
                    nonlocal sent
                    for _ in range(200):
                        await client.note_ind("x" * 60_000)
                        sent += 1

                sending = asyncio.create_task(send())
                # A call overtakes what waits for credit: the sender is held up once it was answered and no more is sent.
                last = -1
                while sent != last:
                    last = sent
                    await client.ping()
                self.assertLess(sent, 100)
                served.gate.set()
                await sending
                self.assertEqual(await client.echo_req("x"), "x")

        self.run_lab(work)

    def test_a_receiver_that_is_stuck_fails_the_sender(self) -> None:
        async def work() -> None:
            async with lab() as (server, served):
                async with LabClient(server.urls[0] + "?write_timeout=100ms") as client:
                    await client.note_ind("wait")
                    with self.assertRaises(msip.CallError) as caught:
                        for _ in range(200):
                            await client.note_ind("x" * 60_000)
                    self.assertEqual(caught.exception.code, msip.Code.RESOURCE_EXHAUSTED)
                    self.assertTrue(caught.exception.is_safe_to_repeat)
                    served.gate.set()

        self.run_lab(work)

    def test_a_body_over_the_limit_is_refused_before_it_is_sent(self) -> None:
        async def work() -> None:
            async with lab("tcp://127.0.0.1:0?max_body=4KiB") as (server, _), LabClient(server.urls[0]) as client:
                with self.assertRaises(msip.Status) as caught:
                    await client.echo_req("x" * 5000)
                self.assertEqual(caught.exception.code, msip.Code.RESOURCE_EXHAUSTED)
                self.assertEqual(await client.echo_req("x" * 4000), "x" * 4000)

        self.run_lab(work)


class StreamsTest(LabTest):
    def test_streams_of_every_shape(self) -> None:
        async def work() -> None:
            async with lab() as (server, _), LabClient(server.urls[0]) as client:
                for count in (0, 1, 100):
                    found = [item.text async for item in client.count_req(count)]
                    self.assertEqual(found, [str(number) for number in range(count)])
                    numbers = [Text(str(number)) for number in range(count)]
                    self.assertEqual(await client.sum_req(numbers), str(sum(range(count))))
                    echoed = [item.text async for item in client.both_req(numbers)]
                    self.assertEqual(echoed, [number.text for number in numbers])

        self.run_lab(work)

    def test_credit_holds_up_the_sender(self) -> None:
        async def work() -> None:
            async with lab() as (server, served), LabClient(server.urls[0]) as client:
                async with client.count_req(1000) as stream:
                    self.assertEqual((await anext(stream)).text, "0")
                    await client.echo_req("x")
                    counted = len([event for event in served.events if event.startswith("counted")])
                    self.assertLess(counted, 40)
                    rest = [item.text async for item in stream]
                    self.assertEqual(rest[-1], "999")

        self.run_lab(work)

    def test_leaving_a_stream_stops_its_handler(self) -> None:
        async def work() -> None:
            async with lab() as (server, served), LabClient(server.urls[0]) as client:
                async with client.count_req(100_000) as stream:
                    async for item in stream:
                        if item.text == "3":
                            break
                await served.until("count ended")
                async for _ in client.count_req(100_000):
                    break
                # Dropped without being closed.
                await served.until("count ended", 2)

        self.run_lab(work)

    def test_a_request_stream_that_fails_fails_the_call(self) -> None:
        async def work() -> None:
            async with lab() as (server, _), LabClient(server.urls[0]) as client:

                async def numbers() -> AsyncIterator[Text]:
                    yield Text("1")
                    raise KeyError("no more")

                with self.assertRaises(KeyError):
                    await client.sum_req(numbers())
                with self.assertRaises(KeyError):
                    async for _ in client.both_req(numbers()):
                        pass

        self.run_lab(work)

    def test_an_early_answer_ends_the_requests(self) -> None:
        async def work() -> None:
            async with lab() as (server, _), LabClient(server.urls[0]) as client:
                closed = asyncio.Event()

                async def numbers() -> AsyncIterator[Text]:
                    try:
                        yield Text("enough")
                        while True:
                            yield Text("1")
                    finally:
                        closed.set()

                self.assertEqual(await client.sum_req(numbers()), "enough")
                self.assertTrue(closed.is_set())

        self.run_lab(work)


class ServersTest(LabTest):
    def test_unix_sockets(self) -> None:
        async def work() -> None:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "lab.sock"
                url = f"unix://{path}?mode=0600"
                async with lab(url) as (server, _):
                    self.assertEqual(path.stat().st_mode & 0o777, 0o600)
                    async with LabClient(server.urls[0]) as client:
                        self.assertEqual(await client.echo_req("hi"), "hi")
                        peer = server.peers[0]
                        self.assertIsInstance(peer.request.transport_credential, msip.UnixUser)
                    with self.assertRaisesRegex(msip.BindError, "at which somebody listens"):
                        async with lab(url):
                            pass
                self.assertFalse(path.exists())
                path.write_text("mine")
                with self.assertRaisesRegex(msip.BindError, "is not a socket"):
                    async with lab(url):
                        pass

        self.run_lab(work)

    def test_a_stale_socket_of_ones_own_is_replaced(self) -> None:
        async def work() -> None:
            with tempfile.TemporaryDirectory() as folder:
                import socket

                path = f"{folder}/lab.sock"
                with socket.socket(socket.AF_UNIX) as left_behind:
                    left_behind.bind(path)
                async with lab(f"unix://{path}") as (server, _), LabClient(server.urls[0]) as client:
                    self.assertEqual(await client.echo_req("hi"), "hi")

        self.run_lab(work)

    def test_several_listeners_and_broadcasts(self) -> None:
        async def work() -> None:
            with tempfile.TemporaryDirectory() as folder:
                urls = ["tcp://127.0.0.1:0", f"unix://{folder}/lab.sock"]
                async with lab(urls) as (server, served):  # type: ignore[arg-type]
                    one, two = Heard(), Heard()
                    async with LabClient(server.urls[0], one), LabClient(server.urls[1], two):
                        await served.until("connected", 2)
                        self.assertEqual(server.everyone().note_ind("all"), 2)
                        first = server.peers[0]
                        self.assertEqual(server.others(first).note_ind("one"), 1)
                        self.assertEqual(server.everyone().where(lambda peer: peer is first).note_ind("first"), 1)
                        await one.until("note all")
                        await two.until("note all")
                        await one.until("note first")
                        await two.until("note one")
                        await first.save_ind("kept")
                        self.assertEqual(one.events[-1], "save kept")
                    await served.until("gone", 2)

        self.run_lab(work)

    def test_closing_drains(self) -> None:
        async def work() -> None:
            async with lab() as (server, served):
                client = await LabClient(server.urls[0]).connect()
                call = asyncio.create_task(client.echo_req("wait"))
                await served.until("waiting")
                closing = asyncio.create_task(server.close())
                await asyncio.sleep(0)
                served.gate.set()
                self.assertEqual(await call, "wait")
                await closing
                await client.close()
                with self.assertRaises(msip.ClosedError):
                    await client.echo_req("x")

        self.run_lab(work)

    def test_what_is_open_when_the_time_is_up_is_cut(self) -> None:
        async def work() -> None:
            async with lab("tcp://127.0.0.1:0?drain_timeout=50ms") as (server, served):
                client = await LabClient(server.urls[0]).connect()
                call = asyncio.create_task(client.echo_req("wait"))
                await served.until("waiting")
                await server.close()
                with self.assertRaises(msip.MsipError):
                    await call
                await client.close()
                await served.until("cancelled")
                await served.until("gone")

        self.run_lab(work)

    def test_further_connections_are_refused(self) -> None:
        async def work() -> None:
            async with lab("tcp://127.0.0.1:0?max_connections=1") as (server, _):
                async with LabClient(server.urls[0]):
                    with self.assertRaises(msip.ConnectError) as caught:
                        await LabClient(server.urls[0]).connect()
                    self.assertEqual(caught.exception.code, msip.Code.RESOURCE_EXHAUSTED)

        self.run_lab(work)

    def test_a_silent_connection_is_closed(self) -> None:
        async def work() -> None:
            async with lab("tcp://127.0.0.1:0?handshake_timeout=50ms") as (server, _):
                port = int(server.urls[0].rpartition(":")[2])
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                self.assertEqual(await reader.read(), b"")
                writer.close()

        self.run_lab(work)

    def test_what_is_no_msip_is_answered_once(self) -> None:
        async def work() -> None:
            async with lab() as (server, _):
                port = int(server.urls[0].rpartition(":")[2])
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"GET / HTTP/1.1\r\n\r\n")
                self.assertIn(b"bad magic 47455420", await reader.read())
                writer.close()

        self.run_lab(work)

    def test_others_must_not_read_what_is_sent(self) -> None:
        async def work() -> None:
            with self.assertRaisesRegex(msip.BindError, "others could read what is sent to tcp://0.0.0.0:0"):
                async with lab("tcp://0.0.0.0:0"):
                    pass
            async with lab("tcp://0.0.0.0:0?insecure=true") as (server, _):
                self.assertEqual(len(server.urls), 1)

        self.run_lab(work)


class AuthenticationTest(LabTest):
    @staticmethod
    async def authenticate(request: msip.ConnectRequest) -> msip.Principal:
        match request.credential.split(b":"):
            case [b"user", name]:
                return msip.Principal("test", user=name.decode(), roles=("reader",))
            case [b"banned"]:
                raise msip.Status(msip.Code.PERMISSION_DENIED, "you are not welcome")
            case [b"fault"]:
                raise KeyError("secret")
            case [b"slow"]:
                await asyncio.sleep(3600)
        raise msip.Status(msip.Code.UNAUTHENTICATED, "unknown token: secret")

    def test_who_is_there(self) -> None:
        async def work() -> None:
            async with lab(authenticate=self.authenticate) as (server, _):
                async with LabClient(server.urls[0], credential="user:ada") as client:
                    await client.echo_req("x")
                    principal = server.peers[0].principal
                    assert principal is not None
                    self.assertEqual((principal.user, principal.roles), ("ada", ("reader",)))
                cases = {
                    "wrong": (msip.Code.UNAUTHENTICATED, "not authenticated"),
                    "banned": (msip.Code.PERMISSION_DENIED, "you are not welcome"),
                    "fault": (msip.Code.INTERNAL, "authentication failed"),
                }
                for credential, (code, text) in cases.items():
                    with self.assertRaises(msip.ConnectError) as caught:
                        await LabClient(server.urls[0], credential=credential).connect()
                    self.assertEqual(caught.exception.code, code)
                    self.assertTrue(caught.exception.message.endswith(text), caught.exception)
                    self.assertNotIn("secret", str(caught.exception))

        self.run_lab(work)

    def test_a_client_that_leaves_meanwhile_is_forgotten(self) -> None:
        async def work() -> None:
            async with lab(authenticate=self.authenticate) as (server, served):
                connecting = asyncio.create_task(LabClient(server.urls[0], credential="slow").connect())
                await asyncio.sleep(0.05)
                connecting.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await connecting
                self.assertEqual(served.events, [])

        self.run_lab(work)

    def test_credentials_stay_on_this_machine(self) -> None:
        async def work() -> None:
            client = LabClient("tcp://127.0.0.1:1", credential=lambda: 1 / 0)  # type: ignore[arg-type]
            with self.assertRaisesRegex(msip.ConnectError, "could not be obtained: ZeroDivisionError"):
                await client.connect()
            with self.assertRaisesRegex(msip.ConnectError, "6145 bytes exceeds the limit of 6144"):
                await LabClient("tcp://127.0.0.1:1", credential="x" * 6145).connect()

        self.run_lab(work)

    def test_a_function_is_asked_again_and_files_are_read(self) -> None:
        async def work() -> None:
            tokens = iter(["wrong", "user:ada"])
            with tempfile.NamedTemporaryFile("w") as file:
                file.write("user:bob\r\n")
                file.flush()
                async with lab(authenticate=self.authenticate) as (server, _):
                    async with LabClient(server.urls[0], credential=lambda: next(tokens)) as client:
                        self.assertEqual(await client.echo_req("x"), "x")
                    async with LabClient(f"{server.urls[0]}?token_file={file.name}") as client:
                        self.assertEqual(await client.echo_req("x"), "x")

        self.run_lab(work)

    def test_an_identity_that_expires_ends_the_connection(self) -> None:
        async def work() -> None:
            async def authenticate(request: msip.ConnectRequest) -> msip.Principal:
                return msip.Principal("test", user="ada", expires_in=5)

            heard = Heard()
            async with lab(authenticate=authenticate) as (server, _):
                async with LabClient(server.urls[0], heard, credential="x") as client:
                    advance(5)
                    await heard.until("disconnected")
                    while not client.connection.closed:
                        await asyncio.sleep(0.001)
                    with self.assertRaises(msip.ClosedError) as caught:
                        await client.echo_req("x")
                    self.assertEqual(caught.exception.code, msip.Code.UNAUTHENTICATED)

        self.run_lab(work)


if __name__ == "__main__":
    unittest.main()
