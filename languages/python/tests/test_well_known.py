"""Well-known types, which need no generated code: as messages, as values of Python's, and in JSON."""

from __future__ import annotations

import unittest
from datetime import UTC, datetime, timedelta, timezone
from typing import Any as Anything

from msip.message import (
    Any,
    BoolValue,
    BytesValue,
    DecodeError,
    DoubleValue,
    Duration,
    Empty,
    EncodeError,
    Enum,
    FieldMask,
    FloatValue,
    Int32Value,
    Int64Value,
    ListValue,
    Message,
    NullValue,
    StringValue,
    Struct,
    Timestamp,
    UInt64Value,
    Value,
)
from msip.message.wire import varint


class TestBytes(unittest.TestCase):
    def test_vectors(self) -> None:
        cases: list[tuple[Message, str]] = [
            (Timestamp(1, 5), "08011005"),
            (Timestamp(-1), "08ffffffffffffffffff01"),
            (Duration(0, -1000), "1098f8ffffffffffffff01"),
            (FieldMask(["a", "b_c"]), "0a01610a03625f63"),
            (Int32Value(-1), "08ffffffffffffffffff01"),
            (Int64Value(300), "08ac02"),
            (UInt64Value((1 << 64) - 1), "08ffffffffffffffffff01"),
            (BoolValue(True), "0801"),
            (StringValue("é"), "0a02c3a9"),
            (BytesValue(b"\xff"), "0a01ff"),
            (DoubleValue(-0.0), "090000000000000080"),
            (FloatValue(1.0), "0d0000803f"),
            (Struct({"a": None}), "0a070a016112020800"),
            (ListValue([True, "x"]), "0a0220010a031a0178"),
            (Value(2.0), "110000000000000040"),
            (Any("t/a.B", b"\x01"), "0a05742f612e42120101"),
            (Empty(), ""),
        ]
        for message, expected in cases:
            with self.subTest(message=message):
                self.assertEqual(message.to_bytes().hex(), expected)
                self.assertEqual(type(message).from_bytes(bytes.fromhex(expected)), message)

    def test_unknown_fields_are_kept(self) -> None:
        for kind in (Timestamp, Duration, FieldMask, Int32Value, StringValue, Any, Empty):
            with self.subTest(kind=kind):
                message = kind.from_bytes(b"\xf8\x3f\x01")
                self.assertEqual((message.unknown_fields, message.to_bytes()), (b"\xf8\x3f\x01", b"\xf8\x3f\x01"))

    def test_fields_hold_what_their_messages_are(self) -> None:
        time, length = datetime(2024, 2, 29, 11, 0, 0, 123456, UTC), timedelta(seconds=-1, microseconds=-500)
        cases: list[tuple[Anything, Anything]] = [(Timestamp, time), (Duration, length)]
        for kind, value in cases:
            data = kind.of(value).to_bytes()
            seconds, nanos = data[: data.index(b"\x10")], data[data.index(b"\x10") :]
            # In order, in the other order, twice, with an unknown field, and in two parts.
            for written in (data, nanos + seconds, seconds + data, data + b"\x18\x01"):
                inside = b"__" + written + b"__"
                self.assertEqual(kind._unpack(inside, 2, len(inside) - 2, 10), value)
                self.assertEqual(kind.from_bytes(written).native(), value)
            before = kind._unpack(seconds, 0, len(seconds), 10)
            self.assertEqual(kind._unpack(nanos, 0, len(nanos), 10, before), value)
            self.assertEqual(kind._unpack(b"", 0, 0, 10), kind().native())
            for end in range(len(data)):
                if end not in (0, len(seconds)):
                    with self.assertRaises(DecodeError):
                        kind._unpack(data[:end], 0, end, 10)
                    with self.assertRaises(DecodeError):
                        # It is cut off, and something else is behind it.
                        kind._unpack(data, 0, end, 10)
            with self.assertRaises(DecodeError):
                kind._unpack(data, 0, len(data), -1)
        with self.assertRaisesRegex(DecodeError, "outside of the years 1 to 9999"):
            Timestamp._unpack(b"\x08" + varint(1 << 40), 0, 7, 10)

    def test_what_is_malformed_is_refused(self) -> None:
        for kind in (Timestamp, FieldMask, Int64Value, DoubleValue, StringValue, Struct, ListValue, Value, Any, Empty):
            for data in (b"\x08", b"\x0a\x05a", b"\x0e", b"\x00", b"\xff" * 11, b"\x0b\x0b"):
                with self.subTest(kind=kind, data=data), self.assertRaises(DecodeError):
                    kind.from_bytes(data)


class TestJson(unittest.TestCase):
    def test_forms(self) -> None:
        for message, text in (
            (Timestamp.of(datetime(2024, 2, 29, 12, 0, 0, 500_000, timezone(timedelta(hours=1)))), '"2024-02-29T11:00:00.500Z"'),
            (Timestamp(-62_135_596_800), '"0001-01-01T00:00:00Z"'),
            (Timestamp(253_402_300_799, 999_999_999), '"9999-12-31T23:59:59.999999999Z"'),
            (Duration.of(timedelta(seconds=-1, milliseconds=-500)), '"-1.500s"'),
            (Duration(0, 1), '"0.000000001s"'),
            (FieldMask(["user_name", "a.b_c"]), '"userName,a.bC"'),
            (Int64Value(1 << 53), '"9007199254740992"'),
            (FloatValue(0.1), "0.1"),
            (DoubleValue(float("inf")), '"Infinity"'),
            (BytesValue(b"\xff\xfe"), '"//4="'),
            (Struct({"a": [None, {"b": 1.5}]}), '{"a":[null,{"b":1.5}]}'),
            (Value(None), "null"),
            (Empty(), "{}"),
            (Any.pack(Duration(1)), '{"@type":"type.googleapis.com/google.protobuf.Duration","value":"1s"}'),
            (Any(), "{}"),
        ):
            with self.subTest(text=text):
                self.assertEqual(message.to_json(), text)
                again = type(message).from_json(text)
                self.assertEqual(again.to_json(), text)

    def test_what_is_malformed_is_refused(self) -> None:
        cases: list[tuple[type[Message], str]] = [
            (Timestamp, '"2024-02-30T00:00:00Z"'),
            (Timestamp, '"2024-02-29T00:00:00"'),
            (Timestamp, '"0001-01-01T00:00:00+01:00"'),
            (Timestamp, '"2024-02-29T00:00:00.1234567890Z"'),
            (Duration, '"1"'),
            (Duration, '"315576000001s"'),
            (FieldMask, '"user_name"'),
            (FieldMask, '"a,,b"'),
            (Int64Value, '"+1"'),
            (Int64Value, '" 1"'),
            (Int64Value, '"1_0"'),
            (BytesValue, '"a"'),
            (BoolValue, '"true"'),
            (Struct, "[]"),
            (Any, '{"@type":"no.slash"}'),
            (Any, '{"value":1}'),
        ]
        for kind, text in cases:
            with self.subTest(text=text), self.assertRaises(DecodeError):
                kind.from_json(text)

    def test_what_cannot_be_written_is_refused(self) -> None:
        cases: list[Message] = [
            Timestamp(253_402_300_800),
            Timestamp(0, -1),
            Duration(1, -1),
            Duration(315_576_000_001),
            FieldMask(["a,b"]),
            FieldMask(["aB"]),
            Value(float("nan")),
            Any("type.googleapis.com/no.Such"),
        ]
        for message in cases:
            with self.subTest(message=message), self.assertRaises(EncodeError):
                message.to_json()

    def test_a_value_outside_of_pythons_range_is_refused(self) -> None:
        for message in (Timestamp(1 << 60), Duration(1 << 60)):
            with self.assertRaises(DecodeError):
                message.native()


class TestEnums(unittest.TestCase):
    def test_unknown_numbers_are_members(self) -> None:
        class Color(Enum):
            NONE = 0
            RED = 1

        self.assertIs(Color(1), Color.RED)
        self.assertEqual((Color(7), Color(7).name, repr(Color(-7))), (7, "UNKNOWN_7", "<Color.UNKNOWN_-7: -7>"))
        self.assertEqual(list(Color), [Color.NONE, Color.RED], "it is not kept")
        for number in (1 << 31, -(1 << 31) - 1):
            with self.assertRaises(ValueError):
                Color(number)
        self.assertEqual(NullValue(0), NullValue.NULL_VALUE)


if __name__ == "__main__":
    unittest.main()
