"""Compression of bodies: gzip, and zstd where it can be had (docs/codecs.md, "Compression")."""

from __future__ import annotations

import zlib
from functools import cache
from typing import Any, Final

from msip.codec.zstd import Zstd, find_zstd
from msip.errors import Code, Status
from msip.wire.hello import Compression

__all__ = ["CompressionError", "Compressor", "TooLargeError", "supported_compressions"]

_GZIP = 31
"""zlib's number for a gzip member."""
_MAX_WINDOW_LOG: Final = 23
_MIN_WINDOW_LOG: Final = 10


class CompressionError(Exception):
    """A body that cannot be inflated."""


class TooLargeError(Exception):
    """A body that inflates beyond the limit; inflating has stopped there."""


@cache
def supported_compressions() -> tuple[Compression, ...]:
    """What can be had here, the best first: zstd with Python 3.14, `zstandard` or `pyzstd`; gzip always; lz4 never."""
    if find_zstd() is None:
        return (Compression.GZIP,)
    return Compression.ZSTD, Compression.GZIP


class Compressor:
    """Compresses bodies with the algorithm of a connection, and inflates those of the peer."""

    __slots__ = ("_compression", "_max_body", "_window_log", "_zstd")

    def __init__(self, compression: Compression, max_body: int) -> None:
        self._compression = compression
        self._max_body = max_body
        # Its window is at most 8 MiB, and no more than the largest body needs.
        self._window_log = min(max((max_body - 1).bit_length(), _MIN_WINDOW_LOG), _MAX_WINDOW_LOG)
        self._zstd: Zstd | None = find_zstd() if compression is Compression.ZSTD else None
        if compression is not Compression.GZIP and self._zstd is None:
            raise Status(Code.UNIMPLEMENTED, _missing(compression))

    def compress(self, body: bytes) -> bytes:
        """The compressed body, with the number of its algorithm in front."""
        if self._zstd is not None:
            return bytes([Compression.ZSTD]) + self._zstd.compress(body)
        compressor = zlib.compressobj(wbits=_GZIP)
        return bytes([Compression.GZIP]) + compressor.compress(body) + compressor.flush()

    def inflate(self, body: bytes) -> bytes:
        """The body. Raises `CompressionError` or `TooLargeError`."""
        if not body or body[0] != self._compression:
            found = body[0] if body else "none"
            raise CompressionError(f"the algorithm is {found}, and {int(self._compression)} was agreed on")
        content = body[1:]
        if self._zstd is not None:
            decompressor = self._zstd.decompressor(self._window_log)
        else:
            decompressor = zlib.decompressobj(wbits=_GZIP)
        return self._inflate(decompressor, content)

    def _inflate(self, decompressor: Any, content: bytes) -> bytes:
        try:
            inflated: bytes = decompressor.decompress(content, self._max_body + 1)
        except Exception as error:  # each library has a class of its own
            raise CompressionError(str(error)) from None
        if len(inflated) > self._max_body:
            raise TooLargeError
        if not decompressor.eof:
            raise CompressionError("it is cut off")
        if decompressor.unused_data:
            raise CompressionError(f"{len(decompressor.unused_data)} bytes follow its end")
        return inflated


def _missing(compression: Compression) -> str:
    if compression is Compression.ZSTD:
        return "zstd needs Python 3.14, or the package zstandard or pyzstd"
    return f"{compression.name.lower()} is not supported by this package"
