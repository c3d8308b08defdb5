"""What stands before the body of a message: metadata and topic; and frames that are sent again."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from math import ceil

from msip.wire.header import HEADER, HEADER_LEN, META, REDELIVERED
from msip.wire.limits import MAX_METADATA
from msip.wire.metadata import Metadata, check_metadata
from msip.wire.payload import NO_TOPIC, parse_topic, split_metadata, with_length
from msip.wire.protobuf import put_number

__all__ = ["deadline_ms", "message_prefix", "rewrite_frame"]

_MOST_MS = 0xFFFFFFFF


def deadline_ms(seconds: float | None) -> int:
    """What remains of a deadline, as it travels: rounded up. None, which is without limit, is the longest that there is."""
    return _MOST_MS if seconds is None else min(max(ceil(seconds * 1000), 0), _MOST_MS)


def message_prefix(
    metadata: Metadata | None, deadline: int | None, topic: str, wall_clock: Callable[[], int] | None
) -> tuple[int, bytes]:
    """META or 0, and what the payload begins with. Raises `Status` or `PayloadError` for what cannot be sent."""
    encoded_topic = topic.encode()
    parse_topic(encoded_topic)
    end = with_length(encoded_topic) if topic else NO_TOPIC
    content = bytearray()
    put_number(content, 1, deadline)
    if metadata is not None:
        metadata = copy(metadata)
        metadata.deadline_ms = None
        if metadata.request_time_us is None and wall_clock is not None:
            metadata.request_time_us = wall_clock()
        check_metadata(metadata, MAX_METADATA - len(content))
        content += metadata.encode()
    if not content:
        return 0, end
    return META, with_length(bytes(content)) + end


def rewrite_frame(frame: bytes, was_sent: bool, remaining_ms: int | None, is_delivery: bool) -> bytes:
    """A stored frame, to be sent again with what remains of its deadline.

    A call names its deadline in any case, since the peer would count the usual one from now on. A delivery's handler has no
    deadline unless its sender has named one.
    """
    magic, version, flags, frame_type, kind, variant, _, id = HEADER.unpack_from(frame)
    payload = frame[HEADER_LEN:]
    if was_sent:
        flags |= REDELIVERED
    metadata = Metadata()
    if flags & META:
        encoded, payload = split_metadata(payload, MAX_METADATA)
        metadata = Metadata.decode(encoded)
    if metadata.deadline_ms is not None or not is_delivery:
        metadata.deadline_ms = remaining_ms
    content = metadata.encode()
    if content:
        flags |= META
        payload = with_length(content) + payload
    return HEADER.pack(magic, version, flags, frame_type, kind, variant, len(payload), id) + payload
