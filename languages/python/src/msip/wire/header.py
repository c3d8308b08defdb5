"""The header: the 24 bytes in front of every payload (docs/protocol.md, "Header", "Flags", "Frame types")."""

from __future__ import annotations

from enum import Enum
from struct import Struct
from typing import Final

from msip.errors import Code, MsipError
from msip.wire.error_text import escaped

__all__ = [
    "ACK",
    "ACK_REQUIRED",
    "CANCEL",
    "CLOSE",
    "COMPRESSED",
    "CREDIT",
    "DELIVERY_ID",
    "ERROR",
    "EVENT",
    "FLAGS",
    "FRAME_TYPES",
    "HEADER",
    "HEADER_LEN",
    "HELLO",
    "ITEM",
    "MAGIC",
    "META",
    "MORE",
    "PING",
    "PONG",
    "PUBLISH",
    "REDELIVERED",
    "SERVER_ID",
    "STATE",
    "SUBSCRIBE",
    "UNSUBSCRIBE",
    "URGENT",
    "FrameError",
    "FrameFault",
    "check_magic",
    "invalid_header",
    "pack_frame",
]

HEADER_LEN: Final = 24
MAGIC: Final = 0x4D534950
VERSION: Final = 1

HEADER: Final = Struct(">IBBHHHIQ")
"""Magic, version, flags, frame type, kind, variant, length of the payload, message id."""

# Frame types and flags are plain numbers, since every frame is compared with them.
HELLO: Final = 1
SUBSCRIBE: Final = 2
UNSUBSCRIBE: Final = 3
PUBLISH: Final = 4
EVENT: Final = 5
ACK: Final = 6
ERROR: Final = 7
PING: Final = 8
PONG: Final = 9
CLOSE: Final = 10
CREDIT: Final = 11
CANCEL: Final = 12

FRAME_TYPES: Final = (
    "",
    "HELLO",
    "SUBSCRIBE",
    "UNSUBSCRIBE",
    "PUBLISH",
    "EVENT",
    "ACK",
    "ERROR",
    "PING",
    "PONG",
    "CLOSE",
    "CREDIT",
    "CANCEL",
)
"""The names of the frame types, by number."""

ACK_REQUIRED: Final = 0x01
COMPRESSED: Final = 0x02
URGENT: Final = 0x04
MORE: Final = 0x08
META: Final = 0x10
ITEM: Final = 0x20
REDELIVERED: Final = 0x40
KNOWN_FLAGS: Final = 0x7F

FLAGS: Final = ("ACK_REQUIRED", "COMPRESSED", "URGENT", "MORE", "META", "ITEM", "REDELIVERED")
"""The names of the flags, by bit."""

STATE: Final = 3
"""The kind of a frame that opens no exchange."""

SERVER_ID: Final = 1 << 63
"""The bit of a message id that the accepting side has chosen."""
DELIVERY_ID: Final = 1 << 62
"""The bit of a delivery's message id."""


class FrameFault(Enum):
    """What a receiver may conclude from bytes that are no frame."""

    RULE = "rule"
    """The peer breaks a rule of the protocol."""
    FOREIGN = "foreign"
    """The peer does not speak MSIP: it is sent one ERROR and no CLOSE."""
    TLS = "tls"
    """The peer speaks TLS; it is sent the same."""
    MIP = "mip"
    """The server speaks the MIP dialect only: it is sent nothing."""


class FrameError(MsipError):
    """Bytes that end the connection: from here on no frame can be found, or none may come."""

    def __init__(
        self,
        message: str,
        *,
        code: Code = Code.INVALID_ARGUMENT,
        msg_id: int = 0,
        fault: FrameFault = FrameFault.RULE,
    ) -> None:
        super().__init__(code, message)
        self.msg_id = msg_id
        """The frame's message id, which the ERROR names; 0 where there is none."""
        self.fault = fault


def pack_frame(frame_type: int, flags: int, msg_id: int, payload: bytes = b"") -> bytes:
    """A frame that opens no exchange."""
    return HEADER.pack(MAGIC, VERSION, flags, frame_type, STATE, 0, len(payload), msg_id) + payload


def check_magic(data: bytes | bytearray | memoryview) -> None:
    """Raises `FrameError` where these bytes, of which there may be few, cannot begin a frame."""
    found = bytes(data[:4])
    if b"MSIP".startswith(found):
        return
    is_tls = found[0] in (21, 22) and found[1:2] in (b"", b"\x03")
    fault = FrameFault.TLS if is_tls else FrameFault.FOREIGN
    text = escaped(found.decode("utf-8", "replace"))
    remedy = "; a WebSocket needs a listener at ws://" if found == b"GET " else ""
    raise FrameError(f"bad magic {found.hex()} ({text}): frames begin with 4d534950 (MSIP){remedy}", fault=fault)


def invalid_header(data: bytes, position: int) -> FrameError:
    """The error of 24 bytes that are no header."""
    try:
        check_magic(data[position : position + 4])
    except FrameError as error:
        return error
    _, version, flags, frame_type, _, _, _, _ = HEADER.unpack_from(data, position)
    if version != VERSION:
        return FrameError(f"unsupported version {version}: version 1 is understood")
    if flags & ~KNOWN_FLAGS:
        return FrameError(f"unknown flags 0x{flags:02x}: 0x7f are understood")
    return FrameError(f"unknown frame_type {frame_type}: 1 (HELLO) to 12 (CANCEL) are understood")
