"""Protobuf's wire format: the parts that generated code calls rather than contains.

Reading raises `IndexError` where the data end too early and `ValueError` where they are malformed; the generated method
turns either into a `DecodeError` that names the field.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Protocol

    class _WriteVarint(Protocol):
        def __call__(self, value: int, tag: bytes = b"") -> bytes: ...


__all__ = [
    "FIFTH",
    "FOURTH",
    "MAX_DEPTH",
    "SECOND",
    "SHORT",
    "SIXTH",
    "THIRD",
    "double_at",
    "f32",
    "f64",
    "fixed32",
    "fixed32_at",
    "fixed64",
    "fixed64_at",
    "float_at",
    "int32",
    "int64",
    "is_negative_zero",
    "new",
    "pack_bool",
    "pack_double",
    "pack_fixed32",
    "pack_fixed64",
    "pack_float",
    "pack_int32",
    "pack_int64",
    "pack_sfixed32",
    "pack_sfixed64",
    "pack_sint32",
    "pack_sint64",
    "pack_uint32",
    "pack_uint64",
    "read_int64",
    "read_size",
    "read_varint",
    "sfixed32",
    "sfixed32_at",
    "sfixed64",
    "sfixed64_at",
    "short_fields",
    "sint32",
    "sint64",
    "sized",
    "skip_field",
    "uint32",
    "uint64",
    "unpack_bool",
    "unpack_double",
    "unpack_fixed32",
    "unpack_fixed64",
    "unpack_float",
    "unpack_int32",
    "unpack_int64",
    "unpack_sfixed32",
    "unpack_sfixed64",
    "unpack_sint32",
    "unpack_sint64",
    "unpack_uint32",
    "unpack_uint64",
    "varint",
]

MAX_DEPTH = 100
"""How many messages may be inside of each other, beyond the outermost."""

new = object.__new__
"""A message whose fields are not there yet. Its constructor takes keywords, and twice as long."""

SHORT = tuple(bytes((value,)) for value in range(128))
"""The varints of one byte."""

_MORE = tuple(bytes((value | 128,)) for value in range(128))
"""The bytes of a varint that another one follows."""

_PAIRS: list[bytes] = []
"""Two of them, by the 14 bits that they stand for. Times and other long numbers are written with these."""


def _make_pairs() -> list[bytes]:
    """Fills the pairs, once a long number is written: they take 0.8 MB."""
    _PAIRS[:] = [low + high for high in _MORE for low in _MORE]
    return _PAIRS


@cache
def short_fields(tag: bytes) -> tuple[bytes, ...]:
    """The fields of this tag whose varint, which is a value or a length, is of one byte."""
    return tuple([tag + varint for varint in SHORT])


f64 = struct.Struct("<d").pack
f32 = struct.Struct("<f").pack
fixed32 = struct.Struct("<I").pack
fixed64 = struct.Struct("<Q").pack
sfixed32 = struct.Struct("<i").pack
sfixed64 = struct.Struct("<q").pack

double_at = struct.Struct("<d").unpack_from
float_at = struct.Struct("<f").unpack_from
fixed32_at = struct.Struct("<I").unpack_from
fixed64_at = struct.Struct("<Q").unpack_from
sfixed32_at = struct.Struct("<i").unpack_from
sfixed64_at = struct.Struct("<q").unpack_from


def _varint_of(least: int, most: int) -> _WriteVarint:
    """What writes a tag, and the varint of a number in this range; a negative one takes ten bytes."""
    short, more, joined = SHORT, _MORE, b"".join

    def write(value: int, tag: bytes = b"") -> bytes:
        if value < 0x10000000:
            if value < 0x4000:
                if value < 0:
                    if value < least:
                        raise OverflowError
                    return varint(value + (1 << 64), tag)
                return tag + short[value] if value < 0x80 else tag + more[value & 127] + short[value >> 7]
            if value < 0x200000:
                return tag + more[value & 127] + more[value >> 7 & 127] + short[value >> 14]
            return joined((tag, more[value & 127], more[value >> 7 & 127], more[value >> 14 & 127], short[value >> 21]))
        if value > most:
            raise OverflowError
        pairs, high = _PAIRS or _make_pairs(), value >> 28
        if high < 0x80:
            return joined((tag, pairs[value & 0x3FFF], pairs[value >> 14 & 0x3FFF], short[high]))
        if high < 0x4000:
            return joined((tag, pairs[value & 0x3FFF], pairs[value >> 14 & 0x3FFF], more[high & 127], short[high >> 7]))
        return joined((tag, pairs[value & 0x3FFF], pairs[value >> 14 & 0x3FFF], varint(high)))

    return write


varint = _varint_of(0, 0xFFFFFFFFFFFFFFFF)
int32 = _varint_of(-0x80000000, 0x7FFFFFFF)
int64 = _varint_of(-0x8000000000000000, 0x7FFFFFFFFFFFFFFF)
uint32 = _varint_of(0, 0xFFFFFFFF)
uint64 = varint


def sized(raw: bytes) -> bytes:
    """Bytes behind their length."""
    size = len(raw)
    return (SHORT[size] if size < 128 else varint(size)) + raw


def sint32(value: int) -> bytes:
    """The zigzag varint of a sint32."""
    if -0x80000000 <= value <= 0x7FFFFFFF:
        return varint(value << 1 if value >= 0 else ~(value << 1))
    raise OverflowError


def sint64(value: int) -> bytes:
    """The zigzag varint of a sint64."""
    if -0x8000000000000000 <= value <= 0x7FFFFFFFFFFFFFFF:
        return varint(value << 1 if value >= 0 else ~(value << 1))
    raise OverflowError


def is_negative_zero(value: float) -> bool:
    """Whether a zero is -0.0, which is written although it equals the default."""
    return math.copysign(1.0, value) < 0.0


def pack_bool(values: Sequence[bool]) -> bytes:
    """Packed bools."""
    return bytes([1 if value else 0 for value in values])


def _pack(values: Sequence[int], longer: Callable[[int], bytes]) -> bytes:
    """Packed varints, of which `longer` makes those of more than three bytes, and of negative numbers."""
    # Both go over the values without a step of the interpreter.
    if min(values) < 0:
        return b"".join([longer(value) for value in values])
    if max(values) < 128:
        return bytes(values)
    more = _MORE
    return b"".join(
        [
            SHORT[value]
            if value < 128
            else more[value & 127] + SHORT[value >> 7]
            if value < 0x4000
            else more[value & 127] + more[value >> 7 & 127] + SHORT[value >> 14]
            if value < 0x200000
            else longer(value)
            for value in values
        ]
    )


def pack_int32(values: Sequence[int]) -> bytes:
    """Packed int32, and enums."""
    return _pack(values, int32)


def pack_int64(values: Sequence[int]) -> bytes:
    """Packed int64."""
    return _pack(values, int64)


def pack_uint32(values: Sequence[int]) -> bytes:
    """Packed uint32."""
    return _pack(values, uint32)


def pack_uint64(values: Sequence[int]) -> bytes:
    """Packed uint64."""
    return _pack(values, uint64)


def pack_sint32(values: Sequence[int]) -> bytes:
    """Packed sint32."""
    return _pack([value << 1 if value >= 0 else ~(value << 1) for value in values], uint32)


def pack_sint64(values: Sequence[int]) -> bytes:
    """Packed sint64."""
    return _pack([value << 1 if value >= 0 else ~(value << 1) for value in values], uint64)


def pack_double(values: list[float]) -> bytes:
    """Packed doubles."""
    return struct.pack(f"<{len(values)}d", *values)


def pack_float(values: list[float]) -> bytes:
    """Packed floats."""
    return struct.pack(f"<{len(values)}f", *values)


def pack_fixed32(values: list[int]) -> bytes:
    """Packed fixed32."""
    return struct.pack(f"<{len(values)}I", *values)


def pack_fixed64(values: list[int]) -> bytes:
    """Packed fixed64."""
    return struct.pack(f"<{len(values)}Q", *values)


def pack_sfixed32(values: list[int]) -> bytes:
    """Packed sfixed32."""
    return struct.pack(f"<{len(values)}i", *values)


def pack_sfixed64(values: list[int]) -> bytes:
    """Packed sfixed64."""
    return struct.pack(f"<{len(values)}q", *values)


def _parts(shift: int) -> tuple[int, ...]:
    """What each byte adds to a varint at this place. The first byte is added whole, and the last one takes back its bit that says that
    another one follows."""
    return tuple([(byte << shift) - 128 if byte < 128 else (byte & 127) << shift for byte in range(256)])


SECOND, THIRD, FOURTH, FIFTH, SIXTH = _parts(7), _parts(14), _parts(21), _parts(28), _parts(35)


def _varint_reader(top: int) -> Callable[[bytes, int], tuple[int, int]]:
    """What reads a varint of at most 64 bits, of which the highest is worth `top`, and says where it ends."""

    def read(data: bytes, at: int) -> tuple[int, int]:
        value = data[at]
        if value < 128:
            return value, at + 1
        byte = data[at + 1]
        value += SECOND[byte]
        if byte < 128:
            return value, at + 2
        byte = data[at + 2]
        value += THIRD[byte]
        if byte < 128:
            return value, at + 3
        byte = data[at + 3]
        value += FOURTH[byte]
        if byte < 128:
            return value, at + 4
        byte = data[at + 4]
        value += FIFTH[byte]
        if byte < 128:
            return value, at + 5
        byte = data[at + 5]
        value += SIXTH[byte]
        if byte < 128:
            return value, at + 6
        # The bits that say that another one follows are taken off at the end, at once.
        byte = data[at + 6]
        high = byte
        if byte < 128:
            return value + (high << 42) - 0x80, at + 7
        byte = data[at + 7]
        high += byte << 7
        if byte < 128:
            return value + (high - 0x80 << 42) - 0x80, at + 8
        byte = data[at + 8]
        high += byte << 14
        if byte < 128:
            return value + (high - 0x4080 << 42) - 0x80, at + 9
        last = data[at + 9]
        if last > 127:
            raise ValueError("a varint of more than ten bytes")
        if last > 1:
            raise ValueError("a varint of more than 64 bits")
        return value + (high - 0x204080 << 42) + last * top - 0x80, at + 10

    return read


read_varint = _varint_reader(1 << 63)
read_int64 = _varint_reader(-1 << 63)


def read_size(data: bytes, at: int, end: int) -> tuple[int, int]:
    """The range of what is behind its length."""
    size = data[at]
    at += 1
    if size > 127:
        size, at = read_varint(data, at - 1)
    if at + size > end:
        raise IndexError
    return at, at + size


def skip_field(data: bytes, at: int, end: int, depth: int) -> int:
    """The place behind the field that begins here, tag included."""
    tag, at = read_varint(data, at)
    number, wire_type = tag >> 3, tag & 7
    if number == 0 or tag > 0xFFFFFFFF:
        raise ValueError(f"a field of number {number}")
    if wire_type == 0:
        return read_varint(data, at)[1]
    if wire_type == 1:
        return at + 8
    if wire_type == 2:
        size, at = read_varint(data, at)
        if at + size > end:
            raise IndexError
        return at + size
    if wire_type == 5:
        return at + 4
    if wire_type == 3:
        return _skip_group(data, at, end, number, depth)
    raise ValueError("the end of a group that has not begun" if wire_type == 4 else f"wire type {wire_type}")


def _skip_group(data: bytes, at: int, end: int, number: int, depth: int) -> int:
    """The place behind a group; `at` is behind its first tag."""
    if depth <= 0:
        raise ValueError("groups are nested too deep")
    while True:
        if at >= end:
            raise IndexError
        tag, behind = read_varint(data, at)
        if tag & 7 == 4:
            if tag >> 3 != number:
                raise ValueError("the end of a group that has not begun")
            return behind
        at = skip_field(data, at, end, depth - 1)


def unpack_uint64(data: bytes, at: int, stop: int) -> list[int]:
    """Packed uint64."""
    packed = data[at:stop]
    if packed.isascii():
        return list(packed)
    values: list[int] = []
    while at < stop:
        value = data[at]
        if value < 128:
            at += 1
        elif (second := data[at + 1]) < 128:
            value += (second << 7) - 0x80
            at += 2
        elif (third := data[at + 2]) < 128:
            value += (second << 7) + (third << 14) - 0x4080
            at += 3
        else:
            value, at = read_varint(data, at)
        values.append(value)
    if at != stop:
        raise IndexError
    return values


def unpack_bool(data: bytes, at: int, stop: int) -> list[bool]:
    """Packed bools."""
    return [value != 0 for value in unpack_uint64(data, at, stop)]


def unpack_int32(data: bytes, at: int, stop: int) -> list[int]:
    """Packed int32, and the numbers of enums."""
    values = unpack_uint64(data, at, stop)
    if max(values, default=0) > 0x7FFFFFFF:
        return [((value & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000 for value in values]
    return values


def unpack_int64(data: bytes, at: int, stop: int) -> list[int]:
    """Packed int64."""
    values = unpack_uint64(data, at, stop)
    if max(values, default=0) > 0x7FFFFFFFFFFFFFFF:
        return [(value ^ 0x8000000000000000) - 0x8000000000000000 for value in values]
    return values


def unpack_uint32(data: bytes, at: int, stop: int) -> list[int]:
    """Packed uint32."""
    values = unpack_uint64(data, at, stop)
    if max(values, default=0) > 0xFFFFFFFF:
        return [value & 0xFFFFFFFF for value in values]
    return values


def unpack_sint32(data: bytes, at: int, stop: int) -> list[int]:
    """Packed sint32."""
    return [value >> 1 ^ -(value & 1) for value in unpack_uint32(data, at, stop)]


def unpack_sint64(data: bytes, at: int, stop: int) -> list[int]:
    """Packed sint64."""
    return [value >> 1 ^ -(value & 1) for value in unpack_uint64(data, at, stop)]


def unpack_double(data: bytes, at: int, stop: int) -> list[float]:
    """Packed doubles."""
    return list(struct.unpack_from(f"<{_count(at, stop, 8)}d", data, at))


def unpack_float(data: bytes, at: int, stop: int) -> list[float]:
    """Packed floats."""
    return list(struct.unpack_from(f"<{_count(at, stop, 4)}f", data, at))


def unpack_fixed32(data: bytes, at: int, stop: int) -> list[int]:
    """Packed fixed32."""
    return list(struct.unpack_from(f"<{_count(at, stop, 4)}I", data, at))


def unpack_fixed64(data: bytes, at: int, stop: int) -> list[int]:
    """Packed fixed64."""
    return list(struct.unpack_from(f"<{_count(at, stop, 8)}Q", data, at))


def unpack_sfixed32(data: bytes, at: int, stop: int) -> list[int]:
    """Packed sfixed32."""
    return list(struct.unpack_from(f"<{_count(at, stop, 4)}i", data, at))


def unpack_sfixed64(data: bytes, at: int, stop: int) -> list[int]:
    """Packed sfixed64."""
    return list(struct.unpack_from(f"<{_count(at, stop, 8)}q", data, at))


def _count(at: int, stop: int, size: int) -> int:
    count, rest = divmod(stop - at, size)
    if rest:
        raise IndexError
    return count
