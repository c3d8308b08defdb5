"""The handshake: Hello and Welcome (docs/protocol.md, "Handshake")."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

__all__ = ["Codec", "Compression", "Hello", "Welcome"]


class Codec(IntEnum):
    """How bodies are encoded."""

    PROTOBUF = 1
    JSON = 2
    MESSAGE_PACK = 3


class Compression(IntEnum):
    """How bodies are compressed; the numbers are those of a compressed body's first byte."""

    NONE = 0
    GZIP = 1
    ZSTD = 2
    LZ4 = 3
    """Not supported by this package."""


@dataclass(slots=True)
class Hello:
    """What a client asks for: the payload of a HELLO."""

    session_id: int = 0
    protocol: str = ""
    fingerprint: int = 0
    codecs: list[int] = field(default_factory=list)
    """The best first; empty means protobuf. Numbers that this version does not know are kept."""
    compressions: list[int] = field(default_factory=list)
    keepalive_ms: int = 0
    max_body: int = 0
    credential: bytes = field(default=b"", repr=False)
    client_name: str = ""
    client_version: str = ""
    session_secret: bytes = field(default=b"", repr=False)
    awaited: list[int] = field(default_factory=list)
    extensions: dict[str, bytes] = field(default_factory=dict)


@dataclass(slots=True)
class Welcome:
    """What a server answers: the payload of the HELLO's ACK."""

    session_id: int = 0
    fingerprint: int = 0
    codec: int = Codec.PROTOBUF
    compression: int = Compression.NONE
    resumed: bool = False
    keepalive_ms: int = 0
    max_body: int = 0
    max_open_calls: int = 0
    session_expiry_ms: int = 0
    peer_id: int = 0
    broker: bool = False
    server_name: str = ""
    server_version: str = ""
    awaited: list[int] = field(default_factory=list)
    extensions: dict[str, bytes] = field(default_factory=dict)
