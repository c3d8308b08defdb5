"""What messages do, as docs/python.md says. Called in the folder of the generated packages."""

from __future__ import annotations

import pickle
import subprocess
import sys
import unittest
from datetime import UTC, datetime, timedelta, timezone

import kitchen.fleet.v1 as fleet
import msip
from chat import chat
from languages.class_ import difficult
from msip.message import (
    Any,
    DecodeError,
    EncodeError,
    Float32,
    Form,
    Int64Value,
    Message,
)
from sampler import sampler


class Bytes(unittest.TestCase):
    """Protobuf, with what peers of other releases and other languages may write."""

    def test_a_negative_int32_takes_ten_bytes(self) -> None:
        data = sampler.Kinds(an_int32=-1).to_bytes()
        self.assertEqual(data, b"\x18" + b"\xff" * 9 + b"\x01")
        # Other languages may write five.
        self.assertEqual(sampler.Kinds.from_bytes(b"\x18\xff\xff\xff\xff\x0f").an_int32, -1)

    def test_unknown_fields_are_kept(self) -> None:
        unknown = b"\xf8\x3f\x01" + b"\xfa\x3f\x02ab" + b"\xfb\x3f\x08\x01\xfc\x3f"
        message = chat.Person.from_bytes(b"\n\x03ada" + unknown + b"\x10\x01")
        self.assertEqual((message.user, message.active, message.unknown_fields), ("ada", True, unknown))
        self.assertEqual(message.to_bytes(), b"\n\x03ada\x10\x01" + unknown)
        self.assertNotIn("unknown", repr(message))

    def test_another_wire_type_is_an_unknown_field(self) -> None:
        message = chat.Person.from_bytes(b"\x08\x05\x10\x01")
        self.assertEqual((message.user, message.active, message.unknown_fields), ("", True, b"\x08\x05"))

    def test_the_last_value_wins_and_messages_are_merged(self) -> None:
        self.assertEqual(chat.Person.from_bytes(b"\n\x01a\n\x01b").user, "b")
        first, second = sampler.Leaf(name="a").to_bytes(), sampler.Leaf(big_number=5).to_bytes()
        field = [b"\x8a\x01" + bytes([len(part)]) + part for part in (first, second)]
        self.assertEqual(sampler.Kinds.from_bytes(b"".join(field)).a_leaf, sampler.Leaf("a", 5))

    def test_the_last_member_of_a_oneof_wins(self) -> None:
        text = fleet.Everything(choice=fleet.Everything.Text("a")).to_bytes()
        blob = fleet.Everything(choice=fleet.Everything.Blob(b"")).to_bytes()
        self.assertEqual(fleet.Everything.from_bytes(text + blob).choice, fleet.Everything.Blob(b""))
        match fleet.Everything.from_bytes(blob + text).choice:
            case fleet.Everything.Text(value):
                self.assertEqual(value, "a")
            case other:
                self.fail(f"{other} is no text")

    def test_lists_are_read_packed_and_not_packed(self) -> None:
        packed = sampler.Kinds(many_sint64=[1, -1, 1 << 40]).to_bytes()
        loose = b"".join(sampler.Kinds(many_sint64=[number]).to_bytes() for number in (1, -1, 1 << 40))
        self.assertEqual(sampler.Kinds.from_bytes(packed), sampler.Kinds.from_bytes(loose))
        single = b"\x88\x02\x02"
        self.assertEqual(sampler.Kinds.from_bytes(single).many_sint64, [1])

    def test_lists_are_written_as_the_schema_says(self) -> None:
        expanded = b"\xd0\x02\x01\xd0\x02\x80\x01"
        self.assertEqual(sampler.Kinds(loose_int32=[1, 128]).to_bytes(), expanded)
        self.assertEqual(sampler.Kinds.from_bytes(expanded).loose_int32, [1, 128])
        self.assertEqual(sampler.Kinds.from_bytes(b"\xd2\x02\x03\x01\x80\x01").loose_int32, [1, 128])
        self.assertEqual(sampler.Kinds(many_int32=[1, 128]).to_bytes(), b"\x82\x02\x03\x01\x80\x01")

    def test_entries_of_maps_may_miss_parts(self) -> None:
        for entry, expected in (
            (b"", {"": fleet.Everything.Part()}),
            (b"\n\x01a", {"a": fleet.Everything.Part()}),
            (b"\x12\x00", {"": fleet.Everything.Part()}),
            (b"\x12\x00\n\x01a\n\x01b\x18\x05", {"b": fleet.Everything.Part()}),
        ):
            with self.subTest(entry=entry):
                data = b"\xba\x01" + bytes([len(entry)]) + entry
                self.assertEqual(fleet.Everything.from_bytes(data).part_by_name, expected)

    def test_zeros_are_not_written_unless_their_absence_is_visible(self) -> None:
        self.assertEqual(sampler.Kinds().to_bytes(), b"")
        self.assertEqual(sampler.Kinds(a_double=-0.0).to_bytes(), b"\x09" + b"\x00" * 7 + b"\x80")
        self.assertEqual(fleet.Everything(optional_int32=0).to_bytes(), b"\x98\x01\x00")

    def test_any_buffer_is_read(self) -> None:
        data = chat.Person("ada").to_bytes()
        for buffer in (data, bytearray(data), memoryview(data)):
            self.assertEqual(chat.Person.from_bytes(buffer), chat.Person("ada"))
        with self.assertRaises(TypeError):
            chat.Person.from_bytes(5)  # type: ignore[arg-type]

    def test_mistakes_say_where(self) -> None:
        for message, data, path, reason in (
            (chat.Person, b"\n\x05ada", "user", "the data end in the middle of a field"),
            (chat.Person, b"\n\x02\xff\xfe", "user", "not UTF-8"),
            (chat.WhoRsp, b"\n\x05\n\x03\xff\xfe\xfd", "people.user", "not UTF-8"),
            (chat.Person, b"\x10" + b"\xff" * 10, "active", "a varint of more than"),
            (chat.Person, b"\x0c", "", "the end of a group that has not begun"),
            (chat.Person, b"\x0e", "", "wire type 6"),
            (chat.Person, b"\x00", "", "a field of number 0"),
            (chat.Person, b"\x10", "active", "the data end"),
            (sampler.WellKnown, b"\x0a\x02\x08", "time", ""),
        ):
            with self.subTest(data=data):
                with self.assertRaises(DecodeError) as caught:
                    message.from_bytes(data)
                self.assertIsInstance(caught.exception, ValueError)
                self.assertEqual(caught.exception.code, msip.Code.INVALID_ARGUMENT)
                self.assertIn(reason, caught.exception.reason)
                if reason != "wire type 6" and path:
                    self.assertTrue(caught.exception.path.startswith(path), caught.exception.path)

    def test_depth_is_limited(self) -> None:
        def chain(count: int) -> sampler.Chain:
            outermost = sampler.Chain()
            for _ in range(count):
                outermost = sampler.Chain(next=outermost)
            return outermost

        deepest = chain(100)
        self.assertEqual(sampler.Chain.from_bytes(deepest.to_bytes()), deepest)
        with self.assertRaises(EncodeError):
            chain(101).to_bytes()
        data = b""
        for _ in range(101):
            size = len(data)
            data = b"\n" + (bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7])) + data
        with self.assertRaises(DecodeError):
            sampler.Chain.from_bytes(data)
        itself = sampler.Chain()
        itself.next = itself
        for write in (itself.to_bytes, itself.to_json):
            with self.assertRaises(EncodeError):
                write()

    def test_what_is_deep_or_in_many_parts_costs_no_more_than_its_bytes(self) -> None:
        for data in (b"\x23" * 100_000, b"\x23" * 101 + b"\x24" * 101):
            with self.assertRaises(DecodeError) as caught:
                sampler.Chain.from_bytes(data)
            self.assertIn("groups are nested too deep", str(caught.exception))
        # Copied for each part, this would be 20 GB.
        parts = sampler.Kinds.from_bytes(b"\x8a\x01\x02\x78\x01" * 100_000)
        self.assertEqual(parts.a_leaf, sampler.Leaf(unknown_fields=b"\x78\x01" * 100_000))

    def test_a_value_that_does_not_fit_is_named(self) -> None:
        for message, text in (
            (sampler.Kinds(an_int32=1 << 31), "an_int32: 2147483648 is out of range: int32 is"),
            (sampler.Kinds(a_uint64=-1), "a_uint64: -1 is out of range"),
            (sampler.Kinds(a_fixed32=1 << 32), "a_fixed32: 4294967296 is out of range"),
            (sampler.Kinds(a_float=1e300), "a_float: 1e+300 is out of range"),
            (sampler.Kinds(a_leaf=sampler.Leaf(big_number=1 << 63)), "a_leaf.big_number: 9223372036854775808 is out"),
            (sampler.Kinds(many_int32=[1, 1 << 40]), "many_int32[1]: 1099511627776 is out of range"),
            (sampler.Kinds(a_string=5), "a_string: expected text, found 5"),  # type: ignore[arg-type]
            (sampler.Kinds(a_leaf=5), "a_leaf: expected Leaf, found 5"),  # type: ignore[arg-type]
            (sampler.WellKnown(time=datetime(2024, 1, 1)), "time: expected a datetime with a time zone"),
            (fleet.Everything(choice=5), "choice: expected a member of the oneof"),  # type: ignore[arg-type]
        ):
            with self.subTest(text=text):
                for write in (message.to_bytes, message.to_json):
                    with self.assertRaises(EncodeError) as caught:
                        write()
                    self.assertIn(text, str(caught.exception))


class Values(unittest.TestCase):
    """Python's own types, enums, and what dataclasses have."""

    def test_enums_keep_numbers_that_they_do_not_know(self) -> None:
        message = sampler.Kinds.from_bytes(b"\x80\x01\x63")
        self.assertEqual(message.a_color, 99)
        self.assertIsInstance(message.a_color, sampler.Color)
        self.assertEqual(message.a_color.name, "UNKNOWN_99")
        self.assertEqual(message.to_bytes(), b"\x80\x01\x63")
        self.assertEqual(sampler.Color(1), sampler.Color.RED)
        self.assertIs(sampler.Kinds.from_bytes(b"\x80\x01\x01").a_color, sampler.Color.RED)
        with self.assertRaises(ValueError):
            sampler.Color(1 << 31)

    def test_names_that_are_taken_get_an_underscore(self) -> None:
        message = difficult.Self_(class_="a", None_=difficult.Self_.Str("b"))
        again = difficult.Self_.from_json(message.to_json())
        self.assertEqual((again, message.to_json()), (message, '{"class":"a","str":"b"}'))

    def test_times_are_cut_to_microseconds_and_are_utc(self) -> None:
        noon = datetime(2024, 2, 29, 12, tzinfo=timezone(timedelta(hours=1)))
        message = sampler.WellKnown.from_bytes(sampler.WellKnown(time=noon, span=timedelta(days=-1, microseconds=1)).to_bytes())
        self.assertEqual(message.time, datetime(2024, 2, 29, 11, tzinfo=UTC))
        self.assertEqual(message.time and message.time.utcoffset(), timedelta(0))
        self.assertEqual(message.span, timedelta(days=-1, microseconds=1))
        text = '{"time":"2024-02-29T11:00:00.123456789Z"}'
        self.assertEqual(sampler.WellKnown.from_json(text).to_json(), '{"time":"2024-02-29T11:00:00.123456Z"}')

    def test_any_holds_a_message(self) -> None:
        packed = Any.pack(sampler.Leaf("a"))
        self.assertEqual(packed.unpack(sampler.Leaf), sampler.Leaf("a"))
        self.assertIsNone(packed.unpack(Int64Value))
        self.assertEqual(packed.to_json(), '{"@type":"type.googleapis.com/sampler.Leaf","name":"a"}')
        self.assertEqual(Any.from_json(packed.to_json()), packed)

    def test_messages_are_dataclasses(self) -> None:
        self.assertEqual(repr(chat.Person("ada")), "Person(user='ada', active=False)")
        self.assertEqual(chat.Person("ada"), chat.Person(user="ada"))
        self.assertNotEqual(chat.Person("ada"), chat.Person("ada", unknown_fields=b"\xf8\x3f\x01"))
        with self.assertRaises(AttributeError):
            chat.Person().usr = "ada"  # type: ignore[attr-defined]
        with self.assertRaises(TypeError):
            hash(chat.Person())
        self.assertEqual(pickle.loads(pickle.dumps(chat.Person("ada"))), chat.Person("ada"))

    def test_comments_are_docstrings(self) -> None:
        self.assertEqual(chat.Person.__doc__, "Somebody in the room.")
        self.assertEqual(difficult.Self_.__doc__, '"""Quoted"""')
        self.assertTrue((difficult.__doc__ or "").startswith('Names and comments that mean something else in Python: """'))
        self.assertEqual(difficult.DifficultProtocolClient.send_close.__doc__, "Ends with a backslash \\")

    def test_deprecation_is_marked(self) -> None:
        self.assertTrue(difficult.dataclass.__deprecated__)  # type: ignore[attr-defined]
        self.assertTrue(difficult.DifficultProtocolClient.send_str.__deprecated__)  # type: ignore[attr-defined]


class Trees(unittest.TestCase):
    """JSON and MessagePack, by docs/codecs.md."""

    def test_the_other_spellings_of_json_are_read(self) -> None:
        for text, expected in (
            ('{"an_int32":1}', sampler.Kinds(an_int32=1)),
            ('{"anInt32":"1e2","anInt64":7.0}', sampler.Kinds(an_int32=100, an_int64=7)),
            ('{"someBytes":"_-8"}', sampler.Kinds(some_bytes=b"\xff\xef")),
            ('{"aColor":1}', sampler.Kinds(a_color=sampler.Color.RED)),
            ('{"aColor":"COLOR_OF_TOMORROW","manyColor":["COLOR_OF_TOMORROW","COLOR_RED"]}', sampler.Kinds(many_color=[sampler.Color.RED])),
            ('{"aDouble":"-Infinity","aLeaf":null,"unheardOf":[{}]}', sampler.Kinds(a_double=float("-inf"))),
        ):
            with self.subTest(text=text):
                self.assertEqual(sampler.Kinds.from_json(text), expected)
                self.assertEqual(sampler.Kinds.from_json(text.encode()), expected)

    def test_mistakes_in_json_say_where(self) -> None:
        for text, found in (
            ('{"aString":7}', "aString: expected text, found 7"),
            ('{"aLeaf":{"bigNumber":"x"}}', "aLeaf.bigNumber: expected an integer, found 'x'"),
            ('{"manyInt32":[1,2147483648]}', "manyInt32[1]: 2147483648 is out of range"),
            ('{"manyInt32":[null]}', "manyInt32[0]: expected an integer, found null"),
            ('{"anInt32":1.5}', "anInt32: expected an integer, found 1.5"),
            ('{"anInt32":true}', "anInt32: expected an integer, found true"),
            ('{"anInt32":1,"an_int32":1}', "anInt32: the field occurs twice"),
            ('{"anInt32":1,"anInt32":1}', "the key 'anInt32' occurs twice"),
            ('{"aDouble":1e999}', "aDouble: inf is out of range"),
            ('{"aDouble":NaN}', "invalid JSON: NaN"),
            ('{"anInt32":' + "9" * 5000 + "}", "invalid JSON"),
            ('{"anInt32":"' + "9" * 5000 + '"}', "anInt32: expected an integer"),
            ("[" * 100_000, "100 objects and arrays"),
            ("[]", "expected an object, found an array"),
            ("{", "invalid JSON at character 1"),
            ('{"aLeaf":' * 101 + "{}" + "}" * 101, "aLeaf"),
        ):
            with self.subTest(text=text):
                with self.assertRaises(DecodeError) as caught:
                    sampler.Kinds.from_json(text)
                self.assertIn(found, str(caught.exception))
        with self.assertRaises(DecodeError) as caught:
            fleet.Everything.from_json('{"text":"a","blob":""}')
        self.assertIn("blob: another field of its oneof is set", str(caught.exception))

    def test_messagepack_has_types_of_its_own(self) -> None:
        message = sampler.Kinds(an_int64=1 << 40, some_bytes=b"\xff", a_float=0.5)
        tree = message.to_value(Form.MESSAGE_PACK)
        self.assertEqual(tree, {"aFloat": 0.5, "anInt64": 1 << 40, "someBytes": b"\xff"})
        assert isinstance(tree, dict)
        self.assertIsInstance(tree["aFloat"], Float32)
        self.assertEqual(sampler.Kinds.from_value(tree, Form.MESSAGE_PACK), message)
        with self.assertRaises(DecodeError):
            sampler.Kinds.from_value({"someBytes": "/w=="}, Form.MESSAGE_PACK)
        by_number = fleet.Everything.from_value({"colourByNumber": {1: "NONE"}}, Form.MESSAGE_PACK)  # type: ignore[dict-item]
        self.assertEqual(by_number.colour_by_number, {1: fleet.Everything.Colour.NONE})

    def test_floats_have_the_fewest_digits(self) -> None:
        message = sampler.Kinds.from_bytes(sampler.Kinds(a_float=0.1, a_double=0.1).to_bytes())
        self.assertEqual(message.to_json(), '{"aDouble":0.1,"aFloat":0.1}')

    def test_what_json_cannot_hold_is_refused(self) -> None:
        for message in (
            sampler.WellKnown(any=Any("type.googleapis.com/no.Such", b"")),
            sampler.WellKnown(span=timedelta(days=366 * 10_000)),
            sampler.WellKnown(mask=["no,path"]),
            sampler.WellKnown(value=float("nan")),
        ):
            with self.subTest(message=message), self.assertRaises(EncodeError):
                message.to_json()


class Protocols(unittest.TestCase):
    """The data of a protocol, which the core reads."""

    def test_members_are_described(self) -> None:
        members = {member.name: member for member in chat.CHAT.client_to_server}
        who = members["who_req"]
        self.assertEqual((who.number, who.message, who.answer, who.timeout), (4, chat.WhoReq, 6, 5.0))
        self.assertEqual((who.shape, who.kind, who.handler), (msip.Shape.CALL, msip.Kind.COMMAND, "on_who_req"))
        key = next(member.key for member in difficult.DIFFICULT_PROTOCOL.client_to_server if member.name == "str")
        self.assertEqual(key, 1)

    def test_calls_are_abstract(self) -> None:
        with self.assertRaises(TypeError):
            chat.ChatServerHandler()  # type: ignore[abstract]

    def test_packages_may_import_each_other(self) -> None:
        for first, second in (("near", "far"), ("far", "near")):
            code = f"import circle.{first}, circle.{second}; print(circle.near.NEAR.name, circle.far.FAR.name)"
            said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
            self.assertEqual(said.stdout.split(), ["near", "far"])

    def test_every_message_is_found_by_its_name(self) -> None:
        self.assertTrue(issubclass(chat.Person, Message))
        self.assertIs(msip.message.message_type("chat.Person"), chat.Person)


if __name__ == "__main__":
    unittest.main()
