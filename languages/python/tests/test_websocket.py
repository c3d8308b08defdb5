"""WebSockets without I/O: frames, limits and the upgrade."""

import re
import unittest
from base64 import b64encode
from hashlib import sha1
from pathlib import Path

from msip.transport.websocket_frames import FrameReader, Opcode, ViolationError, masked, write_frame
from msip.transport.websocket_upgrade import Upgrade, UpgradeError

_PROTOCOL = Path(__file__).parents[3] / "docs" / "protocol.md"


def frame(opcode: int, payload: bytes, *, last: bool = True) -> bytes:
    """A frame of a server."""
    head = bytes([(0x80 if last else 0) | opcode])
    length = len(payload)
    if length < 126:
        return head + bytes([length]) + payload
    if length < 65536:
        return head + b"\x7e" + length.to_bytes(2) + payload
    return head + b"\x7f" + length.to_bytes(8) + payload


class FramesTest(unittest.TestCase):
    def test_the_vectors_of_the_protocol(self) -> None:
        vectors = re.findall(
            r"```websocket name=\S+\nfrom: (\w+)\npayload:\n(.*?)hex:\n(.*?)```", _PROTOCOL.read_text(), re.S
        )
        self.assertEqual(len(vectors), 2)
        for side, payload, hexed in vectors:
            data, expected = bytes.fromhex(payload), bytes.fromhex(hexed)
            if side == "client":
                self.assertEqual(write_frame(Opcode.BINARY, data, expected[2:6]), expected)
            else:
                self.assertEqual(FrameReader().receive(expected, 0), data)

    def test_a_mask_taken_twice_is_none(self) -> None:
        for length in (0, 1, 3, 4, 5, 70_000):
            data = bytes(range(256)) * 300
            data = data[:length]
            self.assertEqual(masked(masked(data, b"\x01\x82\x03\xf4"), b"\x01\x82\x03\xf4"), data)

    def test_any_cut_gives_the_same_bytes(self) -> None:
        stream = (
            frame(2, b"first")
            + frame(2, b"a" * 300, last=False)
            + frame(9, b"ping")
            + frame(0, b"b" * 65_000, last=False)
            + frame(0, b"")
            + frame(10, b"")
            + frame(2, b"last")
        )
        expected = b"first" + b"a" * 300 + b"b" * 65_000 + b"last"
        for size in (1, 2, 7, 1000, len(stream)):
            reader = FrameReader()
            reader.establish()
            found = b"".join(reader.receive(stream[at : at + size], 0) for at in range(0, len(stream), size))
            self.assertEqual(found, expected)
            self.assertEqual(reader.pongs, [b"ping"])

    def test_broken_rules(self) -> None:
        cases = [
            (frame(1, b"text"), 1003, "text message"),
            (frame(2, b"x" * 65_537), 1009, "65537 bytes: 65536 are the most"),
            (b"\x82\x7f" + (1 << 62).to_bytes(8), 1009, "are the most"),
            (frame(2, b"x", last=False) + frame(2, b"y"), 1002, "begins before the one before it"),
            (frame(0, b"x"), 1002, "continues no message"),
            (b"\x82\x81....x", 1002, "a server's frame is masked"),
            (b"\xc2\x01x", 1002, "a reserved bit is set"),
            (frame(3, b""), 1002, "unknown opcode 3"),
            (frame(9, b"", last=False), 1002, "control frame"),
            (b"\x89\x7e\x00\x80", 1002, "control frame"),
            (frame(9, b"") * 1001, 1008, "1000 at once and 10 a second"),
            (frame(2, b"") * 1001, 1008, "1000 at once and 10 a second"),
        ]
        for data, status, text in cases:
            reader = FrameReader()
            reader.establish()
            with self.subTest(text), self.assertRaises(ViolationError) as caught:
                reader.receive(data, 0)
            self.assertEqual(caught.exception.status, status)
            self.assertIn(text, str(caught.exception))

    def test_bytes_without_a_message_are_limited(self) -> None:
        reader = FrameReader()
        data = frame(2, b"x" * 60_000)
        self.assertEqual(len(reader.receive(data, 0)), 60_000)
        with self.assertRaisesRegex(ViolationError, "no message is complete: 65536 are the most"):
            reader.receive(data, 0)
        reader = FrameReader()
        reader.establish()
        for _ in range(10):
            reader.receive(data, 0)
        with self.assertRaisesRegex(ViolationError, "no message is complete: 131072 are the most"):
            # Fragments that cost more bytes than they carry.
            reader.receive(frame(2, b"x", last=False) + frame(0, b"x", last=False) * 50_000, 0)

    def test_the_allowance_comes_back_with_time(self) -> None:
        reader = FrameReader()
        reader.establish()
        reader.receive(frame(10, b"") * 1000, 0.0)
        reader.receive(frame(10, b"") * 20, 2.0)
        with self.assertRaises(ViolationError):
            reader.receive(frame(10, b""), 2.0)

    def test_a_close_frame_ends_reading(self) -> None:
        reader = FrameReader()
        self.assertEqual(reader.receive(frame(2, b"x") + frame(8, b"\x03\xe8") + frame(2, b"y"), 0), b"x")
        self.assertEqual(reader.close, 1000)


class UpgradeTest(unittest.TestCase):
    def setUp(self) -> None:
        self.upgrade = Upgrade("host:80", "/chat", b"0123456789abcdef")
        key = re.search(rb"Sec-WebSocket-Key: (\S+)", self.upgrade.request)
        assert key is not None
        accept = b64encode(sha1(key[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()
        self.fields = {
            "Upgrade": "websocket",
            "Connection": "keep-alive, Upgrade",
            "Sec-WebSocket-Accept": accept,
            "Sec-WebSocket-Protocol": "msip.1",
        }

    def answer(self, status: str = "101 Switching Protocols", body: str = "", **fields: str | None) -> bytes:
        changed = self.fields | {name.replace("_", "-"): value for name, value in fields.items()}
        lines = [f"{name}: {value}" for name, value in changed.items() if value is not None]
        return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", body]).encode()

    def test_a_server_that_agrees(self) -> None:
        self.assertTrue(
            self.upgrade.request.startswith(b"GET /chat HTTP/1.1\r\nHost: host:80\r\nUpgrade: websocket\r\n")
        )
        answer = self.answer() + b"\x82\x01x"
        for byte in answer[:-4]:
            self.assertIsNone(self.upgrade.receive(bytes([byte])))
        self.assertEqual(self.upgrade.receive(answer[-4:]), b"\x82\x01x")

    def test_what_else_a_server_may_say(self) -> None:
        cases = [
            (
                self.answer("404 Not Found", "no\x1b[2J way", Content_Length="10"),
                r"answered 404 Not Found: no\\x1b\[2J way",
            ),
            (self.answer("426 Upgrade Required"), "the server answered 426 Upgrade Required$"),
            (self.answer(Sec_WebSocket_Accept="x"), "its Sec-WebSocket-Accept is not that of the key"),
            (self.answer(Upgrade=None), "does not say that it upgrades"),
            (self.answer(Sec_WebSocket_Extensions="permessage-deflate"), "has chosen an extension"),
            (self.answer(Sec_WebSocket_Protocol=None), "did not agree to the subprotocol msip.1"),
            (self.answer(Sec_WebSocket_Protocol="msip.2"), "did not agree to the subprotocol msip.1"),
            (b"MSIP\x01", "the server speaks MSIP without a WebSocket: connect to tcp://host:80"),
            (b"\x15\x03\x01\x00", "the server speaks TLS: connect to wss://host:80"),
            (b"SSH-2.0", "the server speaks no HTTP: its answer began with b'SSH-2'"),
            (b"HTTP/1.1 101 x\r\n" + b"a: b\r\n" * 3000, "longer than 16 KiB"),
            (b"HTTP/1.1 101 x\r\n" + b"a: b\r\n" * 200 + b"\r\n", "more than 124 fields"),
            (b"HTTP/1.1 101 x\r\nbroken\r\n\r\n", "a line of its head is no field"),
            (b"HTTP/2 x\r\n\r\n", "its first line is no status"),
        ]
        for answer, expected in cases:
            with self.subTest(expected), self.assertRaisesRegex(UpgradeError, expected):
                upgrade = Upgrade("host:80", "/chat", b"0123456789abcdef")
                upgrade.receive(answer)

    def test_a_server_that_leaves(self) -> None:
        self.upgrade.receive(self.answer("503 Busy", "later", Content_Length="100"))
        self.assertEqual(str(self.upgrade.cut()), "the server answered 503 Busy: later")
        self.assertIn("instead of answering", str(Upgrade("", "", b"").cut()))


if __name__ == "__main__":
    unittest.main()
