"""The description of a schema, as text: what peers of different versions compare (docs/schema.md, "Description").

Whatever a peer sends as one, reading it takes time and memory in proportion to its length, which is bounded.
"""

from __future__ import annotations

import re
from typing import Final

from msip.record import field, record

__all__ = ["Description", "DescriptionError", "EnumType", "Field", "Member", "MessageType", "is_well_known"]

_MAX_LEN: Final = 256 * 1024
_MAX_ENTRIES: Final = 16_384
_MAX_TYPES: Final = 4096
_MAX_NAME: Final = 512

_KINDS = frozenset(("EVENT", "COMMAND", "STATE", "LOG", "METRIC"))
_SCALARS = frozenset(
    "double float int32 int64 uint32 uint64 sint32 sint64 fixed32 fixed64 sfixed32 sfixed64 bool string bytes".split()
)
_WORD = re.compile(r"[A-Za-z0-9_]+")
_TYPE_NAME = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*")
_NUMBER = re.compile(r"[+-]?[0-9]{1,20}")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


class DescriptionError(ValueError):
    """Why a text is no description."""


@record
class Member:
    """A member of one direction."""

    number: int
    name: str
    kind: str
    exchange: str
    """What comes back, as it is written: `one-way`, `call single single 1`."""
    message: str
    """The full name of its message; empty where it carries nothing."""
    answer: str = ""
    """Of a call: the name of the member that answers."""


@record
class Field:
    """A field of a message."""

    number: int
    name: str
    presence: str
    """`implicit`, `optional`, `repeated`, `map:` and the type of its keys, or `oneof:` and the lowest number of its fields."""
    type: str
    """A scalar, `.` and the name of a message, or `enum:.` and the name of an enum."""
    json_name: str
    """Its name in JSON."""

    @property
    def is_single(self) -> bool:
        """Whether it has one value."""
        return self.presence in ("implicit", "optional") or self.is_in_oneof

    @property
    def is_in_oneof(self) -> bool:
        """Whether it excludes others."""
        return self.presence.startswith("oneof:")

    @property
    def type_name(self) -> str:
        """The full name of its message or enum; empty for a scalar."""
        return self.type.partition(".")[2]


@record
class MessageType:
    """The fields of a message, by ascending number."""

    fields: list[Field] = field(default_factory=list)


@record
class EnumType:
    """The names and numbers of an enum, in the order of the source."""

    values: list[tuple[int, str]] = field(default_factory=list)


class Description:
    """A protocol as it is compared: its package, the members of both directions, and their types."""

    def __init__(self, text: bytes) -> None:
        """That of a text. Raises `DescriptionError` where it is none."""
        if len(text) > _MAX_LEN:
            raise DescriptionError(f"{len(text)} bytes, where {_MAX_LEN} are allowed")
        try:
            lines = text.decode().split("\n")
        except UnicodeDecodeError:
            raise DescriptionError("it is not UTF-8") from None
        if not lines[-1]:
            lines.pop()
        self._lines = [line.removesuffix("\r") for line in lines]
        self._number = 0
        self._entries = 0
        if self._next() != "msip-description 1":
            raise self._expected("`msip-description 1`, the version that is understood")
        package = self._next() or ""
        self.package = package.removeprefix("package ")
        if not package.startswith("package ") or not _is_type_name(self.package):
            raise self._expected("`package`, and its name")
        if self._next() != "client-to-server":
            raise self._expected("`client-to-server`")
        self.client_to_server = self._members("server-to-client")
        self.server_to_client = self._members("types")
        if not (
            _name_answers(self.client_to_server, self.server_to_client)
            and _name_answers(self.server_to_client, self.client_to_server)
        ):
            raise self._expected("each call's answer to be a member")
        self.types: dict[str, MessageType | EnumType] = {}
        self._read_types()
        if not self._is_complete():
            raise self._expected("each type that is mentioned to be there")
        del self._lines

    def _next(self) -> str | None:
        self._number += 1
        return self._lines[self._number - 1] if self._number <= len(self._lines) else None

    def _expected(self, what: str) -> DescriptionError:
        return DescriptionError(f"line {self._number}: expected {what}")

    def _count_entry(self) -> None:
        self._entries += 1
        if self._entries > _MAX_ENTRIES:
            raise DescriptionError(f"more than {_MAX_ENTRIES} members, fields and values")

    def _members(self, end: str) -> list[Member]:
        members: list[Member] = []
        while (line := self._next()) != end:
            member = None
            if line is not None:
                self._count_entry()
                member = _member(line)
            if member is None or (members and members[-1].number >= member.number):
                raise self._expected("a member, with a higher number than the one before")
            members.append(member)
        return members

    def _read_types(self) -> None:
        while (line := self._next()) is not None:
            if len(self.types) >= _MAX_TYPES:
                raise DescriptionError(f"more than {_MAX_TYPES} types")
            what, _, name = line.partition(" ")
            is_new = _is_type_name(name) and not is_well_known(name) and name not in self.types
            if what not in ("message", "enum") or not is_new:
                raise self._expected("`message` or `enum`, and a new name")
            self.types[name] = self._message() if what == "message" else self._enum()

    def _message(self) -> MessageType:
        fields: list[Field] = []
        while (line := self._next_entry()) is not None:
            read = _field(line)
            if read is None or (fields and fields[-1].number >= read.number):
                raise self._expected("a field, with a higher number than the one before")
            fields.append(read)
        return MessageType(fields)

    def _enum(self) -> EnumType:
        values: list[tuple[int, str]] = []
        while (line := self._next_entry()) is not None:
            number, _, name = line.partition(" ")
            value = _integer(number, -0x80000000, 0x7FFFFFFF)
            if value is None or not _is_word(name):
                raise self._expected("the number and the name of a value")
            values.append((value, name))
        return EnumType(values)

    def _next_entry(self) -> str | None:
        """The next line, if it begins with a number."""
        following = self._lines[self._number] if self._number < len(self._lines) else ""
        if following[:1] not in tuple("-0123456789"):
            return None
        self._count_entry()
        return self._next()

    def _is_complete(self) -> bool:
        """Whether each type that is mentioned is there."""

        def is_there(name: str, kind: type) -> bool:
            return is_well_known(name) or isinstance(self.types.get(name), kind)

        members = self.client_to_server + self.server_to_client
        if not all(is_there(member.message, MessageType) for member in members if member.message):
            return False
        fields = [each for of in self.types.values() if isinstance(of, MessageType) for each in of.fields]
        return all(
            is_there(each.type_name, EnumType if each.type.startswith("enum:") else MessageType)
            for each in fields
            if each.type_name
        )


def is_well_known(name: str) -> bool:
    """Whether what a type is made of is known to all."""
    return name.startswith("google.protobuf.")


def _name_answers(members: list[Member], others: list[Member]) -> bool:
    """Gives each call the name of its answer. Whether each has one."""
    names = {other.number: other.name for other in others}
    for member in members:
        if member.exchange.startswith("call "):
            member.answer = names.get(int(member.exchange.rpartition(" ")[2]), "")
            if not member.answer:
                return False
    return True


def _member(line: str) -> Member | None:
    """`1 connect_req COMMAND call single single 1 .chat.ConnectReq`."""
    words = line.split()
    is_call = len(words) == 8 and words[3] == "call"
    if not is_call and (len(words) != 5 or words[3] not in ("one-way", "acknowledged", "answer")):
        return None
    number = _integer(words[0], 1, 0xFFFF)
    if number is None or not _is_word(words[1]) or words[2] not in _KINDS:
        return None
    exchange = words[3]
    if is_call:
        answer = _integer(words[6], 0, 0xFFFF)
        if answer is None or not {words[4], words[5]} <= {"single", "stream"}:
            return None
        exchange = f"call {words[4]} {words[5]} {answer}"
    message = ""
    if words[-1] != "empty":
        message = words[-1][1:]
        if not (words[-1].startswith(".") and _is_type_name(message)):
            return None
    return Member(number, words[1], words[2], exchange, message)


def _field(line: str) -> Field | None:
    """`1 user implicit string`, and its name in JSON where that is another than usual."""
    words = line.split(" ", 4)
    number = _integer(words[0], 0, 0xFFFFFFFF)
    if len(words) < 4 or number is None or not _is_word(words[1]):
        return None
    presence = words[2]
    if presence not in ("implicit", "optional", "repeated"):
        what, _, of = presence.partition(":")
        if what == "oneof":
            lowest = _integer(of, 0, number)
            presence = f"oneof:{lowest}"
            if lowest is None:
                return None
        elif what != "map" or of not in _SCALARS:
            return None
    of_type = words[3]
    if of_type not in _SCALARS:
        name = of_type.removeprefix("enum:")
        if not (name.startswith(".") and _is_type_name(name[1:])):
            return None
    if len(words) == 5:
        if not words[4] or len(words[4].encode()) > _MAX_NAME or _CONTROL.search(words[4]):
            return None
        return Field(number, words[1], presence, of_type, words[4])
    return Field(number, words[1], presence, of_type, _json_name(words[1]))


def _json_name(name: str) -> str:
    """The name in JSON of a field whose schema gives it no other: lower camel case, by protobuf's own rule."""
    return re.sub("_+(.?)", lambda match: match[1].upper(), name)


def _integer(text: str, least: int, most: int) -> int | None:
    if not _NUMBER.fullmatch(text):
        return None
    number = int(text)
    return number if least <= number <= most else None


def _is_word(name: str) -> bool:
    return len(name) <= _MAX_NAME and _WORD.fullmatch(name) is not None


def _is_type_name(name: str) -> bool:
    return len(name) <= _MAX_NAME and _TYPE_NAME.fullmatch(name) is not None
