"""A client, as a server sees it: what generated peers derive from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from typing import Protocol as TypingProtocol

from msip.connection.failures import not_sent
from msip.connection.outbound import Outbound, Requests
from msip.connection.response_stream import ResponseStream
from msip.errors import Code, Status
from msip.protocol import Member, Protocol
from msip.server.authenticate import ConnectRequest, Principal
from msip.session import Session
from msip.wire.metadata import Metadata

if TYPE_CHECKING:
    from msip.compatibility import SchemaDifference
    from msip.server.schema_check import SchemaCheck


class Remote(TypingProtocol):
    """What a server keeps of one client, wherever that is connected."""

    peer_id: int
    principal: Principal | None
    request: ConnectRequest
    is_resumed: bool
    outbound: Outbound
    topic: str
    schema_check: SchemaCheck | None

    @property
    def session(self) -> Session: ...

    def disconnect(self, status: Status) -> None: ...


class Peer:
    """One client of a server, for as long as its session lasts, whatever becomes of its connections."""

    protocol: ClassVar[Protocol]

    def __init__(self, served: Remote) -> None:
        self._served = served
        self.data: dict[str, Any] = {}
        """What the server's program keeps of this client; it ends with the session."""

    @property
    def id(self) -> int:
        """The random number by which others know this client."""
        return self._served.peer_id

    @property
    def principal(self) -> Principal | None:
        """Who it is, where the server authenticates."""
        return self._served.principal

    @property
    def request(self) -> ConnectRequest:
        """What it said when it connected last, and what the transport knows of it."""
        return self._served.request

    @property
    def topic(self) -> str:
        """The topic at which it speaks, through a broker; empty on a direct connection."""
        return self._served.topic

    @property
    def is_connected(self) -> bool:
        """Whether it has a connection now."""
        return self._served.session.is_connected

    @property
    def is_resumed(self) -> bool:
        """Whether its connection goes on with a session of before."""
        return self._served.is_resumed

    @property
    def schema_difference(self) -> SchemaDifference | None:
        """What differs between the server's schema and the client's, in words. None where the two are the same, and until they were compared,
        which takes a question to the client: see `schema_compared`."""
        check = self._served.schema_check
        return None if check is None else check.difference

    async def schema_compared(self) -> SchemaDifference | None:
        """Waits until the schemas were compared, or cannot be, and returns what differs; None at once where they are the same. It takes
        `handshake_timeout` at most, or until the session ends."""
        check = self._served.schema_check
        return None if check is None else await check.compared()

    def disconnect(self, status: Status) -> None:
        """Ends the session gracefully. What its code makes of the client: docs/operations.md, "When the server closes"."""
        self._served.disconnect(status)

    async def ping(self, data: bytes = b"") -> float:
        """Asks whether the client is there. Returns the round trip, in seconds."""
        return await self._ready().ping(data)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id:016x}, {self._served.request.address})"

    # What generated methods call.

    async def _send(self, member: Member, message: Any, metadata: Metadata | None) -> None:
        await self._ready().send(member, message, metadata)

    async def _call(self, member: Member, request: Any, timeout: float | None, metadata: Metadata | None) -> Any:
        return await self._ready().call(member, request, timeout, metadata)

    def _call_stream(
        self, member: Member, request: Any, timeout: float | None, metadata: Metadata | None
    ) -> ResponseStream[Any]:
        return self._served.outbound.call_stream(member, request, timeout, metadata, self._pass)

    async def _send_stream(
        self, member: Member, requests: Requests, timeout: float | None, metadata: Metadata | None
    ) -> Any:
        return await self._ready().send_stream(member, requests, timeout, metadata)

    def _call_both(
        self, member: Member, requests: Requests, timeout: float | None, metadata: Metadata | None
    ) -> ResponseStream[Any]:
        return self._served.outbound.call_both(member, requests, timeout, metadata, self._pass)

    async def _pass(self) -> None:
        self._ready()

    def _ready(self) -> Outbound:
        outbound = self._served.outbound
        outbound.check_open()
        if not self._served.session.is_connected:
            raise not_sent(Code.UNAVAILABLE, "the client has no connection now")
        return outbound
