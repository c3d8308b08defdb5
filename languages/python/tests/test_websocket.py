"""WebSockets without I/O: frames, limits and the upgrade."""

import re
import unittest
from base64 import b64encode
from hashlib import sha1
from pathlib import Path

from msip.transport.websocket_accept import Accepting, RefusedUpgradeError, UpgradeResponse
from msip.transport.websocket_frames import FrameReader, Opcode, ViolationError, masked, write_frame
from msip.transport.websocket_request import UpgradeError, UpgradeRequest

_PROTOCOL = Path(__file__).parents[3] / "docs" / "protocol.md"


def frame(opcode: int, payload: bytes, *, last: bool = True, mask: bytes = b"") -> bytes:
    """A frame of a server, or of a client, which has a mask."""
    head = bytes([(0x80 if last else 0) | opcode])
    length, bit = len(payload), 0x80 if mask else 0
    if mask:
        payload = mask + masked(payload, mask)
    if length < 126:
        return head + bytes([bit | length]) + payload
    if length < 65536:
        return head + bytes([bit | 126]) + length.to_bytes(2) + payload
    return head + bytes([bit | 127]) + length.to_bytes(8) + payload


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
                self.assertEqual(FrameReader(is_client=False).receive(expected, 0), data)
            else:
                self.assertEqual(write_frame(Opcode.BINARY, data), expected)
                self.assertEqual(FrameReader(is_client=True).receive(expected, 0), data)

    def test_a_mask_taken_twice_is_none(self) -> None:
        for length in (0, 1, 3, 4, 5, 70_000):
            data = bytes(range(256)) * 300
            data = data[:length]
            self.assertEqual(masked(masked(data, b"\x01\x82\x03\xf4"), b"\x01\x82\x03\xf4"), data)

    def test_any_cut_gives_the_same_bytes(self) -> None:
        expected = b"first" + b"a" * 300 + b"b" * 65_000 + b"last"
        for mask in (b"", b"\x37\xfa\x21\x3d"):
            stream = (
                frame(2, b"first", mask=mask)
                + frame(2, b"a" * 300, last=False, mask=mask)
                + frame(9, b"ping", mask=mask)
                + frame(0, b"b" * 65_000, last=False, mask=mask)
                + frame(0, b"", mask=mask)
                + frame(10, b"", mask=mask)
                + frame(2, b"last", mask=mask)
            )
            for size in (1, 2, 7, 1000, len(stream)):
                reader = FrameReader(is_client=not mask)
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
            reader = FrameReader(is_client=True)
            reader.establish()
            with self.subTest(text), self.assertRaises(ViolationError) as caught:
                reader.receive(data, 0)
            self.assertEqual(caught.exception.status, status)
            self.assertIn(text, str(caught.exception))

    def test_a_client_masks_and_a_server_does_not(self) -> None:
        for opcode in (2, 8, 9):
            with self.assertRaisesRegex(ViolationError, "a client's frame is not masked") as caught:
                FrameReader(is_client=False).receive(frame(opcode, b"x"), 0)
            self.assertEqual(caught.exception.status, 1002)
            with self.assertRaisesRegex(ViolationError, "a server's frame is masked"):
                FrameReader(is_client=True).receive(frame(opcode, b"x", mask=b"mask"), 0)

    def test_bytes_without_a_message_are_limited(self) -> None:
        reader = FrameReader(is_client=True)
        data = frame(2, b"x" * 60_000)
        self.assertEqual(len(reader.receive(data, 0)), 60_000)
        with self.assertRaisesRegex(ViolationError, "no message is complete: 65536 are the most"):
            reader.receive(data, 0)
        reader = FrameReader(is_client=True)
        reader.establish()
        for _ in range(10):
            reader.receive(data, 0)
        with self.assertRaisesRegex(ViolationError, "no message is complete: 131072 are the most"):
            # Fragments that cost more bytes than they carry.
            reader.receive(frame(2, b"x", last=False) + frame(0, b"x", last=False) * 50_000, 0)

    def test_the_allowance_comes_back_with_time(self) -> None:
        reader = FrameReader(is_client=True)
        reader.establish()
        reader.receive(frame(10, b"") * 1000, 0.0)
        reader.receive(frame(10, b"") * 20, 2.0)
        with self.assertRaises(ViolationError):
            reader.receive(frame(10, b""), 2.0)

    def test_a_close_frame_ends_reading(self) -> None:
        reader = FrameReader(is_client=True)
        self.assertEqual(reader.receive(frame(2, b"x") + frame(8, b"\x03\xe8") + frame(2, b"y"), 0), b"x")
        self.assertEqual(reader.close, 1000)


class RequestTest(unittest.TestCase):
    def setUp(self) -> None:
        self.upgrade = UpgradeRequest("host:80", "/chat", b"0123456789abcdef")
        key = re.search(rb"Sec-WebSocket-Key: (\S+)", self.upgrade.text)
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
        self.assertTrue(self.upgrade.text.startswith(b"GET /chat HTTP/1.1\r\nHost: host:80\r\nUpgrade: websocket\r\n"))
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
                upgrade = UpgradeRequest("host:80", "/chat", b"0123456789abcdef")
                upgrade.receive(answer)

    def test_a_server_that_leaves(self) -> None:
        self.upgrade.receive(self.answer("503 Busy", "later", Content_Length="100"))
        self.assertEqual(str(self.upgrade.cut()), "the server answered 503 Busy: later")
        self.assertIn("instead of answering", str(UpgradeRequest("", "", b"").cut()))


class ResponseTest(unittest.TestCase):
    fields = {
        "Host": "chat.example.org",
        "Upgrade": "websocket",
        "Connection": "keep-alive, Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": "other, msip.1",
    }

    def answer(self, request: bytes, *origins: str) -> bytes | None:
        return UpgradeResponse(Accepting("ws", "/chat", origins)).receive(request)

    def request(self, first: str = "GET /chat HTTP/1.1", body: str = "", **fields: str | None) -> bytes:
        changed = self.fields | {name.replace("_", "-"): value for name, value in fields.items()}
        lines = [f"{name}: {value}" for name, value in changed.items() if value is not None]
        return "\r\n".join([first, *lines, "", body]).encode()

    def test_what_asks_for_it_gets_a_websocket(self) -> None:
        response = UpgradeResponse(Accepting("ws", "/chat", ()))
        request = self.request()
        for byte in request[:-1]:
            self.assertIsNone(response.receive(bytes([byte])))
        self.assertEqual(
            response.receive(request[-1:]),
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            # The key and its answer are those of RFC 6455.
            b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: msip.1\r\n\r\n",
        )
        self.assertIsNotNone(self.answer(self.request("GET /chat?room=1 HTTP/1.1")))

    def test_the_requests_of_the_client(self) -> None:
        request = UpgradeRequest("host:80", "/chat", b"0123456789abcdef")
        answer = self.answer(request.text)
        assert answer is not None
        self.assertEqual(request.receive(answer), b"")

    def test_pages_of_listed_origins_alone(self) -> None:
        listed = ("https://chat.example.org", "null")
        for origin in (None, "https://chat.example.org", "HTTPS://Chat.example.org", "null"):
            self.assertIsNotNone(self.answer(self.request(Origin=origin), *listed))
        for origin in ("https://evil.example", "https://chat.example.org:444", "https://chat.example.org.evil", ""):
            with self.assertRaisesRegex(RefusedUpgradeError, "may not connect") as caught:
                self.answer(self.request(Origin=origin), *listed)
            self.assertTrue(caught.exception.answer.startswith(b"HTTP/1.1 403 Forbidden\r\n"))
        with self.assertRaisesRegex(RefusedUpgradeError, 'of the origin "http://127.0.0.1:8000" may not connect'):
            self.answer(self.request(Origin="http://127.0.0.1:8000"))

    def test_what_else_a_client_may_say(self) -> None:
        request = self.request
        twice = request().replace(b"Host:", b"Host: a\r\nHost:")
        cases = [
            (request("GET /talk HTTP/1.1"), "404 Not Found", 'there is nothing at "/talk"'),
            (request("GET /t\x1b[2J HTTP/1.1"), "404 Not Found", r'there is nothing at "/t\u{1b}[2J"'),
            (request("GET http://a/chat HTTP/1.1"), "404 Not Found", "there is nothing"),
            (request("POST /chat HTTP/1.1"), "426 Upgrade Required", "no WebSocket of version 13"),
            (request("GET /chat HTTP/1.0"), "426 Upgrade Required", "no WebSocket of version 13"),
            (request(Upgrade=None), "426 Upgrade Required", "no WebSocket of version 13"),
            (request(Connection="close"), "426 Upgrade Required", "no WebSocket of version 13"),
            (request(Sec_WebSocket_Version="8"), "426 Upgrade Required", "no WebSocket of version 13"),
            (request(Sec_WebSocket_Protocol="msip.2"), "400 Bad Request", "does not offer the subprotocol msip.1"),
            (request(Sec_WebSocket_Protocol=None), "400 Bad Request", "does not offer the subprotocol msip.1"),
            (request(Sec_WebSocket_Key=None), "400 Bad Request", "it needs one Sec-WebSocket-Key"),
            (request(Sec_WebSocket_Key="short"), "400 Bad Request", "it needs one Sec-WebSocket-Key"),
            (request(Host=None), "400 Bad Request", "it needs one Host"),
            (twice, "400 Bad Request", "it needs one Host"),
            (request(body="x"), "400 Bad Request", "bytes follow its head"),
            (request(Content_Length="1"), "400 Bad Request", "bytes follow its head"),
            (request(Transfer_Encoding="chunked"), "400 Bad Request", "bytes follow its head"),
            (request("GET"), "400 Bad Request", "its first line is no request"),
            (request("GET /chat HTTP/1.1\r\nbroken"), "400 Bad Request", "a line of its head is no field"),
            (b"GET /chat HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n", "400 Bad Request", "more than 124 fields"),
            (b"GET /chat HTTP/1.1\r\nA: " + b"a" * 100_000, "431 Request Header Fields", "longer than 16 KiB"),
            (b"GET /chat HTTP/1.1\r\nA: " + b"a" * 100_000 + b"\r\n\r\n", "431 Request Header Fields", "16 KiB"),
        ]
        for data, status, text in cases:
            with self.subTest(text), self.assertRaises(RefusedUpgradeError) as caught:
                self.answer(data)
            self.assertIn(text, str(caught.exception))
            head, _, body = caught.exception.answer.partition(b"\r\n\r\n")
            self.assertTrue(head.startswith(f"HTTP/1.1 {status}".encode()), head)
            self.assertIn(f"Content-Length: {len(body)}".encode(), head)

    def test_what_is_no_http(self) -> None:
        cases = [
            (b"MSIP\x01", "it has to connect to ws://", b"over WebSocket: connect to ws://"),
            (b"\x16\x03\x01", "the peer speaks TLS", b""),
            (b"\x16\x04", "the peer speaks no HTTP", b""),
            (b"\x00hello", "the peer speaks no HTTP: it began with b'\\x00'", b""),
        ]
        for data, text, answer in cases:
            with self.subTest(text), self.assertRaises(RefusedUpgradeError) as caught:
                response = UpgradeResponse(Accepting("ws", "/chat", ()))
                for byte in data[:2]:
                    response.receive(bytes([byte]))
                response.receive(data[2:])
            self.assertIn(text, str(caught.exception))
            self.assertTrue(caught.exception.answer.endswith(answer))


if __name__ == "__main__":
    unittest.main()
