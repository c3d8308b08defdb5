"""What a handler is told besides the message."""

from __future__ import annotations

from typing import Generic, TypeVar

from msip.protocol import Member
from msip.wire.metadata import Metadata

C = TypeVar("C")


class Context(Generic[C]):
    """One message or call that a handler handles.

    `peer` calls the other end: the client of a :class:`msip.ClientHandler`, the peer of a :class:`msip.ServerHandler`.
    """

    __slots__ = ("_deadline", "_metadata", "_now", "headers", "member", "peer", "topic")

    def __init__(
        self, peer: C, member: Member, metadata: Metadata | None, deadline: float | None, now: float, topic: str
    ) -> None:
        self.peer = peer
        self.member = member
        """Which member of the envelope it is."""
        self.topic = topic
        """The topic at which it was sent, through a broker; empty otherwise."""
        self.headers: dict[str, str] = {}
        """Headers for the answer: what is put in here before the handler of a call returns goes with it."""
        self._metadata = metadata
        self._deadline = deadline
        self._now = now

    @property
    def metadata(self) -> Metadata:
        """What came with the message: headers, correlation id, trace context, the identity of its sender."""
        if self._metadata is None:
            self._metadata = Metadata()
        return self._metadata

    @property
    def time_limit(self) -> float | None:
        """How long the caller was going to wait when the handler began, in seconds; `None` is without limit."""
        return None if self._deadline is None else max(self._deadline - self._now, 0.0)

    def follow_up(self, headers: dict[str, str] | None = None) -> Metadata:
        """Metadata for calls that are made on behalf of this one: its correlation id and trace context, and these headers."""
        own = self._metadata
        if own is None:
            return Metadata(headers=dict(headers or {}))
        return Metadata(
            correlation_id=own.correlation_id,
            traceparent=own.traceparent,
            tracestate=own.tracestate,
            headers=dict(headers or {}),
        )

    def answer_metadata(self) -> Metadata | None:
        """What goes with the answer."""
        return Metadata(headers=self.headers) if self.headers else None
