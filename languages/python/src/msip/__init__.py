"""MSIP: typed, bidirectional messaging between clients and servers, from one schema."""

from __future__ import annotations

from msip.errors import ClosedError, Code, ConnectError, DecodeError, Detail, MsipError, Status
from msip.json_value import JsonValue
from msip.protocol import Kind, Member, Protocol, Shape, Side
from msip.wire.metadata import Identity, Metadata

__all__ = [
    "ClosedError",
    "Code",
    "ConnectError",
    "DecodeError",
    "Detail",
    "Identity",
    "JsonValue",
    "Kind",
    "Member",
    "Metadata",
    "MsipError",
    "Protocol",
    "Shape",
    "Side",
    "Status",
]
