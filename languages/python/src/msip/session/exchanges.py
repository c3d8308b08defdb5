"""What a session keeps of an exchange, at either end of it."""

from __future__ import annotations

from enum import IntEnum

from msip.protocol import Member
from msip.session.windows import ReceiveWindow, SendWindow

__all__ = ["Class", "InboundCall", "Interest", "Outbound"]


class Class(IntEnum):
    """What this side waits for."""

    CALL = 0
    DELIVERY = 1
    PING = 2
    SUBSCRIBE = 3


class Outbound:
    """An exchange that this side has begun."""

    __slots__ = (
        "alias",
        "at",
        "cls",
        "deadline",
        "frame",
        "has_streams",
        "member",
        "position",
        "receives",
        "sends",
        "timeout",
        "topic",
        "urgent",
        "was_sent",
    )

    def __init__(
        self, cls: Class, member: Member | None, urgent: bool, at: float, timeout: float | None, deadline: float
    ) -> None:
        self.cls = cls
        self.member = member
        self.urgent = urgent
        self.at = at
        """When it began."""
        self.timeout = timeout
        self.deadline = deadline
        self.position = -1
        """Where its opening frame is in the outgoing queue; -1 where it is in none."""
        self.was_sent = False
        """An earlier connection has sent it."""
        self.frame = b""
        """The frame that may have to be sent again."""
        self.has_streams = False
        """It is a call with a stream in either direction."""
        self.sends: SendWindow | None = None
        """Of a stream of requests that is not complete."""
        self.receives: ReceiveWindow | None = None
        """Of a stream of answers."""
        self.alias = 0
        """The id by which the user knows a delivery that has waited in the droppable queue; 0 where it is its own."""
        self.topic = ""
        """Of a SUBSCRIBE; an UNSUBSCRIBE has none."""


class Interest(IntEnum):
    """Whether the caller waits for a call of the peer."""

    ANSWER = 0
    """For its answer."""
    END = 1
    """For its end alone: the caller has cancelled it, and counts it until then."""
    NOTHING = 2
    """For nothing: it was given up with a connection that has been lost since, or was answered by the session itself."""


class InboundCall:
    """A call of the peer, from its receipt until its handler has ended."""

    __slots__ = ("deadline", "has_streams", "interest", "is_expired", "member", "receives", "sends", "size", "urgent")

    def __init__(self, member: Member, urgent: bool, size: int, deadline: float) -> None:
        self.member = member
        self.urgent = urgent
        self.size = size
        self.deadline = deadline
        self.has_streams = member.request_stream or member.response_stream
        self.interest = Interest.ANSWER
        self.is_expired = False
        self.sends: SendWindow | None = None
        """Of the stream of answers; it begins with credit for it, or with the first item."""
        self.receives: ReceiveWindow | None = None
        """Of a stream of requests that is not complete."""
