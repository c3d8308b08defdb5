"""The settings of clients and servers: their defaults, their ranges, and how a URL writes them (docs/operations.md, "Settings").

Times are seconds, sizes are bytes. What a URL says wins over what the code says, so that an operator can change what a program
has set.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, Protocol, Self, cast

from msip.record import RecordField, fields_of, record, replaced

_KIB = 1024
_MIB = 1024 * _KIB
_GIB = 1024 * _MIB
_SECRETS = ("token", "credential", "password", "secret", "api_key")
_SIZES = {"": 1, "KiB": _KIB, "MiB": _MIB, "GiB": _GIB}
_TIMES = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}
_NUMBER = re.compile(r"([0-9]+)([A-Za-z]*)")
# What a browser may send as the origin of a page (RFC 6454, section 6.2); `null` is that of pages without one.
_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[A-Za-z0-9._:\[\]-]+|null")

CodecName = Literal["protobuf", "json", "msgpack"]
CompressionName = Literal["none", "gzip", "zstd", "lz4"]


class SettingError(ValueError):
    """A setting that does not exist, or whose value cannot be used: the text says what is allowed."""


class _Form(Protocol):
    """How the value of a setting is written, and which ones are allowed."""

    def parse(self, name: str, text: str) -> object: ...

    def check(self, name: str, value: Any) -> None: ...


def _malformed(name: str, form: str, found: object) -> SettingError:
    return SettingError(f"setting `{name}`: expected {form}, found `{found}`")


def _check_range(name: str, value: float, low: float, high: float, unit: str) -> None:
    if not low <= value <= high:
        raise SettingError(f"setting `{name}`: {value:g}{unit} is out of range ({low:g}{unit} to {high:g}{unit})")


def _parse_number(name: str, text: str, units: Mapping[str, float], form: str) -> float:
    found = _NUMBER.fullmatch(text)
    if found is None or found[2] not in units or len(found[1]) > 20:
        raise _malformed(name, form, text)
    return int(found[1]) * units[found[2]]


@record
class _Size:
    low: int
    high: int

    _FORM = "a number, such as 4096 or 4MiB"

    def parse(self, name: str, text: str) -> int:
        return int(_parse_number(name, text, _SIZES, self._FORM))

    def check(self, name: str, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            raise _malformed(name, "an int", value)
        _check_range(name, value, self.low, self.high, "")


@record
class _Time:
    low: float
    high: float

    _FORM = "a time, such as 250ms, 10s or 5min"

    def parse(self, name: str, text: str) -> float:
        return _parse_number(name, text, _TIMES, self._FORM)

    def check(self, name: str, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _malformed(name, "seconds, as an int or a float", value)
        _check_range(name, value, self.low, self.high, " s")


@record
class _Flag:
    def parse(self, name: str, text: str) -> bool:
        if text not in ("true", "false"):
            raise _malformed(name, "`true` or `false`", text)
        return text == "true"

    def check(self, name: str, value: Any) -> None:
        if not isinstance(value, bool):
            raise _malformed(name, "a bool", value)


@record
class _Choice:
    choices: tuple[str, ...]

    def parse(self, name: str, text: str) -> str:
        self.check(name, text)
        return text

    def check(self, name: str, value: Any) -> None:
        if value not in self.choices:
            raise _malformed(name, _listed(self.choices), value)


@record
class _Choices:
    choices: tuple[str, ...]
    # What stands for no choice at all, where that is allowed.
    none: str | None = None

    def parse(self, name: str, text: str) -> tuple[str, ...]:
        chosen = () if text == self.none else tuple(dict.fromkeys(text.split(",")))
        self.check(name, chosen)
        return chosen

    def check(self, name: str, value: Any) -> None:
        if value is None:
            return
        if isinstance(value, str) or (not value and self.none is None):
            raise _malformed(name, f"one or more of {_listed(self.choices)}", value)
        for choice in value:
            if choice not in self.choices:
                raise _malformed(name, f"one or more of {_listed(self.choices)}, separated by commas", choice)


@record
class _Origins:
    _FORM = "`scheme://host` or `scheme://host:port`, without a path, several separated by commas"

    def parse(self, name: str, text: str) -> tuple[str, ...]:
        return tuple(text.split(","))

    def check(self, name: str, value: Any) -> None:
        if isinstance(value, str):
            raise _malformed(name, f"a tuple of origins, each {self._FORM}", value)
        for origin in value:
            if _ORIGIN.fullmatch(origin) is None:
                raise _malformed(name, self._FORM, origin)


@record
class _Text:
    def parse(self, name: str, text: str) -> str:
        self.check(name, text)
        return text

    def check(self, name: str, value: Any) -> None:
        if value is not None and (not isinstance(value, str) or not value):
            raise SettingError(f"setting `{name}` is empty")


@record
class _Mode:
    def parse(self, name: str, text: str) -> int:
        if re.fullmatch(r"0?[0-7]{3}", text) is None:
            raise _malformed(name, "three octal digits, such as 0660", text)
        return int(text, 8)

    def check(self, name: str, value: Any) -> None:
        if not isinstance(value, int) or not 0 <= value <= 0o777:
            raise _malformed(name, "the bits of a mode, such as 0o660", value)


def _listed(choices: tuple[str, ...]) -> str:
    *others, last = (f"`{choice}`" for choice in choices)
    return f"{', '.join(others)} or {last}"


class _Setting(RecordField):
    """A field with its form."""

    __slots__ = ("form",)

    def __init__(self, default: object, form: _Form) -> None:
        super().__init__(default)
        self.form = form


def _field(default: object, form: _Form) -> Any:
    return _Setting(default, form)


def _forms(settings: ConnectionSettings) -> dict[str, _Form]:
    return {name: cast(_Setting, field).form for name, field in fields_of(settings).items()}


def _size(default: int, low: int, high: int) -> int:
    return cast(int, _field(default, _Size(low, high)))


def _time(default: float, low: float, high: float) -> float:
    return cast(float, _field(default, _Time(low, high)))


def _flag(default: bool) -> bool:
    return cast(bool, _field(default, _Flag()))


def _choice(default: str, choices: tuple[str, ...]) -> Any:
    return _field(default, _Choice(choices))


def _text() -> str | None:
    return cast("str | None", _field(None, _Text()))


_CODECS = ("protobuf", "json", "msgpack")
_COMPRESSIONS = ("gzip", "zstd", "lz4")


@record(frozen=True, kw_only=True)
class ConnectionSettings:
    """What clients and servers have in common."""

    max_body: int = _size(4 * _MIB, _KIB, _GIB)
    """The largest body accepted from the peer."""
    max_decoded: int = _size(0, 0, 64 * _GIB)
    """The most memory that a received message may take once it is decoded; 0 is 16 times ``max_body``, and at least 64 MiB."""
    handshake_timeout: float = _time(5, 0.01, 600)
    """How long a handshake may take."""
    ping_interval: float = _time(10, 0.01, 3600)
    """How often a ping is sent; a side that receives nothing for two intervals ends the connection."""
    call_timeout: float = _time(30, 0.001, 86_400)
    """How long a call waits, where neither the schema nor the call says otherwise."""
    max_calls: int = _size(1024, 1, 32_768)
    """Calls of the peer open at once, until their handlers end; it is told, and further ones of it wait."""
    max_call_bytes: int = _size(64 * _MIB, _KIB, 16 * _GIB)
    """Bytes of requests in handlers at once; further calls are refused with ``RESOURCE_EXHAUSTED``."""
    outgoing_queue: int = _size(8 * _MIB, 64 * _KIB, _GIB)
    """Bytes queued for the peer; senders wait while it is full."""
    write_timeout: float = _time(10, 0.01, 3600)
    """How long a sender waits for capacity, and how long the peer may read nothing before the connection ends."""
    drain_timeout: float = _time(30, 0, 86_400)
    """How long open calls may take to finish when a connection is closed gracefully."""
    stream_drain: float = _time(0.25, 0, 86_400)
    """How long calls with streams may take to end by themselves then."""
    session_buffer: int = _size(16 * _MIB, 4 * _KIB, 16 * _GIB)
    """Bytes kept for the peer to survive the loss of a connection: unanswered deliveries, and replies."""
    session_deliveries: int = _size(10_000, 1, 1_000_000)
    """Deliveries kept for the peer; further ones wait."""
    max_memory: int = _size(_GIB, _MIB, 1024 * _GIB)
    """Bytes that the queues and sessions of all connections hold together; all in a process that keep the default share them."""
    correlation_ids: bool = _flag(False)
    """Whether a message without a correlation id is given a new one."""
    compress_threshold: int = _size(_KIB, 1, _GIB)
    """How large a body must be to be compressed, where a compression was agreed on."""
    insecure: bool = _flag(False)
    """Whether connections that others can read will do: for a server to listen, for a client to send its credential."""
    cert: str | None = _text()
    """A PEM file: the certificate to show, followed by those in between. Servers over TLS need one."""
    key: str | None = _text()
    """A PEM file: the private key of ``cert``, not encrypted."""

    def __post_init__(self) -> None:
        for name, form in _forms(self).items():
            form.check(name, getattr(self, name))

    def with_url(self, settings: Mapping[str, str], scheme: str) -> Self:
        """The same with what a URL of this scheme says.

        Raises:
            SettingError: there is no such setting, or its value cannot be used.
        """
        forms = _forms(self)
        known = [name for name in forms if _belongs_to(name, scheme)]
        parsed: dict[str, Any] = {}
        for name, text in settings.items():
            if name not in known:
                raise _unknown(name, scheme, known, is_of_others=name in forms)
            value = forms[name].parse(name, text)
            forms[name].check(name, value)
            parsed[name] = value
        return replaced(self, **parsed)


@record(frozen=True, kw_only=True)
class ClientSettings(ConnectionSettings):
    """The settings of a client."""

    codec: CodecName = _choice("protobuf", _CODECS)
    """How bodies are encoded; a server that does not take it refuses."""
    compress: CompressionName = _choice("none", ("none", *_COMPRESSIONS))
    """What bodies may be compressed with, both ways; without effect where the server does not take it."""
    connect_timeout: float = _time(10, 0.01, 600)
    """How long one attempt to reach the server may take, before its handshake."""
    login_timeout: float = _time(30, 0.01, 3600)
    """How long the handler's ``on_connected`` may take after each connect."""
    address_order: Literal["listed", "random"] = _choice("listed", ("listed", "random"))
    """In which order the addresses of a service are tried; drawn once for each client."""
    reconnect_min: float = _time(0.05, 0.001, 3600)
    """The longest wait before the first attempt to connect again; it doubles with each."""
    reconnect_max: float = _time(10, 0.001, 86_400)
    """What the longest wait grows to."""
    token_file: str | None = _text()
    """A file that holds the credential, read at each attempt to connect."""
    token_env: str | None = _text()
    """A variable of the environment that holds the credential, read at each attempt to connect."""
    ca: str | None = _text()
    """A PEM file of those who may issue the server's certificate; without it, those whom the system trusts."""
    server_name: str | None = _text()
    """The name for which the server's certificate has to be valid, where that is not the host of the URL."""

    def __post_init__(self) -> None:
        # `super()` does not work in a class with slots that a decorator has made anew.
        ConnectionSettings.__post_init__(self)
        if self.token_file is not None and self.token_env is not None:
            raise SettingError("settings `token_file` and `token_env`: give one of them")


@record(frozen=True, kw_only=True)
class ServerSettings(ConnectionSettings):
    """The settings of a server."""

    max_connections: int = _size(16_384, 1, 10_000_000)
    """Connections at once; further ones are refused with ``RESOURCE_EXHAUSTED``."""
    max_handshakes: int = _size(1024, 1, 10_000_000)
    """Handshakes at once; further connections wait until they are accepted."""
    session_expiry: float = _time(300, 0, 86_400)
    """How long a client's session is kept after its connection was lost; with 0 none is."""
    max_detached_sessions: int = _size(10_000, 0, 10_000_000)
    """Sessions kept without a connection; beyond that the oldest is ended."""
    schema: Literal["any", "compatible", "strict"] = _choice("any", ("any", "compatible", "strict"))
    """Which clients of another version are served: ``any``; those whose schema was compared, and does not break anything, ``compatible``;
    or none, ``strict``."""
    codecs: tuple[str, ...] | None = _field(None, _Choices(_CODECS))
    """Which codecs clients may use; ``None`` is all that there are."""
    compressions: tuple[str, ...] | None = _field(None, _Choices(_COMPRESSIONS, none="none"))
    """Which compressions clients may use; ``None`` is all that there are."""
    compressions_for: Literal["anyone", "identified"] = _choice("anyone", ("anyone", "identified"))
    """From whom compressed bodies are taken: ``anyone``, or clients whose identity has a subject."""
    client_ca: str | None = _text()
    """A PEM file of those who may issue the certificates of clients; with it, clients need one."""
    client_auth: Literal["none", "ask", "require"] = _choice("none", ("none", "ask", "require"))
    """Whether clients over TLS are asked for a certificate, or need one."""
    mode: int = _field(0o600, _Mode())
    """Who may connect to a Unix socket."""
    origin: tuple[str, ...] = _field((), _Origins())
    """The origins of the web pages that may connect over WebSockets, such as ``https://chat.example.org``; programs need none."""


# Settings of transports: of these schemes alone.
_TLS = ("tls", "wss")
_OF_TRANSPORTS = {
    "cert": _TLS,
    "key": _TLS,
    "ca": _TLS,
    "server_name": _TLS,
    "client_ca": _TLS,
    "client_auth": _TLS,
    "mode": ("unix",),
    "origin": ("ws", "wss"),
}
_NOT_HERE = (
    "buffer_disconnected",
    "channel",
    "max_auth_failures",
    "drain_spread",
    "proxy_from",
)


def _belongs_to(name: str, scheme: str) -> bool:
    return scheme in _OF_TRANSPORTS.get(name, (scheme,))


def _unknown(name: str, scheme: str, known: list[str], *, is_of_others: bool) -> SettingError:
    if name in _SECRETS:
        return SettingError(
            f"setting `{name}`: a URL must not hold a secret: write token_file=PATH or token_env=NAME, or give a `credential`"
        )
    if is_of_others:
        schemes = " and ".join(_OF_TRANSPORTS[name])
        return SettingError(f"setting `{name}` is one of {schemes}, and the URL has {scheme}")
    listed = ", ".join(f"`{each}`" for each in known)
    if name in _NOT_HERE:
        return SettingError(f"setting `{name}` is not in the Python package: there are {listed}")
    return SettingError(f"unknown setting `{name}`: expected one of {listed}")
