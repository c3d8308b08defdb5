"""The settings of a session: limits, times and what it offers."""

from __future__ import annotations

from collections.abc import Callable

from msip.record import field, record
from msip.session.budget import DEFAULT_LIMIT, Budget, process_budget
from msip.wire.hello import Codec, Compression

__all__ = ["Settings"]

_KIB = 1024
_MIB = 1024 * 1024


@record
class Settings:
    """Limits in bytes and numbers, times in seconds. Both sides of a connection may differ."""

    max_body: int = 4 * _MIB
    """The largest body that is accepted, before and after decompression."""
    ping_interval: float = 10.0
    """After so long without a byte a PING is sent; after twice as long the transport is given up. 0 is never."""
    handshake_timeout: float = 5.0
    """How long the handshake may take."""
    drain_timeout: float = 30.0
    """How long open exchanges may take after either side has said CLOSE."""
    stream_drain: float = 0.25
    """How long calls with streams may take then."""
    max_calls: int = 1024
    """How many calls of the peer may be open; one more is refused with RESOURCE_EXHAUSTED."""
    max_call_bytes: int = 64 * _MIB
    """How many bytes the requests of the peer's open calls may have together."""
    outgoing_queue: int = 8 * _MIB
    """How many bytes may wait to be written, each frame counted as its length + 64; senders wait beyond that."""
    session_buffer: int = 16 * _MIB
    """How many bytes of deliveries and of answers are kept across connections."""
    session_deliveries: int = 10_000
    """How many unacknowledged deliveries are kept; the protocol allows 4,096 to be under way."""
    session_expiry: float = 300.0
    """Server: how long a session is kept without a connection. 0 is not at all."""
    codecs: tuple[Codec, ...] = (Codec.PROTOBUF,)
    """Client: what it offers, the best first. Server: what it takes."""
    compressions: tuple[Compression, ...] = ()
    """The same of compressions."""
    hears_presence: bool = False
    """Client of a broker: whether it is a service, which hears of clients that come and go."""
    name: str = ""
    """This program: the client's or server's name in the handshake."""
    version: str = ""
    budget: Budget = field(default_factory=lambda: process_budget(DEFAULT_LIMIT))
    """The memory that it shares with other sessions."""
    window_items: int = 1024
    """What a connection's window begins with; the protocol fixes it, and both sides of a test may agree on less."""
    window_bytes: int = _MIB
    stream_items: int = 16
    """What each stream's window begins with; fixed in the same way."""
    stream_bytes: int = 256 * _KIB
    wall_clock: Callable[[], int] | None = None
    """Microseconds since 1970, for `request_time_us` and `response_time_us`; None leaves these out."""
