"""What a client knows of its connection."""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import TYPE_CHECKING

from msip.errors import MsipError
from msip.url import Address
from msip.wire.hello import Codec, Compression, Welcome

if TYPE_CHECKING:
    from msip.compatibility import SchemaDifference


class ConnectionState(Enum):
    """Where a client is."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    RECONNECTING = "reconnecting"
    CLOSED = "closed"


class ConnectionInfo:
    """The connection of a client, as it is now; everything of the last connection stays until there is another one."""

    def __init__(self, link: ConnectionInfo | None = None) -> None:
        """With a `link` it is about a client of that connection."""
        self._link = link
        self._state = ConnectionState.CONNECTING
        self.address: Address | None = None
        """The address in use."""
        self.is_confidential = False
        """Whether nobody but the two ends can read what is sent."""
        self.is_resumed = False
        """Whether this connection goes on with the session of the one before."""
        self.lost_sessions = 0
        """How many sessions were lost so far."""
        self.closed: MsipError | None = None
        """Why the client is closed."""
        self.schema_difference: SchemaDifference | None = None
        """What differs between the client's schema and the server's, in words. None where the two are the same, and until they were compared,
        which takes a question to the server: see `schema_compared`."""
        self._welcome: Welcome | None = None
        self._comparing: asyncio.Task[None] | None = None

    @property
    def state(self) -> ConnectionState:
        """Where the client is."""
        if self._link is not None and self._state is ConnectionState.CONNECTED:
            return self._link.state
        return self._state

    @state.setter
    def state(self, state: ConnectionState) -> None:
        self._state = state

    def follow(self) -> None:
        """The link has another connection."""
        link = self._link
        if link is not None:
            self._welcome = link._welcome
            self.address, self.is_confidential, self.is_resumed = link.address, link.is_confidential, link.is_resumed

    def connected(self, welcome: Welcome, address: Address, is_confidential: bool, is_resumed: bool) -> None:
        """There is another connection."""
        self._welcome = welcome
        self.address, self.is_confidential, self.is_resumed = address, is_confidential, is_resumed

    async def schema_compared(self) -> SchemaDifference | None:
        """Waits until the schemas were compared, or cannot be, and returns what differs; None at once where they are the same. It takes
        `handshake_timeout` at most, or until the client is closed."""
        if self._comparing is not None:
            await asyncio.wait([self._comparing])
        return self.schema_difference

    def comparing(self, task: asyncio.Task[None] | None) -> asyncio.Task[None] | None:
        """The schemas are compared by this task. Returns the one before."""
        before, self._comparing = self._comparing, task
        return before

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection, and the client is logged in."""
        return self.state is ConnectionState.CONNECTED

    @property
    def peer_id(self) -> int:
        """The number by which others know this client."""
        return self._welcome.peer_id if self._welcome is not None else 0

    @property
    def codec(self) -> Codec:
        """How bodies are encoded."""
        return Codec(self._welcome.codec) if self._welcome is not None else Codec.PROTOBUF

    @property
    def compression(self) -> Compression:
        """What bodies may be compressed with."""
        return Compression(self._welcome.compression) if self._welcome is not None else Compression.NONE

    @property
    def server_name(self) -> str:
        """What the server calls itself."""
        return self._welcome.server_name if self._welcome is not None else ""

    @property
    def server_version(self) -> str:
        """Which version of itself the server names."""
        return self._welcome.server_version if self._welcome is not None else ""

    @property
    def is_broker(self) -> bool:
        """Whether a broker is at the other end."""
        return self._welcome is not None and self._welcome.broker
