"""CREDIT: how much more the peer may send (docs/protocol.md, "Credit")."""

from __future__ import annotations

from struct import Struct

from msip.wire.header import FrameError

__all__ = ["pack_credit", "parse_credit"]

_CREDIT = Struct(">II")


def parse_credit(payload: bytes, msg_id: int) -> tuple[int, int]:
    """Items and bytes. Raises `FrameError`."""
    if len(payload) != _CREDIT.size:
        raise FrameError(f"a CREDIT has a payload of 8 bytes, not {len(payload)}", msg_id=msg_id)
    items, size = _CREDIT.unpack(payload)
    if items == 0 and size == 0:
        raise FrameError("a CREDIT of 0 items and 0 bytes adds nothing", msg_id=msg_id)
    return items, size


def pack_credit(items: int, size: int) -> bytes:
    """The payload of a CREDIT."""
    return _CREDIT.pack(items, size)
