"""What a body takes in memory once it is decoded, counted before it is (docs/operations.md, "Decoded messages").

An empty element of a list has two bytes on the wire, and all of its class's in memory. So a long body is walked over before it is
decoded, with a table of what the fields of each class take; one that is too short to become large is not.
"""

from __future__ import annotations

import sys
from enum import Enum as PythonEnum

from msip.message.enums import Enum
from msip.message.fields import Field, Scalar
from msip.message.json_messages import ListValue, Struct, Value
from msip.message.message import Message
from msip.message.wire import MAX_DEPTH, read_varint, skip_field
from msip.record import field, record

__all__ = ["decoded_size", "exceeds"]

# What CPython takes, in bytes, rounded up.
_PLACE = 16  # of an element in a list, which grows by an eighth and is copied meanwhile
_ENTRY = 176  # of a pair in a dict, the same
_NUMBER = 32
_TEXT = 80  # of a str or bytes, besides its content
_UNKNOWN_ENUM = 320  # a member that was made for its number
_WRAPPER = 48  # the member of a oneof

_WIDTHS = {
    Scalar.DOUBLE: 8,
    Scalar.FLOAT: 4,
    Scalar.FIXED32: 4,
    Scalar.FIXED64: 8,
    Scalar.SFIXED32: 4,
    Scalar.SFIXED64: 8,
}

_CONTINUED = bytes(range(128, 256))
"""The bytes of a varint that another one follows."""


class _Kind(PythonEnum):
    NUMBER = "number"
    TEXT = "text"
    ENUM = "enum"
    MESSAGE = "message"


@record
class _Value:
    """What one field holds."""

    kind: _Kind
    place: int
    """What a value takes besides itself."""
    target: type[Message] | None = None
    layout: _Layout | None = None
    """Of a message."""
    known: frozenset[int] = frozenset()
    """The numbers of an enum."""
    width: int = 0
    """How many bytes a fixed number has; 0 for varints."""


@record
class _Layout:
    """What a message of one class takes."""

    own: int
    fields: dict[int, _Value] = field(default_factory=dict)
    ratio: int = 0
    """How many bytes one byte of it may become, at most; 0 until that is known."""


_LAYOUTS: dict[type[Message], _Layout] = {}


def exceeds(message: type[Message], data: bytes, limit: int) -> bool:
    """Whether a message may take more than `limit` bytes in memory once these bytes are decoded."""
    layout = _layout(message)
    if not layout.ratio:
        layout.ratio = _ratio(layout)
    return layout.own + len(data) * layout.ratio > limit and decoded_size(message, data, limit) > limit


def decoded_size(message: type[Message], data: bytes, limit: int) -> int:
    """What a message takes in memory once these bytes are decoded: an upper bound, in bytes. Stops soon after `limit`.

    What is malformed is counted up to there.
    """
    layout = _layout(message)
    counter = _Counter(data, limit, layout.own)
    try:
        counter.walk(layout, 0, len(data), MAX_DEPTH)
    except (IndexError, ValueError):
        pass  # Decoding ends there, too.
    return counter.size


class _Full(ValueError):
    """The limit is reached."""


class _Counter:
    """Counts one body."""

    __slots__ = ("data", "limit", "size")

    def __init__(self, data: bytes, limit: int, size: int) -> None:
        self.data = data
        self.limit = limit
        self.size = size

    def walk(self, layout: _Layout, at: int, end: int, depth: int) -> None:
        """Counts the fields of a range. Raises `ValueError` or `IndexError` where it ends early."""
        data, fields = self.data, layout.fields
        while at < end:
            if self.size > self.limit:
                raise _Full
            start = at
            tag, at = read_varint(data, at)
            value, wire_type, number = fields.get(tag >> 3), tag & 7, 0
            if wire_type == 0:
                number, at = read_varint(data, at)
            elif wire_type == 2:
                size, at = read_varint(data, at)
                stop = at + size
                if stop > end:
                    raise IndexError
                if value is not None:
                    self.sized(value, at, stop, depth)
                    at = stop
                    continue
                at = stop
            else:
                at = skip_field(data, start, end, depth)
            if value is None:
                self.size += 3 * (at - start)  # a buffer that grows, and its copy
            elif wire_type == 0 and value.kind is _Kind.ENUM:
                self.size += value.place + (0 if number in value.known else _UNKNOWN_ENUM)
            else:
                self.size += value.place + _NUMBER

    def sized(self, value: _Value, at: int, stop: int, depth: int) -> None:
        """Counts what is behind its length."""
        if value.layout is None and value.target is not None:
            value.layout = _layout(value.target)
        if value.layout is not None:
            if depth <= 0:
                raise ValueError
            self.size += value.place + value.layout.own
            self.walk(value.layout, at, stop, depth - 1)
            return
        content = self.data[at:stop]
        if value.kind is _Kind.TEXT:
            # One character beyond the first 65,536 makes all others take as much.
            self.size += value.place + _TEXT + len(content) * (1 if content.isascii() else 4)
            return
        if value.width:
            self.size += len(content) // value.width * (value.place + _NUMBER)
            return
        count = len(content.translate(None, _CONTINUED))
        self.size += count * value.place
        if value.kind is _Kind.ENUM:
            known = bytes([number for number in value.known if 0 <= number < 128])
            self.size += len(content.translate(None, _CONTINUED + known)) * _UNKNOWN_ENUM
        elif not content.isascii():
            self.size += count * _NUMBER


def _layout(message: type[Message]) -> _Layout:
    layout = _LAYOUTS.get(message)
    if layout is None:
        # The head that the garbage collector puts in front of an object takes 16 bytes.
        layout = _LAYOUTS[message] = _Layout(message.__basicsize__ + 16)
        for each in message._table() or _JSON.get(message, ()):
            if each.key is not None:
                layout.own += sys.getsizeof({})
            elif each.repeated:
                layout.own += sys.getsizeof([])
            layout.fields[each.number] = _value(each)
    return layout


_JSON = {
    Struct: (Field("fields", 1, Value, "fields", "fields", key=Scalar.STRING),),
    ListValue: (Field("values", 1, Value, "values", "values", repeated=True),),
    Value: (
        Field("number", 2, Scalar.DOUBLE, "number", "value"),
        Field("string", 3, Scalar.STRING, "string", "value"),
        Field("bool", 4, Scalar.BOOL, "bool", "value"),
        Field("struct", 5, Struct, "struct", "value"),
        Field("list", 6, ListValue, "list", "value"),
    ),
}
"""The fields of those that have no table, since they are values of Python's at once."""


def _value(each: Field) -> _Value:
    place = _PLACE if each.repeated else _WRAPPER if each.member is not None else 0
    value = _kind(each.kind, place)
    if each.key is None:
        return value
    # The value of an entry is there even where it is left out.
    own = 0 if value.target is None else value.target.__basicsize__ + 16
    return _Value(_Kind.MESSAGE, _ENTRY, layout=_Layout(own, {1: _kind(each.key, 0), 2: value}))


def _kind(kind: Scalar | type[Enum | Message], place: int) -> _Value:
    if isinstance(kind, Scalar):
        is_text = kind in (Scalar.STRING, Scalar.BYTES)
        return _Value(_Kind.TEXT if is_text else _Kind.NUMBER, place, width=_WIDTHS.get(kind, 0))
    if issubclass(kind, Enum):
        return _Value(_Kind.ENUM, place, known=frozenset(int(member) for member in kind))
    return _Value(_Kind.MESSAGE, place, kind)


def _ratio(layout: _Layout) -> int:
    """How many bytes one byte of a message may become: what a field takes, by the two bytes that it has at least."""
    seen: list[_Layout] = []
    open = [layout]
    most = _NUMBER
    while open:
        layout = open.pop()
        if any(layout is other for other in seen):
            continue
        seen.append(layout)
        for value in layout.fields.values():
            if value.layout is None and value.target is not None:
                value.layout = _layout(value.target)
            size = value.place + _TEXT
            if value.layout is not None:
                size = value.place + value.layout.own
                open.append(value.layout)
            elif value.kind is _Kind.ENUM:
                size = 2 * (value.place + _UNKNOWN_ENUM)  # packed, it has one byte
            most = max(most, size)
    # A byte of text may take four, and one of an unknown field three.
    return most // 2 + 4
