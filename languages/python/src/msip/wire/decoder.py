"""The decoder: cuts a stream of bytes into frames."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from msip.errors import Code
from msip.wire.header import ACK, EVENT, FRAME_TYPES, HEADER, HEADER_LEN, MAGIC, PUBLISH, FrameError, check_magic
from msip.wire.header import invalid_header as _invalid_header
from msip.wire.limits import MAX_CONTROL, MAX_HELLO

__all__ = ["Decoder", "Frame"]

Frame: TypeAlias = tuple[int, int, int, int, int, bytes]
"""Frame type, flags, kind, variant, message id, payload. A tuple, since there is one for every frame that is received."""


class Decoder:
    """Cuts bytes into frames, whatever the chunks are in which they come.

    What a header announces is checked against the limits, and reserves nothing: memory grows with what was received.
    """

    __slots__ = ("_max_payload", "_needed", "_partial", "_unchecked", "frame_count")

    def __init__(self, max_payload: int = MAX_HELLO) -> None:
        self._partial = bytearray()
        self._needed = HEADER_LEN
        self.frame_count = 0
        """How many frames were complete so far; tells one partial frame from another."""
        self.set_max_payload(max_payload)

    def set_max_payload(self, max_payload: int) -> None:
        """Changes the largest payload, from the next header on: it is smaller until the handshake is done."""
        self._max_payload = max_payload
        self._unchecked = min(max_payload, MAX_CONTROL)

    @property
    def pending_len(self) -> int:
        """How long the frame is of which a part has come, header included; 0 where there is none."""
        return self._needed if self._partial else 0

    @property
    def held(self) -> int:
        """How many bytes of a partial frame are held."""
        return len(self._partial)

    def frames(self, data: bytes) -> Iterator[Frame]:
        """The frames that these bytes complete. Raises `FrameError` behind the last one that is whole."""
        if self._partial:
            self._partial += data
            if len(self._partial) < self._needed:
                if self._needed == HEADER_LEN:
                    check_magic(self._partial)
                return
            data = bytes(self._partial)
            self._partial.clear()
        position = 0
        end = len(data)
        unpack = HEADER.unpack_from
        needed = HEADER_LEN
        while end - position >= HEADER_LEN:
            magic, version, flags, frame_type, kind, variant, length, msg_id = unpack(data, position)
            if magic != MAGIC or version != 1 or flags > 0x7F or not 0 < frame_type < 13:
                raise _invalid_header(data, position)
            if length > self._unchecked:
                self._check_length(frame_type, length, msg_id)
            start = position + HEADER_LEN
            stop = start + length
            if stop > end:
                needed = HEADER_LEN + length
                break
            position = stop
            self.frame_count += 1
            yield frame_type, flags, kind, variant, msg_id, data[start:stop]
        if position < end:
            self._needed = needed
            if needed == HEADER_LEN:
                # A peer that speaks something else may wait for an answer before it sends more.
                check_magic(data[position : position + 4])
            self._partial += memoryview(data)[position:]

    def _check_length(self, frame_type: int, length: int, msg_id: int) -> None:
        limit = self._max_payload if frame_type in (PUBLISH, EVENT, ACK) else self._unchecked
        if length > limit:
            raise FrameError(
                f"{FRAME_TYPES[frame_type]} announces a payload of {length} bytes: {limit} are allowed",
                code=Code.RESOURCE_EXHAUSTED,
                msg_id=msg_id,
            )
