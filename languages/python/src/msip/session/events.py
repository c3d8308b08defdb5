"""What a session tells: one class for each thing that can happen."""

from __future__ import annotations

from enum import Enum
from typing import TypeAlias

from msip.errors import Code, Status
from msip.protocol import Member
from msip.record import record
from msip.wire.hello import Welcome
from msip.wire.metadata import Metadata
from msip.wire.subscribe import Subscribed as SubscribedTo

__all__ = [
    "Acknowledged",
    "Answer",
    "AnswerEnd",
    "AnswerItem",
    "BrokerSaid",
    "Cancelled",
    "Cause",
    "Closed",
    "Connected",
    "Draining",
    "Event",
    "Failed",
    "Message",
    "Pong",
    "Refused",
    "Request",
    "RequestEnd",
    "RequestItem",
    "Subscribed",
    "SubscriptionEnded",
    "TopicSpoken",
    "TransportDead",
    "Writable",
]


class Cause(Enum):
    """What a failure is known to mean, beyond its code."""

    PEER = "peer"
    """The other side has answered with this error."""
    DEADLINE = "deadline"
    """No answer came in time; it may have run."""
    NOT_SENT = "not sent"
    """No byte of it was handed to a transport: it is safe to repeat."""
    NOT_RECEIVED = "not received"
    """The other side says, after a resume, that it never came: it is safe to repeat."""
    NOT_ACCEPTED = "not accepted"
    """The other side shuts down, and has handed it to no handler: it is safe to repeat in another session."""
    LOST = "lost"
    """The connection or the session was lost after it was sent: it may have run."""
    DROPPED = "dropped"
    """It was dropped from a full queue, by its kind, and was not sent."""
    UNREADABLE = "unreadable"
    """The answer could not be read."""

    @property
    def is_safe_to_repeat(self) -> bool:
        """Whether no handler can have seen it."""
        return self in (Cause.NOT_SENT, Cause.NOT_RECEIVED, Cause.NOT_ACCEPTED, Cause.DROPPED)


@record
class Connected:
    """The handshake is done, and operations are possible."""

    welcome: Welcome
    resumed: bool
    """An earlier session of this object goes on."""
    session_lost: bool = False
    """Client: there was an earlier session, and it is lost. `Failed` was told for all that was open in it before this."""


@record
class Refused:
    """Client: the server has refused the HELLO. The transport is to be closed; an earlier session is kept, and `begin` may be
    called again on another."""

    code: Code
    text: str


@record
class Request:
    """The peer calls. It is ended by exactly one of `answer`, `answer_end` and `fail`, also after `Cancelled`."""

    id: int
    member: Member
    body: bytes
    """The body as it was sent. Of a call whose request is a stream: the first item, or empty where it comes later."""
    compressed: bool
    metadata: Metadata | None
    deadline: float | None
    """The session's time at which the caller gives up. `Cancelled` is told then."""
    topic: str
    streaming: bool
    """Whether request items follow, until `RequestEnd`."""


@record
class RequestItem:
    """An item of a stream of requests. `finished(id, 1, size)` gives its credit back."""

    id: int
    body: bytes
    compressed: bool
    size: int


@record
class RequestEnd:
    """The stream of requests is complete."""

    id: int


@record
class Cancelled:
    """Nobody waits for this call of the peer any more: stop its handler, and end the call all the same (`fail`)."""

    id: int


@record
class Answer:
    """A call of this side, without a stream of answers, has its answer, and is over."""

    id: int
    body: bytes
    compressed: bool
    metadata: Metadata | None
    variant: int = 0
    """Which member it is, where that is not known from the call."""


@record
class AnswerItem:
    """An item of a stream of answers. `finished(id, 1, size)` gives its credit back."""

    id: int
    body: bytes
    compressed: bool
    size: int


@record
class AnswerEnd:
    """The stream of answers is complete, and the call is over."""

    id: int
    metadata: Metadata | None


@record
class Failed:
    """A call, delivery, subscription or ping of this side has failed, and is over."""

    id: int
    status: Status
    cause: Cause


@record
class Acknowledged:
    """The handler of a delivery of this side has returned."""

    id: int


@record
class Message:
    """A one-way message or a delivery of the peer.

    When its handler has returned: `acknowledge(id)` or `fail(id, status)` where `delivery` is set, and then
    `finished(0, 1, size)`, whether or not it is.
    """

    id: int
    member: Member
    body: bytes
    """Empty where it clears a STATE; `metadata.cleared` says which."""
    compressed: bool
    metadata: Metadata | None
    topic: str
    delivery: bool
    size: int


@record
class Writable:
    """A sender that was refused may try again: for an item of stream `id`, or where that is 0, anything else."""

    id: int


@record
class Draining:
    """The peer has said CLOSE: it accepts nothing new, and `Closed` follows when nothing is open."""

    code: Code
    text: str


@record
class Closed:
    """The session is over, and all that was open in it has failed: write what `transmit` gives, and close the transport.

    A client may `begin` again, which opens another session.
    """

    code: Code
    text: str
    by_peer: bool
    """The peer has ended it, by CLOSE or an ERROR; otherwise this side: by `close`, or for a fault of the peer."""
    is_clean: bool
    """It was drained; nothing was given up."""


@record
class TransportDead:
    """The peer is silent, or what answers the HELLO does not speak MSIP: close the transport and call `lost`. The session, if
    there is one, may be resumed."""

    text: str


@record
class Subscribed:
    """A SUBSCRIBE or UNSUBSCRIBE was accepted."""

    id: int
    service: SubscribedTo | None
    """With `by_peer`: what the first service of the topic speaks."""


@record
class BrokerSaid:
    """A broker tells a service something, such as that a client has come."""

    topic: str
    variant: int
    body: bytes


@record
class TopicSpoken:
    """A first service has come to a topic at which this client was already."""

    topic: str
    service: SubscribedTo
    """What it speaks."""


@record
class SubscriptionEnded:
    """The broker has ended a subscription, or did not accept it again in a new session."""

    topic: str
    status: Status


@record
class Pong:
    """A `ping` of this side was answered."""

    id: int
    round_trip: float
    """In seconds."""


Event: TypeAlias = (
    Connected
    | Refused
    | Request
    | RequestItem
    | RequestEnd
    | Cancelled
    | Answer
    | AnswerItem
    | AnswerEnd
    | Failed
    | Acknowledged
    | Message
    | Writable
    | Draining
    | Closed
    | TransportDead
    | Subscribed
    | SubscriptionEnded
    | TopicSpoken
    | BrokerSaid
    | Pong
)
