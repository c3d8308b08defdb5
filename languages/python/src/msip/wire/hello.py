"""The handshake: Hello and Welcome (docs/protocol.md, "Handshake")."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from msip.errors import Code, DecodeError
from msip.record import field, record
from msip.wire.header import STATE, FrameError, FrameFault
from msip.wire.protobuf import (
    as_bytes,
    as_int,
    as_text,
    fields,
    put_bytes,
    put_fixed64,
    put_number,
    put_text,
    put_varint,
    read_varint,
)

__all__ = [
    "ENDS_CANCELLED",
    "ERROR_METADATA",
    "SCHEMA_DESCRIPTION",
    "SECRET_LEN",
    "Codec",
    "Compression",
    "Hello",
    "Welcome",
    "parse_hello",
    "parse_welcome",
]

ENDS_CANCELLED: Final = "ends-cancelled"
"""The extension of a side that ends every call that it has accepted, also a cancelled one."""
ERROR_METADATA: Final = "error-metadata"
"""The extension by which an ERROR may have metadata, and a longer text."""
SCHEMA_DESCRIPTION: Final = "schema-description"
"""The extension of a side that answers the call for the description of its schema."""

SECRET_LEN: Final = 16
_MAX_PROTOCOL_LEN = 255
_ID_LEN = 8


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


@record
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

    def encode(self) -> bytes:
        """The payload of a HELLO, with the session id in front."""
        buffer = bytearray(self.session_id.to_bytes(_ID_LEN, "big"))
        put_text(buffer, 1, self.protocol)
        put_fixed64(buffer, 2, self.fingerprint)
        _put_packed(buffer, 3, self.codecs)
        _put_packed(buffer, 4, self.compressions)
        put_number(buffer, 5, self.keepalive_ms or None)
        put_number(buffer, 6, self.max_body or None)
        if self.credential:
            put_bytes(buffer, 7, self.credential)
        put_text(buffer, 8, self.client_name)
        put_text(buffer, 9, self.client_version)
        if self.session_secret:
            put_bytes(buffer, 10, self.session_secret)
        _put_ids(buffer, 11, self.awaited)
        _put_extensions(buffer, 12, self.extensions)
        return bytes(buffer)

    @classmethod
    def decode(cls, data: bytes) -> Hello:
        """Reads what follows the session id. Raises `DecodeError`."""
        hello = cls()
        for number, value in fields(data):
            match number:
                case 1:
                    hello.protocol = as_text(value)
                case 2:
                    hello.fingerprint = as_int(value)
                case 3:
                    hello.codecs += _numbers(value)
                case 4:
                    hello.compressions += _numbers(value)
                case 5:
                    hello.keepalive_ms = as_int(value) & 0xFFFFFFFF
                case 6:
                    hello.max_body = as_int(value) & 0xFFFFFFFF
                case 7:
                    hello.credential = as_bytes(value)
                case 8:
                    hello.client_name = as_text(value)
                case 9:
                    hello.client_version = as_text(value)
                case 10:
                    hello.session_secret = as_bytes(value)
                case 11:
                    hello.awaited += _ids(value)
                case 12:
                    name, content = _extension(as_bytes(value))
                    hello.extensions[name] = content
        return hello


@record
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

    def encode(self) -> bytes:
        """The payload of the ACK, with the session id in front."""
        buffer = bytearray(self.session_id.to_bytes(_ID_LEN, "big"))
        put_fixed64(buffer, 1, self.fingerprint)
        put_number(buffer, 2, self.codec or None)
        put_number(buffer, 3, self.compression or None)
        put_number(buffer, 4, self.resumed or None)
        put_number(buffer, 5, self.keepalive_ms or None)
        put_number(buffer, 6, self.max_body or None)
        put_number(buffer, 7, self.max_open_calls or None)
        put_number(buffer, 8, self.session_expiry_ms or None)
        put_fixed64(buffer, 9, self.peer_id)
        put_number(buffer, 10, self.broker or None)
        put_text(buffer, 11, self.server_name)
        put_text(buffer, 12, self.server_version)
        _put_ids(buffer, 13, self.awaited)
        _put_extensions(buffer, 14, self.extensions)
        return bytes(buffer)

    @classmethod
    def decode(cls, data: bytes) -> Welcome:
        """Reads what follows the session id. Raises `DecodeError`."""
        welcome = cls(codec=0)
        for number, value in fields(data):
            match number:
                case 1:
                    welcome.fingerprint = as_int(value)
                case 2:
                    welcome.codec = as_int(value)
                case 3:
                    welcome.compression = as_int(value)
                case 4:
                    welcome.resumed = as_int(value) != 0
                case 5:
                    welcome.keepalive_ms = as_int(value) & 0xFFFFFFFF
                case 6:
                    welcome.max_body = as_int(value) & 0xFFFFFFFF
                case 7:
                    welcome.max_open_calls = as_int(value) & 0xFFFFFFFF
                case 8:
                    welcome.session_expiry_ms = as_int(value) & 0xFFFFFFFF
                case 9:
                    welcome.peer_id = as_int(value)
                case 10:
                    welcome.broker = as_int(value) != 0
                case 11:
                    welcome.server_name = as_text(value)
                case 12:
                    welcome.server_version = as_text(value)
                case 13:
                    welcome.awaited += _ids(value)
                case 14:
                    name, content = _extension(as_bytes(value))
                    welcome.extensions[name] = content
        return welcome


def parse_hello(kind: int, msg_id: int, payload: bytes) -> Hello:
    """Reads the payload of a HELLO. Raises `FrameError`."""

    def wrong(text: str, code: Code = Code.INVALID_ARGUMENT) -> FrameError:
        return FrameError(text, code=code, msg_id=msg_id)

    if msg_id == 0:
        raise wrong("a HELLO with message id 0, which nothing could answer")
    if kind != STATE or len(payload) <= _ID_LEN:
        raise wrong("this is a HELLO of the MIP dialect: the MSIP dialect is understood", Code.UNIMPLEMENTED)
    session_id = int.from_bytes(payload[:_ID_LEN], "big")
    if session_id == 0:
        raise wrong("the session id is 0")
    try:
        hello = Hello.decode(payload[_ID_LEN:])
    except DecodeError:
        raise wrong("the HELLO cannot be decoded") from None
    hello.session_id = session_id
    if not hello.protocol:
        raise wrong("the HELLO names no protocol")
    length = len(hello.protocol.encode())
    if length > _MAX_PROTOCOL_LEN:
        raise wrong(f"the protocol name has {length} bytes: 255 are allowed", Code.FAILED_PRECONDITION)
    if len(hello.session_secret) != SECRET_LEN:
        raise wrong(f"the session secret has {len(hello.session_secret)} bytes, not 16")
    return hello


def parse_welcome(msg_id: int, payload: bytes) -> Welcome:
    """Reads the payload of the ACK that answers a HELLO. Raises `FrameError`."""
    if len(payload) < _ID_LEN:
        raise FrameError(f"the answer to the HELLO has {len(payload)} bytes: a session id alone has 8", msg_id=msg_id)
    if len(payload) == _ID_LEN:
        raise FrameError("the server speaks the MIP dialect, not the MSIP dialect", msg_id=msg_id, fault=FrameFault.MIP)
    session_id = int.from_bytes(payload[:_ID_LEN], "big")
    if session_id == 0:
        raise FrameError("the session id is 0", msg_id=msg_id)
    try:
        welcome = Welcome.decode(payload[_ID_LEN:])
    except DecodeError:
        raise FrameError("the answer to the HELLO cannot be decoded", msg_id=msg_id) from None
    welcome.session_id = session_id
    return welcome


def _put_packed(buffer: bytearray, number: int, values: list[int]) -> None:
    if values:
        packed = bytearray()
        for value in values:
            put_varint(packed, value)
        put_bytes(buffer, number, packed)


def _put_ids(buffer: bytearray, number: int, ids: list[int]) -> None:
    if ids:
        put_bytes(buffer, number, b"".join(id.to_bytes(8, "little") for id in ids))


def _put_extensions(buffer: bytearray, number: int, extensions: dict[str, bytes]) -> None:
    for name, content in extensions.items():
        entry = bytearray()
        put_text(entry, 1, name)
        if content:
            put_bytes(entry, 2, content)
        put_bytes(buffer, number, entry)


def _numbers(value: int | bytes) -> list[int]:
    """The values of a repeated enum, packed or one by one."""
    if isinstance(value, int):
        return [value]
    numbers = []
    position = 0
    while position < len(value):
        number, position = read_varint(value, position)
        numbers.append(number)
    return numbers


def _ids(value: int | bytes) -> list[int]:
    """The values of a repeated fixed64, packed or one by one."""
    if isinstance(value, int):
        return [value]
    if len(value) % 8:
        raise DecodeError("a packed list of numbers ends within one")
    return [int.from_bytes(value[start : start + 8], "little") for start in range(0, len(value), 8)]


def _extension(data: bytes) -> tuple[str, bytes]:
    name, content = "", b""
    for number, value in fields(data):
        if number == 1:
            name = as_text(value)
        elif number == 2:
            content = as_bytes(value)
    return name, content
