"""One message to many clients: what generated broadcasts derive from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msip.protocol import Member

if TYPE_CHECKING:
    from msip.server.peer import Peer
    from msip.server.server import Server


class Broadcast:
    """Says one thing to every client that is connected. It waits for nobody: clients without capacity are left out."""

    def __init__(self, server: Server[Any], but: Peer | None = None) -> None:
        self._server = server
        self._but = but

    def __len__(self) -> int:
        return sum(1 for _ in self._members())

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
                body = bodies[served.form] = codec.encode(member, message)
            count += served.outbound.try_send(member, *body)
        return count

    def _members(self) -> Any:
        return self._server.connected_but(self._but)
