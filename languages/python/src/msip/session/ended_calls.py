"""Ended calls: how the peer's calls have ended, for a caller that has lost its connection (docs/protocol.md, "Resumption")."""

from __future__ import annotations

from collections import deque

from msip.errors import Code
from msip.session.outgoing import FRAME_COST

__all__ = ["NOT_ACCEPTED", "NOT_RECEIVED", "EndedCalls"]

NOT_RECEIVED = (Code.UNAVAILABLE, "not received")
"""The error of a call that has never come, so that it is safe to repeat."""
NOT_ACCEPTED = (Code.UNAVAILABLE, "not accepted")
"""The error of a request that came after CLOSE had been sent, so that it is safe to repeat."""

_REMEMBERED = 256
_SEQUENCE = (1 << 62) - 1


class EndedCalls:
    """The peer's calls that have ended: the last 256 ids, and replies that were not handed to a transport."""

    __slots__ = ("_ended", "_forgotten_up_to", "_kept", "kept_cost")

    def __init__(self) -> None:
        self._ended: deque[int] = deque(maxlen=_REMEMBERED)
        self._forgotten_up_to = 0
        self._kept: dict[int, tuple[bytes, bool]] = {}
        self.kept_cost = 0
        """The kept replies in bytes, each counted as its length + 64."""

    def end(self, id: int) -> None:
        """A call has ended, and its reply is queued."""
        ended = self._ended
        if len(ended) == _REMEMBERED:
            forgotten = ended[0] & _SEQUENCE
            if forgotten > self._forgotten_up_to:
                self._forgotten_up_to = forgotten
        ended.append(id)

    def keep(self, id: int, frame: bytes, urgent: bool) -> None:
        """Keeps a reply for which there is no connection."""
        before = self._kept.get(id)
        if before is not None:
            self.kept_cost -= len(before[0]) + FRAME_COST
        self._kept[id] = (frame, urgent)
        self.kept_cost += len(frame) + FRAME_COST

    def take(self, id: int) -> tuple[bytes, bool] | tuple[Code, str]:
        """The reply to a call that its caller awaits and whose handler does not run: a kept frame with its priority, or the
        error that tells what is known."""
        kept = self._kept.pop(id, None)
        if kept is not None:
            self.kept_cost -= len(kept[0]) + FRAME_COST
            return kept
        # A call of which nothing is known any more may have run.
        if id in self._ended or id & _SEQUENCE <= self._forgotten_up_to:
            return Code.UNKNOWN, "reply lost"
        return NOT_RECEIVED

    def clear_kept(self) -> None:
        """Drops the kept replies: none is awaited any more."""
        self._kept.clear()
        self.kept_cost = 0
