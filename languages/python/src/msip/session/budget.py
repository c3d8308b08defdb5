"""The memory that the sessions of a process hold together (docs/operations.md, "Memory")."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

__all__ = ["FLOOR", "SUSPENDED_SESSION", "Budget", "process_budget"]

FLOOR: Final = 64 * 1024
"""What each connection may hold, in either direction, however short memory is."""
SUSPENDED_SESSION: Final = 16 * 1024
"""What a session takes that is kept without a connection, besides what it holds."""
DEFAULT_LIMIT: Final = 1 << 30


class Budget:
    """How many bytes the sessions that share it hold, and whether that is too much."""

    __slots__ = ("_reliefs", "is_short", "limit", "used")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self.is_short = False
        """Whether nothing is accepted beyond the floor of each connection."""
        self._reliefs: list[Callable[[], bool]] = []

    def add_relief(self, relief: Callable[[], bool]) -> None:
        """This ends a session that nobody is connected to, the oldest first, and says whether there was one."""
        self._reliefs.append(relief)

    def remove_relief(self, relief: Callable[[], bool]) -> None:
        """There is nothing to be ended there any more."""
        self._reliefs.remove(relief)

    def change(self, by: int) -> None:
        """A session holds so many bytes more, or fewer."""
        self.used += by
        if by > 0:
            self.relieve()
        self.is_short = self.used > self.limit

    def relieve(self) -> None:
        """Ends sessions without a connection while memory is short, and there are some."""
        while self.used > self.limit and any(relief() for relief in list(self._reliefs)):
            pass


_PROCESS = Budget(DEFAULT_LIMIT)


def process_budget(limit: int) -> Budget:
    """The budget that all share who keep the default; one of its own for any other limit."""
    return _PROCESS if limit == DEFAULT_LIMIT else Budget(limit)
