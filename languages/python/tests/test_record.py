"""Classes that only hold values."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import unittest

from msip.record import field, record, replaced


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


@record(frozen=True)
class Place:
    """Immutable."""

    name: str
    floor: int = 0


@record(frozen=True, kw_only=True)
class Limits:
    """All by name, and checked."""

    low: int = 0
    high: int = 10

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("low is above high")


@record(frozen=True, kw_only=True)
class MoreLimits(Limits):
    """With what it inherits."""

    middle: int = 5

    def __post_init__(self) -> None:
        Limits.__post_init__(self)


@record
class Named:
    """With a field that is always given by its name."""

    note: str = field(default="", repr=False, kw_only=True)
    name: str = ""


@record
class Odd:
    """With names that are something else elsewhere."""

    self: int = 1
    none: list[int] = field(default_factory=list)
    set: int = 2
    cls: int = 3


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
        self.assertEqual(repr(Odd(self=5)), "Odd(self=5, none=[], set=2, cls=3)")
        self.assertEqual(Odd(), Odd(1, [], 2, 3))

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

    def test_frozen_ones_cannot_be_changed_and_have_a_hash(self) -> None:
        place = Place("hall", floor=2)
        with self.assertRaisesRegex(AttributeError, "Place cannot be changed: `floor`"):
            place.floor = 3  # type: ignore[misc]
        with self.assertRaisesRegex(AttributeError, "Place cannot be changed: `floor`"):
            del place.floor
        self.assertEqual({place: 1}[Place("hall", 2)], 1)
        for again in (copy.copy(place), copy.deepcopy(place), pickle.loads(pickle.dumps(place))):
            self.assertEqual(again, place)
        self.assertEqual(pickle.loads(pickle.dumps(Point(1, 3))), Point(1, 3))

    def test_fields_given_by_name_and_inherited_ones(self) -> None:
        self.assertEqual(repr(MoreLimits(middle=7, low=1)), "MoreLimits(low=1, high=10, middle=7)")
        for wrong in (lambda: MoreLimits(1), lambda: Named("a", "b")):  # type: ignore[call-arg]
            with self.assertRaises(TypeError):
                wrong()
        with self.assertRaisesRegex(ValueError, "low is above high"):
            MoreLimits(low=11)
        self.assertNotEqual(MoreLimits(), Limits())
        self.assertEqual(replaced(MoreLimits(low=1), middle=6), MoreLimits(low=1, middle=6))
        named = Named("a", note="n")
        self.assertEqual((named.name, named.note, Named.__match_args__), ("a", "n", ("name",)))

    def test_the_first_object_may_be_one_of_a_subclass(self) -> None:
        @record
        class Base:
            x: int = 1

        class Plain(Base):
            pass

        @record
        class More(Base):
            y: int = 2

            def __init__(self, x: int) -> None:
                Base.__init__(self, x)
                self.y = x + 1

        self.assertEqual((More(5).x, More(5).y, Plain(3).x, Base().x), (5, 6, 3, 1))
        self.assertNotEqual(Plain(1), Base(1))
        self.assertNotEqual(More(1), More(2))

    def test_their_parameters_can_be_inspected_before_there_is_an_object(self) -> None:
        @record
        class Fresh:
            x: int
            y: int = 2

        self.assertEqual(str(inspect.signature(Fresh)), "(x, y=2)")
        self.assertEqual(repr(Fresh(1)), f"{Fresh.__qualname__}(x=1, y=2)")

        class Own(Fresh):
            def __init__(self, z: int) -> None:
                super().__init__(z)

        @record
        class OwnRecord(Fresh):
            def __init__(self, z: int) -> None:
                Fresh.__init__(self, z)

        for kind in (Own, OwnRecord):
            self.assertEqual(list(inspect.signature(kind).parameters), ["z"])
            self.assertEqual(kind(5).x, 5)

    def test_they_are_dataclasses_to_who_asks(self) -> None:
        self.assertTrue(dataclasses.is_dataclass(Point))
        point = Point(1, secret="s")
        self.assertEqual([each.name for each in dataclasses.fields(point)], ["x", "y", "names", "secret"])
        self.assertEqual(dataclasses.replace(point, y=9), Point(1, 9, secret="s"))
        self.assertEqual(dataclasses.asdict(Place("hall")), {"name": "hall", "floor": 0})

        @dataclasses.dataclass(frozen=True, kw_only=True)
        class Further(MoreLimits):
            further: int = 1

        self.assertEqual(Further(low=2, further=3).low, 2)


if __name__ == "__main__":
    unittest.main()
