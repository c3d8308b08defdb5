"""Clients that lose their connections: what goes on, what fails, and who hears of it."""

from __future__ import annotations

import asyncio
import unittest
from collections.abc import Callable

import msip
from lab import Heard, LabClient, LabServer, LabTest, Served, lab

QUICK = "reconnect_min=1ms&reconnect_max=20ms"


class Proxy:
    """Between a client and a server: cuts connections on request."""

    def __init__(self, url: str) -> None:
        self.port = int(url.rpartition(":")[2])
        self.lets_in = True
        self.brought = 0
        """The bytes that servers have said."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.url = f"tcp://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        while self._tasks:
            await asyncio.wait(self._tasks)

    def cut(self) -> None:
        """Breaks every connection."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            if not self.lets_in:
                writer.transport.abort()
                return
            to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self.port)
            self._writers += [writer, to_writer]
            await asyncio.gather(_copy(reader, to_writer), _copy(to_reader, writer, self._count))
        except OSError:
            writer.transport.abort()
        finally:
            self._tasks.discard(task)

    def _count(self, size: int) -> None:
        self.brought += size


async def _copy(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: Callable[[int], None] = lambda _: None
) -> None:
    try:
        while data := await reader.read(65536):
            count(len(data))
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


class ReconnectTest(LabTest):
    def test_a_session_goes_on(self) -> None:
        async def work() -> None:
            heard = Heard()
            async with lab() as (server, served), Proxy(server.urls[0]) as proxy:
                async with LabClient(f"{proxy.url}?{QUICK}", heard) as client:
                    call = asyncio.create_task(client.echo_req("wait"))
                    await served.until("waiting")
                    peer = server.peers[0]
                    peer.data["name"] = "ada"
                    proxy.cut()
                    await heard.until("connected", 2)
                    await served.until("resumed")
                    served.gate.set()
                    self.assertEqual(await call, "wait")
                    self.assertEqual(await client.echo_req("again"), "again")
                    self.assertTrue(client.connection.is_resumed)
                    self.assertIs(server.peers[0], peer)
                    self.assertEqual(heard.events, ["connected", "disconnected", "connected"])
                await served.until("gone")

        self.run_lab(work)

    def test_a_delivery_is_handled_once_however_often_it_is_cut(self) -> None:
        async def work() -> None:
            heard = Heard()
            async with lab() as (server, served), Proxy(server.urls[0]) as proxy:
                async with LabClient(f"{proxy.url}?{QUICK}", heard) as client:
                    for number in range(20):
                        saving = asyncio.create_task(client.save_ind(str(number)))
                        if number % 4 == 3:
                            await asyncio.sleep(0)
                            proxy.cut()
                        await saving
                        while not client.connection.is_connected:
                            await asyncio.sleep(0.001)
                    saved = [event for event in served.events if event.startswith("save")]
                    self.assertEqual(saved, [f"save {number}" for number in range(20)])

        self.run_lab(work)

    def test_a_client_that_closes_hears_that_it_is_closed_however_the_connection_ends(self) -> None:
        class Told(Heard):
            async def on_disconnected(self, client: LabClient, reason: msip.Status) -> None:
                self.tell(str(reason))

        async def work() -> None:
            heard = Told()
            async with lab() as (server, _), Proxy(server.urls[0]) as proxy:
                client = await LabClient(f"{proxy.url}?{QUICK}", heard).connect()
                closing = asyncio.create_task(client.close())
                await asyncio.sleep(0)
                proxy.cut()
                await closing
                self.assertEqual(heard.events, ["connected", "UNAVAILABLE: the client is closed"])

        self.run_lab(work)

    def test_a_stream_fails_and_sends_fail_while_there_is_no_connection(self) -> None:
        async def work() -> None:
            heard = Heard()
            async with lab() as (server, served), Proxy(server.urls[0]) as proxy:
                async with LabClient(f"{proxy.url}?{QUICK}", heard) as client:
                    stream = client.count_req(100_000)
                    await anext(stream)
                    proxy.lets_in = False
                    proxy.cut()
                    with self.assertRaises(msip.CallError) as caught:
                        async for _ in stream:
                            pass
                    self.assertFalse(caught.exception.is_safe_to_repeat)
                    await served.until("count ended")
                    with self.assertRaises(msip.CallError) as not_sent:
                        await client.echo_req("x")
                    self.assertEqual(not_sent.exception.code, msip.Code.UNAVAILABLE)
                    self.assertTrue(not_sent.exception.is_safe_to_repeat)
                    proxy.lets_in = True
                    await heard.until("connected", 2)
                    self.assertEqual(await client.echo_req("x"), "x")

        self.run_lab(work)

    def test_a_server_that_is_restarted_loses_the_session(self) -> None:
        async def work() -> None:
            heard = Heard()
            served = Served()
            server = await LabServer("tcp://127.0.0.1:0", served).start()
            url = server.urls[0]
            async with LabClient(f"{url}?{QUICK}", heard) as client:
                await server.close()
                async with LabServer(url, Served()):
                    await heard.until("connected", 2)
                    self.assertEqual(await client.echo_req("x"), "x")
                    self.assertFalse(client.connection.is_resumed)

        self.run_lab(work)

    def test_another_address_is_taken(self) -> None:
        async def work() -> None:
            heard = Heard()
            async with lab() as (one, _), lab() as (two, served):
                address = one.urls[0].removeprefix("tcp://")
                other = two.urls[0].removeprefix("tcp://")
                async with LabClient(f"tcp://{address},{other}?{QUICK}", heard) as client:
                    await one.close()
                    await served.until("connected")
                    await heard.until("connected", 2)
                    assert client.connection.address is not None
                    self.assertEqual(client.connection.address.authority, other)
            with self.assertRaisesRegex(msip.ConnectError, "cannot connect to any of 2 addresses: "):
                await LabClient("tcp://127.0.0.1:1,127.0.0.1:2").connect()

        self.run_lab(work)

    def test_a_client_that_is_thrown_out_stays_out(self) -> None:
        async def work() -> None:
            heard = Heard()
            async with lab() as (server, _), LabClient(f"{server.urls[0]}?{QUICK}", heard) as client:
                with self.assertRaises(msip.MsipError):
                    while True:
                        await client.echo_req("disconnect PERMISSION_DENIED")
                await heard.until("disconnected")
                while not client.connection.closed:
                    await asyncio.sleep(0.001)
                with self.assertRaises(msip.ClosedError) as caught:
                    await client.echo_req("x")
                self.assertEqual(caught.exception.code, msip.Code.PERMISSION_DENIED)

        self.run_lab(work)

    def test_a_handler_says_whether_to_come_back(self) -> None:
        async def work() -> None:
            class Stubborn(Heard):
                async def on_closed_by_server(self, client: LabClient, status: msip.Status) -> float:
                    self.tell(f"closed {status.code.name}")
                    try:
                        await client.echo_req("meanwhile")
                    except msip.CallError as error:
                        self.tell(error.message)
                    return 0

                async def on_connect_failure(
                    self, client: LabClient, error: msip.ConnectError, attempt: int
                ) -> msip.Reconnect | float:
                    self.tell(f"failed {attempt}")
                    return msip.Reconnect.STOP if attempt == 3 else 0.001

            heard = Stubborn()
            async with lab() as (server, _), LabClient(f"{server.urls[0]}?{QUICK}", heard) as client:
                server.peers[0].disconnect(msip.Status(msip.Code.PERMISSION_DENIED, "out"))
                await heard.until("connected", 2)
                why = "there is no connection: the last one has ended with PERMISSION_DENIED: out"
                self.assertEqual(heard.events[1:4], ["disconnected", "closed PERMISSION_DENIED", why])
                await server.close()
                await heard.until("failed 3")
                while not client.connection.closed:
                    await asyncio.sleep(0.001)
                with self.assertRaisesRegex(msip.ClosedError, "the client has given up: cannot reach tcp://"):
                    await client.echo_req("x")

        self.run_lab(work)

    def test_others_wait_until_a_client_is_logged_in(self) -> None:
        async def work() -> None:
            class Login(Heard):
                def __init__(self) -> None:
                    super().__init__()
                    self.gate = asyncio.Event()
                    self.gate.set()

                async def on_connected(self, client: LabClient) -> None:
                    self.tell("logging in")
                    await self.gate.wait()
                    self.tell(await client.echo_req("login"))

            heard = Login()
            async with lab() as (server, served), Proxy(server.urls[0]) as proxy:
                async with LabClient(f"{proxy.url}?{QUICK}", heard) as client:
                    self.assertEqual(heard.events, ["logging in", "login"])
                    heard.gate.clear()
                    proxy.cut()
                    await heard.until("logging in", 2)
                    call = asyncio.create_task(client.echo_req("after"))
                    with self.assertRaisesRegex(msip.CallError, "DEADLINE_EXCEEDED: the login"):
                        await client.echo_req("x", timeout=0.01)
                    server.everyone().note_ind("meanwhile")
                    await asyncio.sleep(0.01)
                    self.assertNotIn("note meanwhile", heard.events)
                    heard.gate.set()
                    self.assertEqual(await call, "after")
                    await heard.until("note meanwhile")
                    self.assertLess(heard.events.index("login"), heard.events.index("note meanwhile"))

        self.run_lab(work)

    def test_a_login_that_fails_is_an_attempt_that_has_failed(self) -> None:
        async def work() -> None:
            class Login(Heard):
                async def on_connected(self, client: LabClient) -> None:
                    await client.echo_req("fail")

            class Slow(Heard):
                async def on_connected(self, client: LabClient) -> None:
                    await client.echo_req("wait")

            class Closing(Heard):
                async def on_connected(self, client: LabClient) -> None:
                    await client.close()

            async with lab() as (server, _):
                with self.assertRaisesRegex(msip.ConnectError, "NOT_FOUND: the login failed: NOT_FOUND: not here"):
                    await LabClient(server.urls[0], Login()).connect()
                with self.assertRaisesRegex(msip.ConnectError, "did not return within 0.05 s"):
                    await LabClient(f"{server.urls[0]}?login_timeout=50ms", Slow()).connect()
                with self.assertRaises(msip.ClosedError):
                    await LabClient(server.urls[0], Closing()).connect()

        self.run_lab(work)

    def test_what_cannot_be_reached_is_said(self) -> None:
        async def work() -> None:
            with self.assertRaisesRegex(
                msip.ConnectError, "UNAVAILABLE: cannot reach tcp://127.0.0.1:1: connection refused"
            ):
                await LabClient("tcp://127.0.0.1:1").connect()
            with self.assertRaisesRegex(msip.ConnectError, "cannot reach unix:///nowhere: No such file"):
                await LabClient("unix:///nowhere").connect()

            async def answer(data: bytes) -> str:
                async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                    await reader.read(1)
                    writer.write(data)
                    writer.close()

                server = await asyncio.start_server(talk, "127.0.0.1", 0)
                port = server.sockets[0].getsockname()[1]
                async with server:
                    with self.assertRaises(msip.ConnectError) as caught:
                        await LabClient(f"tcp://127.0.0.1:{port}").connect()
                    await asyncio.sleep(0.01)
                return caught.exception.message

            self.assertRegex(await answer(b"\x15\x03\x01\x00\x02\x02\x16"), "speaks TLS: connect to tls:// instead")
            self.assertRegex(await answer(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "over WebSocket: connect to ws://")
            self.assertRegex(await answer(b"SSH-2.0-OpenSSH"), "does not speak MSIP")
            self.assertRegex(await answer(b""), "closed by the other side")

        self.run_lab(work)

    def test_a_server_that_says_nothing_is_given_up(self) -> None:
        async def work() -> None:
            released = asyncio.Event()

            async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await released.wait()
                writer.close()

            async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
                port = server.sockets[0].getsockname()[1]
                with self.assertRaisesRegex(msip.ConnectError, "no answer to HELLO within 0.05 s"):
                    await LabClient(f"tcp://127.0.0.1:{port}?handshake_timeout=50ms").connect()
                connecting = asyncio.create_task(LabClient(f"tcp://127.0.0.1:{port}").connect())
                await asyncio.sleep(0.02)
                connecting.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await connecting
                released.set()
                await asyncio.sleep(0.01)

        self.run_lab(work)


class SessionsTest(LabTest):
    def test_sessions_expire_and_are_limited(self) -> None:
        async def work() -> None:
            async with lab("tcp://127.0.0.1:0?max_detached_sessions=1") as (server, served):
                async with Proxy(server.urls[0]) as proxy:
                    one = await LabClient(f"{proxy.url}?{QUICK}").connect()
                    two = await LabClient(f"{proxy.url}?{QUICK}").connect()
                    await served.until("connected", 2)
                    proxy.lets_in = False
                    proxy.cut()
                    await served.until("disconnected", 2)
                    await served.until("gone", 1)
                    self.assertEqual(server.peers, [])
                    await one.close()
                    await two.close()
            async with lab("tcp://127.0.0.1:0?session_expiry=50ms") as (server, served):
                async with Proxy(server.urls[0]) as proxy:
                    client = await LabClient(f"{proxy.url}?{QUICK}").connect()
                    await served.until("connected")
                    proxy.lets_in = False
                    proxy.cut()
                    await served.until("gone")
                    await client.close()

        self.run_lab(work)

    def test_nobody_else_resumes_a_session(self) -> None:
        async def work() -> None:
            async def authenticate(request: msip.ConnectRequest) -> msip.Principal:
                return msip.Principal("test", user=request.credential.decode())

            names = iter(["ada", "eve", "eve", "eve"])
            heard = Heard()
            async with lab(authenticate=authenticate) as (server, served), Proxy(server.urls[0]) as proxy:
                url = f"{proxy.url}?{QUICK}"
                async with LabClient(url, heard, credential=lambda: next(names)) as client:
                    proxy.cut()
                    await heard.until("connected", 2)
                    self.assertFalse(client.connection.is_resumed)
                    await served.until("connected", 2)
                    self.assertNotIn("resumed", served.events)

        self.run_lab(work)


if __name__ == "__main__":
    unittest.main()
