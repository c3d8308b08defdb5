"""A client at a topic of a shared connection, without a broker: a session that is lost while it logs in."""

from __future__ import annotations

import asyncio
import os
import unittest
from collections.abc import Callable, Coroutine
from typing import Any, cast

import msip
from lab import LAB, Heard, LabClient, LabTest
from msip.broker.topic_client import TopicClient
from msip.connection.driver import Driver
from msip.connection.outbound import Outbound
from msip.errors import MsipError
from msip.session import Session, Settings, events


class Broker:
    """Stands for the connection, and for what is sent by it."""

    settings = msip.ClientSettings()
    login_limit = 20.0
    is_connected = True

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.driver = Driver(Session.connect(LAB, Settings(), loop.time(), random=os.urandom), 1.0)
        self.sessions = 0
        self.told: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.closed: MsipError | None = None
        self.codec = None
        self.item_waiters = None

    def outbound_at(self, topic: str, protocol: msip.Protocol) -> Outbound:
        return cast(Outbound, self)

    def check_open(self) -> None:
        if self.closed is not None:
            raise self.closed

    async def subscribe(self, topic: str, options: object, *, lasts: bool) -> events.Subscribed:
        self.told.append(f"subscribe in {self.sessions}")
        await asyncio.sleep(0)
        return events.Subscribed(1, None)

    async def unsubscribe(self, topic: str) -> None:
        self.told.append(f"unsubscribe in {self.sessions}")

    async def pass_gate(self) -> None: ...

    def add(self, client: TopicClient) -> None: ...

    def remove(self, client: TopicClient) -> None:
        self.told.append("remove")

    def grant(self, topic: str, items: int, window: int) -> None: ...

    def forget_call(self, number: int) -> None: ...

    def begin(self, work: Coroutine[Any, Any, None], what: str) -> asyncio.Task[None]:
        self.tasks.append(asyncio.get_running_loop().create_task(work))
        return self.tasks[-1]


class Login(Heard):
    """Does this at each login."""

    def __init__(self, then: Callable[[], None]) -> None:
        super().__init__()
        self._then = then

    async def on_connected(self, client: LabClient) -> None:
        self.tell("connected")
        self._then()
        await asyncio.sleep(0)


def made(broker: Broker, handler: Heard) -> tuple[TopicClient, msip.ConnectionInfo]:
    info = msip.ConnectionInfo(msip.ConnectionInfo())
    return TopicClient(LabClient("tcp://127.0.0.1:1"), LAB, "room", handler, info, broker), info


class TopicClientTest(LabTest):
    def test_one_whose_session_is_lost_while_it_joins_begins_anew(self) -> None:
        async def work() -> None:
            broker = Broker()

            def lose_once() -> None:
                broker.sessions = 1

            heard = Login(lose_once)
            client, _ = made(broker, heard)
            await client.join()
            self.assertEqual(broker.told, ["subscribe in 0", "subscribe in 1"])
            self.assertEqual(heard.events, ["connected", "connected"])
            # With another connection of the same session it only logs in.
            await client.log_in()
            self.assertEqual(len(broker.told), 2)
            await client.close()
            self.assertEqual(broker.told[2:], ["unsubscribe in 1", "remove"])

        self.run_lab(work)

    def test_one_that_cannot_join_leaves_its_topic(self) -> None:
        async def work() -> None:
            for cancels in (True, False):
                broker = Broker()

                def fail(cancels: bool = cancels) -> None:
                    if cancels:
                        asyncio.current_task().cancel()  # type: ignore[union-attr]
                    else:
                        raise ValueError("a fault")

                client, info = made(broker, Login(fail))
                expected = asyncio.CancelledError if cancels else msip.ConnectError
                joining = asyncio.create_task(client.join())
                await asyncio.wait([joining])
                with self.assertRaises(expected):
                    await joining
                self.assertEqual(broker.told, ["subscribe in 0", "unsubscribe in 0", "remove"])
                self.assertIs(info.state, msip.ConnectionState.CLOSED)

        self.run_lab(work)

    def test_one_whose_subscription_ends_is_closed_with_the_reason(self) -> None:
        async def work() -> None:
            broker = Broker()
            client, info = made(broker, Heard())
            await client.join()
            client.subscription_ended(msip.Status(msip.Code.RESOURCE_EXHAUSTED, "slow consumer"))
            assert info.closed is not None
            self.assertIs(info.closed.code, msip.Code.RESOURCE_EXHAUSTED)
            with self.assertRaises(msip.ClosedError):
                broker.check_open()
            await client.close()
            self.assertEqual(broker.told, ["subscribe in 0", "remove"])

        self.run_lab(work)

    def test_handlers_say_who_gives_up(self) -> None:
        class GivesUp(Heard):
            async def on_connect_failure(
                self, client: LabClient, error: msip.ConnectError, attempt: int
            ) -> msip.Reconnect | float:
                return msip.Reconnect.STOP if attempt > 1 else 0.5

            async def on_closed_by_server(self, client: LabClient, status: msip.Status) -> msip.Reconnect | float:
                if status.code is msip.Code.ABORTED:
                    raise ValueError("a fault")
                return msip.Reconnect.BACKOFF

        async def work() -> None:
            client, info = made(Broker(), GivesUp())
            await client.join()
            answer = await client.closed_by_server(msip.Status(msip.Code.NOT_FOUND, "no"))
            self.assertIs(answer, msip.Reconnect.BACKOFF)
            answer = await client.closed_by_server(msip.Status(msip.Code.ABORTED, "no"))
            self.assertIs(answer, msip.Reconnect.STOP)
            error = msip.ConnectError(msip.Code.UNAVAILABLE, "nobody is there")
            await client.connect_failed(error, 1)
            self.assertIsNone(info.closed)
            await client.connect_failed(error, 2)
            self.assertEqual(str(info.closed), "UNAVAILABLE: the client has given up: nobody is there")
            await client.close()

        self.run_lab(work)


if __name__ == "__main__":
    unittest.main()
