"""The envelope around a message: `ClientToServer` or `ServerToClient` with one member set."""

from __future__ import annotations

from functools import cache
from typing import Final

from msip.errors import DecodeError
from msip.protocol import Member
from msip.wire.protobuf import fields, put_varint

__all__ = ["MissingError", "member_name", "unwrap", "wrap"]

_SHORT: Final = tuple(bytes([length]) for length in range(128))
"""The lengths of one byte, which most have."""


class MissingError(Exception):
    """The envelope does not contain the member that its header names."""


@cache
def _tag(number: int) -> bytes:
    buffer = bytearray()
    put_varint(buffer, number << 3 | 2)
    return bytes(buffer)


def wrap(number: int, content: bytes) -> bytes:
    """The envelope in protobuf."""
    length = len(content)
    if length < 128:
        return _tag(number) + _SHORT[length] + content
    buffer = bytearray(_tag(number))
    put_varint(buffer, length)
    return bytes(buffer) + content


def unwrap(number: int, body: bytes) -> bytes:
    """The member's content. Raises `MissingError`, or `DecodeError` for what is no protobuf.

    A field that is there in several parts is one message, whose bytes are those of the parts behind one another.
    """
    tag = _tag(number)
    place = len(tag)
    length = len(body) - place - 1
    # The usual envelope: one short member and nothing else.
    if 0 <= length < 128 and body[place] == length and body.startswith(tag):
        return body[place + 1 :]
    parts = []
    for found, value in fields(body):
        if found == number:
            if isinstance(value, int):
                raise DecodeError("expected a message, found a number")
            parts.append(value)
    if not parts:
        raise MissingError
    return b"".join(parts)


@cache
def member_name(member: Member) -> str:
    """The name of the member in JSON and MessagePack: `connectReq`."""
    first, *others = member.name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in others)
