"""What a service and a broker tell each other about clients: `msip.broker.v1` (docs/protocol.md, "Typed traffic")."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from msip.codec.envelope import MissingError, unwrap, wrap
from msip.errors import DecodeError, Status
from msip.protocol import Kind, Member, Shape
from msip.record import field, record
from msip.wire.protobuf import as_bytes, as_int, as_text, fields, put_number, put_text

__all__ = ["DISCONNECT", "PEER_CREDIT", "Presence", "PresenceInd", "disconnect_req", "peer_credit"]

DISCONNECT: Final = Member("disconnect_req", 1, None, Kind.COMMAND, Shape.CALL, answer=1, timeout=30.0, compress=False)
PEER_CREDIT: Final = Member("peer_credit", 2, None, Kind.EVENT, Shape.ONE_WAY, compress=False)
_PRESENCE_IND = 2


class Presence(IntEnum):
    """Whether a client is there."""

    CONNECTED = 1
    """It has sent its first message to the topic, or subscribed to it."""
    GONE = 2
    """Its session has ended."""
    LOOKED_AFTER = 3
    """It is there, and this instance looks after it from here on."""


@record
class PresenceInd:
    """A client has come to a topic, or has gone."""

    topic: str = ""
    peer: str = ""
    """The client's number in hexadecimal, as in `T/$in/<peer>`."""
    presence: int = 0
    principal: str = ""
    user: str = ""
    service: str = ""
    roles: list[str] = field(default_factory=list)
    address: str = ""
    client_name: str = ""
    protocol: str = ""
    fingerprint: int = 0
    looks_after: bool = False

    @property
    def key(self) -> str:
        """The topic at which the client's messages come."""
        return f"{self.topic}/$in/{self.peer}"

    @classmethod
    def of_body(cls, body: bytes) -> PresenceInd | None:
        """Reads the envelope; `None` where it is something else. Raises `DecodeError`."""
        try:
            content = unwrap(_PRESENCE_IND, body)
        except MissingError:
            return None
        about = cls()
        texts = {
            1: "topic",
            2: "peer",
            4: "principal",
            5: "user",
            6: "service",
            8: "address",
            9: "client_name",
            10: "protocol",
        }
        for number, value in fields(content):
            match number:
                case 3:
                    about.presence = as_int(value)
                case 7:
                    about.roles.append(as_text(value))
                case 11:
                    about.fingerprint = as_int(value)
                case 12:
                    about.looks_after = as_int(value) != 0
                case _ if number in texts:
                    setattr(about, texts[number], as_text(as_bytes(value)))
        try:
            int(about.peer, 16)
        except ValueError:
            raise DecodeError("the peer is no number in hexadecimal") from None
        return about


def peer_credit(peer: str, items: int, window: int) -> bytes:
    """Says that so many messages of a client are handled, and how large its window is from here on; 0 is as before."""
    content = bytearray()
    put_text(content, 1, peer)
    put_number(content, 2, items)
    put_number(content, 3, window or None)
    return wrap(PEER_CREDIT.number, bytes(content))


def disconnect_req(peer: str, status: Status) -> bytes:
    """Asks for the end of a client's session."""
    content = bytearray()
    put_text(content, 1, peer)
    put_text(content, 2, status.code.name)
    put_text(content, 3, status.message)
    return wrap(DISCONNECT.number, bytes(content))
