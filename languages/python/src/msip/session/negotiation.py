"""How a server answers a Hello: what both sides are going to speak."""

from __future__ import annotations

from msip.protocol import Protocol
from msip.session.settings import Settings
from msip.wire.hello import Hello, Welcome

__all__ = ["negotiate"]


def negotiate(hello: Hello, protocol: Protocol, settings: Settings, *, peer_id: int, compress: bool = True) -> Welcome:
    """The Welcome for this Hello. Raises `Status`, to be given to `Accepting.refuse`: FAILED_PRECONDITION for another
    protocol, UNIMPLEMENTED where no codec is common. `compress` False agrees on no compression."""
    raise NotImplementedError
