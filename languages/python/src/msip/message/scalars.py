"""Scalars: which values they can hold, and how they are written in a tree."""

from __future__ import annotations

import binascii
import math
import re
import struct
from typing import Final

from msip.errors import DecodeError
from msip.json_value import JsonValue
from msip.message.failures import EncodeError
from msip.message.fields import Scalar
from msip.message.form import Float32, Form

__all__ = ["RANGES", "found", "read_key", "read_scalar", "write_key", "write_scalar"]

RANGES: Final = {
    Scalar.INT32: (-(1 << 31), (1 << 31) - 1),
    Scalar.SINT32: (-(1 << 31), (1 << 31) - 1),
    Scalar.SFIXED32: (-(1 << 31), (1 << 31) - 1),
    Scalar.UINT32: (0, (1 << 32) - 1),
    Scalar.FIXED32: (0, (1 << 32) - 1),
    Scalar.INT64: (-(1 << 63), (1 << 63) - 1),
    Scalar.SINT64: (-(1 << 63), (1 << 63) - 1),
    Scalar.SFIXED64: (-(1 << 63), (1 << 63) - 1),
    Scalar.UINT64: (0, (1 << 64) - 1),
    Scalar.FIXED64: (0, (1 << 64) - 1),
}
"""The least and the greatest number of each integer type."""

_NOTHING: Final = (1, 0)
"""The range of what is no integer."""

_LONG: Final = frozenset((Scalar.INT64, Scalar.SINT64, Scalar.SFIXED64, Scalar.UINT64, Scalar.FIXED64))
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?", re.ASCII)
_SPECIAL: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_MAX_FLOAT32: Final = 3.4028234663852886e38
_MAX_DIGITS: Final = 400
"""No number of a field takes more; reading a text of many digits takes long."""


def found(value: object) -> str:
    """How an error calls a value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "an array"
    text = repr(value) if not isinstance(value, int) or abs(value) < 1 << 128 else "a larger number"
    return text if len(text) <= 60 else f"{text[:57]}..."


def write_scalar(scalar: Scalar, value: object, form: Form) -> JsonValue:
    """A value of a scalar field in a tree. Raises `EncodeError` where the field cannot hold it."""
    # What nearly all values are; the rest of the function goes for these, too.
    if type(value) is str:
        if scalar is Scalar.STRING and value.isascii():
            return value
    elif type(value) is int:
        least, greatest = RANGES.get(scalar, _NOTHING)
        if least <= value <= greatest:
            return str(value) if scalar in _LONG and form is Form.JSON else value
    elif type(value) is float and scalar is Scalar.DOUBLE and value - value == 0.0:
        return value
    if scalar in RANGES:
        # A bool is an int of Python's, and is written as one.
        if not isinstance(value, int):
            raise EncodeError(f"expected an integer, found {found(value)}")
        least, greatest = RANGES[scalar]
        if not least <= value <= greatest:
            raise EncodeError(f"{found(value)} is out of range: {scalar.value} is {least} to {greatest}")
        return str(int(value)) if scalar in _LONG and form is Form.JSON else int(value)
    if scalar is Scalar.STRING:
        if not isinstance(value, str):
            raise EncodeError(f"expected text, found {found(value)}")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise EncodeError(f"text with half of a surrogate pair: {found(value)}") from None
        return value
    if scalar is Scalar.BYTES:
        if not isinstance(value, (bytes, bytearray, memoryview)):
            raise EncodeError(f"expected bytes, found {found(value)}")
        raw = bytes(value)
        return binascii.b2a_base64(raw, newline=False).decode("ascii") if form is Form.JSON else raw
    if scalar is Scalar.BOOL:
        return bool(value)
    if not isinstance(value, (int, float)):
        raise EncodeError(f"expected a number, found {found(value)}")
    try:
        number = float(value)
    except OverflowError:
        raise EncodeError(f"{found(value)} is out of range: {scalar.value}") from None
    if scalar is Scalar.FLOAT and math.isfinite(number) and abs(number) > _MAX_FLOAT32:
        raise EncodeError(f"{found(value)} is out of range: {scalar.value}")
    if form is Form.MESSAGE_PACK:
        return Float32(number) if scalar is Scalar.FLOAT else number
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    return _shortest(number) if scalar is Scalar.FLOAT else number


def _shortest(number: float) -> float:
    """The number of the fewest digits that is the same as float 32."""
    single: float = struct.unpack("<f", struct.pack("<f", number))[0]
    for digits in range(6, 9):
        short = float(f"{single:.{digits}g}")
        if abs(short) <= _MAX_FLOAT32 and struct.unpack("<f", struct.pack("<f", short))[0] == single:
            return short
    return single if abs(single) >= _MAX_FLOAT32 else float(f"{single:.9g}")


def read_scalar(scalar: Scalar, value: JsonValue, form: Form) -> bool | int | float | str | bytes:
    """The value of a scalar field of a tree. Raises `DecodeError` where the field cannot hold it."""
    # What nearly all values are; the rest of the function goes for these, too.
    if type(value) is str:
        if scalar is Scalar.STRING:
            if value.isascii():
                return value
        elif scalar in _LONG and len(value) < 19 and value.isascii() and value.isdigit() and value[0] != "0":
            return int(value)  # of less digits than the greatest
    elif type(value) is int:
        least, greatest = RANGES.get(scalar, _NOTHING)
        if least <= value <= greatest:
            return value
    elif type(value) is float and scalar is Scalar.DOUBLE and value - value == 0.0:
        return value
    if scalar in RANGES:
        return _read_integer(scalar, value)
    if scalar is Scalar.STRING:
        if not isinstance(value, str):
            raise DecodeError(f"expected text, found {found(value)}")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise DecodeError(f"text with half of a surrogate pair: {found(value)}") from None
        return value
    if scalar is Scalar.BYTES:
        if form is Form.MESSAGE_PACK:
            if not isinstance(value, bytes):
                raise DecodeError(f"expected bytes, found {found(value)}")
            return value
        return _read_base64(value)
    if scalar is Scalar.BOOL:
        if not isinstance(value, bool):
            raise DecodeError(f"expected true or false, found {found(value)}")
        return value
    return _read_float(scalar, value, form)


def _read_integer(scalar: Scalar, value: JsonValue) -> int:
    number: int | float
    if isinstance(value, str):
        if len(value) > _MAX_DIGITS or not _NUMBER.fullmatch(value):
            raise DecodeError(f"expected an integer, found {found(value)}")
        number = float(value) if any(mark in value for mark in ".eE") else int(value)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        number = value
    else:
        raise DecodeError(f"expected an integer, found {found(value)}")
    if isinstance(number, float):
        if not number.is_integer():
            raise DecodeError(f"expected an integer, found {found(value)}")
        number = int(number)
    least, greatest = RANGES[scalar]
    if not least <= number <= greatest:
        raise DecodeError(f"{found(value)} is out of range: {scalar.value} is {least} to {greatest}")
    return number


def _read_float(scalar: Scalar, value: JsonValue, form: Form) -> float:
    if isinstance(value, str):
        if value in _SPECIAL:
            return _SPECIAL[value]
        if len(value) > _MAX_DIGITS or not _NUMBER.fullmatch(value):
            raise DecodeError(f"expected a number, found {found(value)}")
        number = float(value)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            raise DecodeError(f"{found(value)} is out of range: {scalar.value}") from None
        if form is Form.MESSAGE_PACK and isinstance(value, float) and not math.isfinite(number):
            return number
    else:
        raise DecodeError(f"expected a number, found {found(value)}")
    if not math.isfinite(number):
        raise DecodeError(f"{found(value)} is out of range: {scalar.value}")
    if scalar is Scalar.FLOAT:
        try:
            single: float = struct.unpack("<f", struct.pack("<f", number))[0]
        except OverflowError:
            raise DecodeError(f"{found(value)} is out of range: {scalar.value}") from None
        return single
    return number


def _read_base64(value: JsonValue) -> bytes:
    if not isinstance(value, str):
        raise DecodeError(f"expected base64, found {found(value)}")
    text = value.replace("-", "+").replace("_", "/").rstrip("=")
    if len(value) - len(text) > 2:
        raise DecodeError(f"expected base64, found {found(value)}")
    try:
        return binascii.a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
    except (binascii.Error, ValueError):
        raise DecodeError(f"expected base64, found {found(value)}") from None


def write_key(scalar: Scalar, key: object) -> str:
    """The key of a map in a tree, where keys are strings."""
    if scalar is Scalar.BOOL:
        return "true" if key else "false"
    return str(write_scalar(scalar, key, Form.MESSAGE_PACK))


def read_key(scalar: Scalar, key: object, form: Form) -> bool | int | float | str | bytes:
    """The key of a map of a tree. MessagePack has integers and booleans as keys, too."""
    if form is Form.MESSAGE_PACK and not isinstance(key, str):
        if isinstance(key, bool) == (scalar is Scalar.BOOL) and isinstance(key, (bool, int)):
            return read_scalar(scalar, key, form)
        raise DecodeError(f"expected a key of {scalar.value}, found {found(key)}")
    if not isinstance(key, str):
        raise DecodeError(f"expected a key, found {found(key)}")
    if scalar is Scalar.BOOL:
        if key not in ("true", "false"):
            raise DecodeError(f"expected true or false, found {found(key)}")
        return key == "true"
    return read_scalar(scalar, key, form)
