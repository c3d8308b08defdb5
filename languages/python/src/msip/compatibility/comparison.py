"""The result of a comparison: what differs, in words, and what that breaks."""

from __future__ import annotations

from collections.abc import Callable
from enum import Flag
from typing import Final

__all__ = ["Breaks", "Comparison", "Sides"]

MAX_DIFFERENCES: Final = 64
"""How many differences are kept; further ones are counted."""
_MAX_SUMMARY: Final = 8

Sides = tuple[str, str]
"""Where this program is and where the peer, such as `on the server` and `on the client`."""


class Breaks(Flag):
    """The bodies of which codecs can no longer be exchanged: protobuf carries numbers, JSON and MessagePack carry names."""

    NOTHING = 0
    NAMES = 1
    PROTOBUF = 2
    ALL = 3

    @property
    def text(self) -> str:
        """In words."""
        return _TEXTS[self.value]


_TEXTS = ("harmless", "wire-breaking in JSON and MessagePack", "wire-breaking in protobuf", "wire-breaking")


class Comparison:
    """Everything that differs between two descriptions."""

    def __init__(self, sides: Sides) -> None:
        self.sides = sides
        self.count = 0
        """How many differences there are, kept or not."""
        self.breaking_count = 0
        """How many of them break something."""
        self.breaks = Breaks.NOTHING
        """What they break together."""
        self.is_cut_short = False
        """Whether it ended early, since the types of the two do not correspond to each other in any simple way."""
        self._breaking: list[str] = []
        self._harmless: list[str] = []

    def add(self, place: Callable[[], str], what: str, breaks: Breaks) -> None:
        """Adds a difference; its place is asked for only where it is kept."""
        self.count += 1
        self.breaks |= breaks
        self.breaking_count += breaks is not Breaks.NOTHING
        kept = self._breaking if breaks else self._harmless
        if len(kept) < MAX_DIFFERENCES:
            kept.append(f"{place()}{what} [{breaks.text}]")

    @property
    def differences(self) -> list[str]:
        """The differences, those that break something first."""
        return (self._breaking + self._harmless)[:MAX_DIFFERENCES]

    @property
    def summary(self) -> str:
        """The first differences in one line, and how many more there are."""
        shown = self.differences[:_MAX_SUMMARY]
        if self.count > len(shown):
            shown.append(f"and {self.count - len(shown)} more")
        if self.is_cut_short:
            shown.append("the rest was too complex to be compared")
        return "; ".join(shown) or "nothing differs"
