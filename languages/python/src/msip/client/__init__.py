"""Clients: they connect, come back after a loss, and call."""

from __future__ import annotations

from msip.client.client import Client
from msip.client.connection_info import ConnectionInfo, ConnectionState
from msip.client.credential import Credential
from msip.client.handler import ClientHandler, Reconnect

__all__ = ["Client", "ClientHandler", "ConnectionInfo", "ConnectionState", "Credential", "Reconnect"]
