"""Keepalive: when to ping, and when a silent peer is given up (docs/protocol.md, "Liveness")."""

from __future__ import annotations

from math import inf

__all__ = ["Keepalive"]

_DEAD_AFTER = 2
"""After so many intervals without a byte."""
_MOST_PINGS = 16


class Keepalive:
    """The pings of one connection."""

    __slots__ = ("_first_ping", "_interval", "_last_received", "_next_ping", "_pinged", "round_trip")

    def __init__(self, interval: float, now: float) -> None:
        self._interval = interval
        self._last_received = now
        self._first_ping: float | None = None
        """When the first ping was sent since something came."""
        self._next_ping = now + interval if interval > 0 else inf
        self._pinged: dict[int, float] = {}
        """The pings that were not answered, and when they were sent. Their answers may be slow behind other frames."""
        self.round_trip: float | None = None
        """Of the last ping that was answered, in seconds."""

    def received(self, now: float) -> None:
        """A byte came, of whatever frame."""
        self._last_received = now
        self._first_ping = None

    def timeout(self) -> float:
        """When there is something to do."""
        return min(self._next_ping, self._dead_at())

    def _dead_at(self) -> float:
        # Where no ping was sent, because this process was suspended, the peer has an interval to answer first.
        if self._first_ping is None:
            return inf
        return max(self._last_received + _DEAD_AFTER * self._interval, self._first_ping + self._interval)

    def silence(self, now: float) -> float | None:
        """For how long nothing has come, where that is too long."""
        return now - self._last_received if now >= self._dead_at() else None

    def is_due(self, now: float) -> bool:
        """Whether a ping is to be sent; then `pinged` is next."""
        return now >= self._next_ping

    def pinged(self, id: int, now: float) -> None:
        """A ping was sent."""
        self._next_ping = now + self._interval
        if len(self._pinged) >= _MOST_PINGS:
            del self._pinged[next(iter(self._pinged))]
        self._pinged[id] = now
        if self._first_ping is None:
            self._first_ping = now

    def ponged(self, id: int, now: float) -> bool:
        """Whether this PONG answers a ping."""
        at = self._pinged.pop(id, None)
        if at is None:
            return False
        self.round_trip = now - at
        return True
