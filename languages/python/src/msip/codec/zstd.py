"""zstd, from whichever library is there: the standard one of Python 3.14, `zstandard` or `pyzstd`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any, Protocol

__all__ = ["Decompressor", "Zstd", "find_zstd"]

_PIECE = 64
"""`zstandard` inflates all of its input at once: so little of it becomes a few MiB at most."""


class Decompressor(Protocol):
    """Inflates one frame."""

    eof: bool
    unused_data: bytes

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """At most so many bytes."""
        ...


class Zstd:
    """Compresses and inflates with one of the libraries."""

    __slots__ = ("compress", "decompressor")

    def __init__(self, compress: Callable[[bytes], bytes], decompressor: Callable[[int], Any]) -> None:
        self.compress = compress
        self.decompressor = decompressor
        """A new one, whose frame may have a window of two to this power."""


@cache
def find_zstd() -> Zstd | None:
    """The library that is there, or None."""
    for name, make in (("compression.zstd", _standard), ("zstandard", _zstandard), ("pyzstd", _pyzstd)):
        try:
            return make(import_module(name))
        except ImportError:
            continue
    return None


def _standard(zstd: Any) -> Zstd:
    window = zstd.DecompressionParameter.window_log_max
    return Zstd(zstd.compress, lambda log: zstd.ZstdDecompressor(options={window: log}))


def _pyzstd(zstd: Any) -> Zstd:
    window = zstd.DParameter.windowLogMax
    return Zstd(zstd.compress, lambda log: zstd.ZstdDecompressor(option={window: log}))


def _zstandard(zstd: Any) -> Zstd:
    compressor = zstd.ZstdCompressor()
    return Zstd(compressor.compress, lambda log: _InPieces(zstd.ZstdDecompressor(max_window_size=1 << log)))


class _InPieces:
    """Stops at a length, which `zstandard` itself does not."""

    def __init__(self, decompressor: Any) -> None:
        self._decompressor = decompressor.decompressobj()
        self.eof = False
        self.unused_data = b""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        inflated = bytearray()
        for start in range(0, len(data), _PIECE):
            inflated += self._decompressor.decompress(data[start : start + _PIECE])
            if self._decompressor.eof:
                self.eof = True
                self.unused_data = self._decompressor.unused_data + data[start + _PIECE :]
                break
            if len(inflated) >= max_length:
                break
        return bytes(inflated[:max_length])
