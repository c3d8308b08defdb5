"""Members of a protocol without a schema: each is what a message says of itself."""

from __future__ import annotations

from msip.codec import BodyCodec
from msip.protocol import ANY_ANSWER, Kind, Member, Protocol, Shape


def untyped_protocol(name: str, fingerprint: int) -> Protocol:
    """One whose members are not known."""
    return Protocol(name, fingerprint, (), (), is_open=True)


def sent_member(variant: int, kind: Kind, shape: Shape, *, urgent: bool, compress: bool) -> Member:
    """What a message is sent as. Raises `ValueError` for a number that no variant has."""
    if not 0 <= variant < 1 << 16:
        raise ValueError(f"variant {variant} is out of range: 0 to 65535")
    return Member(f"variant {variant}", variant, None, kind, shape, answer=ANY_ANSWER, urgent=urgent, compress=compress)


class UntypedBodies(BodyCodec):
    """Bodies that are passed on as they are, but for compression."""

    __slots__ = ()

    def encode(self, member: Member, message: bytes) -> tuple[bytes, bool]:  # type: ignore[override]
        """The body, and whether it is compressed."""
        return self.compress(member, bytes(message))

    def decode(self, member: Member, body: bytes, compressed: bool) -> bytes:  # type: ignore[override]
        """The body, inflated. Raises `Status` as of messages."""
        return self.inflate(member, body) if compressed else body
