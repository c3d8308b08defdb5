"""Metadata of messages (docs/protocol.md, "Metadata")."""

from __future__ import annotations

import re

from msip.errors import Code, Detail, Status
from msip.record import field, record
from msip.wire.limits import MAX_DETAILS, MAX_METADATA
from msip.wire.protobuf import as_bytes, as_int, as_text, fields, put_bytes, put_fixed64, put_number, put_text

__all__ = ["Identity", "Metadata", "check_metadata"]

_HEADER_NAME = re.compile(r"[A-Za-z0-9._/-]+\Z")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


@record
class Identity:
    """Who a message is from, as the accepting side has authenticated it."""

    user: str = ""
    service: str = ""
    peer: int = 0
    """The peer id of the client, from its Welcome; 0 is none."""
    roles: list[str] = field(default_factory=list)

    def encode(self) -> bytearray:
        """The encoded message."""
        buffer = bytearray()
        put_text(buffer, 1, self.user)
        put_text(buffer, 2, self.service)
        put_fixed64(buffer, 3, self.peer)
        for role in self.roles:
            put_bytes(buffer, 4, role.encode())
        return buffer

    @classmethod
    def decode(cls, data: bytes) -> Identity:
        """Reads it. Raises `DecodeError`."""
        identity = cls()
        for number, value in fields(data):
            match number:
                case 1:
                    identity.user = as_text(value)
                case 2:
                    identity.service = as_text(value)
                case 3:
                    identity.peer = as_int(value)
                case 4:
                    identity.roles.append(as_text(value))
        return identity


@record
class Metadata:
    """What goes with a message besides its body; at most 8 KiB encoded."""

    deadline_ms: int | None = None
    """What remains of the deadline, counted from receipt. The session writes it; leave it out."""
    correlation_id: str = ""
    traceparent: str = ""
    tracestate: str = ""
    request_time_us: int | None = None
    response_time_us: int | None = None
    idempotent: bool = False
    key: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    identity: Identity | None = None
    details: list[Detail] = field(default_factory=list)
    """Of an error alone."""
    cleared: bytes = b""
    """Which STATE an empty body clears."""

    def encode(self) -> bytes:
        """The encoded message, without its length."""
        buffer = bytearray()
        put_number(buffer, 1, self.deadline_ms)
        put_text(buffer, 2, self.correlation_id)
        put_text(buffer, 3, self.traceparent)
        put_text(buffer, 4, self.tracestate)
        put_number(buffer, 5, self.request_time_us)
        put_number(buffer, 6, self.response_time_us)
        put_number(buffer, 7, self.idempotent or None)
        put_text(buffer, 8, self.key)
        for name, text in self.headers.items():
            entry = bytearray()
            put_text(entry, 1, name)
            put_text(entry, 2, text)
            put_bytes(buffer, 9, entry)
        if self.identity is not None:
            put_bytes(buffer, 10, self.identity.encode())
        for detail in self.details:
            entry = bytearray()
            put_text(entry, 1, detail.type_name)
            if detail.value:
                put_bytes(entry, 2, detail.value)
            put_bytes(buffer, 11, entry)
        if self.cleared:
            put_bytes(buffer, 12, self.cleared)
        return bytes(buffer)

    @classmethod
    def decode(cls, data: bytes) -> Metadata:
        """Reads it. Of details no more than 64 are kept. Raises `DecodeError`."""
        metadata = cls()
        for number, value in fields(data):
            match number:
                case 1:
                    metadata.deadline_ms = as_int(value) & 0xFFFFFFFF
                case 2:
                    metadata.correlation_id = as_text(value)
                case 3:
                    metadata.traceparent = as_text(value)
                case 4:
                    metadata.tracestate = as_text(value)
                case 5:
                    metadata.request_time_us = _signed(as_int(value))
                case 6:
                    metadata.response_time_us = _signed(as_int(value))
                case 7:
                    metadata.idempotent = as_int(value) != 0
                case 8:
                    metadata.key = as_text(value)
                case 9:
                    name, text = _pair(as_bytes(value))
                    metadata.headers[name] = text
                case 10:
                    metadata.identity = Identity.decode(as_bytes(value))
                case 11:
                    detail = _detail(as_bytes(value))
                    if len(metadata.details) < MAX_DETAILS:
                        metadata.details.append(detail)
                case 12:
                    metadata.cleared = as_bytes(value)
        return metadata


def check_metadata(metadata: Metadata, max_len: int = MAX_METADATA) -> None:
    """Raises `Status` (INVALID_ARGUMENT) for what a sender must not put into metadata: names of headers that are none,
    control characters, more than so many bytes."""
    for name, text in metadata.headers.items():
        if not _HEADER_NAME.match(name):
            raise Status(Code.INVALID_ARGUMENT, f"{name!r} is no name of a header: letters, digits and -_./ are")
        if _CONTROL.search(text):
            raise Status(Code.INVALID_ARGUMENT, f"the header {name} holds a control character")
    for part in ("correlation_id", "traceparent", "tracestate", "key"):
        if _CONTROL.search(getattr(metadata, part)):
            raise Status(Code.INVALID_ARGUMENT, f"{part} holds a control character")
    try:
        length = len(metadata.encode())
    except UnicodeEncodeError:
        raise Status(Code.INVALID_ARGUMENT, "the metadata holds text that cannot be written as UTF-8") from None
    if length > max_len:
        raise Status(Code.INVALID_ARGUMENT, f"the metadata has {length} bytes: {max_len} are allowed")


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _pair(data: bytes) -> tuple[str, str]:
    name = text = ""
    for number, value in fields(data):
        if number == 1:
            name = as_text(value)
        elif number == 2:
            text = as_text(value)
    return name, text


def _detail(data: bytes) -> Detail:
    type_name, content = "", b""
    for number, value in fields(data):
        if number == 1:
            type_name = as_text(value)
        elif number == 2:
            content = as_bytes(value)
    return Detail(type_name, content)
