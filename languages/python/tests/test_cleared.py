"""STATEs that are cleared, and the keys by which they are told apart."""

from __future__ import annotations

import hashlib
import unittest
from typing import Any, cast

import msip
from lab import LEVEL_SAVED, LEVEL_STATE, NOTE_IND, Heard, LabClient, LabTest, Text, lab
from msip.codec.keys import cleared_state, key_only, key_text
from msip.protocol import Kind, Member, Shape


def keyed(number: int, kind: Kind = Kind.STATE) -> Member:
    return Member("keyed", 2, None, kind, Shape.ONE_WAY, "on_keyed", key=number)


class Encoded:
    """A message that is encoded already."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def to_bytes(self) -> bytes:
        return self.data


def message(data: bytes) -> Any:
    return Encoded(data)


class KeysTest(unittest.TestCase):
    def test_keys_are_text_that_differs_for_each_value(self) -> None:
        long = b"x" * 257
        for name, field, expected in (
            ("text", b"\x0a\x03oil", "oil"),
            ("text that is escaped", b"\x0a\x07a%b\n\xc2\x85c", "a%25b%0A%C2%85c"),
            ("bytes", b"\x0a\x04a\xff\xfeb", "a%FF%FEb"),
            ("long", b"\x0a\x81\x02" + long, "%sha256:" + hashlib.sha256(long).hexdigest().upper()),
            ("a number", b"\x08\x96\x01", "150"),
            ("a negative number", b"\x08" + b"\xff" * 9 + b"\x01", "18446744073709551615"),
            ("a float", b"\x0d\x00\x00\x80\x3f", "1065353216"),
            ("a double", b"\x09\x00\x00\x00\x00\x00\x00\xf0\x3f", "4607182418800017408"),
            ("the last one", b"\x12\x01y\x08\x01\x08\x02", "2"),
        ):
            with self.subTest(name):
                self.assertEqual(key_text(keyed(1), message(field)), expected)

    def test_the_default_is_a_key_but_of_a_state(self) -> None:
        self.assertEqual(key_text(keyed(1), message(b"")), "")
        self.assertEqual(key_text(keyed(1, Kind.EVENT), message(b"")), "%default")
        self.assertEqual(key_text(keyed(0, Kind.EVENT), message(b"\x08\x01")), "")
        self.assertEqual(key_text(keyed(1), None), "")

    def test_what_is_cleared_is_an_envelope_with_the_key_alone(self) -> None:
        self.assertEqual(key_only(keyed(1), message(b"\x12\x01y\x0a\x03oil")), b"\x12\x05\x0a\x03oil")
        self.assertEqual(key_only(keyed(1), message(b"\x12\x01y")), b"")
        state = cast(Text, cleared_state(LEVEL_STATE, key_only(LEVEL_STATE, cast(Any, Text("oil")))))
        self.assertEqual(state.text, "oil")
        for encoded in (b"\x12\x00", b"\x4a\x02\x08\x01", b"\xff"):
            with self.subTest(encoded=encoded), self.assertRaises(msip.Status) as caught:
                cleared_state(LEVEL_STATE, encoded)
            self.assertIs(caught.exception.code, msip.Code.INVALID_ARGUMENT)


class ClearedTest(LabTest):
    def test_each_side_is_told_which_state_is_cleared(self) -> None:
        async def work() -> None:
            heard = Heard()
            async with lab() as (server, served), LabClient(server.urls[0], heard) as client:
                await client.level_state("oil")
                await client.level_state("oil", metadata=msip.Clearing())
                await client.level_state("", metadata=msip.Clearing())
                # A message with defaults is a state, and not one that is cleared.
                await client.level_state("")
                await client.level_saved("gas", metadata=msip.Clearing(headers={"why": "leak"}))
                self.assertEqual(
                    served.events,
                    [
                        "connected",
                        "level oil",
                        "cleared level_state oil",
                        "cleared level_state ",
                        "level ",
                        "cleared level_saved gas",
                    ],
                )
                self.assertEqual(server.everyone().level_state("oil"), 1)
                self.assertEqual(server.everyone().where(lambda _: True).clearing().level_state("oil"), 1)
                await heard.until("cleared level_state oil")
                self.assertEqual(heard.events, ["connected", "level oil", "cleared level_state oil"])

        self.run_lab(work)

    def test_a_handler_that_fails_is_told_to_who_waits(self) -> None:
        async def work() -> None:
            async with lab() as (server, _), LabClient(server.urls[0]) as client:
                with self.assertRaises(msip.CallError) as caught:
                    await client.level_saved("fail", metadata=msip.Clearing())
                self.assertIs(caught.exception.code, msip.Code.DATA_LOSS)

        self.run_lab(work)

    def test_only_a_state_is_cleared(self) -> None:
        async def work() -> None:
            async with lab() as (server, _), LabClient(server.urls[0]) as client:
                with self.assertRaises(msip.CallError) as caught:
                    await client.note_ind("x", metadata=msip.Clearing())
                self.assertEqual(
                    str(caught.exception), "INVALID_ARGUMENT: `note_ind` is no STATE: it cannot be cleared"
                )
                self.assertTrue(caught.exception.is_safe_to_repeat)

        self.run_lab(work)

    def test_an_empty_body_of_anything_else_is_no_message(self) -> None:
        async def work() -> None:
            async with lab() as (server, served), LabClient(server.urls[0]) as client:
                session = client._open().driver.session
                session.send(NOTE_IND, b"", now=0)
                number = session.send(LEVEL_SAVED, b"", now=0, metadata=msip.Metadata(cleared=b"\xff"))
                with self.assertRaises(msip.CallError) as caught:
                    await client._open().outcome(number)
                self.assertIs(caught.exception.code, msip.Code.INVALID_ARGUMENT)
                await client.save_ind("after")
                self.assertEqual(served.events, ["connected", "save after"])

        self.run_lab(work)

    def test_what_waits_of_one_key_is_not_replaced_by_another(self) -> None:
        async def work() -> None:
            async with lab() as (server, served), LabClient(server.urls[0]) as client:
                await client.level_state("wait")
                # The window is used up, so that the rest waits here.
                for _ in range(1023):
                    await client.level_state("window")
                for key, metadata in (("oil", None), ("gas", None), ("oil", msip.Clearing()), ("gas", None)):
                    await client.level_state(key, metadata=metadata)
                served.gate.set()
                await served.until("level gas")
                self.assertEqual(served.events[-2:], ["cleared level_state oil", "level gas"])

        self.run_lab(work)


if __name__ == "__main__":
    unittest.main()
