"""The settings of a session, as those of a client or server say."""

from __future__ import annotations

from msip.codec import supported_compressions
from msip.session import Settings
from msip.session.budget import process_budget
from msip.settings import ClientSettings, ConnectionSettings, ServerSettings, SettingError
from msip.wire.hello import Codec, Compression

_CODECS = {"protobuf": Codec.PROTOBUF, "json": Codec.JSON, "msgpack": Codec.MESSAGE_PACK}
_COMPRESSIONS = {"gzip": Compression.GZIP, "zstd": Compression.ZSTD, "lz4": Compression.LZ4}


def _common(settings: ConnectionSettings, name: str, version: str) -> Settings:
    return Settings(
        max_body=settings.max_body,
        ping_interval=settings.ping_interval,
        handshake_timeout=settings.handshake_timeout,
        drain_timeout=settings.drain_timeout,
        stream_drain=settings.stream_drain,
        max_calls=settings.max_calls,
        max_call_bytes=settings.max_call_bytes,
        outgoing_queue=settings.outgoing_queue,
        session_buffer=settings.session_buffer,
        session_deliveries=settings.session_deliveries,
        budget=process_budget(settings.max_memory),
        name=name,
        version=version,
    )


def of_client(settings: ClientSettings, name: str, version: str) -> Settings:
    """Those of a client.

    Raises:
        SettingError: its compression cannot be had here.
    """
    session = _common(settings, name, version)
    session.codecs = (_CODECS[settings.codec],)
    if settings.compress != "none":
        session.compressions = (_built("compress", settings.compress),)
    return session


def of_server(settings: ServerSettings, name: str, version: str) -> Settings:
    """Those of a server.

    Raises:
        SettingError: a compression cannot be had here.
    """
    session = _common(settings, name, version)
    session.session_expiry = settings.session_expiry
    session.codecs = tuple(_CODECS[codec] for codec in settings.codecs or _CODECS)
    if settings.compressions is None:
        session.compressions = supported_compressions()
    else:
        session.compressions = tuple(_built("compressions", name) for name in settings.compressions)
    return session


def _built(setting: str, name: str) -> Compression:
    compression = _COMPRESSIONS[name]
    supported = supported_compressions()
    if compression not in supported:
        there = ", ".join(each.name.lower() for each in supported)
        raise SettingError(f"setting `{setting}`: `{name}` cannot be had in this Python (there are: {there})")
    return compression
