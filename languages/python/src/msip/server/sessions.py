"""The sessions of a server: those with a connection, and those that are kept without one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msip.errors import Code, Status
from msip.server.served import Served


class Sessions:
    """Sessions by their ids. Of those without a connection as many are kept as the settings say; then the oldest is ended."""

    def __init__(self, max_detached: int, expiry: float, ended: Callable[[Served], None]) -> None:
        self._max_detached = max_detached
        self._expiry = expiry
        self._ended = ended
        self._all: dict[int, Served] = {}
        # In the order in which they lost their connections.
        self._detached: dict[int, Served] = {}

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Served]:
        return iter(list(self._all.values()))

    def find(self, session_id: int) -> Served | None:
        """The session of this id that has not ended."""
        served = self._all.get(session_id)
        return None if served is None or served.session.is_over else served

    def add(self, served: Served) -> None:
        """A session has begun."""
        self._all[served.session_id] = served

    def attached(self, served: Served) -> None:
        """A kept session has a connection again."""
        self._detached.pop(served.session_id, None)
        if served.expiry is not None:
            served.expiry.cancel()
            served.expiry = None

    def detached(self, served: Served) -> None:
        """A session has lost its connection: it is kept for a while."""
        if self._all.get(served.session_id) is not served:
            return
        if self._expiry == 0 or self._max_detached == 0:
            self._end(served, "sessions are not kept here")
            return
        self._detached[served.session_id] = served
        served.expiry = served.driver.loop.call_later(self._expiry, self._end, served, "the session has expired")
        while len(self._detached) > self._max_detached:
            oldest = next(iter(self._detached.values()))
            self._end(oldest, "too many sessions are kept (max_detached_sessions)")
        served.session.settings.budget.relieve()

    def remove(self, served: Served) -> None:
        """A session has ended."""
        self.attached(served)
        if self._all.get(served.session_id) is served:
            del self._all[served.session_id]

    def end_oldest(self) -> bool:
        """Ends the session that has been without a connection for longest, since memory is short. Says whether there was one."""
        for oldest in self._detached.values():
            self._end(oldest, "memory is short (max_memory)")
            return True
        return False

    def end_detached(self) -> None:
        """Ends every session that has no connection."""
        for served in list(self._detached.values()):
            self._end(served, "the server shuts down")

    def _end(self, served: Served, why: str) -> None:
        self.remove(served)
        served.end(Status(Code.UNAVAILABLE, why))
        self._ended(served)
