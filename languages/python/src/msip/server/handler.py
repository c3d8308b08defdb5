"""What a server's user implements."""

from __future__ import annotations

from abc import ABC
from typing import Any, Generic, TypeVar

from msip.context import Context
from msip.errors import Status

P = TypeVar("P")


class ServerHandler(ABC, Generic[P]):
    """Base of the generated handlers of servers; all of these methods may be left out.

    One handler serves all clients. Messages of one client are handled one after the other, in the order in which it has sent
    them; its calls, and other clients, at the same time.
    """

    async def on_client_connected(self, peer: P) -> None:
        """A client has connected, for the first time or again (`peer.is_resumed`). What it says is handled after this."""

    async def on_client_disconnected(self, peer: P, reason: Status) -> None:
        """A connection of a client has ended. Its session is kept for a while, unless it said goodbye."""

    async def on_client_gone(self, peer: P) -> None:
        """The session of a client has ended: it will not come back as this peer."""

    async def on_state_cleared(self, state: Any, context: Context[P]) -> None:
        """A STATE is set no longer. `state` is a message of its member, `context.member`, with nothing but its key; `None` where the
        member carries nothing."""
