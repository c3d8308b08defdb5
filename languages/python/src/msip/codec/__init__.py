"""Bodies: a message in its envelope, in the codec and compression of a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msip.protocol import Member
from msip.wire.hello import Codec, Compression

if TYPE_CHECKING:
    from msip.message import Message

__all__ = ["BodyCodec"]


class BodyCodec:
    """Encodes and decodes the bodies of one connection."""

    def __init__(
        self, codec: Codec, compression: Compression = Compression.NONE, *, max_body: int = 4 << 20, threshold: int = 1024
    ) -> None:
        """`max_body` limits what is inflated; `threshold` is the smallest body that is compressed. Raises `Status`
        (UNIMPLEMENTED) for a compression that cannot be had here."""
        raise NotImplementedError

    def encode(self, member: Member, message: Message | None) -> tuple[bytes, bool]:
        """The body, and whether it is compressed. Raises `Status` where the message cannot be written."""
        raise NotImplementedError

    def decode(self, member: Member, body: bytes, compressed: bool) -> Message | None:
        """The message of a body; None where the member carries nothing. Raises `Status`: INVALID_ARGUMENT, or
        RESOURCE_EXHAUSTED where it inflates beyond the limit."""
        raise NotImplementedError


def supported_compressions() -> tuple[Compression, ...]:
    """What can be had here: gzip always, zstd with Python 3.14 or a package for it, lz4 never."""
    raise NotImplementedError
