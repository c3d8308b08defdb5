"""Bodies: a message in its envelope, in the codec and compression of a connection (docs/codecs.md)."""

from __future__ import annotations

from msip.codec.body import BodyCodec
from msip.codec.compression import supported_compressions

__all__ = ["BodyCodec", "supported_compressions"]
