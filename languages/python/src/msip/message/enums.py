"""Enums of a schema."""

from __future__ import annotations

from enum import IntEnum
from functools import cache
from typing import Self, cast

from msip.json_value import JsonValue

__all__ = ["Enum", "NullValue"]


class Enum(IntEnum):
    """An enum of a schema: an `IntEnum` that also has the numbers that it does not know.

    A peer with a newer schema may send a number that has no name here. `Color(7)` is then a member that equals 7, has the
    name `UNKNOWN_7`, and is written as 7 again.
    """

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, int) or not -0x80000000 <= value <= 0x7FFFFFFF:
            return None
        member = int.__new__(cls, value)
        member._name_ = f"UNKNOWN_{value}"
        member._value_ = int(value)
        return member

    @classmethod
    def _of(cls, number: int) -> Self:
        """The member of a number of the wire."""
        known = cls._value2member_map_.get(number)
        return cls(number) if known is None else cast(Self, known)

    @classmethod
    def _of_all(cls, numbers: list[int]) -> list[Self]:
        """The members of many numbers of the wire."""
        known = cast("dict[int, Self]", cls._value2member_map_)
        return [known[number] if number in known else cls(number) for number in numbers]

    @classmethod
    def _of_varint(cls, value: int) -> Self:
        """The member of a varint, of which the low 32 bits count."""
        return cls._of(((value & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000)

    @classmethod
    def _schema_names(cls) -> dict[str, int]:
        """The values as the schema spells them, where the members have other names."""
        return {name: int(member) for name, member in cls.__members__.items()}

    @classmethod
    def _tree_of(cls, number: int) -> JsonValue:
        """The value in a tree: its name, or its number where it has none."""
        return _names(cls).get(number, number)

    @classmethod
    def _named(cls, name: str) -> Self | None:
        """The member that the schema gives this name."""
        return cast("Self | None", _members(cls).get(name))

    @classmethod
    def _takes_null(cls) -> bool:
        """Whether null is a value in a tree, rather than the absence of one."""
        return False


@cache
def _names(enum: type[Enum]) -> dict[int, str]:
    """The names of numbers: the first one, where several have the same."""
    names: dict[int, str] = {}
    for name, number in enum._schema_names().items():
        names.setdefault(number, name)
    return names


@cache
def _members(enum: type[Enum]) -> dict[str, Enum]:
    """The members by their names in the schema."""
    return {name: enum._of(number) for name, number in enum._schema_names().items()}


class NullValue(Enum):
    """The null of JSON, `google.protobuf.NullValue`."""

    NULL_VALUE = 0

    @classmethod
    def _tree_of(cls, number: int) -> JsonValue:
        return None

    @classmethod
    def _takes_null(cls) -> bool:
        return True
