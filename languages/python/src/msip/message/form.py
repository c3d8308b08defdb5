"""The two forms of a message as a tree of values."""

from __future__ import annotations

from enum import Enum

__all__ = ["Float32", "Form"]


class Form(Enum):
    """What a tree is for; they differ in how they write some values (docs/codecs.md)."""

    JSON = "json"
    """The canonical mapping of proto3: 64-bit integers and bytes are strings."""
    MESSAGE_PACK = "msgpack"
    """MessagePack's own types: integers are `int`, bytes are `bytes`, a `float` field is a `Float32`."""


class Float32(float):
    """A number that MessagePack writes as float 32."""

    __slots__ = ()
