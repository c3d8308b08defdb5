"""JSON values as messages: `google.protobuf.Struct`, `Value` and `ListValue`. Their fields hold `JsonValue`."""

from __future__ import annotations

import math
import struct
from typing import ClassVar, Self

from msip.errors import DecodeError
from msip.json_value import JsonValue
from msip.message.failures import READ_FAILURES, EncodeError, too_deep, unreadable, within
from msip.message.fields import Field
from msip.message.form import Form
from msip.message.message import Message
from msip.message.scalars import found
from msip.message.tree import TOO_DEEP
from msip.message.well_known import WellKnown
from msip.message.wire import f64, read_size, read_varint, sized, skip_field
from msip.record import field, record

__all__ = ["ListValue", "Struct", "Value"]

_F64 = struct.Struct("<d")


@record
class Struct(WellKnown[dict[str, JsonValue]]):
    """A JSON object: `google.protobuf.Struct`."""

    fields: dict[str, JsonValue] = field(default_factory=dict)

    _full_name: ClassVar[str] = "google.protobuf.Struct"

    @classmethod
    def of(cls, value: dict[str, JsonValue]) -> Self:
        """The message of an object."""
        return cls(value)

    def native(self) -> dict[str, JsonValue]:
        """The object."""
        return self.fields

    def _write(self, depth: int) -> bytes:
        return _object(self.fields, depth) + self.unknown_fields

    def _read(self, data: bytes, at: int, end: int, depth: int, is_new: bool = True) -> Self:
        if is_new:
            self.fields = {}
            self.unknown_fields = b""
        self.fields = _read_object(self, data, at, end, depth, self.fields)
        return self

    def _to_tree(self, form: Form, depth: int) -> JsonValue:
        return _checked(self.fields, depth)

    @classmethod
    def _from_tree(cls, value: JsonValue, form: Form, depth: int) -> Self:
        if not isinstance(value, dict):
            raise DecodeError(f"expected an object, found {found(value)}")
        _readable(value, depth)
        return cls(value)

    @classmethod
    def _fields(cls) -> tuple[Field, ...]:
        return ()


@record
class ListValue(WellKnown[list[JsonValue]]):
    """A JSON array: `google.protobuf.ListValue`."""

    values: list[JsonValue] = field(default_factory=list)

    _full_name: ClassVar[str] = "google.protobuf.ListValue"

    @classmethod
    def of(cls, value: list[JsonValue]) -> Self:
        """The message of an array."""
        return cls(value)

    def native(self) -> list[JsonValue]:
        """The array."""
        return self.values

    def _write(self, depth: int) -> bytes:
        return _array(self.values, depth) + self.unknown_fields

    def _read(self, data: bytes, at: int, end: int, depth: int, is_new: bool = True) -> Self:
        if is_new:
            self.values = []
            self.unknown_fields = b""
        self.values = _read_array(self, data, at, end, depth, self.values)
        return self

    def _to_tree(self, form: Form, depth: int) -> JsonValue:
        return _checked(self.values, depth)

    @classmethod
    def _from_tree(cls, value: JsonValue, form: Form, depth: int) -> Self:
        if not isinstance(value, list):
            raise DecodeError(f"expected an array, found {found(value)}")
        _readable(value, depth)
        return cls(value)

    @classmethod
    def _fields(cls) -> tuple[Field, ...]:
        return ()


@record
class Value(WellKnown[JsonValue]):
    """A JSON value: `google.protobuf.Value`.

    A field of this type is None where it is absent. The null of JSON is None, too: where the two must be told apart, put
    the value into a oneof or a list.
    """

    value: JsonValue = None

    _full_name: ClassVar[str] = "google.protobuf.Value"

    @classmethod
    def of(cls, value: JsonValue) -> Self:
        """The message of a value."""
        return cls(value)

    def native(self) -> JsonValue:
        """The value."""
        return self.value

    def _write(self, depth: int) -> bytes:
        return _value(self.value, depth) + self.unknown_fields

    def _read(self, data: bytes, at: int, end: int, depth: int, is_new: bool = True) -> Self:
        if is_new:
            self.value = None
            self.unknown_fields = b""
        self.value = _read_value(self, data, at, end, depth, self.value)
        return self

    def _to_tree(self, form: Form, depth: int) -> JsonValue:
        return _checked(self.value, depth)

    @classmethod
    def _from_tree(cls, value: JsonValue, form: Form, depth: int) -> Self:
        _readable(value, depth)
        return cls(value)

    @classmethod
    def _takes_null(cls) -> bool:
        return True

    @classmethod
    def _fields(cls) -> tuple[Field, ...]:
        return ()


def _object(values: object, depth: int) -> bytes:
    if depth < 0:
        raise EncodeError(TOO_DEEP)
    if not isinstance(values, dict):
        raise EncodeError(f"expected a dict, found {found(values)}")
    out = []
    for key, value in values.items():
        try:
            entry = b"\n" + sized(_text(key)) + b"\x12" + sized(_value(value, depth - 2))
        except EncodeError as error:
            raise EncodeError(error.reason, within(f"[{found(key)}]", error.path)) from None
        out.append(b"\n" + sized(entry))
    return b"".join(out)


def _array(values: object, depth: int) -> bytes:
    if depth < 0:
        raise EncodeError(TOO_DEEP)
    if not isinstance(values, (list, tuple)):
        raise EncodeError(f"expected a list, found {found(values)}")
    out = []
    for index, value in enumerate(values):
        try:
            out.append(b"\n" + sized(_value(value, depth - 1)))
        except EncodeError as error:
            raise EncodeError(error.reason, within(f"[{index}]", error.path)) from None
    return b"".join(out)


def _value(value: object, depth: int) -> bytes:
    if depth < 0:
        raise EncodeError(TOO_DEEP)
    if value is None:
        return b"\x08\x00"
    if isinstance(value, bool):
        return b"\x20\x01" if value else b"\x20\x00"
    if isinstance(value, (int, float)):
        try:
            return b"\x11" + f64(value)
        except OverflowError:
            raise EncodeError(f"{found(value)} is out of range: double") from None
    if isinstance(value, str):
        return b"\x1a" + sized(_text(value))
    if isinstance(value, dict):
        return b"\x2a" + sized(_object(value, depth - 1))
    if isinstance(value, (list, tuple)):
        return b"\x32" + sized(_array(value, depth - 1))
    raise EncodeError(f"expected a JSON value, found {found(value)}")


def _text(value: object) -> bytes:
    if not isinstance(value, str):
        raise EncodeError(f"expected text, found {found(value)}")
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise EncodeError(f"text with half of a surrogate pair: {found(value)}") from None


def _read_object(
    message: Message, data: bytes, at: int, end: int, depth: int, values: dict[str, JsonValue]
) -> dict[str, JsonValue]:
    if depth < 0:
        raise too_deep()
    try:
        while at < end:
            start = at
            tag, at = read_varint(data, at)
            if tag != 10:
                at = skip_field(data, start, end, depth)
                continue
            at, stop = read_size(data, at, end)
            key: str = ""
            value: JsonValue = None
            while at < stop:
                start = at
                tag, at = read_varint(data, at)
                if tag == 10:
                    at, behind = read_size(data, at, stop)
                    key = data[at:behind].decode()
                    at = behind
                elif tag == 18:
                    at, behind = read_size(data, at, stop)
                    value = _read_value(message, data, at, behind, depth - 2, value)
                    at = behind
                else:
                    at = skip_field(data, start, stop, depth)
            if at > stop:
                raise IndexError
            values[key] = value
        if at > end:
            raise IndexError
    except READ_FAILURES as error:
        raise unreadable(message, 0, error) from None
    return values


def _read_array(
    message: Message, data: bytes, at: int, end: int, depth: int, values: list[JsonValue]
) -> list[JsonValue]:
    if depth < 0:
        raise too_deep()
    try:
        while at < end:
            start = at
            tag, at = read_varint(data, at)
            if tag != 10:
                at = skip_field(data, start, end, depth)
                continue
            at, stop = read_size(data, at, end)
            values.append(_read_value(message, data, at, stop, depth - 1, None))
            at = stop
        if at > end:
            raise IndexError
    except READ_FAILURES as error:
        raise unreadable(message, 0, error) from None
    return values


def _read_value(message: Message, data: bytes, at: int, end: int, depth: int, value: JsonValue) -> JsonValue:
    """The value of a range; `value` is what came before, with which objects and arrays are merged."""
    if depth < 0:
        raise too_deep()
    try:
        while at < end:
            start = at
            tag, at = read_varint(data, at)
            if tag == 8:
                _, at = read_varint(data, at)
                value = None
            elif tag == 17:
                if at + 8 > end:
                    raise IndexError
                (value,) = _F64.unpack_from(data, at)
                at += 8
            elif tag == 26:
                at, stop = read_size(data, at, end)
                value = data[at:stop].decode()
                at = stop
            elif tag == 32:
                number, at = read_varint(data, at)
                value = number != 0
            elif tag == 42:
                at, stop = read_size(data, at, end)
                value = _read_object(message, data, at, stop, depth - 1, value if isinstance(value, dict) else {})
                at = stop
            elif tag == 50:
                at, stop = read_size(data, at, end)
                value = _read_array(message, data, at, stop, depth - 1, value if isinstance(value, list) else [])
                at = stop
            else:
                at = skip_field(data, start, end, depth)
        if at > end:
            raise IndexError
    except READ_FAILURES as error:
        raise unreadable(message, 0, error) from None
    return value


def _checked(value: object, depth: int) -> JsonValue:
    """A value as JSON may hold it."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):
        _text(value)
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise EncodeError(f"JSON has no number {value}")
        return value
    if not isinstance(value, (list, tuple, dict)):
        raise EncodeError(f"expected a JSON value, found {found(value)}")
    if depth <= 0:
        raise EncodeError(TOO_DEEP)
    if isinstance(value, dict):
        for key in value:
            _text(key)
        return {key: _checked(inner, depth - 1) for key, inner in value.items()}
    return [_checked(inner, depth - 1) for inner in value]


def _readable(value: JsonValue, depth: int) -> None:
    """Checks a value that was read: MessagePack has more than JSON."""
    if isinstance(value, float) and not math.isfinite(value):
        raise DecodeError(f"expected a JSON value, found {found(value)}")
    if isinstance(value, bytes):
        raise DecodeError(f"expected a JSON value, found {found(value)}")
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise DecodeError(f"text with half of a surrogate pair: {found(value)}") from None
    if isinstance(value, (dict, list)):
        if depth <= 0:
            raise DecodeError(TOO_DEEP)
        if isinstance(value, dict):
            for key in value:
                _readable(key, depth)
                if not isinstance(key, str):
                    raise DecodeError(f"expected a key of text, found {found(key)}")
        for inner in value.values() if isinstance(value, dict) else value:
            _readable(inner, depth - 1)
