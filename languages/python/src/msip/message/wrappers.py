"""Wrappers: `google.protobuf.Int64Value` and its kin. A field of one is a scalar or None."""

from __future__ import annotations

from typing import Any as Anything
from typing import ClassVar, Self, TypeVar

from msip.json_value import JsonValue
from msip.message.failures import READ_FAILURES, WRITE_FAILURES, too_deep, unreadable, unwritable
from msip.message.fields import Field, Scalar
from msip.message.form import Form
from msip.message.scalars import read_scalar, write_scalar
from msip.message.well_known import WellKnown
from msip.message.wire import (
    f32,
    f64,
    int32,
    int64,
    is_negative_zero,
    read_varint,
    sized,
    skip_field,
    uint32,
    uint64,
    unpack_bool,
    unpack_double,
    unpack_float,
    unpack_int32,
    unpack_int64,
    unpack_uint32,
    unpack_uint64,
)
from msip.record import record

__all__ = [
    "BoolValue",
    "BytesValue",
    "DoubleValue",
    "FloatValue",
    "Int32Value",
    "Int64Value",
    "StringValue",
    "UInt32Value",
    "UInt64Value",
]

T = TypeVar("T")


@record
class _Wrapper(WellKnown[T]):
    """A message of one field, `value`, whose number is 1."""

    _scalar: ClassVar[Scalar]

    @classmethod
    def of(cls, value: T) -> Self:
        """The message of a value."""
        message = cls()
        message.value = value  # type: ignore[attr-defined]  # each subclass has this one field
        return message

    def native(self) -> T:
        """The value."""
        value: T = self.value  # type: ignore[attr-defined]
        return value

    def _write(self, depth: int) -> bytes:
        value: Anything = self.native()
        if not value and not (isinstance(value, float) and is_negative_zero(value)):
            return self.unknown_fields
        try:
            raw = self._field(value)
        except WRITE_FAILURES as error:
            raise unwritable(self, error) from None
        return raw + self.unknown_fields

    def _read(self, data: bytes, at: int, end: int, depth: int, is_new: bool = True) -> Self:
        if depth < 0:
            raise too_deep()
        message: Anything = self  # each subclass has the field `value`
        if is_new:
            message.value = type(self)().native()
            self.unknown_fields = b""
        unknown = bytearray()
        tag = 0
        wire_type = _WIRE_TYPES[self._scalar]
        try:
            while at < end:
                start = at
                tag, at = read_varint(data, at)
                if tag == 8 | wire_type:
                    if wire_type == 0:
                        _, stop = read_varint(data, at)
                    elif wire_type == 2:
                        size, at = read_varint(data, at)
                        stop = at + size
                    else:
                        stop = at + (8 if wire_type == 1 else 4)
                    if stop > end:
                        raise IndexError
                    message.value = self._parse(data, at, stop)
                    at = stop
                else:
                    at = skip_field(data, start, end, depth)
                    unknown += data[start:at]
            if at > end:
                raise IndexError
        except READ_FAILURES as error:
            raise unreadable(self, tag, error) from None
        if unknown:
            self._keep_unknown(unknown)
        return self

    @staticmethod
    def _field(value: Anything) -> bytes:
        """The field, tag included."""
        raise NotImplementedError

    @staticmethod
    def _parse(data: bytes, at: int, stop: int) -> Anything:
        """The value of a range."""
        raise NotImplementedError

    def _to_tree(self, form: Form, depth: int) -> JsonValue:
        return write_scalar(self._scalar, self.native(), form)

    @classmethod
    def _from_tree(cls, value: JsonValue, form: Form, depth: int) -> Self:
        read: Anything = read_scalar(cls._scalar, value, form)
        return cls.of(read)

    @classmethod
    def _fields(cls) -> tuple[Field, ...]:
        return (Field("value", 1, cls._scalar, "value", "value"),)


_WIRE_TYPES = {
    Scalar.DOUBLE: 1,
    Scalar.FLOAT: 5,
    Scalar.INT32: 0,
    Scalar.INT64: 0,
    Scalar.UINT32: 0,
    Scalar.UINT64: 0,
    Scalar.BOOL: 0,
    Scalar.STRING: 2,
    Scalar.BYTES: 2,
}
"""The wire type of each."""


@record
class DoubleValue(_Wrapper[float]):
    """A double that may be absent: `google.protobuf.DoubleValue`."""

    value: float = 0.0

    _full_name: ClassVar[str] = "google.protobuf.DoubleValue"
    _scalar: ClassVar[Scalar] = Scalar.DOUBLE

    @staticmethod
    def _field(value: float) -> bytes:
        return b"\x09" + f64(value)

    @staticmethod
    def _parse(data: bytes, at: int, stop: int) -> float:
        return unpack_double(data, at, stop)[0]


@record
class FloatValue(_Wrapper[float]):
    """A float that may be absent: `google.protobuf.FloatValue`."""

    value: float = 0.0

    _full_name: ClassVar[str] = "google.protobuf.FloatValue"
    _scalar: ClassVar[Scalar] = Scalar.FLOAT

    @staticmethod
    def _field(value: float) -> bytes:
        return b"\x0d" + f32(value)

    @staticmethod
    def _parse(data: bytes, at: int, stop: int) -> float:
        return unpack_float(data, at, stop)[0]


@record
class Int64Value(_Wrapper[int]):
    """An int64 that may be absent: `google.protobuf.Int64Value`."""

    value: int = 0

    _full_name: ClassVar[str] = "google.protobuf.Int64Value"
    _scalar: ClassVar[Scalar] = Scalar.INT64

    @staticmethod
    def _field(value: int) -> bytes:
        return b"\x08" + int64(value)

    @staticmethod
    def _parse(data: bytes, at: int, stop: int) -> int:
        return unpack_int64(data, at, stop)[0]


@record
class UInt64Value(_Wrapper[int]):
    """A uint64 that may be absent: `google.protobuf.UInt64Value`."""

    value: int = 0

    _full_name: ClassVar[str] = "google.protobuf.UInt64Value"
    _scalar: ClassVar[Scalar] = Scalar.UINT64

    @staticmethod
    def _field(value: int) -> bytes:
        return b"\x08" + uint64(value)

    @staticmethod
    def _parse(data: bytes, at: int, stop: int) -> int:
        return unpack_uint64(data, at, stop)[0]


@record
class Int32Value(_Wrapper[int]):
    """An int32 that may be absent: `google.protobuf.Int32Value`."""

    value: int = 0

    _full_name: ClassVar[str] = "google.protobuf.Int32Value"
    _scalar: ClassVar[Scalar] = Scalar.INT32

    @staticmethod
    def _field(value: int) -> bytes:
        return b"\x08" + int32(value)

    @staticmethod
    def _parse(data: bytes, at: int, stop: int) -> int:
        return unpack_int32(data, at, stop)[0]


@record
class UInt32Value(_Wrapper[int]):
    """A uint32 that may be absent: `google.protobuf.UInt32Value`."""

    value: int = 0

    _full_name: ClassVar[str] = "google.protobuf.UInt32Value"
    _scalar: ClassVar[Scalar] = Scalar.UINT32

    @staticmethod
    def _field(value: int) -> bytes:
        return b"\x08" + uint32(value)

    @staticmethod
    def _parse(data: bytes, at: int, stop: int) -> int:
        return unpack_uint32(data, at, stop)[0]


@record
class BoolValue(_Wrapper[bool]):
    """A bool that may be absent: `google.protobuf.BoolValue`."""

    value: bool = False

    _full_name: ClassVar[str] = "google.protobuf.BoolValue"
    _scalar: ClassVar[Scalar] = Scalar.BOOL

    @staticmethod
    def _field(value: bool) -> bytes:
        return b"\x08\x01"

    @staticmethod
    def _parse(data: bytes, at: int, stop: int) -> bool:
        return unpack_bool(data, at, stop)[0]


@record
class StringValue(_Wrapper[str]):
    """A string that may be absent: `google.protobuf.StringValue`."""

    value: str = ""

    _full_name: ClassVar[str] = "google.protobuf.StringValue"
    _scalar: ClassVar[Scalar] = Scalar.STRING

    @staticmethod
    def _field(value: str) -> bytes:
        return b"\n" + sized(value.encode())

    @staticmethod
    def _parse(data: bytes, at: int, stop: int) -> str:
        return data[at:stop].decode()


@record
class BytesValue(_Wrapper[bytes]):
    """Bytes that may be absent: `google.protobuf.BytesValue`."""

    value: bytes = b""

    _full_name: ClassVar[str] = "google.protobuf.BytesValue"
    _scalar: ClassVar[Scalar] = Scalar.BYTES

    @staticmethod
    def _field(value: bytes) -> bytes:
        return b"\n" + sized(value)

    @staticmethod
    def _parse(data: bytes, at: int, stop: int) -> bytes:
        return data[at:stop]
