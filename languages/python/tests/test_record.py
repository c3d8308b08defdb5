"""Classes that only hold values."""

from __future__ import annotations

import copy
import unittest

from msip.record import field, record


@record
class Point:
    """With defaults of every kind."""

    x: int
    y: int = 2
    names: list[str] = field(default_factory=list)
    secret: str = field(default="", repr=False)


@record
class Nothing:
    """Without fields."""


class RecordTest(unittest.TestCase):
    def test_objects_are_made_as_of_a_dataclass(self) -> None:
        point = Point(1)
        self.assertEqual((point.x, point.y, point.names, point.secret), (1, 2, [], ""))
        self.assertEqual(Point(1, 5, ["a"], secret="s").names, ["a"])
        point.names.append("mine")
        self.assertEqual(Point(1).names, [])
        for arguments, named in (((), {}), ((1, 2, [], "", 5), {}), ((1,), {"x": 1}), ((1,), {"z": 1})):
            with self.subTest(arguments), self.assertRaises(TypeError):
                Point(*arguments, **named)  # type: ignore[arg-type]
        self.assertEqual(repr(Nothing()), "Nothing()")

    def test_they_are_compared_by_their_fields(self) -> None:
        self.assertEqual(Point(1), Point(1))
        self.assertNotEqual(Point(1), Point(1, secret="s"))
        self.assertNotEqual(Point(1), 1)
        with self.assertRaises(TypeError):
            hash(Point(1))

    def test_they_show_what_is_no_secret(self) -> None:
        self.assertEqual(repr(Point(1, secret="s")), "Point(x=1, y=2, names=[])")

    def test_they_have_slots_and_can_be_copied_and_matched(self) -> None:
        point = Point(1, secret="s")
        with self.assertRaises(AttributeError):
            point.other = 1  # type: ignore[attr-defined]
        self.assertEqual(copy.copy(point), point)
        match point:
            case Point(x, y):
                self.assertEqual((x, y), (1, 2))


if __name__ == "__main__":
    unittest.main()
