"""How a server answers a Hello: what both sides are going to speak (docs/protocol.md, "Handshake")."""

from __future__ import annotations

from msip.errors import Code, Status
from msip.protocol import Protocol
from msip.session.settings import Settings
from msip.wire.error_text import escaped
from msip.wire.hello import Codec, Compression, Hello, Welcome

__all__ = ["negotiate"]

_NAMES = {Codec.PROTOBUF: "protobuf", Codec.JSON: "json", Codec.MESSAGE_PACK: "msgpack"}


def negotiate(hello: Hello, protocol: Protocol, settings: Settings, *, peer_id: int, compress: bool = True) -> Welcome:
    """The Welcome for this Hello. Raises `Status`, to be given to `Accepting.refuse`: FAILED_PRECONDITION for another
    protocol, UNIMPLEMENTED where no codec is common. `compress` False agrees on no compression."""
    if hello.protocol != protocol.name:
        raise Status(
            Code.FAILED_PRECONDITION,
            f"the client speaks {escaped(hello.protocol)}, this server speaks {protocol.name}",
        )
    offered = hello.codecs or [int(Codec.PROTOBUF)]
    codec = next((Codec(codec) for codec in offered if codec in settings.codecs), None)
    if codec is None:
        raise Status(
            Code.UNIMPLEMENTED,
            f"no codec in common: the client offers {_list(offered)}, this server has {_list(settings.codecs)}",
        )
    compression = Compression.NONE
    if compress:
        compression = next(
            (Compression(one) for one in hello.compressions if one and one in settings.compressions), compression
        )
    return Welcome(
        session_id=hello.session_id,
        fingerprint=protocol.fingerprint,
        codec=codec,
        compression=compression,
        keepalive_ms=int(settings.ping_interval * 1000),
        max_body=settings.max_body,
        max_open_calls=settings.max_calls,
        session_expiry_ms=int(settings.session_expiry * 1000),
        peer_id=peer_id,
    )


def _list(codecs: list[int] | tuple[Codec, ...]) -> str:
    return ", ".join(_NAMES.get(Codec(codec), "?") if codec in _NAMES else f"codec {codec}" for codec in codecs)
