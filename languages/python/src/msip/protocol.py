"""What generated code says of a protocol: the members of its two envelopes, as plain data."""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import TYPE_CHECKING

from msip.record import record

if TYPE_CHECKING:
    from msip.message import Message

__all__ = ["ANY_ANSWER", "Kind", "Member", "Protocol", "Shape", "Side"]

ANY_ANSWER = -1
"""The `answer` of a call that any variant answers: that of an untyped client."""


class Kind(IntEnum):
    """How a message is delivered; its number is that of the header (docs/protocol.md, "Kinds")."""

    EVENT = 1
    COMMAND = 2
    STATE = 3
    LOG = 4
    METRIC = 5


class Shape(Enum):
    """What the sender of a member waits for."""

    ONE_WAY = 1
    """Nothing."""
    ACKNOWLEDGED = 2
    """The acknowledgment that its handler has returned."""
    CALL = 3
    """An answer, or a stream of them."""
    ANSWER = 4
    """It is an answer itself, and is never sent but as one."""


class Side(Enum):
    """A side of a connection: the one that connects, or the one that accepts."""

    CLIENT = 1
    SERVER = 2


@record(frozen=True)
class Member:
    """A member of an envelope, `ClientToServer` or `ServerToClient`."""

    name: str
    """As in the schema: `connect_req`."""
    number: int
    """Its number in the envelope, and the `variant` of the header."""
    message: type[Message] | None
    """What it carries; None where it carries nothing."""
    kind: Kind
    shape: Shape
    handler: str = ""
    """The name of the handler's method, such as `on_connect_req`; empty for answers."""
    answer: int = 0
    """Of a call: the number of the member of the other direction that answers."""
    request_stream: bool = False
    response_stream: bool = False
    timeout: float | None = None
    """The time limit of a call in seconds, after the default (30 s) was applied; None is without limit."""
    urgent: bool = False
    compress: bool = True
    """Whether its body may be compressed."""
    idempotent: bool = False
    """Whether a call may be repeated when its outcome is unknown."""
    key: int = 0
    """The number of the field that distinguishes one message from another, such as one STATE; 0 is none."""


@record(frozen=True)
class Protocol:
    """Both directions of one protocol."""

    name: str
    """The package."""
    fingerprint: int
    """The fingerprint of the schema (docs/protocol.md, "Schema fingerprint")."""
    client_to_server: tuple[Member, ...]
    server_to_client: tuple[Member, ...]
    description: str = ""
    """The schema as it is told to a peer with another version of it (docs/schema.md, "Description"); empty where there is none."""
    is_open: bool = False
    """Whether there is no schema: a message is what its header says."""

    def sent_by(self, side: Side) -> tuple[Member, ...]:
        """The members that this side sends, answers included."""
        return self.client_to_server if side is Side.CLIENT else self.server_to_client
