"""Bodies: envelopes, MessagePack and compression."""

from __future__ import annotations

import gzip
import json
import random
import unittest
import zlib
from dataclasses import dataclass
from typing import Any, cast

from msip.codec import BodyCodec, supported_compressions
from msip.codec.envelope import MissingError, unwrap, wrap
from msip.codec.messagepack import pack, unpack
from msip.errors import Code, DecodeError, Status
from msip.json_value import JsonValue
from msip.message import Field, Float32, Form
from msip.protocol import Kind, Member, Shape
from msip.wire.hello import Codec, Compression


@dataclass
class Note:
    """A message with the methods that bodies need."""

    text: str = ""

    @classmethod
    def _table(cls) -> tuple[Field, ...]:
        return ()

    def to_bytes(self) -> bytes:
        return self.text.encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Note:
        try:
            return cls(data.decode())
        except UnicodeDecodeError:
            raise DecodeError("not UTF-8", "text") from None

    def to_json(self) -> str:
        return json.dumps({"text": self.text})

    def to_value(self, form: Form) -> JsonValue:
        return {"text": self.text}

    @classmethod
    def from_value(cls, value: Any, form: Form) -> Note:
        if not isinstance(value, dict) or not isinstance(value.get("text"), str):
            raise DecodeError("expected text", "text")
        return cls(value["text"])


NOTE_IND = Member("note_ind", 300, cast(Any, Note), Kind.EVENT, Shape.ONE_WAY)
NOTHING = Member("nothing_ind", 2, None, Kind.EVENT, Shape.ONE_WAY)


def round_trip(codec: BodyCodec, member: Member, message: Note | None) -> tuple[bytes, bool]:
    body, compressed = codec.encode(member, cast(Any, message))
    assert cast(Any, codec.decode(member, body, compressed)) == message
    return body, compressed


class Bodies(unittest.TestCase):
    def refused(self, codec: BodyCodec, body: bytes, compressed: bool = False) -> Status:
        with self.assertRaises(Status) as raised:
            codec.decode(NOTE_IND, body, compressed)
        return raised.exception

    def test_each_codec_writes_the_envelope(self) -> None:
        self.assertEqual(round_trip(BodyCodec(Codec.PROTOBUF), NOTE_IND, Note("hi"))[0], b"\xe2\x12\x02hi")
        self.assertEqual(round_trip(BodyCodec(Codec.JSON), NOTE_IND, Note("hi"))[0], b'{"noteInd":{"text": "hi"}}')
        self.assertEqual(
            round_trip(BodyCodec(Codec.MESSAGE_PACK), NOTE_IND, Note("hi"))[0], b"\x81\xa7noteInd\x81\xa4text\xa2hi"
        )
        for codec in Codec:
            round_trip(BodyCodec(codec), NOTE_IND, Note("x" * 100_000))
            body, _ = round_trip(BodyCodec(codec), NOTHING, None)
            self.assertTrue(body, "a body is never empty where there is a message")

    def test_an_envelope_is_read_in_whatever_way_protobuf_may_write_it(self) -> None:
        other = wrap(7, b"unknown")
        self.assertEqual(unwrap(300, other + wrap(300, b"hi")), b"hi")
        self.assertEqual(unwrap(300, wrap(300, b"hi") + other), b"hi")
        self.assertEqual(unwrap(300, wrap(300, b"h") + wrap(300, b"i")), b"hi", "parts are merged")
        self.assertEqual(unwrap(300, b"\xe2\x12\x82\x00hi"), b"hi", "a length that is longer than it has to be")
        for length in (0, 1, 127, 128, 20_000):
            self.assertEqual(unwrap(5, wrap(5, bytes(length))), bytes(length))
        with self.assertRaises(MissingError):
            unwrap(300, other)
        with self.assertRaises(MissingError):
            unwrap(300, b"")
        for malformed in (b"\xe2\x12\x05hi", b"\xe0\x12\x05", b"\xe2", b"\xe2\x12", b"\xff" * 20):
            with self.assertRaises(DecodeError):
                unwrap(300, malformed)

    def test_a_body_that_is_none_says_where_and_why(self) -> None:
        for codec, body, text in (
            (Codec.PROTOBUF, b"\xe2\x12\x02\xff\xff", "malformed body of note_ind (300): text: not UTF-8"),
            (Codec.PROTOBUF, b"\x0a\x00", "the body does not contain note_ind (300), which its header names"),
            (Codec.JSON, b'{"noteInd":{"text":7}}', "malformed body of note_ind (300): noteInd.text: expected text"),
            (Codec.JSON, b"{}", "the body does not contain note_ind (300), which its header names"),
            (Codec.JSON, b"[]", "malformed body of note_ind (300): expected the envelope, which is a map"),
            (
                Codec.JSON,
                b'{"noteInd":{"text":""},"note_ind":{}}',
                "malformed body of note_ind (300): noteInd: two members are set",
            ),
            (
                Codec.MESSAGE_PACK,
                b"\xc1",
                "malformed body of note_ind (300): invalid MessagePack at byte 0: the type 0xc1 is not accepted",
            ),
        ):
            with self.subTest(text):
                status = self.refused(BodyCodec(codec), body)
                self.assertEqual((status.code, status.message), (Code.INVALID_ARGUMENT, text))

    def test_a_message_of_another_class_is_not_written(self) -> None:
        for codec in Codec.PROTOBUF, Codec.JSON:
            for member, wrong in (NOTE_IND, "a text"), (NOTE_IND, None), (NOTHING, Note("a")):
                with self.assertRaisesRegex(TypeError, f"^{member.name} carries (a Note|nothing), not "):
                    BodyCodec(codec, max_body=1000).encode(member, cast(Any, wrong))

    def test_the_name_of_the_schema_is_read_too(self) -> None:
        codec = BodyCodec(Codec.JSON)
        self.assertEqual(codec.decode(NOTE_IND, b'{"note_ind":{"text":"hi"},"noteInd":null}', False), Note("hi"))


class Compressing(unittest.TestCase):
    def test_bodies_that_get_smaller_are_compressed(self) -> None:
        for compression in supported_compressions():
            with self.subTest(compression.name):
                codec = BodyCodec(Codec.PROTOBUF, compression)
                body, compressed = round_trip(codec, NOTE_IND, Note("hello " * 1000))
                self.assertTrue(compressed)
                self.assertEqual(body[0], compression)
                self.assertLess(len(body), 200)
                self.assertFalse(round_trip(codec, NOTE_IND, Note("hello " * 100))[1], "below the threshold")
                noise = "".join(map(chr, random.Random(1).choices(range(32, 0x10000 - 0x3000), k=3000)))
                noise = noise.encode("utf-8", "ignore").decode()
                round_trip(codec, NOTE_IND, Note(noise))

    def test_what_this_package_cannot_do_is_said(self) -> None:
        with self.assertRaises(Status) as raised:
            BodyCodec(Codec.PROTOBUF, Compression.LZ4)
        self.assertIs(raised.exception.code, Code.UNIMPLEMENTED)
        if Compression.ZSTD not in supported_compressions():
            with self.assertRaises(Status) as raised:
                BodyCodec(Codec.PROTOBUF, Compression.ZSTD)
            self.assertIn("zstandard", raised.exception.message)

    def test_inflating_stops_at_the_limit(self) -> None:
        for compression in supported_compressions():
            with self.subTest(compression.name):
                codec = BodyCodec(Codec.PROTOBUF, compression, max_body=1_000_000)
                sender = BodyCodec(Codec.PROTOBUF, compression)
                longest = Note("x" * (1_000_000 - 5))
                self.assertEqual(codec.decode(NOTE_IND, sender.encode(NOTE_IND, cast(Any, longest))[0], True), longest)
                larger, _ = sender.encode(NOTE_IND, cast(Any, Note(longest.text + "x")))
                with self.assertRaises(Status) as raised:
                    codec.decode(NOTE_IND, larger, True)
                self.assertIs(raised.exception.code, Code.RESOURCE_EXHAUSTED)

    def test_a_compressed_body_is_whole_and_alone(self) -> None:
        member = gzip.compress(wrap(300, b"hello " * 1000))
        for name, content in {
            "cut off": member[:-1],
            "followed by something": member + b"x",
            "two members": member + member,
            "another checksum": member[:-8] + bytes(4) + member[-4:],
            "another length": member[:-4] + bytes(4),
            "nothing": b"",
            "zlib": zlib.compress(b"hello"),
        }.items():
            with self.subTest(name), self.assertRaises(Status) as raised:
                BodyCodec(Codec.PROTOBUF, Compression.GZIP).decode(NOTE_IND, b"\x01" + content, True)
            self.assertIs(raised.exception.code, Code.INVALID_ARGUMENT)
        for codec, body in (
            (BodyCodec(Codec.PROTOBUF, Compression.GZIP), b"\x02" + member),
            (BodyCodec(Codec.PROTOBUF, Compression.GZIP), b""),
            (BodyCodec(Codec.PROTOBUF), b"\x01" + member),
        ):
            with self.assertRaises(Status) as raised:
                codec.decode(NOTE_IND, body, True)
            self.assertIs(raised.exception.code, Code.INVALID_ARGUMENT)


class MessagePack(unittest.TestCase):
    VALUES: tuple[tuple[JsonValue, str], ...] = (
        (None, "c0"),
        (False, "c2"),
        (True, "c3"),
        (0, "00"),
        (127, "7f"),
        (128, "cc80"),
        (255, "ccff"),
        (256, "cd0100"),
        (65536, "ce00010000"),
        (1 << 32, "cf0000000100000000"),
        ((1 << 64) - 1, "cfffffffffffffffff"),
        (-1, "ff"),
        (-32, "e0"),
        (-33, "d0df"),
        (-128, "d080"),
        (-129, "d1ff7f"),
        (-32769, "d2ffff7fff"),
        (-(1 << 63), "d38000000000000000"),
        (1.5, "cb3ff8000000000000"),
        (Float32(1.5), "ca3fc00000"),
        ("", "a0"),
        ("é", "a2c3a9"),
        ("x" * 32, "d920" + "78" * 32),
        ("x" * 256, "da0100" + "78" * 256),
        (b"\x00\xff", "c40200ff"),
        ([], "90"),
        ([1, [2]], "92019102"),
        ({"a": {"b": None}}, "81a16181a162c0"),
        ([0] * 16, "dc0010" + "00" * 16),
    )

    def test_values_have_their_shortest_form(self) -> None:
        for value, written in self.VALUES:
            with self.subTest(value):
                self.assertEqual(pack(value).hex(), written)
                self.assertEqual(unpack(bytes.fromhex(written)), value)

    def test_large_values_are_read_as_they_were_written(self) -> None:
        large: JsonValue = {
            "bytes": bytes(70_000),
            "text": "x" * 70_000,
            "list": [1] * 70_000,
            "map": {str(number): number for number in range(70_000)},
        }
        self.assertEqual(unpack(pack(large)), large)

    def test_keys_may_be_numbers_and_booleans(self) -> None:
        self.assertEqual(unpack(bytes.fromhex("8307a0ff00c3c2")), {"7": "", "-1": 0, "true": False})

    def test_what_is_malformed_is_refused_by_name(self) -> None:
        for name, data in {
            "cut off": "92",
            "announces 4 GiB of items": "ddffffffff",
            "announces 4 GiB of bytes": "c6ffffffff00",
            "an extension": "d40100",
            "a time": "d6ff00000000",
            "not UTF-8": "a1ff",
            "a key twice": "82a16100a16100",
            "a list as a key": "819000",
            "something behind it": "c0c0",
            "nothing": "",
            "too deep": "91" * 101 + "c0",
        }.items():
            with self.subTest(name), self.assertRaises(DecodeError):
                unpack(bytes.fromhex(data))
        self.assertIsNotNone(unpack(bytes.fromhex("91" * 100 + "c0")))

    def test_what_cannot_be_written_is_refused(self) -> None:
        deep: JsonValue = None
        for _ in range(101):
            deep = [deep]
        for value in (1 << 64, -(1 << 63) - 1, deep, cast(JsonValue, object())):
            with self.assertRaises(ValueError):
                pack(value)

    def test_random_bytes_raise_typed_errors_only(self) -> None:
        rng = random.Random(1)
        for _ in range(3000):
            try:
                unpack(rng.randbytes(rng.randrange(30)))
            except DecodeError:
                pass


if __name__ == "__main__":
    unittest.main()
