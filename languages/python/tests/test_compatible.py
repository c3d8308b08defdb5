"""Peers of another version: what they tell each other, and whom ``schema=compatible`` serves."""

from __future__ import annotations

import asyncio
import json
import logging
import unittest
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import msip
from lab import LAB, Heard, LabClient, LabServer, LabTest, Served
from msip.compatibility import peer_schemas
from msip.compatibility.compare import compare
from msip.compatibility.comparison import Breaks, Comparison
from msip.compatibility.description import Description, DescriptionError
from msip.compatibility.fingerprint import fingerprint
from msip.compatibility.peer_schemas import PeerSchemas
from msip.connection.inbound import Inbound
from msip.connection.outbound import Outbound
from msip.session.receiving_messages import ReceivingMessages

SOURCE = """msip-description 1
package lab
client-to-server
1 echo_req COMMAND call single single 1 .lab.Text
2 note_ind EVENT one-way .lab.Text
server-to-client
1 echo_rsp EVENT answer .lab.Text
types
message lab.Text
1 text implicit string
"""


def of(description: str) -> msip.Protocol:
    """The lab, with this as its schema."""
    return replace(LAB, description=description, fingerprint=fingerprint(Description(description.encode())))


def changed(before: str, after: str) -> Comparison:
    return compare(Description(SOURCE.encode()), Description(SOURCE.replace(before, after).encode()), ("here", "there"))


OURS = of(SOURCE)
HARMLESS = of(SOURCE.replace("1 text implicit string\n", "1 text implicit string\n2 size implicit int32\n"))
RENAMED = of(SOURCE.replace("1 text", "1 words"))
BROKEN = of(SOURCE.replace("1 text implicit string", "1 text implicit bytes"))
UNTOLD = replace(BROKEN, description="")


class Server(LabServer):
    protocol = OURS


def client(protocol: msip.Protocol, url: str, handler: Heard | None = None) -> LabClient:
    class Other(LabClient):
        pass

    Other.protocol = protocol
    return Other(url, handler)


class Stays(Heard):
    """Hears why it is refused."""

    def __init__(self) -> None:
        super().__init__()
        self.reason: asyncio.Future[msip.Status] = asyncio.get_running_loop().create_future()

    async def on_closed_by_server(self, client: LabClient, status: msip.Status) -> msip.Reconnect:
        self.reason.set_result(status)
        return msip.Reconnect.STOP

    async def refused(self, client: LabClient) -> str:
        """With what the server has closed the session."""
        async with asyncio.timeout(20):
            status = await self.reason
        await client.close()
        assert status.code is msip.Code.FAILED_PRECONDITION, status
        return status.message


class CompatibleTest(LabTest):
    def test_both_sides_learn_what_differs(self) -> None:
        async def work() -> None:
            async with Server("tcp://127.0.0.1:0", Served()) as server:
                async with client(HARMLESS, server.urls[0]) as other:
                    self.assertEqual(await other.echo_req("hi"), "hi")
                    [peer] = server.peers
                    difference = await peer.schema_compared()
                    assert difference is not None
                    self.assertEqual(
                        str(difference), "client-to-server `echo_req`, field `size` (2): only on the client [harmless]"
                    )
                    self.assertIs(peer.schema_difference, difference)
                    self.assertFalse(difference.is_wire_breaking)
                    difference = await other.connection.schema_compared()
                    assert difference is not None
                    self.assertEqual(
                        str(difference), "client-to-server `echo_req`, field `size` (2): only on the client [harmless]"
                    )
                    self.assertEqual(difference.our_fingerprint, HARMLESS.fingerprint)
                async with client(OURS, server.urls[0]) as same:
                    await same.echo_req("hi")
                    [peer] = server.peers
                    self.assertIsNone(await peer.schema_compared())
                    self.assertIsNone(await same.connection.schema_compared())

        self.run_lab(work)

    def test_a_compatible_server_serves_what_it_understands(self) -> None:
        async def work() -> None:
            served = Served()
            async with Server("tcp://127.0.0.1:0?schema=compatible", served) as server:
                # In protobuf a field that was renamed is the same.
                for protocol in (HARMLESS, RENAMED):
                    async with client(protocol, server.urls[0]) as other:
                        self.assertEqual(await other.echo_req("hi"), "hi")
                        [peer] = server.peers
                        self.assertIsNotNone(peer.schema_difference)
                await served.until("gone", 2)
            self.assertEqual(served.events, ["connected", "disconnected", "gone"] * 2)

        self.run_lab(work)

    def test_a_compatible_server_refuses_what_it_would_misread(self) -> None:
        async def work() -> None:
            served = Served()
            async with Server("tcp://127.0.0.1:0?schema=compatible", served) as server:
                why = (
                    "the schemas are not compatible, which this server requires: client-to-server `echo_req`,"
                    " field `text` (1): string on the server, bytes on the client [wire-breaking]"
                )
                called = asyncio.Event()

                def on_request(inbound: Inbound, event: Any) -> None:
                    real(inbound, event)
                    called.set()

                async def ask(schemas: PeerSchemas, theirs: int, describe: Any) -> Any:
                    # The call waits by then.
                    await called.wait()
                    return await real_ask(schemas, theirs, describe)

                real, real_ask = Inbound.on_request, PeerSchemas._ask
                with mock.patch.object(Inbound, "on_request", on_request), mock.patch.object(PeerSchemas, "_ask", ask):
                    stays = Stays()
                    other = await client(BROKEN, server.urls[0], stays).connect()
                    with self.assertRaises(msip.CallError) as caught:
                        await other.echo_req("hi")
                self.assertEqual(caught.exception.message, why)
                self.assertEqual(await stays.refused(other), why)
                stays = Stays()
                other = await client(RENAMED, server.urls[0] + "?codec=json", stays).connect()
                self.assertIn(
                    "`words` on the client [wire-breaking in JSON and MessagePack]", await stays.refused(other)
                )
                self.assertEqual(server.peers, [])
            self.assertEqual(served.events, [])

        self.run_lab(work)

    def test_a_client_that_cannot_describe_its_schema(self) -> None:
        async def work() -> None:
            async with Server("tcp://127.0.0.1:0?schema=compatible", Served()) as server:
                with self.assertRaises(msip.ConnectError) as caught:
                    await client(UNTOLD, server.urls[0]).connect()
                self.assertIs(caught.exception.code, msip.Code.FAILED_PRECONDITION)
                self.assertIn("and the client cannot describe its own", str(caught.exception))
            async with Server("tcp://127.0.0.1:0", Served()) as server:
                async with client(UNTOLD, server.urls[0]) as other:
                    await other.echo_req("hi")
                    [peer] = server.peers
                    difference = await peer.schema_compared()
                    assert difference is not None
                    self.assertEqual(difference.not_compared, "the client cannot describe its schema")

        self.run_lab(work)

    def test_a_description_of_another_schema_is_not_believed(self) -> None:
        async def work() -> None:
            liar = replace(BROKEN, description=HARMLESS.description)
            async with Server("tcp://127.0.0.1:0?schema=compatible", Served()) as server:
                stays = Stays()
                other = await client(liar, server.urls[0], stays).connect()
                self.assertIn("is of another schema than its fingerprint", await stays.refused(other))
                # The next one of that fingerprint is asked again, and refused for what it is.
                stays = Stays()
                honest = await client(BROKEN, server.urls[0], stays).connect()
                self.assertIn("string on the server, bytes on the client", await stays.refused(honest))

        self.run_lab(work)

    def test_what_does_not_answer_is_refused_within_its_time(self) -> None:
        async def work() -> None:
            url = "tcp://127.0.0.1:0?schema=compatible"
            describe, ask = ReceivingMessages._describe, Outbound.describe

            def silent(session: ReceivingMessages, *rest: Any) -> None:
                if session.protocol is not HARMLESS:
                    describe(session, *rest)

            async def briefly(outbound: Outbound, timeout: float) -> bytes:
                # The time of the handshake, which itself may take longer on a busy machine.
                return await ask(outbound, 0.05)

            with (
                mock.patch.object(ReceivingMessages, "_describe", silent),
                mock.patch.object(Outbound, "describe", briefly),
            ):
                async with Server(url, Served()) as server:
                    stays = Stays()
                    other = await client(HARMLESS, server.urls[0], stays).connect()
                    self.assertIn("the client does not describe its schema", await stays.refused(other))

        self.run_lab(work)

    def test_a_schema_is_asked_for_once(self) -> None:
        async def work() -> None:
            asked: list[Any] = []
            describe = ReceivingMessages._describe

            def counted(*arguments: Any) -> None:
                asked.append(arguments)
                describe(*arguments)

            with (
                mock.patch.object(ReceivingMessages, "_describe", counted),
                # A machine may be too busy for the first answer to come before others ask by themselves.
                mock.patch.object(peer_schemas, "_OTHERS_ASK", 20.0),
                self.assertLogs("msip", logging.INFO) as logs,
            ):
                async with Server("tcp://127.0.0.1:0?schema=compatible", Served()) as server:
                    others = [client(HARMLESS, server.urls[0]) for _ in range(20)]
                    await asyncio.gather(*(other.connect() for other in others))
                    await asyncio.gather(*(other.echo_req("hi") for other in others))
                    await asyncio.gather(*(other.connection.schema_compared() for other in others))
                    await asyncio.gather(*(other.close() for other in others))
            # The server asks one of them, and each of them the server.
            self.assertEqual(len(asked), 21)
            lines = [line for line in logs.output if "the client has another version of lab" in line]
            self.assertEqual(len(lines), 1)

        self.run_lab(work)


class ComparisonTest(unittest.TestCase):
    def test_the_verdicts_of_rust(self) -> None:
        with open(Path(__file__).parents[2] / "comparisons.json") as file:
            comparisons = json.load(file)
        ours = Description(comparisons["ours"].encode())
        self.assertEqual(f"{fingerprint(ours):016x}", comparisons["fingerprint"])
        for change in comparisons["changes"]:
            with self.subTest(change["name"]):
                theirs = Description(change["theirs"].encode())
                self.assertEqual(f"{fingerprint(theirs):016x}", change["fingerprint"])
                found = compare(ours, theirs, ("before", "now"))
                self.assertEqual(found.differences, change["differences"])
                self.assertIs(found.breaks, Breaks(change["names"] + 2 * change["protobuf"]))
                reverse = compare(theirs, ours, ("now", "before"))
                self.assertEqual((reverse.count, reverse.breaks), (found.count, found.breaks))


class DescriptionTest(unittest.TestCase):
    def test_what_is_malformed_names_its_line(self) -> None:
        for before, after, expected in (
            ("msip-description 1", "msip-description 2", "line 1: expected `msip-description 1`"),
            ("package lab", "package", "line 2: expected `package`, and its name"),
            ("2 note_ind", "1 note_ind", "line 5: expected a member"),
            ("EVENT one-way", "EVENT any-way", "line 5: expected a member"),
            ("call single single 1", "call single single 7", "expected each call's answer to be a member"),
            ("message lab.Text", "message lab..Text", "line 9: expected `message` or `enum`"),
            ("implicit string", "implicit strings", "line 10: expected a field"),
            ("implicit string", "oneof:2 string", "line 10: expected a field"),
            ("implicit string", "implicit .lab.Other", "expected each type that is mentioned to be there"),
            ("implicit string", "implicit enum:.lab.Text", "expected each type that is mentioned to be there"),
        ):
            with self.subTest(after), self.assertRaisesRegex(DescriptionError, expected):
                Description(SOURCE.replace(before, after).encode())
        with self.assertRaisesRegex(DescriptionError, "262145 bytes, where 262144 are allowed"):
            Description(b"x" * 262_145)
        with self.assertRaisesRegex(DescriptionError, "not UTF-8"):
            Description(b"\xff")
        with self.assertRaisesRegex(DescriptionError, "more than 16384 members"):
            Description((SOURCE + "enum lab.E\n" + "".join(f"{number} E\n" for number in range(17_000))).encode())

    def test_a_change_of_the_wire_only(self) -> None:
        self.assertEqual(changed("", "").summary, "nothing differs")
        self.assertIs(changed("1 text implicit", "1 text optional").breaks, Breaks.NOTHING)
        self.assertIs(changed("1 text", "2 text").breaks, Breaks.PROTOBUF)
        self.assertIs(changed("lab.Text", "lab.Words").breaks, Breaks.NOTHING)
        self.assertEqual(
            changed("package lab", "package other").summary,
            "the protocol: package `lab` here, `other` there [wire-breaking]",
        )

    def test_a_tangle_is_not_followed_to_its_end(self) -> None:
        def tangle(step: int) -> Description:
            count = 300
            types = "".join(
                f"message t.T{number}\n"
                + "".join(
                    f"{field} f{field} optional .t.T{(number * step + field) % count}\n" for field in range(1, 20)
                )
                for number in range(count)
            )
            head = "msip-description 1\npackage t\nclient-to-server\n1 a_ind EVENT one-way .t.T1\nserver-to-client\ntypes\n"
            return Description((head + types).encode())

        comparison = compare(tangle(7), tangle(11), ("here", "there"))
        self.assertTrue(comparison.is_cut_short)
        self.assertIn("the rest was too complex to be compared", comparison.summary)
