"""What a program learns of a peer's schema."""

from __future__ import annotations

from msip.compatibility.comparison import Breaks, Comparison
from msip.wire.hello import Codec

__all__ = ["SchemaDifference"]


class SchemaDifference:
    """What differs between the schema of this program and that of a peer. As text it is one line: the first differences, in words, and what
    each breaks."""

    def __init__(self, ours: int, theirs: int, codec: Codec, comparison: Comparison | str) -> None:
        self.our_fingerprint = ours
        """The fingerprint of this program's schema."""
        self.their_fingerprint = theirs
        """The fingerprint of the peer's."""
        self._codec = codec
        self._comparison = comparison

    @property
    def is_compared(self) -> bool:
        """Whether the two were compared. Otherwise only their fingerprints are known to differ: see `not_compared`."""
        return isinstance(self._comparison, Comparison)

    @property
    def not_compared(self) -> str:
        """Why the two were not compared: the peer cannot describe its schema, as one of an older release, or what it has sent is no
        description of it. Empty where they were."""
        return self._comparison if isinstance(self._comparison, str) else ""

    @property
    def differences(self) -> list[str]:
        """The differences, those that break something first; at most 64."""
        return self._comparison.differences if isinstance(self._comparison, Comparison) else []

    @property
    def is_wire_breaking(self) -> bool:
        """Whether a difference keeps the two from understanding each other, in the codec of this connection: JSON and MessagePack carry
        names, and protobuf numbers. False where the two were not compared."""
        if isinstance(self._comparison, str):
            return False
        carried = Breaks.PROTOBUF if self._codec is Codec.PROTOBUF else Breaks.NAMES
        return bool(self._comparison.breaks & carried) or self._comparison.is_cut_short

    @property
    def is_harmless(self) -> bool:
        """Whether the two were compared, and nothing that differs breaks anything in any codec."""
        return isinstance(self._comparison, Comparison) and not (
            self._comparison.breaks or self._comparison.is_cut_short
        )

    def __str__(self) -> str:
        return self._comparison if isinstance(self._comparison, str) else self._comparison.summary

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self})"
