"""An allowance: so much at once, and so much more each second (docs/protocol.md, "Allowances")."""

from __future__ import annotations

__all__ = ["TokenBucket"]


class TokenBucket:
    """Counts what a peer may send without being asked."""

    __slots__ = ("_at", "_burst", "_left", "_per_second")

    def __init__(self, burst: int, per_second: int, now: float) -> None:
        self._burst = burst
        self._per_second = per_second
        self._left = float(burst)
        self._at = now

    def take(self, now: float) -> bool:
        """Takes one; False where nothing is left."""
        if now > self._at:
            self._left = min(self._burst, self._left + (now - self._at) * self._per_second)
            self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
