"""The waits between attempts to connect (docs/protocol.md, "Liveness")."""

from __future__ import annotations

from collections.abc import Callable

_GOOD_AFTER = 10.0


class Backoff:
    """A wait that doubles with each attempt: a random part of its maximum, so that many clients do not come back at once."""

    def __init__(self, shortest: float, longest: float, random: Callable[[], float]) -> None:
        self._shortest = shortest
        self._longest = max(shortest, longest)
        self._next = shortest
        self._random = random

    def connected_for(self, lasted: float) -> None:
        """A connection has ended; after a good one the waits start over."""
        if lasted >= _GOOD_AFTER:
            self._next = self._shortest

    def next(self) -> float:
        """The next wait, in seconds."""
        longest = self._next
        self._next = min(longest * 2, self._longest)
        return longest * self._random()
