"""What a client's user implements: what the server sends, and what becomes of the connection."""

from __future__ import annotations

from abc import ABC
from enum import Enum
from typing import Any, Generic, TypeVar

from msip.context import Context
from msip.errors import ConnectError, Status

C = TypeVar("C")


class Reconnect(Enum):
    """What a client does after an attempt to connect has failed, or the server has closed its session."""

    BACKOFF = 1
    """Tries again after a wait that grows with each attempt."""
    STOP = 2
    """Gives up: the client is closed."""


class ClientHandler(ABC, Generic[C]):
    """Base of the generated handlers of clients; all of these methods may be left out.

    Messages are handled one after the other, in the order in which the server has sent them; calls of the server at the same time.
    """

    async def on_connected(self, client: C) -> None:
        """Called after each connect, the first and every later one: the place to log in.

        Until it returns only what is sent from here goes out, and nothing that the server says is handled. Where it raises, or does
        not return within `login_timeout`, the attempt to connect has failed.
        """

    async def on_disconnected(self, client: C, reason: Status) -> None:
        """Called when a connection is lost or closed that was logged in. The client connects again meanwhile."""

    async def on_session_lost(self, client: C) -> None:
        """The server does not know the session any more: what was open has failed, and another session begins."""

    async def on_connect_failure(self, client: C, error: ConnectError, attempt: int) -> Reconnect | float:
        """An attempt to connect again has failed. Says what to do: a number is a wait in seconds."""
        return Reconnect.BACKOFF

    async def on_closed_by_server(self, client: C, status: Status) -> Reconnect | float:
        """The server has closed the session for a reason that waiting does not change. The client stays away unless told otherwise."""
        return Reconnect.STOP

    async def on_state_cleared(self, state: Any, context: Context[C]) -> None:
        """A STATE is set no longer. `state` is a message of its member, `context.member`, with nothing but its key; `None` where the
        member carries nothing."""
