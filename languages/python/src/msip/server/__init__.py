"""Servers: they listen, keep the sessions of their clients, and call handlers."""

from __future__ import annotations

from msip.server.authenticate import Authenticate, ConnectRequest, Principal
from msip.server.broadcast import Broadcast
from msip.server.handler import ServerHandler
from msip.server.peer import Peer
from msip.server.server import Server

__all__ = ["Authenticate", "Broadcast", "ConnectRequest", "Peer", "Principal", "Server", "ServerHandler"]
