"""MessagePack: trees of values to bytes and back (docs/codecs.md, "MessagePack")."""

from __future__ import annotations

from struct import Struct
from typing import Final

from msip.codec.tree_size import ARRAY, ELEMENT, OBJECT
from msip.errors import DecodeError
from msip.json_value import JsonValue

__all__ = ["MAX_DEPTH", "ExceedsError", "pack", "unpack"]

MAX_DEPTH: Final = 100
"""How many maps and arrays may be inside of each other."""

_F32 = Struct(">f")
_F64 = Struct(">d")


def pack(value: JsonValue) -> bytes:
    """The bytes of a tree. Raises `ValueError` for what MessagePack cannot hold."""
    from msip.message import Float32  # which is not needed where nothing is packed

    buffer = bytearray()

    def put(value: JsonValue, depth: int) -> None:
        if value is None:
            buffer.append(0xC0)
        elif value is True:
            buffer.append(0xC3)
        elif value is False:
            buffer.append(0xC2)
        elif isinstance(value, int):
            _put_int(buffer, value)
        elif isinstance(value, Float32):
            buffer.append(0xCA)
            buffer.extend(_F32.pack(value))
        elif isinstance(value, float):
            buffer.append(0xCB)
            buffer.extend(_F64.pack(value))
        elif isinstance(value, str):
            encoded = value.encode()
            _put_head(buffer, len(encoded), (0xA0, 31), (0xD9, 0xDA, 0xDB))
            buffer.extend(encoded)
        elif isinstance(value, (bytes, bytearray)):
            _put_head(buffer, len(value), None, (0xC4, 0xC5, 0xC6))
            buffer.extend(value)
        elif depth == 0:
            raise ValueError(f"more than {MAX_DEPTH} maps and arrays are inside of each other")
        elif isinstance(value, list):
            _put_head(buffer, len(value), (0x90, 15), (None, 0xDC, 0xDD))
            for item in value:
                put(item, depth - 1)
        elif isinstance(value, dict):
            _put_head(buffer, len(value), (0x80, 15), (None, 0xDE, 0xDF))
            for key, item in value.items():
                put(key, 0)
                put(item, depth - 1)
        else:
            raise ValueError(f"{type(value).__name__} has no form in MessagePack")

    put(value, MAX_DEPTH)
    return bytes(buffer)


def _put_head(
    buffer: bytearray, length: int, short: tuple[int, int] | None, types: tuple[int | None, int, int]
) -> None:
    """What a value with a length begins with: in one byte where there is such a form, else with 1, 2 or 4 bytes of length."""
    one, two, four = types
    if short is not None and length <= short[1]:
        buffer.append(short[0] | length)
    elif one is not None and length < 1 << 8:
        buffer.extend((one, length))
    elif length < 1 << 16:
        buffer.append(two)
        buffer.extend(length.to_bytes(2, "big"))
    elif length < 1 << 32:
        buffer.append(four)
        buffer.extend(length.to_bytes(4, "big"))
    else:
        raise ValueError(f"a length of {length}, which MessagePack cannot hold")


def _put_int(buffer: bytearray, value: int) -> None:
    """The shortest form of an integer."""
    if 0 <= value < 0x80:
        buffer.append(value)
    elif -32 <= value < 0:
        buffer.append(value & 0xFF)
    elif value > 0:
        for type, length in ((0xCC, 1), (0xCD, 2), (0xCE, 4), (0xCF, 8)):
            if value < 1 << 8 * length:
                buffer.append(type)
                buffer.extend(value.to_bytes(length, "big"))
                return
        raise ValueError(f"{value} has more than 64 bits")
    else:
        for type, length in ((0xD0, 1), (0xD1, 2), (0xD2, 4), (0xD3, 8)):
            if value >= -(1 << 8 * length - 1):
                buffer.append(type)
                buffer.extend(value.to_bytes(length, "big", signed=True))
                return
        raise ValueError(f"{value} has more than 64 bits")


class ExceedsError(Exception):
    """What is read would take too much memory."""


def unpack(data: bytes, limit: int | None = None, each_map: int = 0) -> JsonValue:
    """The tree of these bytes. Raises `DecodeError`, which names the byte. Declared lengths reserve nothing.

    With a limit it raises `ExceedsError` where the tree would take more bytes, and what is made of it, which is `each_map` for a map."""
    reader = _Reader(data, limit, each_map)
    value = reader.read(MAX_DEPTH)
    if reader.position < len(data):
        raise reader.wrong("expected the end")
    return value


class _Reader:
    __slots__ = ("data", "each_map", "left", "position")

    def __init__(self, data: bytes, limit: int | None, each_map: int) -> None:
        self.data = data
        self.position = 0
        self.each_map = OBJECT + each_map
        # Without a limit more than anything can take.
        self.left = (1 << 62) if limit is None else limit - len(data) * (1 if data.isascii() else 4)

    def count(self, own: int, length: int) -> None:
        """Counts a container before its elements are read; of those that are announced as many as there can be."""
        self.left -= own + min(length, len(self.data) - self.position) * ELEMENT
        if self.left < 0:
            raise ExceedsError

    def wrong(self, reason: str) -> DecodeError:
        return DecodeError(f"invalid MessagePack at byte {self.position}: {reason}")

    def take(self, length: int) -> bytes:
        end = self.position + length
        if end > len(self.data):
            raise self.wrong(f"{length} more bytes are announced, and {len(self.data) - self.position} are there")
        part = self.data[self.position : end]
        self.position = end
        return part

    def number(self, length: int, signed: bool = False) -> int:
        return int.from_bytes(self.take(length), "big", signed=signed)

    def text(self, length: int) -> str:
        part = self.take(length)
        try:
            return part.decode()
        except UnicodeDecodeError:
            raise self.wrong("text that is not UTF-8") from None

    def read(self, depth: int) -> JsonValue:
        type = self.number(1)
        if type < 0x80:
            return type
        if type >= 0xE0:
            return type - 0x100
        if type < 0x90:
            return self.map(type & 0x0F, depth)
        if type < 0xA0:
            return self.array(type & 0x0F, depth)
        if type < 0xC0:
            return self.text(type & 0x1F)
        if 0xCC <= type <= 0xCF:
            return self.number(1 << type - 0xCC)
        if 0xD0 <= type <= 0xD3:
            return self.number(1 << type - 0xD0, signed=True)
        if 0xD9 <= type <= 0xDB:
            return self.text(self.number(1 << type - 0xD9))
        if 0xC4 <= type <= 0xC6:
            return self.take(self.number(1 << type - 0xC4))
        match type:
            case 0xC0:
                return None
            case 0xC2:
                return False
            case 0xC3:
                return True
            case 0xCA:
                return float(_F32.unpack(self.take(4))[0])
            case 0xCB:
                return float(_F64.unpack(self.take(8))[0])
            case 0xDC | 0xDD:
                return self.array(self.number(2 << type - 0xDC), depth)
            case 0xDE | 0xDF:
                return self.map(self.number(2 << type - 0xDE), depth)
        self.position -= 1
        raise self.wrong(f"the type 0x{type:02x} is not accepted")

    def array(self, length: int, depth: int) -> JsonValue:
        if depth == 0:
            raise self.wrong(f"more than {MAX_DEPTH} maps and arrays are inside of each other")
        self.count(ARRAY, length)
        return [self.read(depth - 1) for _ in range(length)]

    def map(self, length: int, depth: int) -> JsonValue:
        if depth == 0:
            raise self.wrong(f"more than {MAX_DEPTH} maps and arrays are inside of each other")
        self.count(self.each_map, length)
        values: dict[str, JsonValue] = {}
        for _ in range(length):
            key = self.key()
            if key in values:
                raise self.wrong(f"the key {key!r} occurs twice in a map")
            values[key] = self.read(depth - 1)
        return values

    def key(self) -> str:
        start = self.position
        key = self.read(0)
        if isinstance(key, str):
            return key
        if isinstance(key, bool):
            return "true" if key else "false"
        if isinstance(key, int):
            return str(key)
        self.position = start
        raise self.wrong("expected a key: text, an integer or a boolean")
