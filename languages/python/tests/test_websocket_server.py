"""A server of WebSockets, and clients of it: those of this package, and raw ones that do only what they are told to."""

from __future__ import annotations

import asyncio
import os
import unittest

import msip
from lab import ECHO_REQ, LAB, Heard, LabClient, LabServer, LabTest, Served, Text, advance, lab
from msip.session import Session, Settings, events
from msip.transport.websocket_frames import Opcode, write_frame
from msip.transport.websocket_head import accept_of

_KEY = "dGhlIHNhbXBsZSBub25jZQ=="
_URL = "ws://127.0.0.1:0/chat"


def request(*, path: str = "/chat", **fields: str) -> bytes:
    """A request for a WebSocket."""
    known = {
        "Host": "localhost",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": _KEY,
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": "msip.1",
    }
    known |= {name.replace("_", "-"): value for name, value in fields.items()}
    return "\r\n".join(
        [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in known.items()), "", ""]
    ).encode()


class RawWebSocket:
    """A client whose frames the test writes."""

    def __init__(self, server: LabServer) -> None:
        self.port = int(server.urls[0].rpartition(":")[2].partition("/")[0])
        self.session = Session.connect(LAB, Settings(), 0.0, random=os.urandom)

    async def __aenter__(self) -> RawWebSocket:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.transport.abort()
        await asyncio.sleep(0)

    async def upgrade(self, **fields: str) -> None:
        self.writer.write(request(**fields))
        head = await self.reader.readuntil(b"\r\n\r\n")
        assert f"Sec-WebSocket-Accept: {accept_of(_KEY)}\r\n".encode() in head, head

    def send(self, payload: bytes, opcode: Opcode = Opcode.BINARY) -> None:
        self.writer.write(write_frame(opcode, payload, os.urandom(4)))

    async def frame(self) -> tuple[int, bytes]:
        """The next frame of the server: its first byte, and its payload."""
        first, length = await self.reader.readexactly(2)
        assert not length & 0x80, "the server masks nothing"
        if length >= 126:
            length = int.from_bytes(await self.reader.readexactly(2 if length == 126 else 8))
        return first, await self.reader.readexactly(length)

    async def closed(self) -> int:
        """The status with which the server closes, after whatever else it has said."""
        while True:
            first, payload = await self.frame()
            if first == 0x88:
                assert await self.reader.read() == b""
                return int.from_bytes(payload)

    async def shake_hands(self) -> None:
        await self.upgrade()
        self.session.begin(0.0)
        self.send(self.session.transmit())
        await self.event(events.Connected)

    async def event(self, kind: type[events.Event]) -> events.Event:
        """The next event of this kind."""
        while True:
            while (event := self.session.poll()) is not None:
                if isinstance(event, kind):
                    return event
            first, payload = await self.frame()
            assert first == 0x82, first
            self.session.receive(payload, 0.0)


class ServerTest(LabTest):
    def test_every_shape_of_exchange(self) -> None:
        async def work() -> None:
            async with lab(_URL) as (server, served), LabClient(server.urls[0], Heard()) as client:
                self.assertRegex(server.urls[0], r"^ws://127\.0\.0\.1:[1-9]\d*/chat$")
                for length in (0, 1, 125, 126, 32_768, 65_536, 1_000_000):
                    self.assertEqual(await client.echo_req("é" * length), "é" * length)
                await client.save_ind("x")
                self.assertEqual([each.text async for each in client.count_req("100 1000")][99][:3], "99.")
                self.assertEqual(await client.sum_req(Text(str(each)) for each in range(100)), "4950")
                self.assertEqual(await client.echo_req("ask why"), "answer to why")
                await served.until("save x")

        self.run_lab(work)

    def test_a_session_is_resumed_by_another_websocket(self) -> None:
        async def work() -> None:
            async with lab(_URL) as (server, served), RawWebSocket(server) as raw:
                await raw.shake_hands()
                raw.send(b"\x03\xe9", Opcode.CLOSE)
                self.assertEqual(await raw.closed(), 1000)
                await served.until("disconnected")
                raw.session.lost(0.0)
                async with RawWebSocket(server) as other:
                    other.session = raw.session
                    await other.shake_hands()
                    await served.until("resumed")
                self.assertNotIn("gone", served.events)

        self.run_lab(work)

    def test_it_listens_at_tcp_too_and_others_are_told_apart(self) -> None:
        async def work() -> None:
            async with LabServer([_URL, "tcp://127.0.0.1:0"], Served()) as server:
                ws, tcp = server.urls
                for url in (ws, tcp):
                    async with LabClient(url) as client:
                        self.assertEqual(await client.echo_req("x"), "x")
                cases = [
                    (
                        ws.replace("ws://", "tcp://").removesuffix("/chat"),
                        "speaks MSIP over WebSocket: connect to ws://",
                    ),
                    (tcp.replace("tcp://", "ws://"), "speaks MSIP without a WebSocket: connect to tcp://"),
                    (ws.replace("/chat", "/talk"), 'answered 404 Not Found: there is nothing at "/talk"'),
                ]
                for url, text in cases:
                    with self.subTest(url), self.assertRaisesRegex(msip.ConnectError, text):
                        await LabClient(url).connect()

        self.run_lab(work)

    def test_pages_of_listed_origins_alone(self) -> None:
        async def work() -> None:
            url = f"{_URL}?origin=https://chat.example.org,null"
            async with lab(url) as (server, _):
                for origin in ("https://chat.example.org", "null"):
                    async with RawWebSocket(server) as raw:
                        await raw.upgrade(Origin=origin)
                for origin in ("https://evil.example", "http://127.0.0.1"):
                    async with RawWebSocket(server) as raw:
                        raw.writer.write(request(Origin=origin))
                        self.assertTrue((await raw.reader.read()).startswith(b"HTTP/1.1 403 Forbidden\r\n"))

        self.run_lab(work)

    def test_settings_that_cannot_be_meant(self) -> None:
        for origin in ("a.example", "https://a.example/", "*", ""):
            with self.assertRaisesRegex(msip.SettingError, "setting `origin`: expected `scheme://host`"):
                LabServer(f"{_URL}?origin={origin}", Served())
        with self.assertRaisesRegex(msip.SettingError, "setting `origin` is one of ws and wss"):
            LabServer("tcp://127.0.0.1:0?origin=null", Served())
        with self.assertRaisesRegex(msip.SettingError, "a tuple of origins"):
            msip.ServerSettings(origin="https://a.example")  # type: ignore[arg-type]
        msip.ServerSettings(origin=("https://a.example", "http://[::1]:8000", "chrome-extension://abc"))


class HostileTest(LabTest):
    def test_a_head_without_end_is_refused_though_more_is_sent(self) -> None:
        async def work() -> None:
            async with lab(_URL) as (server, _), RawWebSocket(server) as raw:
                raw.writer.write(b"GET /chat HTTP/1.1\r\nA: " + b"a" * 200_000)
                self.assertTrue((await raw.reader.read()).startswith(b"HTTP/1.1 431 "))

        self.run_lab(work)

    def test_a_client_that_was_refused_and_sends_on_is_cut(self) -> None:
        async def work() -> None:
            async with lab(_URL) as (server, _), RawWebSocket(server) as raw:
                raw.writer.write(request(path="/talk"))
                with self.assertRaises(OSError):
                    while True:
                        raw.writer.write(b"x" * 65_536)
                        await raw.writer.drain()

        self.run_lab(work)

    def test_slow_handshakes_hold_up_nobody_and_are_given_up(self) -> None:
        async def work() -> None:
            async with lab(f"{_URL}?handshake_timeout=10s") as (server, served):
                async with RawWebSocket(server) as silent, RawWebSocket(server) as slow, RawWebSocket(server) as late:
                    slow.writer.write(request()[:-2])
                    await late.upgrade()
                    async with LabClient(server.urls[0]) as client:
                        self.assertEqual(await client.echo_req("meanwhile"), "meanwhile")
                        # The others were accepted before.
                        advance(10)
                        self.assertEqual(await silent.reader.read(), b"")
                        self.assertEqual(await slow.reader.read(), b"")
                        self.assertEqual(await late.reader.read(), b"")
                        self.assertEqual(await client.echo_req("after"), "after")
                await served.until("gone")
                self.assertEqual(served.events.count("connected"), 1)

        self.run_lab(work)

    def test_no_handshake_is_left_when_the_server_closes(self) -> None:
        async def work() -> None:
            async with lab(f"{_URL}?drain_timeout=0s") as (server, _):
                async with RawWebSocket(server) as silent, RawWebSocket(server) as late, RawWebSocket(server) as raw:
                    silent.writer.write(b"GET")
                    await late.upgrade()
                    await raw.shake_hands()
                    await server.close()
                    self.assertEqual(await silent.reader.read(), b"")
                    self.assertEqual(await late.reader.read(), b"")
                    self.assertEqual(await raw.closed(), 1000)

        self.run_lab(work)

    def test_frames_that_break_a_rule_end_their_connection_alone(self) -> None:
        async def work() -> None:
            unmasked = write_frame(Opcode.BINARY, b"MSIP")
            text = write_frame(Opcode.TEXT, b"MSIP", b"mask")
            huge = b"\x82\xff" + (1 << 62).to_bytes(8) + b"mask"
            pings = write_frame(Opcode.PING, b"", b"mask") * 1001
            half = write_frame(Opcode.BINARY, b"M", b"mask")
            fragments = bytes([half[0] & 0x7F]) + half[1:] + half
            cases = [(unmasked, 1002), (text, 1003), (huge, 1009), (pings, 1008), (fragments, 1002)]
            async with lab(_URL) as (server, served), LabClient(server.urls[0]) as client:
                for sent, status in cases:
                    for is_open in (False, True):
                        with self.subTest(f"{sent[:20]!r} {is_open=}"):
                            async with RawWebSocket(server) as raw:
                                await (raw.shake_hands() if is_open else raw.upgrade())
                                raw.writer.write(sent)
                                self.assertEqual(await raw.closed(), status)
                self.assertEqual(await client.echo_req("x"), "x")
                await served.until("disconnected", len(cases))

        self.run_lab(work)

    def test_bytes_before_the_hello_are_limited(self) -> None:
        async def work() -> None:
            async with lab(_URL) as (server, _), RawWebSocket(server) as raw:
                await raw.upgrade()
                part = write_frame(Opcode.BINARY, b"x", b"mask")
                first, fragment = bytes([part[0] & 0x7F]) + part[1:], bytes([0]) + part[1:]
                raw.writer.write(first + fragment * 10_000)
                self.assertEqual(await raw.closed(), 1008)

        self.run_lab(work)

    def test_frames_that_come_byte_by_byte(self) -> None:
        async def work() -> None:
            async with lab(_URL) as (server, served), RawWebSocket(server) as raw:
                raw.writer.transport.set_write_buffer_limits(0)
                await raw.shake_hands()
                raw.session.call(ECHO_REQ, b"\x0a\x08" + Text("slowly").to_bytes(), now=0.0, timeout=1000.0)
                data = write_frame(Opcode.PING, b"are you there?", os.urandom(4))
                # Each byte of MSIP in a message of its own, and those in pieces.
                for byte in raw.session.transmit():
                    data += write_frame(Opcode.BINARY, bytes([byte]), os.urandom(4))
                for start in range(0, len(data), 5):
                    raw.writer.write(data[start : start + 5])
                    await raw.writer.drain()
                    await asyncio.sleep(0)
                self.assertEqual(await raw.frame(), (0x8A, b"are you there?"))
                await raw.event(events.Answer)
                self.assertEqual(served.events, ["connected"])

        self.run_lab(work)


if __name__ == "__main__":
    unittest.main()
