"""The payload of SUBSCRIBE and UNSUBSCRIBE (docs/protocol.md, "Subscribe")."""

from __future__ import annotations

from msip.errors import Code, DecodeError
from msip.record import record
from msip.wire.limits import MAX_METADATA
from msip.wire.payload import PayloadError, parse_topic, split_metadata, with_length
from msip.wire.protobuf import as_bytes, as_int, as_text, fields, put_bytes, put_fixed64, put_number, put_text

__all__ = ["SCHEMA_RULE_STRICT", "Subscribe", "Subscribed", "parse_subscribe", "write_subscribe"]

SCHEMA_RULE_STRICT = 1
"""The first service of a topic accepts its own schema only."""


@record
class Subscribe:
    """The options of a subscription."""

    group: str = ""
    """The group that shares the subscription: a message goes to one of its members. Empty is none."""
    protocol: str = ""
    fingerprint: int = 0
    grant: bytes = b""
    by_peer: bool = False
    """The topic carries typed traffic."""
    schema_rule: int = 0
    own_window: bool = False
    """What is heard there has a window of its own: the session has other clients besides."""

    def encode(self) -> bytes:
        """The encoded message."""
        buffer = bytearray()
        put_text(buffer, 1, self.group)
        put_text(buffer, 2, self.protocol)
        put_fixed64(buffer, 3, self.fingerprint)
        if self.grant:
            put_bytes(buffer, 4, self.grant)
        put_number(buffer, 5, self.by_peer or None)
        put_number(buffer, 6, self.schema_rule or None)
        put_number(buffer, 7, self.own_window or None)
        return bytes(buffer)

    @classmethod
    def decode(cls, data: bytes) -> Subscribe:
        """Reads it. Raises `DecodeError`."""
        subscribe = cls()
        for number, value in fields(data):
            match number:
                case 1:
                    subscribe.group = as_text(value)
                case 2:
                    subscribe.protocol = as_text(value)
                case 3:
                    subscribe.fingerprint = as_int(value)
                case 4:
                    subscribe.grant = as_bytes(value)
                case 5:
                    subscribe.by_peer = as_int(value) != 0
                case 6:
                    subscribe.schema_rule = as_int(value)
                case 7:
                    subscribe.own_window = as_int(value) != 0
        return subscribe


@record
class Subscribed:
    """What the first service of a topic speaks; empty where there is none."""

    protocol: str = ""
    fingerprint: int = 0

    @classmethod
    def decode(cls, data: bytes) -> Subscribed:
        """Reads it. Raises `DecodeError`."""
        subscribed = cls()
        for number, value in fields(data):
            if number == 1:
                subscribed.protocol = as_text(value)
            elif number == 2:
                subscribed.fingerprint = as_int(value)
        return subscribed


def write_subscribe(topic: str, options: Subscribe | None) -> bytes:
    """The payload. Raises `PayloadError` for a topic, or options, that are too long."""
    encoded = topic.encode()
    parse_topic(encoded)
    if options is None:
        return encoded
    content = options.encode()
    if len(content) > MAX_METADATA:
        raise PayloadError(Code.INVALID_ARGUMENT, f"the metadata has {len(content)} bytes: {MAX_METADATA} are allowed")
    return with_length(content) + encoded


def parse_subscribe(payload: bytes, has_options: bool) -> tuple[str, Subscribe | None]:
    """The topic and the options. Raises `PayloadError`."""
    options = None
    if has_options:
        encoded, payload = split_metadata(payload, MAX_METADATA)
        try:
            options = Subscribe.decode(encoded)
        except DecodeError as error:
            raise PayloadError(Code.INVALID_ARGUMENT, f"malformed Subscribe: {error.message}") from None
    return parse_topic(payload), options
