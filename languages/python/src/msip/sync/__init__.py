"""Clients for programs without asyncio: the same methods, which block."""

from __future__ import annotations

from msip.sync.client import SyncClient
from msip.sync.response_stream import SyncResponseStream

__all__ = ["SyncClient", "SyncResponseStream"]
