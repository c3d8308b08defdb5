"""A small reader and writer of protobuf's wire format, for the messages of the protocol itself."""

from __future__ import annotations

from collections.abc import Iterator

from msip.errors import DecodeError

__all__ = [
    "as_bytes",
    "as_int",
    "as_text",
    "fields",
    "put_bytes",
    "put_fixed64",
    "put_number",
    "put_text",
    "put_varint",
    "read_varint",
]

_VARINT = 0
_FIXED64 = 1
_LENGTH = 2
_FIXED32 = 5


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """A varint of at most 64 bits at this position, and where it ends."""
    value = shift = 0
    for place in range(position, min(position + 10, len(data))):
        byte = data[place]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, place + 1
        shift += 7
    raise DecodeError("a number that does not end")


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message, by number: an int for a varint or a fixed number, bytes for anything with a length."""
    position = 0
    end = len(data)
    while position < end:
        key, position = read_varint(data, position)
        number, wire_type = key >> 3, key & 7
        if not 0 < number < 1 << 29:
            raise DecodeError(f"{number} is no number of a field")
        if wire_type == _VARINT:
            value, position = read_varint(data, position)
            yield number, value
            continue
        if wire_type == _LENGTH:
            length, position = read_varint(data, position)
        elif wire_type == _FIXED64:
            length = 8
        elif wire_type == _FIXED32:
            length = 4
        else:
            raise DecodeError(f"field {number} has the wire type {wire_type}")
        stop = position + length
        if stop > end:
            raise DecodeError(f"field {number} reaches beyond the message")
        part = data[position:stop]
        position = stop
        yield number, part if wire_type == _LENGTH else int.from_bytes(part, "little")


def as_int(value: int | bytes) -> int:
    """The value of a number's field."""
    if isinstance(value, bytes):
        raise DecodeError("expected a number, found bytes")
    return value


def as_bytes(value: int | bytes) -> bytes:
    """The value of a bytes field."""
    if isinstance(value, int):
        raise DecodeError("expected bytes, found a number")
    return value


def as_text(value: int | bytes) -> str:
    """The value of a string's field."""
    try:
        return as_bytes(value).decode()
    except UnicodeDecodeError:
        raise DecodeError("text that is not UTF-8") from None


def put_varint(buffer: bytearray, value: int) -> None:
    """Appends a varint; a negative number has 64 bits."""
    value &= 0xFFFFFFFFFFFFFFFF
    while value > 0x7F:
        buffer.append(value & 0x7F | 0x80)
        value >>= 7
    buffer.append(value)


def put_number(buffer: bytearray, number: int, value: int | None) -> None:
    """Appends a field with a varint; None is absent, which a caller passes for 0 too where that is the default."""
    if value is not None:
        put_varint(buffer, number << 3 | _VARINT)
        put_varint(buffer, value)


def put_fixed64(buffer: bytearray, number: int, value: int) -> None:
    """Appends a fixed64 field, unless it is 0."""
    if value:
        put_varint(buffer, number << 3 | _FIXED64)
        buffer += value.to_bytes(8, "little")


def put_bytes(buffer: bytearray, number: int, value: bytes | bytearray) -> None:
    """Appends a bytes field, also an empty one."""
    put_varint(buffer, number << 3 | _LENGTH)
    put_varint(buffer, len(value))
    buffer += value


def put_text(buffer: bytearray, number: int, value: str) -> None:
    """Appends a string field, unless it is empty."""
    if value:
        put_bytes(buffer, number, value.encode())
