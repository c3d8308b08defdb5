"""Servers that are services of a broker's topic: each client of the topic is a peer, as on a direct connection."""

from __future__ import annotations

from msip.attached.server import AttachedServer

__all__ = ["AttachedServer"]
