"""What the sessions of a server hold together: measured, bounded, and free again."""

from __future__ import annotations

import asyncio
import os
import unittest

import msip
from lab import Heard, LabClient, LabServer, LabTest, Served, lab
from msip.session import Settings
from msip.session import events as ev
from msip.session.budget import FLOOR, SUSPENDED_SESSION, Budget
from pair import ECHO, NOTE, Pair, events, small

BROKER = os.environ.get("MSIP_TEST_BROKER", "")
MIB = 1 << 20


class SessionTest(unittest.TestCase):
    def setUp(self) -> None:
        self.budget = Budget(MIB)
        self.pair = Pair(server=small(Settings(), budget=self.budget))
        self.pair.exchange()
        events(self.pair.client)
        events(self.pair.server)

    def test_what_a_session_holds(self) -> None:
        server = self.pair.server
        self.assertEqual(server.held, 0)
        self.pair.client.call(ECHO, b"x" * 1000, now=0, timeout=30.0)
        self.pair.client.send(NOTE, b"x" * 500, now=0)
        self.pair.exchange()
        self.assertEqual(server.held, 1002 + 502)
        for event in events(server):
            if isinstance(event, ev.Request):
                server.answer(event.id, b"y" * 100)
            elif isinstance(event, ev.Message):
                server.finished(0, 1, event.size)
        self.assertEqual(server.held, 100 + 24 + 64 + 502)
        server.lost(0)
        self.assertEqual(server.held, SUSPENDED_SESSION + 100 + 24 + 64 + 502)
        server.end(msip.Status(msip.Code.UNAVAILABLE, "over"))
        self.assertEqual(server.held, 0)

    def test_calls_are_refused_beyond_the_floor_while_memory_is_short(self) -> None:
        self.budget.change(2 * MIB)
        client, server = self.pair.client, self.pair.server
        # Up to the floor they are served: nobody else keeps a client from speaking.
        for _ in range(2):
            client.call(ECHO, b"x" * FLOOR, now=0, timeout=30.0)
            self.pair.exchange()
        self.assertEqual(len(events(server)), 1)
        [failed] = events(client)
        assert isinstance(failed, ev.Failed)
        self.assertIs(failed.status.code, msip.Code.RESOURCE_EXHAUSTED)
        self.assertEqual(failed.status.message, f"memory is short: {MIB} bytes (max_memory)")
        self.budget.change(-2 * MIB)
        client.call(ECHO, b"x" * FLOOR, now=0, timeout=30.0)
        self.pair.exchange()
        self.assertEqual(len(events(server)), 1)

    def test_senders_and_handlers_wait_beyond_the_floor(self) -> None:
        server = self.pair.server
        self.budget.change(2 * MIB)
        self.assertTrue(server.can_send(NOTE, 10))
        server.send(NOTE, b"x" * FLOOR, now=0)
        self.assertFalse(server.can_send(NOTE, 10))
        self.assertFalse(server.can_send(ECHO, 10))
        self.pair.exchange()
        self.assertIn(ev.Writable(0), events(server))
        self.assertTrue(server.can_send(NOTE, 10))
        # A handler does not begin while its connection has so much of answers queued.
        for _ in range(2):
            self.pair.client.call(ECHO, b"x", now=0, timeout=30.0)
        self.pair.exchange()
        first, second = (event for event in events(server) if isinstance(event, ev.Request))
        server.answer(first.id, b"y" * FLOOR)
        self.assertFalse(server.may_begin_handler)
        self.pair.exchange()
        self.assertTrue(server.may_begin_handler)
        server.answer(second.id, b"y")


class ServerTest(LabTest):
    def test_sessions_without_a_connection_make_room(self) -> None:
        async def work() -> None:
            settings = msip.ServerSettings(max_memory=MIB)
            async with lab(settings=settings) as (server, served):
                clients = [LabClient(server.urls[0]) for _ in range(80)]
                for client in clients:
                    await client.connect()
                for client in clients:
                    # As if the network had gone.
                    client._open().driver.stream.abort()  # type: ignore[union-attr]
                    assert client._supervisor is not None and client._supervisor._task is not None
                    client._supervisor._task.cancel()
                await served.until("disconnected", 80)
                # 64 sessions of 16 KiB are a MiB: the oldest have gone.
                await served.until("gone", 80 - MIB // SUSPENDED_SESSION)
                self.assertLessEqual(server.memory, MIB)
                for client in clients:
                    await client.close()
            self.assertEqual(server.memory, 0)

        self.run_lab(work)

    def test_messages_that_wait_count_and_are_free_again(self) -> None:
        async def work() -> None:
            settings = msip.ServerSettings(max_memory=MIB)
            heard = Heard()
            async with lab(settings=settings) as (server, served), LabClient(server.urls[0], heard) as client:
                await client.note_ind("wait")
                for _ in range(15):
                    await client.note_ind("x" * 60_000)
                async with asyncio.timeout(20):
                    while server.memory < MIB // 2:
                        await client.ping()
                served.gate.set()
                await served.until("note " + "x" * 20, 15)
                await client.save_ind("done")
                async with asyncio.timeout(20):
                    while server.memory > MIB // 2:
                        await client.ping()

        self.run_lab(work)


@unittest.skipUnless(BROKER, "there is no broker: MSIP_TEST_BROKER")
class ServiceTest(LabTest):
    def test_a_service_holds_no_more_than_it_may_and_loses_no_message(self) -> None:
        async def work() -> None:
            url, served = f"{BROKER}/limits-{os.getpid()}", Served()
            async with LabServer.attach(f"{url}?max_memory=1MiB", served) as server:
                clients = [LabClient(url) for _ in range(21)]
                for client in clients:
                    await client.connect()
                *senders, caller = clients
                for client in senders:
                    await client.note_ind("wait")
                    for _ in range(20):
                        await client.note_ind("x" * 10_000)
                # 4 MB were sent: a call is refused once 1 MiB waits here.
                with self.assertRaises(msip.CallError) as refused:
                    async with asyncio.timeout(20):
                        while True:
                            await caller.echo_req("?")
                self.assertEqual(refused.exception.message, f"memory is short: {MIB} bytes (max_memory)")
                self.assertGreater(server.memory, MIB)
                served.gate.set()
                await served.until("note " + "x" * 20, 400)
                self.assertEqual(await caller.echo_req("!"), "!")
                self.assertLess(server.memory, MIB)
                for client in clients:
                    await client.close()
            self.assertEqual(server.memory, 0)

        self.run_lab(work)


if __name__ == "__main__":
    unittest.main()
