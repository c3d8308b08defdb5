"""A message of which nothing is known but what its header and metadata say."""

from __future__ import annotations

from msip.protocol import Kind
from msip.record import field, record
from msip.wire.metadata import Metadata


@record
class UntypedMessage:
    """A message without a schema: its body is bytes in the connection's codec, whatever that says."""

    body: bytes
    topic: str = ""
    """Where it was sent; empty for an answer."""
    variant: int = 0
    """The number of its member, for whoever has a schema."""
    kind: Kind = Kind.EVENT
    metadata: Metadata = field(default_factory=Metadata)
    """Headers, correlation id, key, and who has sent it where the broker says so."""

    @property
    def clears(self) -> bool:
        """Whether it clears the STATE of its variant and key: its body is empty."""
        return self.kind is Kind.STATE and not self.body
