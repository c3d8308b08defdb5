"""Metadata of messages (docs/protocol.md, "Metadata")."""

from __future__ import annotations

from dataclasses import dataclass, field

from msip.errors import Detail

__all__ = ["Identity", "Metadata"]


@dataclass(slots=True)
class Identity:
    """Who a message is from, as the accepting side has authenticated it."""

    user: str = ""
    service: str = ""
    peer: int = 0
    """The peer id of the client, from its Welcome; 0 is none."""
    roles: list[str] = field(default_factory=list)


@dataclass(slots=True)
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
