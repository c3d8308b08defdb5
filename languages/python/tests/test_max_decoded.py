"""Messages that are too large once they are decoded: refused before they are, in every codec."""

from __future__ import annotations

import json
import tracemalloc
import unittest
from collections.abc import Callable

import msip
from lab import LabClient, LabTest, lab
from msip.codec import BodyCodec
from msip.codec.envelope import wrap
from msip.message import Message, Struct
from msip.protocol import Kind, Member, Shape
from msip.wire.hello import Codec, Compression

MIB = 1 << 20
STRUCT = Member("tree_ind", 1, Struct, Kind.EVENT, Shape.ONE_WAY, "on_tree_ind")


def protobuf(count: int) -> bytes:
    """A struct whose one field is a list of so many empty structs, of six bytes each."""
    items = b"\x0a\x02\x2a\x00" * count
    value = _sized(0x32, items)
    return wrap(1, _sized(0x0A, _sized(0x0A, b"a") + _sized(0x12, value)))


def as_json(count: int) -> bytes:
    return b'{"treeInd":{"a":[' + b",".join([b"{}"] * count) + b"]}}"


def message_pack(count: int) -> bytes:
    return b"\x81\xa7treeInd\x81\xa1a\xdd" + count.to_bytes(4, "big") + b"\x80" * count


def _sized(tag: int, content: bytes) -> bytes:
    size, head = len(content), bytearray([tag])
    while size > 127:
        head.append(size & 127 | 128)
        size >>= 7
    return bytes(head) + bytes([size]) + content


BODIES: dict[Codec, Callable[[int], bytes]] = {
    Codec.PROTOBUF: protobuf,
    Codec.JSON: as_json,
    Codec.MESSAGE_PACK: message_pack,
}


class MaxDecodedTest(unittest.TestCase):
    def test_bodies_of_empty_elements(self) -> None:
        for codec, body in BODIES.items():
            for compression in (Compression.NONE, Compression.GZIP):
                with self.subTest(codec=codec.name, compression=compression.name):
                    bodies = BodyCodec(codec, compression, max_body=4 * MIB, max_decoded=4 * MIB)
                    small = bodies.decode(STRUCT, *bodies.compress(STRUCT, body(2000)))
                    assert isinstance(small, Message)
                    self.assertEqual(small.to_value(), {"a": [{}] * 2000})
                    large, compressed = bodies.compress(STRUCT, body(60_000))
                    self.assertEqual(compressed, compression is Compression.GZIP)
                    tracemalloc.start()
                    with self.assertRaises(msip.Status) as caught:
                        bodies.decode(STRUCT, large, compressed)
                    _, peak = tracemalloc.get_traced_memory()
                    tracemalloc.stop()
                    self.assertIs(caught.exception.code, msip.Code.RESOURCE_EXHAUSTED)
                    self.assertIn("more than 4194304 bytes decoded (max_decoded)", caught.exception.message)
                    # What is read before the count ends, and what a compressed body inflates to.
                    self.assertLess(peak, 5 * MIB)

    def test_punctuation_in_texts_is_none(self) -> None:
        for text in ("," * 200_000, '{"a":[' * 40_000, '\\"' * 60_000, "é:" * 100_000):
            bodies = BodyCodec(Codec.JSON, max_decoded=2 * MIB)
            body = json.dumps({"treeInd": {"a": text}}, ensure_ascii=False).encode()
            message = bodies.decode(STRUCT, body, False)
            assert isinstance(message, Message)
            self.assertEqual(message.to_value(), {"a": text})

    def test_the_limit_is_a_setting(self) -> None:
        self.assertEqual(msip.ServerSettings(max_decoded=1024).max_decoded, 1024)
        for codec, body in BODIES.items():
            with self.subTest(codec=codec.name), self.assertRaises(msip.Status):
                BodyCodec(codec, max_decoded=2048).decode(STRUCT, body(100), False)

    def test_announced_lengths_count_as_what_can_be_there(self) -> None:
        bodies = BodyCodec(Codec.MESSAGE_PACK, max_body=MIB)
        body = b"\x81\xa7treeInd\x81\xa1a\xdd\xff\xff\xff\xff" + b"\x01" * 10_000
        with self.assertRaises(msip.Status) as caught:
            bodies.decode(STRUCT, body, False)
        self.assertIs(caught.exception.code, msip.Code.INVALID_ARGUMENT)


class ConnectionTest(LabTest):
    def test_the_connection_goes_on(self) -> None:
        async def work() -> None:
            async with (
                lab(settings=msip.ServerSettings(max_decoded=64 << 10)) as (server, served),
                LabClient(server.urls[0], settings=msip.ClientSettings(max_decoded=64 << 10)) as client,
            ):
                for send in (client.echo_req, client.save_ind):
                    with self.assertRaises(msip.CallError) as caught:
                        await send("x" * 100_000)
                    self.assertIs(caught.exception.code, msip.Code.RESOURCE_EXHAUSTED)
                await client.note_ind("x" * 100_000)
                with self.assertRaises(msip.CallError) as caught:
                    async for _ in client.count_req("1 100000"):
                        pass
                self.assertIs(caught.exception.cause, msip.Cause.UNREADABLE)
                self.assertEqual(await client.echo_req("hi"), "hi")
                self.assertEqual([event for event in served.events if event.startswith(("note", "save"))], [])

        self.run_lab(work)


if __name__ == "__main__":
    unittest.main()
