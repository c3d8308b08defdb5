"""JSON as text, more strictly than `json` reads it by itself."""

from __future__ import annotations

import json
from typing import NoReturn

from msip.errors import DecodeError
from msip.json_value import JsonValue
from msip.message.failures import EncodeError

__all__ = ["read_json", "write_json"]


def write_json(value: JsonValue) -> str:
    """The text of a tree, without white space."""
    try:
        return _ENCODER.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise EncodeError(f"not a JSON value: {error}") from None


def read_json(text: str | bytes) -> JsonValue:
    """The tree of a text. Raises `DecodeError` where it is not JSON, or an object has a key twice."""
    try:
        if not isinstance(text, str):
            text = text.decode()
        value: JsonValue = _DECODER.decode(text)
    except DecodeError:
        raise
    except json.JSONDecodeError as error:
        raise DecodeError(f"invalid JSON at character {error.pos}: {error.msg}") from None
    except UnicodeDecodeError as error:
        raise DecodeError(f"invalid JSON at byte {error.start}: not UTF-8") from None
    except ValueError as error:
        raise DecodeError(f"invalid JSON: {error}") from None
    except RecursionError:
        raise DecodeError("more than 100 objects and arrays are inside of each other") from None
    return value


def _object(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    values = dict(pairs)
    if len(values) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise DecodeError(f"the key {key!r} occurs twice in an object")
            seen.add(key)
    return values


def _constant(name: str) -> NoReturn:
    raise DecodeError(f"invalid JSON: {name}")


# Functions of `json` make one of these at each call.
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)
