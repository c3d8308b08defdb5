"""The messages of the protocol itself are those of msip-session/proto/hello.proto: each field, under its number."""

from __future__ import annotations

import re
import unittest
from pathlib import Path
from typing import Any

from msip.errors import Detail
from msip.wire.hello import Codec, Compression, Hello, Welcome
from msip.wire.metadata import Identity, Metadata
from msip.wire.protobuf import fields
from msip.wire.subscribe import Subscribe, Subscribed

SCHEMA = Path(__file__).parents[3] / "msip-session" / "proto" / "hello.proto"

MESSAGES: dict[str, Any] = {
    "Hello": Hello,
    "Welcome": Welcome,
    "Subscribe": Subscribe,
    "Metadata": Metadata,
    "Identity": Identity,
}
VALUES: dict[str, Any] = {
    "string": "x",
    "bytes": b"x",
    "fixed64": 7,
    "uint32": 7,
    "int64": 7,
    "bool": True,
    "Codec": 3,
    "Compression": 2,
    "SchemaRule": 1,
    "Identity": Identity(user="x"),
    "Detail": Detail("x", b"y"),
    "map<string, string>": {"x": "y"},
    "map<string, bytes>": {"x": b"y"},
}
HAS_SESSION_ID = (Hello, Welcome)


def declared() -> dict[str, list[tuple[str, bool, str, int]]]:
    """The fields of each message: type, whether repeated, name, number."""
    text = re.sub(r"//.*", "", SCHEMA.read_text(encoding="utf-8"))
    found = {}
    for name, content in re.findall(r"message (\w+) \{(.*?)\n\}", text, re.DOTALL):
        found[name] = [
            (type, label == "repeated", field, int(number))
            for label, type, field, number in re.findall(
                r"(?:(repeated|optional) )?(map<[^>]*>|\w+) (\w+) = (\d+);", content
            )
        ]
    return found


class HelloProto(unittest.TestCase):
    def test_each_field_is_written_and_read_under_its_number(self) -> None:
        schema = declared()
        self.assertEqual(set(schema), {*MESSAGES, "Subscribed", "Detail"})
        for name, message in MESSAGES.items():
            names = {field for _, _, field, _ in schema[name]}
            known = set(message.__match_args__) - {"session_id"}
            self.assertEqual(known, names, name)
            for type, is_repeated, field, number in schema[name]:
                with self.subTest(f"{name}.{field}"):
                    value = [VALUES[type]] if is_repeated else VALUES[type]
                    written = message(**{"codec": 0} if message is Welcome else {})
                    setattr(written, field, value)
                    data = bytes(written.encode())
                    if message in HAS_SESSION_ID:
                        data = data[8:]
                    self.assertEqual([found for found, _ in fields(data)], [number])
                    self.assertEqual(getattr(message.decode(data), field), value)

    def test_the_numbers_of_enums_are_those_of_the_schema(self) -> None:
        text = SCHEMA.read_text(encoding="utf-8")
        for enum, prefix in ((Codec, "CODEC_"), (Compression, "COMPRESSION_")):
            found = {name: int(number) for name, number in re.findall(rf"{prefix}(\w+) = (\d+);", text)}
            found.pop("UNSPECIFIED", None)
            self.assertEqual({member.name: member.value for member in enum}, found)

    def test_who_serves_a_topic_is_read(self) -> None:
        [protocol, fingerprint] = declared()["Subscribed"]
        self.assertEqual((protocol[3], fingerprint[3]), (1, 2))
        self.assertEqual(Subscribed.decode(b"\x0a\x04chat\x11\x07\0\0\0\0\0\0\0"), Subscribed("chat", 7))


if __name__ == "__main__":
    unittest.main()
