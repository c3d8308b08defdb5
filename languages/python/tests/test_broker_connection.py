"""Many clients in one connection to a broker, which the tests of Rust start: `MSIP_TEST_BROKER` says where it listens."""

from __future__ import annotations

import asyncio
import itertools
import os
import unittest
from typing import Any

import msip
from lab import Heard, LabClient, LabServer, LabTest, Served, Text, lab
from test_compatible import HARMLESS, OURS
from test_reconnect import QUICK, Proxy

BROKER = os.environ.get("MSIP_TEST_BROKER", "")
_topics = itertools.count()


def topic() -> str:
    return f"shared-{os.getpid()}-{next(_topics)}"


class OldServer(LabServer):
    protocol = OURS


class NewClient(LabClient):
    protocol = HARMLESS


class Stuck(Heard):
    """Handles nothing before it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    async def on_note_ind(self, message: Text, context: msip.Context[LabClient]) -> None:
        await self.gate.wait()


class LogsIn(Heard):
    """Calls when it logs in, as often as it may."""

    def __init__(self, may: int = 1 << 30) -> None:
        super().__init__()
        self.may = may

    async def on_connected(self, client: LabClient) -> None:
        self.may -= 1
        if self.may < 0:
            raise msip.Status(msip.Code.PERMISSION_DENIED, "not today")
        answer = await client.echo_req("in")
        self.tell(f"{answer} {'again' if client.connection.is_resumed else 'anew'}")

    async def on_connect_failure(
        self, client: LabClient, error: msip.ConnectError, attempt: int
    ) -> msip.Reconnect | float:
        self.tell(f"failed {error.code.name}")
        return msip.Reconnect.BACKOFF


@unittest.skipUnless(BROKER, "there is no broker: MSIP_TEST_BROKER")
class BrokerConnectionTest(LabTest):
    def refused(self, error: msip.MsipError, code: msip.Code, text: str) -> None:
        self.assertIs(error.code, code, error)
        self.assertIn(text, error.message)

    def test_clients_of_several_protocols_each_at_its_topic(self) -> None:
        async def work() -> None:
            lab_at, old_at, heard = topic(), topic(), Heard()
            served = Served()
            async with (
                LabServer.attach(f"{BROKER}/{lab_at}", served) as server,
                OldServer.attach(f"{BROKER}/{old_at}", Served()),
                msip.BrokerConnection(BROKER) as broker,
                broker.client(LabClient, lab_at, heard) as client,
                broker.client(NewClient, old_at) as new,
            ):
                self.assertIsInstance(client, LabClient)
                self.assertEqual(await client.echo_req("hi"), "hi")
                self.assertEqual(await new.echo_req("hi"), "hi")
                counted = [text.text async for text in client.count_req(300)]
                self.assertEqual(counted, [str(number) for number in range(300)])
                self.assertEqual(await client.sum_req([Text("1"), Text("2")]), "3")
                self.assertEqual([text.text async for text in client.both_req([Text("a"), Text("b")])], ["A", "B"])
                # The service calls it, and tells it and everyone.
                self.assertEqual(await client.echo_req("ask who?"), "answer to who?")
                [peer] = server.peers
                await peer.note_ind("you")
                await peer.save_ind("saved")
                server.everyone().note_ind("all")
                await heard.until("note all")
                self.assertEqual(heard.events, ["connected", "note you", "save saved", "note all"])
                difference = await new.connection.schema_compared()
                self.assertIn("only on the client", str(difference))
                self.assertIsNone(await client.connection.schema_compared())
                self.assertTrue(client.connection.is_connected)
                self.assertEqual(client.connection.peer_id, broker.connection.peer_id)
                self.assertGreaterEqual(await client.ping(), 0)

        self.run_lab(work)

    def test_a_client_that_came_before_the_service_learns_what_it_speaks(self) -> None:
        async def work() -> None:
            at, alone_at = topic(), topic()
            async with msip.BrokerConnection(BROKER) as broker, broker.client(NewClient, at) as shared:
                async with NewClient(f"{BROKER}/{alone_at}") as alone:
                    for client, there in ((shared, at), (alone, alone_at)):
                        self.assertIsNone(await client.connection.schema_compared())
                        async with OldServer.attach(f"{BROKER}/{there}", Served()):
                            self.assertEqual(await client.echo_req("hi"), "hi")
                            self.assertIn("only on the client", str(await client.connection.schema_compared()))

        self.run_lab(work)

    def test_it_has_one_client_at_a_topic_and_one_that_is_closed_makes_place_for_another(self) -> None:
        async def work() -> None:
            at, served = topic(), Served()
            async with LabServer.attach(f"{BROKER}/{at}", served), msip.BrokerConnection(BROKER) as broker:
                first = await broker.client(LabClient, at).connect()
                with self.assertRaises(msip.ConnectError) as taken:
                    await broker.client(LabClient, at).connect()
                self.refused(taken.exception, msip.Code.ALREADY_EXISTS, "is at the topic")
                answer = asyncio.create_task(first.echo_req("wait"))
                await served.until("waiting")
                await first.close()
                served.gate.set()
                self.assertEqual(await answer, "wait", "a call that was open is answered")
                self.assertIs(first.connection.state, msip.ConnectionState.CLOSED)
                for late in (first.echo_req("late"), first.note_ind("late"), anext(first.count_req(1)), first.ping()):
                    with self.assertRaises(msip.ClosedError) as closed:
                        await late
                    self.refused(closed.exception, msip.Code.UNAVAILABLE, "the client is closed")
                with self.assertRaises(msip.ClosedError):
                    await first.connect()
                second = await broker.client(LabClient, at).connect()
                self.assertEqual(await second.echo_req("hi"), "hi")
                await broker.close()
                self.assertIs(second.connection.state, msip.ConnectionState.CLOSED)
                with self.assertRaises(msip.ClosedError):
                    await second.echo_req("late")

        self.run_lab(work)

    def test_a_client_whose_handler_is_stuck_holds_up_no_other(self) -> None:
        async def work() -> None:
            stuck_at, at = topic(), topic()
            stuck, heard = Stuck(), Heard()
            settings = msip.ClientSettings(drain_timeout=0.1)
            async with (
                LabServer.attach(f"{BROKER}/{stuck_at}", Served()) as one,
                LabServer.attach(f"{BROKER}/{at}", Served()) as other,
                Proxy(BROKER) as proxy,
                msip.BrokerConnection(proxy.url, settings=settings) as broker,
            ):
                client = await broker.client(LabClient, stuck_at, stuck).connect()
                await broker.client(LabClient, at, heard).connect()
                # More than its window, and more than that of the connection.
                await _tell(one, 1200, "." * 1000)
                self.assertEqual(await client.echo_req("behind them"), "behind them")
                await _tell(other, 300)
                await heard.until("note 299")
                notes = [event for event in heard.events if event.startswith("note")]
                self.assertEqual(notes, [f"note {number}" for number in range(300)])
                # What the stuck one has no window for waits in the broker.
                self.assertLess(proxy.brought, 600_000)
                stuck.gate.set()

        self.run_lab(work)

    def test_it_is_made_again_when_it_is_lost_and_each_client_hears_of_it(self) -> None:
        async def work() -> None:
            one, two = topic(), topic()
            first, second = LogsIn(), LogsIn()
            async with (
                LabServer.attach(f"{BROKER}/{one}", Served()),
                LabServer.attach(f"{BROKER}/{two}", Served()),
                Proxy(BROKER) as proxy,
                msip.BrokerConnection(f"{proxy.url}?{QUICK}") as broker,
                broker.client(LabClient, one, first) as client,
                broker.client(LabClient, two, second) as other,
            ):
                proxy.cut()
                for heard in (first, second):
                    await heard.until("in again")
                    self.assertEqual(heard.events, ["in anew", "disconnected", "in again"])
                self.assertEqual(await asyncio.gather(client.echo_req("back"), other.echo_req("too")), ["back", "too"])
                self.assertTrue(client.connection.is_connected)

        self.run_lab(work)

    def test_a_client_that_cannot_log_in_is_closed_and_the_others_go_on(self) -> None:
        async def work() -> None:
            one, two = topic(), topic()
            once = LogsIn(1)
            async with (
                LabServer.attach(f"{BROKER}/{one}", Served()),
                LabServer.attach(f"{BROKER}/{two}", Served()),
                Proxy(BROKER) as proxy,
                msip.BrokerConnection(f"{proxy.url}?{QUICK}") as broker,
            ):
                with self.assertRaises(msip.ConnectError) as refused:
                    await broker.client(LabClient, one, LogsIn(0)).connect()
                self.refused(refused.exception, msip.Code.PERMISSION_DENIED, "not today")
                failing = await broker.client(LabClient, one, once).connect()
                other = await broker.client(LabClient, two).connect()
                proxy.cut()
                await once.until("failed PERMISSION_DENIED")
                while not broker.connection.is_connected:
                    await asyncio.sleep(0.001)
                self.assertEqual(await other.echo_req("hi"), "hi")
                assert failing.connection.closed is not None
                self.refused(failing.connection.closed, msip.Code.PERMISSION_DENIED, "not today")
                with self.assertRaises(msip.ClosedError) as closed:
                    await failing.echo_req("hi")
                self.refused(closed.exception, msip.Code.PERMISSION_DENIED, "not today")

        self.run_lab(work)

    def test_one_that_is_left_without_a_connection_is_left_with_the_next(self) -> None:
        async def work() -> None:
            at, served, heard = topic(), Served(), Heard()
            settings = msip.ClientSettings(drain_timeout=0.01)
            async with (
                LabServer.attach(f"{BROKER}/{at}", served) as server,
                Proxy(BROKER) as proxy,
                msip.BrokerConnection(f"{proxy.url}?{QUICK}", settings=settings) as broker,
            ):
                client = await broker.client(LabClient, at, heard).connect()
                proxy.lets_in = False
                proxy.cut()
                await heard.until("disconnected")
                with self.assertRaises(msip.ConnectError):
                    await broker.client(LabClient, topic()).connect()
                await client.close()
                proxy.lets_in = True
                again: LabClient | None = None
                while again is None:
                    try:
                        again = await broker.client(LabClient, at, heard).connect()
                    except msip.ConnectError:
                        await asyncio.sleep(0.001)
                await _tell(server, 1)
                await heard.until("note 0")
                self.assertEqual(await again.echo_req("hi"), "hi")
                self.assertEqual(heard.events.count("note 0"), 1)

        self.run_lab(work)

    def test_a_handler_closes_its_own_client(self) -> None:
        async def work() -> None:
            at, heard = topic(), Closing()
            async with LabServer.attach(f"{BROKER}/{at}", Served()) as server, msip.BrokerConnection(BROKER) as broker:
                client = await broker.client(LabClient, at, heard).connect()
                await _tell(server, 1)
                await heard.until("closed")
                await client.close()
                self.assertIs(client.connection.state, msip.ConnectionState.CLOSED)

        self.run_lab(work)

    def test_what_is_not_shared_is_refused(self) -> None:
        with self.assertRaises(msip.UrlError):
            msip.BrokerConnection(f"{BROKER}/room")

        async def work() -> None:
            with self.assertRaises(msip.ClosedError):
                msip.BrokerConnection(BROKER).client(LabClient, "room")
            async with msip.BrokerConnection(BROKER) as broker:
                for bad in ("", "rooms/+", "$in"):
                    with self.assertRaises(msip.UrlError):
                        broker.client(LabClient, bad)
                untyped: Any = msip.UntypedClient
                with self.assertRaises(TypeError):
                    broker.client(untyped, "room")
                with self.assertRaises(msip.ClosedError):
                    await broker.client(LabClient, "room").echo_req("before it connects")
            async with lab() as (server, _):
                with self.assertRaises(msip.ConnectError) as other:
                    await msip.BrokerConnection(server.urls[0]).connect()
                self.refused(other.exception, msip.Code.FAILED_PRECONDITION, "speaks lab")

        self.run_lab(work)


class Closing(Heard):
    """Closes its client from a handler."""

    async def on_note_ind(self, message: Text, context: msip.Context[LabClient]) -> None:
        await context.peer.close()
        self.tell("closed")


async def _tell(server: LabServer, count: int, ballast: str = "") -> None:
    """Tells everyone so many notes, each as soon as there is capacity."""
    for number in range(count):
        while server.everyone().note_ind(f"{number}{ballast}") == 0:
            await asyncio.sleep(0)


if __name__ == "__main__":
    unittest.main()
