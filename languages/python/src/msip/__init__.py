"""MSIP: typed, bidirectional messaging between clients and servers, from one schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msip.client import Client, ClientHandler, ConnectionInfo, ConnectionState, Credential, Reconnect
from msip.connection.clearing import Clearing
from msip.connection.failures import CallError
from msip.connection.outbound import DEFAULT, CallMetadata
from msip.connection.request_stream import RequestStream
from msip.connection.response_stream import ResponseStream
from msip.context import Context
from msip.errors import ClosedError, Code, ConnectError, DecodeError, Detail, MsipError, Status
from msip.json_value import JsonValue
from msip.protocol import Kind, Member, Protocol, Shape, Side
from msip.server import (
    Authenticate,
    Broadcast,
    ConnectRequest,
    Peer,
    Principal,
    Server,
    ServerHandler,
)
from msip.server.server import BindError
from msip.session import Cause
from msip.settings import ClientSettings, ServerSettings, SettingError
from msip.sync import SyncClient, SyncResponseStream
from msip.transport.stream import CertificateNames, UnixUser
from msip.url import UrlError
from msip.wire.metadata import Identity, Metadata

if TYPE_CHECKING:
    from msip.broker import BrokerConnection
    from msip.compatibility import SchemaDifference
    from msip.untyped import UntypedClient, UntypedHandler, UntypedMessage, UntypedSyncClient

__all__ = [
    "DEFAULT",
    "Authenticate",
    "BindError",
    "Broadcast",
    "BrokerConnection",
    "CallError",
    "CallMetadata",
    "Cause",
    "CertificateNames",
    "Clearing",
    "Client",
    "ClientHandler",
    "ClientSettings",
    "ClosedError",
    "Code",
    "ConnectError",
    "ConnectRequest",
    "ConnectionInfo",
    "ConnectionState",
    "Context",
    "Credential",
    "DecodeError",
    "Detail",
    "Identity",
    "JsonValue",
    "Kind",
    "Member",
    "Metadata",
    "MsipError",
    "Peer",
    "Principal",
    "Protocol",
    "Reconnect",
    "RequestStream",
    "ResponseStream",
    "SchemaDifference",
    "Server",
    "ServerHandler",
    "ServerSettings",
    "SettingError",
    "Shape",
    "Side",
    "Status",
    "SyncClient",
    "SyncResponseStream",
    "UnixUser",
    "UntypedClient",
    "UntypedHandler",
    "UntypedMessage",
    "UntypedSyncClient",
    "UrlError",
]


def __getattr__(name: str) -> object:
    """Imports what few programs need when it is asked for."""
    found: object
    if name == "SchemaDifference":
        from msip.compatibility import SchemaDifference as found
    elif name == "BrokerConnection":
        from msip.broker import BrokerConnection as found
    elif name.startswith("Untyped") and name in __all__:
        from msip import untyped

        found = getattr(untyped, name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found
