"""The payloads of messages and answers: metadata, topic and body (docs/protocol.md, "Payload")."""

from __future__ import annotations

import re

from msip.errors import Code, MsipError
from msip.wire.limits import MAX_METADATA, MAX_TOPIC

__all__ = ["NO_TOPIC", "PayloadError", "parse_topic", "split_answer", "split_message", "split_metadata", "with_length"]

NO_TOPIC = b"\0\0"
"""The topic of a direct connection: an empty one, which is the two bytes of its length."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


class PayloadError(MsipError):
    """A payload that cannot be read: the message is answered, and the connection goes on."""


def split_message(payload: bytes, has_metadata: bool, max_body: int) -> tuple[bytes | None, str, bytes]:
    """Metadata (encoded, or None), topic and body of a PUBLISH or EVENT. Raises `PayloadError`."""
    metadata, rest = split_metadata(payload, MAX_METADATA) if has_metadata else (None, payload)
    topic = ""
    if rest[:2] == NO_TOPIC:
        body = rest[2:]
    else:
        stop = 2 + int.from_bytes(rest[:2], "big")
        if len(rest) < 2 or stop > len(rest):
            raise PayloadError(Code.INVALID_ARGUMENT, "the topic reaches beyond the payload")
        topic = parse_topic(rest[2:stop])
        body = rest[stop:]
    _check_body(body, max_body)
    return metadata, topic, body


def split_answer(payload: bytes, has_metadata: bool, max_body: int) -> tuple[bytes | None, bytes]:
    """Metadata (encoded, or None) and body of an ACK. Raises `PayloadError`."""
    metadata, body = split_metadata(payload, MAX_METADATA) if has_metadata else (None, payload)
    _check_body(body, max_body)
    return metadata, body


def split_metadata(payload: bytes, max_len: int) -> tuple[bytes, bytes]:
    """What a payload with META begins with, and what follows. Raises `PayloadError`."""
    length = int.from_bytes(payload[:2], "big")
    if len(payload) >= 2 and length > max_len:
        raise PayloadError(Code.INVALID_ARGUMENT, f"the metadata has {length} bytes: {max_len} are allowed")
    stop = 2 + length
    if len(payload) < 2 or stop > len(payload):
        raise PayloadError(Code.INVALID_ARGUMENT, "the metadata reaches beyond the payload")
    return payload[2:stop], payload[stop:]


def parse_topic(encoded: bytes) -> str:
    """Reads a topic. Raises `PayloadError`."""
    if len(encoded) > MAX_TOPIC:
        raise PayloadError(Code.INVALID_ARGUMENT, f"the topic has {len(encoded)} bytes: {MAX_TOPIC} are allowed")
    try:
        topic = encoded.decode()
    except UnicodeDecodeError:
        raise PayloadError(Code.INVALID_ARGUMENT, "the topic is not UTF-8") from None
    control = _CONTROL.search(topic)
    if control is not None:
        character = ord(control.group())
        raise PayloadError(Code.INVALID_ARGUMENT, f"the topic holds the control character U+{character:04X}")
    return topic


def with_length(part: bytes) -> bytes:
    """A part of a payload with its length in front."""
    return len(part).to_bytes(2, "big") + part


def _check_body(body: bytes, max_body: int) -> None:
    if len(body) > max_body:
        raise PayloadError(
            Code.RESOURCE_EXHAUSTED, f"the body has {len(body)} bytes: {max_body} are allowed (max_body)"
        )
