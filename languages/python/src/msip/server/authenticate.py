"""Who a client is: the hook of a server, and what it is told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from msip.record import field, record
from msip.transport.stream import PeerCredential


@record(frozen=True)
class ConnectRequest:
    """A client that wants to connect: what it says, and what the transport knows of it."""

    credential: bytes = field(repr=False)
    client_name: str
    client_version: str
    fingerprint: int
    """That of the client's schema."""
    address: str
    is_confidential: bool
    """Whether nobody but the two ends can read what is sent."""
    transport_credential: PeerCredential | None
    """The names in the client's certificate over TLS, the user of its process over a Unix socket."""


@record(frozen=True)
class Principal:
    """Who a client is. Its session belongs to `method`, `issuer` and `subject`: nobody else can resume it."""

    method: str
    """By what it was authenticated, such as `token`."""
    user: str = ""
    issuer: str = ""
    subject: str = ""
    """What tells it from all others of its method and issuer; the user where it is empty."""
    service: str = ""
    roles: tuple[str, ...] = ()
    expires_in: float | None = None
    """After how many seconds it has to authenticate again; `None` is never."""

    @property
    def owner(self) -> tuple[str, str, str]:
        """To whom sessions belong."""
        return (self.method, self.issuer, self.subject or self.user)


Authenticate: TypeAlias = Callable[[ConnectRequest], Awaitable[Principal]]
"""Says who a client is, or raises `Status`. The text of `UNAUTHENTICATED` stays here: clients hear nothing of it."""
