"""What messages take in memory is counted before they are decoded, and not too low. Called in the folder of the generated packages."""

from __future__ import annotations

import tracemalloc
import unittest

from chat import chat
from msip.message import FieldMask, ListValue, Message, Struct
from msip.message.decoded_size import decoded_size, exceeds
from msip.message.wire import sized, varint
from sampler import sampler

COUNT = 4000
EVERYTHING = 1 << 40


def field(number: int, content: bytes) -> bytes:
    """A field that has a length."""
    return varint(number << 3 | 2) + sized(content)


def bodies() -> dict[str, tuple[type[Message], bytes]]:
    """Bodies that take the more memory, the more of their parts there are."""
    names = [str(number).encode() for number in range(COUNT)]
    kinds, numbers = sampler.Kinds, range(1000, 1000 + COUNT)
    table = {each.name: each.number for each in kinds._table()}

    def packed(name: str, values: object) -> tuple[type[Message], bytes]:
        return kinds, kinds(**{name: values}).to_bytes()

    return {
        "empty messages": (chat.WhoRsp, field(1, b"") * COUNT),
        "messages of every kind": (sampler.Chain, field(2, b"") * COUNT),
        "messages with a text": (chat.WhoRsp, b"".join(field(1, field(1, name)) for name in names)),
        "messages inside of each other": (sampler.Chain, field(2, field(2, field(2, b""))) * COUNT),
        "texts": (chat.ConnectRsp, b"".join(field(2, name) for name in names)),
        "one text": (chat.MessageInd, field(2, b"a" * COUNT)),
        "one text with a character of four bytes": (chat.MessageInd, field(2, b"a" * COUNT + "🦀".encode())),
        "small numbers": packed("many_uint64", [1] * COUNT),
        "numbers": packed("many_uint64", list(numbers)),
        "doubles": packed("many_double", [float(number) for number in numbers]),
        "members of an enum": packed("many_color", [sampler.Color.RED] * COUNT),
        "unknown members of an enum": (kinds, field(table["many_color"], b"\x05" * COUNT)),
        "a map": packed("by_sint64", {number: sampler.Leaf() for number in numbers}),
        "unknown fields": (chat.MessageInd, b"\x38\x01" * COUNT),
        "paths": (FieldMask, b"".join(field(1, name) for name in names)),
        "a JSON object": (
            Struct,
            b"".join(field(1, field(1, name) + field(2, b"\x11" + bytes(7) + b"\x40")) for name in names),
        ),
        "JSON arrays": (ListValue, field(1, field(6, b"")) * COUNT),
        "JSON objects": (ListValue, field(1, field(5, b"")) * COUNT),
    }


def taken(message: type[Message], data: bytes) -> int:
    """What the decoded message takes."""
    message.from_bytes(data)  # makes what is made once
    tracemalloc.start()
    try:
        decoded = message.from_bytes(data)
        size, _ = tracemalloc.get_traced_memory()
        del decoded
    finally:
        tracemalloc.stop()
    return size


class DecodedSize(unittest.TestCase):
    def test_it_is_not_less_than_what_is_taken_and_not_much_more(self) -> None:
        for name, (message, data) in bodies().items():
            with self.subTest(name):
                real, counted = taken(message, data), decoded_size(message, data, EVERYTHING)
                self.assertGreater(counted * 1.1 + 1000, real)
                self.assertLess(counted, 4.5 * real + 1000)

    def test_a_body_exceeds_what_is_less_than_it_takes(self) -> None:
        for name, (message, data) in bodies().items():
            with self.subTest(name):
                counted = decoded_size(message, data, EVERYTHING)
                self.assertTrue(exceeds(message, data, counted - 1))
                self.assertFalse(exceeds(message, data, counted))

    def test_the_walk_ends_at_the_limit(self) -> None:
        message, data = bodies()["empty messages"]
        self.assertLess(decoded_size(message, data, 50_000), 51_000)

    def test_what_is_malformed_is_counted_up_to_there(self) -> None:
        one = decoded_size(chat.WhoRsp, field(1, b""), EVERYTHING)
        for rest in (b"\x0a", b"\x0a\x05", b"\xff" * 12, b"\x0c"):
            with self.subTest(rest.hex()):
                self.assertEqual(decoded_size(chat.WhoRsp, field(1, b"") + rest, EVERYTHING), one)


if __name__ == "__main__":
    unittest.main()
