"""The key of a message: what distinguishes it from others of its member (docs/schema.md, "Keys")."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from msip.codec.envelope import MissingError, unwrap, wrap
from msip.errors import Code, DecodeError, Status
from msip.protocol import Kind, Member
from msip.wire.protobuf import read_varint

if TYPE_CHECKING:
    from msip.message import Message

__all__ = ["cleared_state", "key_only", "key_text"]

_MAX_KEY_LEN = 256
"""The longest key that is sent as it is, in bytes; of a longer one its hash is sent."""
_DEFAULT_KEY = "%default"
"""The key of a message whose key field has its default."""


def key_text(member: Member, message: Message | None) -> str:
    """The key as a broker is told of it, who reads no bodies. Empty where the schema names no key field, or that of a STATE has its
    default: it is the STATE without a key."""
    if not member.key or message is None:
        return ""
    found = _last_field(message.to_bytes(), member.key)
    text = ""
    if found is not None:
        value = found[1]
        text = str(value) if isinstance(value, int) else _escaped(value)
    return text if text or member.kind is Kind.STATE else _DEFAULT_KEY


def key_only(member: Member, message: Message | None) -> bytes:
    """The envelope of a message with nothing but its key, in protobuf: which STATE is cleared. Empty where there is no key field, or it
    has its default."""
    if not member.key or message is None:
        return b""
    found = _last_field(message.to_bytes(), member.key)
    return b"" if found is None else wrap(member.number, found[0])


def cleared_state(member: Member, encoded: bytes) -> Message | None:
    """Which STATE is cleared: a message of its member with nothing but its key. Raises `Status` (INVALID_ARGUMENT)."""
    label = f"{member.name} ({member.number})"
    try:
        content = unwrap(member.number, encoded) if encoded else b""
        return None if member.message is None else member.message.from_bytes(content)
    except MissingError:
        raise Status(Code.INVALID_ARGUMENT, f"what is cleared is not {label}, which its header names") from None
    except DecodeError as error:
        raise Status(error.code, f"malformed key of {label}, which is cleared: {error.message}") from None


def _last_field(message: bytes, number: int) -> tuple[bytes, int | bytes] | None:
    """The last field with this number, whole and its value."""
    found = None
    for each, part, value in _fields(message):
        if each == number:
            found = part, value
    return found


def _fields(message: bytes) -> Iterator[tuple[int, bytes, int | bytes]]:
    """The fields of a message that we have written: their numbers, all of their bytes, and their values."""
    at, end = 0, len(message)
    while at < end:
        start = at
        tag, at = read_varint(message, at)
        wire_type = tag & 7
        value: int | bytes
        if wire_type == 0:
            value, at = read_varint(message, at)
        elif wire_type == 2:
            length, at = read_varint(message, at)
            value = message[at : at + length]
            at += length
        else:
            length = 8 if wire_type == 1 else 4
            value = int.from_bytes(message[at : at + length], "little")
            at += length
        yield tag >> 3, message[start:at], value


def _escaped(value: bytes) -> str:
    """Text as it is but for `%` and control characters, which are percent-encoded, and so are bytes that are not UTF-8."""
    if len(value) > _MAX_KEY_LEN:
        from hashlib import sha256

        return f"%sha256:{sha256(value).hexdigest().upper()}"
    text = value.decode("utf-8", "surrogateescape")
    if text.isprintable() and "%" not in text:
        return text
    return "".join(_percent(each) if _is_escaped(each) else each for each in text)


def _is_escaped(character: str) -> bool:
    code = ord(character)
    return character == "%" or code < 0x20 or 0x7F <= code < 0xA0 or 0xDC80 <= code <= 0xDCFF


def _percent(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogateescape"))
