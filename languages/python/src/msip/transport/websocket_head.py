"""The head of an HTTP request or answer, as far as an upgrade to a WebSocket needs it. No I/O."""

from __future__ import annotations

from msip.record import record

SUBPROTOCOL = "msip.1"
"""What both ends agree on (docs/protocol.md, "WebSocket")."""
MAX_HEAD_LEN = 16 * 1024
"""The longest head, without its empty line."""
_MAX_FIELDS = 124
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class HeadError(Exception):
    """What makes a head none of HTTP."""


class LongHeadError(HeadError):
    """A head has no end within its limit."""


@record
class Head:
    """A head that is there as a whole."""

    first: str
    """Its first line."""
    fields: dict[str, list[str]]
    """The fields by their names in lower case."""
    end: int
    """Where it ends, behind its empty line."""


def read_head(data: bytes | bytearray) -> Head | None:
    """The head with which these bytes begin; `None` where it has not come to its end.

    Raises:
        HeadError: it is no head, or too long.
    """
    end = data.find(b"\r\n\r\n", 0, MAX_HEAD_LEN + 4)
    if end < 0:
        if len(data) >= MAX_HEAD_LEN + 4:
            raise LongHeadError("it is longer than 16 KiB")
        return None
    first, *lines = data[:end].decode("latin-1").split("\r\n")
    if len(lines) > _MAX_FIELDS:
        raise HeadError(f"it has more than {_MAX_FIELDS} fields")
    fields: dict[str, list[str]] = {}
    for line in lines:
        name, separator, value = line.partition(":")
        if not separator or not name or name != name.strip():
            raise HeadError("a line of its head is no field")
        fields.setdefault(name.lower(), []).append(value.strip())
    return Head(first, fields, end + 4)


def elements(fields: dict[str, list[str]], name: str) -> list[str]:
    """The elements of a field that has them separated by commas, and may be there several times."""
    return [element.strip() for value in fields.get(name, []) for element in value.split(",")]


def has_element(fields: dict[str, list[str]], name: str, element: str) -> bool:
    """Whether such a field has this element, which is in lower case, in any case."""
    return element in (each.lower() for each in elements(fields, name))


def accept_of(key: str) -> str:
    """The ``Sec-WebSocket-Accept`` that answers this key."""
    import base64  # late, as hashlib: few programs speak WebSocket
    import hashlib

    return base64.b64encode(hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()).decode()
