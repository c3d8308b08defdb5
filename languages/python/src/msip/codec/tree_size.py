"""What JSON and MessagePack take in memory once they are read: counted before that (docs/operations.md, "Decoded messages").

Both are read as a tree first, and the messages are made of that. Counted are both, as if each object became the largest message that
the schema has there.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from msip.message import Message

__all__ = ["ARRAY", "ELEMENT", "OBJECT", "json_exceeds", "largest_message"]

OBJECT: Final = 232
"""A dict with a few pairs."""
ARRAY: Final = 64
ELEMENT: Final = 72
"""An element or a pair: its place, and a number or the head of a text."""

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_LARGEST: dict[type[Message], int] = {}


def largest_message(message: type[Message]) -> int:
    """What the largest message takes that may be in this one, itself included, but for what its fields hold."""
    largest = _LARGEST.get(message)
    if largest is None:
        largest, seen, open = 0, {message}, [message]
        while open:
            each = open.pop()
            fields = each._table()
            containers = sum(field.repeated or field.key is not None for field in fields)
            largest = max(largest, each.__basicsize__ + 16 + ARRAY * containers)
            for field in fields:
                kind = field.kind
                if isinstance(kind, type) and hasattr(kind, "_table") and kind not in seen:
                    reached = cast("type[Message]", kind)
                    seen.add(reached)
                    open.append(reached)
        _LARGEST[message] = largest
    return largest


def json_exceeds(message: type[Message], text: bytes, limit: int) -> bool:
    """Whether a JSON text may take more than `limit` bytes. Counted at the speed of C: nothing is read yet."""
    most = OBJECT + largest_message(message) + ELEMENT
    if len(text) * most <= limit:
        return False
    # Punctuation in texts is none.
    return _json_size(text, most) > limit and _json_size(_STRING.sub(b'""', text), most) + 4 * len(text) > limit


def _json_size(text: bytes, most: int) -> int:
    count = text.count
    size = count(b"{") * most + count(b"[") * ARRAY + (count(b",") + count(b":") + 1) * ELEMENT
    return size + len(text) * (1 if text.isascii() else 4)
