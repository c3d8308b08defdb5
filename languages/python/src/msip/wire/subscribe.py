"""What a SUBSCRIBE says besides its topic (docs/protocol.md, "Subscribe")."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Subscribe", "Subscribed"]


@dataclass(slots=True)
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


@dataclass(slots=True)
class Subscribed:
    """What the first service of a topic speaks; empty where there is none."""

    protocol: str = ""
    fingerprint: int = 0
