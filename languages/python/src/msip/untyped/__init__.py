"""Clients without a schema: bodies are bytes, and messages go by topics of a broker."""

from __future__ import annotations

from msip.untyped.client import UntypedClient
from msip.untyped.handler import UntypedHandler
from msip.untyped.message import UntypedMessage
from msip.untyped.sync_client import UntypedSyncClient

__all__ = ["UntypedClient", "UntypedHandler", "UntypedMessage", "UntypedSyncClient"]
