"""One message to many clients: what generated broadcasts derive from."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from msip.errors import Status
from msip.protocol import Member

if TYPE_CHECKING:
    from msip.server.peer import Peer
    from msip.server.served import Served
    from msip.server.server import Server

_log = logging.getLogger("msip")


class Broadcast:
    """Says one thing to every client that is connected. It waits for nobody: clients without capacity are left out."""

    def __init__(
        self, server: Server[Any], but: Peer | None = None, condition: Callable[[Any], bool] | None = None
    ) -> None:
        self._server = server
        self._but = but
        self._condition = condition

    def where(self, condition: Callable[[Any], bool]) -> Self:
        """The same for those peers only for which this is true: such as those that have entered a room."""
        mine = self._condition
        both = condition if mine is None else lambda peer: mine(peer) and condition(peer)
        return type(self)(self._server, self._but, both)

    def __len__(self) -> int:
        return len(self._members())

    def _send_all(self, member: Member, message: Any) -> int:
        """Encodes once for each codec, and returns how many clients have accepted the message."""
        bodies: dict[object, tuple[bytes, bool]] = {}
        count = 0
        for served in self._members():
            codec = served.outbound.codec
            if codec is None:
                continue
            body = bodies.get(served.form)
            if body is None:
                try:
                    body = bodies[served.form] = codec.encode(member, message)
                except Status as status:
                    # A message that JSON cannot express reaches those who speak protobuf.
                    _log.warning("%s was not sent to %r: %s", member.name, served.peer, status)
                    continue
            count += served.outbound.try_send(member, *body)
        return count

    def _members(self) -> list[Served]:
        condition = self._condition
        served = self._server._connected_but(self._but)
        return [each for each in served if condition is None or condition(each.peer)]
