"""One message to many clients: what generated broadcasts derive from."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self
from typing import Protocol as TypingProtocol

from msip.codec.keys import key_text
from msip.connection.clearing import with_cleared, with_key
from msip.connection.outbound import Outbound
from msip.errors import Status
from msip.protocol import Kind, Member

if TYPE_CHECKING:
    from msip.server.peer import Peer
    from msip.server.server import Server

_log = logging.getLogger("msip")


class Audience(TypingProtocol):
    """Who is told something: one client, or all of a topic at once."""

    @property
    def outbound(self) -> Outbound: ...

    @property
    def peer(self) -> Peer | None: ...

    @property
    def form(self) -> object:
        """What their bodies have in common with those of others."""


class Broadcast:
    """Says one thing to every client that is connected. It waits for nobody: clients without capacity are left out."""

    def __init__(
        self,
        server: Server[Any],
        but: Peer | None = None,
        condition: Callable[[Any], bool] | None = None,
        clears: bool = False,
    ) -> None:
        self._server = server
        self._but = but
        self._condition = condition
        self._clears = clears

    def where(self, condition: Callable[[Any], bool]) -> Self:
        """The same for those peers only for which this is true: such as those that have entered a room."""
        mine = self._condition
        both = condition if mine is None else lambda peer: mine(peer) and condition(peer)
        return type(self)(self._server, self._but, both, self._clears)

    def clearing(self) -> Self:
        """The same; what is said clears the STATE that it would set, and of the message only the key counts."""
        return type(self)(self._server, self._but, self._condition, True)

    def __len__(self) -> int:
        return len(self._members())

    def _send_all(self, member: Member, message: Any) -> int:
        """Encodes once for each codec, and returns how many clients have accepted the message."""
        metadata = with_cleared(member, message, None) if self._clears else None
        # That of a message that is no STATE would keep a broker from giving it to everyone.
        key = key_text(member, message) if member.kind is Kind.STATE else ""
        bodies: dict[object, tuple[bytes, bool]] = {}
        keyed = with_key(metadata, key) if key else metadata
        count = 0
        for served in self._members():
            codec = served.outbound.codec
            if codec is None:
                continue
            body = bodies.get(served.form)
            if body is None:
                try:
                    body = (b"", False) if self._clears else codec.encode(member, message)
                    bodies[served.form] = body
                except Status as status:
                    # A message that JSON cannot express reaches those who speak protobuf.
                    _log.warning("%s was not sent to %r: %s", member.name, served.peer, status)
                    continue
            count += served.outbound.try_send(member, *body, keyed if served.outbound.topic else metadata, key)
        return count

    def _members(self) -> list[Audience]:
        condition = self._condition
        if condition is None:
            return list(self._server._everyone() if self._but is None else self._server._connected_but(self._but))
        return [each for each in self._server._connected_but(self._but) if condition(each.peer)]
