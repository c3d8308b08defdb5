"""Peers that read nothing, steal sessions, announce huge frames or send nonsense."""

from __future__ import annotations

import asyncio
import os
import unittest

import msip
from lab import ECHO_REQ, LAB, LabClient, LabTest, Text, advance, lab
from msip.session import Session, Settings, events


class Raw:
    """A client that does only what it is told to."""

    def __init__(self, url: str) -> None:
        self.port = int(url.rpartition(":")[2])
        self.session = Session.connect(LAB, Settings(), 0.0, random=os.urandom)

    async def __aenter__(self) -> Raw:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.transport.abort()
        await asyncio.sleep(0)

    async def shake_hands(self) -> None:
        self.session.begin(0.0)
        self.writer.write(self.session.transmit())
        while True:
            self.session.receive(await self.reader.read(1 << 16), 0.0)
            while (event := self.session.poll()) is not None:
                if isinstance(event, events.Connected):
                    return


class SlowTest(LabTest):
    def test_a_client_that_says_nothing_is_cut_and_holds_up_nobody(self) -> None:
        async def work() -> None:
            settings = "ping_interval=10s&session_expiry=0s"
            async with lab(f"tcp://127.0.0.1:0?{settings}") as (server, served):
                async with LabClient(server.urls[0]) as other, Raw(server.urls[0]) as raw:
                    await raw.shake_hands()
                    await served.until("connected", 2)
                    raw.writer.transport.pause_reading()  # type: ignore[attr-defined]
                    # Nothing waits for it: what it has no room for passes it by.
                    while server.everyone().note_ind("x" * 60_000) > 1:
                        await other.echo_req("x")
                    # For twice as long as pings are apart.
                    for _ in range(2):
                        self.assertEqual(await other.echo_req("meanwhile"), "meanwhile")
                        advance(10)
                    await served.until("disconnected")
                    await served.until("gone")
                    self.assertEqual(len(server.peers), 1)

        self.run_lab(work)

    def test_a_client_that_does_not_read_its_answers_is_cut(self) -> None:
        async def work() -> None:
            async with lab("tcp://127.0.0.1:0?write_timeout=100ms&outgoing_queue=64KiB") as (server, served):
                async with LabClient(server.urls[0]) as other, Raw(server.urls[0]) as raw:
                    await raw.shake_hands()
                    raw.writer.transport.pause_reading()  # type: ignore[attr-defined]
                    body = b"\x0a\xe4\xd4\x03" + Text("x" * 60_000).to_bytes()
                    for _ in range(1000):
                        raw.session.call(ECHO_REQ, body, now=0.0, timeout=1000.0)
                        while data := raw.session.transmit():
                            raw.writer.write(data)
                    await served.until("disconnected")
                    self.assertEqual(await other.echo_req("meanwhile"), "meanwhile")

        self.run_lab(work)


class HostileTest(LabTest):
    def test_another_secret_does_not_resume_a_session(self) -> None:
        async def work() -> None:
            async with lab() as (server, served), LabClient(server.urls[0]) as client:
                await client.echo_req("x")
                victim = next(iter(server._sessions))
                async with Raw(server.urls[0]) as raw:
                    raw.session.begin(0.0)
                    hello = raw.session.transmit()
                    # The id is the first 8 bytes of the payload.
                    stolen = hello[:24] + victim.session_id.to_bytes(8) + hello[32:]
                    raw.writer.write(stolen)
                    self.assertIn(b"UNAUTHENTICATED: not authenticated", await raw.reader.read())
                self.assertEqual(await client.echo_req("still here"), "still here")
                self.assertEqual(served.events, ["connected"])

        self.run_lab(work)

    def test_a_huge_frame_ends_its_connection_alone(self) -> None:
        async def work() -> None:
            async with lab() as (server, served), LabClient(server.urls[0]) as client, Raw(server.urls[0]) as raw:
                await raw.shake_hands()
                raw.writer.write(bytes.fromhex("4d534950 01 00 0004 0001 0001 ffffffff 0000000000000001"))
                self.assertIn(b"announces a payload of 4294967295 bytes", await raw.reader.read())
                self.assertEqual(await client.echo_req("x"), "x")
                await served.until("disconnected")

        self.run_lab(work)

    def test_any_byte_that_is_changed_leaves_the_server_well(self) -> None:
        async def work() -> None:
            async with lab() as (server, _), LabClient(server.urls[0]) as client:
                session = Session.connect(LAB, Settings(), 0.0, random=os.urandom)
                session.begin(0.0)
                hello = session.transmit()
                for place in range(0, len(hello), 3):
                    async with Raw(server.urls[0]) as raw:
                        broken = bytearray(hello)
                        broken[place] ^= 0xFF
                        raw.writer.write(broken)
                        raw.writer.write_eof()
                        await raw.reader.read()
                self.assertEqual(await client.echo_req("x"), "x")

        self.run_lab(work)

    def test_a_client_survives_a_server_that_sends_nonsense(self) -> None:
        async def work() -> None:
            nonsense = [b"", b"MSIP", b"\x00" * 100, os.urandom(1000), b"MSIP\x01\x00\x00\x06" + b"\xff" * 16]
            given = iter(nonsense)

            async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await reader.read(1)
                writer.write(next(given))
                writer.close()

            async with await asyncio.start_server(talk, "127.0.0.1", 0) as fake:
                port = fake.sockets[0].getsockname()[1]
                for _ in nonsense:
                    with self.assertRaises(msip.ConnectError):
                        await LabClient(f"tcp://127.0.0.1:{port}").connect()
                await asyncio.sleep(0.01)

        self.run_lab(work)


if __name__ == "__main__":
    unittest.main()
