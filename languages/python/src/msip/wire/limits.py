"""The limits of a connection on what it receives (docs/protocol.md, "Limits"); all are in bytes."""

from __future__ import annotations

from typing import Final

__all__ = [
    "DEFAULT_MAX_BODY",
    "MAX_CONTROL",
    "MAX_DETAILS",
    "MAX_DETAILS_LEN",
    "MAX_ERROR_METADATA",
    "MAX_HELLO",
    "MAX_METADATA",
    "MAX_TOPIC",
    "max_payload",
]

DEFAULT_MAX_BODY: Final = 4 * 1024 * 1024
MAX_METADATA: Final = 8 * 1024
MAX_TOPIC: Final = 255
MAX_HELLO: Final = 16 * 1024
MAX_CONTROL: Final = 64 * 1024
"""The payload of a frame that is neither PUBLISH, EVENT nor ACK."""
MAX_ERROR_METADATA: Final = 24 * 1024
MAX_DETAILS: Final = 64
MAX_DETAILS_LEN: Final = 16 * 1024


def max_payload(max_body: int) -> int:
    """The largest payload of PUBLISH, EVENT and ACK: body, metadata, topic and two lengths."""
    return min(max_body + MAX_METADATA + MAX_TOPIC + 4, 0xFFFFFFFF)
