"""URLs of services: where they are, and the settings that go with it (docs/transports.md, "URLs")."""

from __future__ import annotations

import re

from msip.record import field, record

_SCHEMES = ("tcp", "tls", "unix", "ws", "wss")
# Those of the Rust package that this one does not have.
_NOT_HERE = (
    "quic",
    "udp",
    "mem",
    "mip",
    "mip+tls",
    "mip+unix",
    "messi",
    "messi+tls",
    "messi+unix",
    "flyrpc",
    "flyrpc+tls",
    "flyrpc+unix",
)
_PATH_IS_TOPIC = ("tcp", "tls")
_MAX_TOPIC_LEN = 255
_MAX_NAME_LEN = 255
_MAX_SOCKET_PATH_LEN = 107
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9.])?")
_PLAIN = re.compile(r"[A-Za-z0-9._~-]*")
_LOOPBACK = re.compile(r"127(?:\.(?:[1-9]?[0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5])){3}")
_PATH = re.compile(r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)+")


class UrlError(ValueError):
    """A URL that names no service: the text says what is wrong, and what to write instead."""


@record(frozen=True)
class Address:
    """One place at which a service is: its transport, and a host and port or the path of a socket."""

    scheme: str
    host: str = ""
    port: int = 0
    path: str = ""

    @property
    def authority(self) -> str:
        """``host:port``, as it stands in a URL; empty for a Unix socket."""
        if self.scheme == "unix":
            return ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def is_confidential(self) -> bool:
        """Whether nobody but the two ends can read what is sent: it is encrypted, or stays on this machine."""
        if self.scheme in ("tls", "wss", "unix"):
            return True
        return is_loopback(self.host)

    def __str__(self) -> str:
        path = _escaped(self.path) if self.scheme == "unix" else self.path
        return f"{self.scheme}://{self.authority}{path}"


@record(frozen=True)
class ServiceUrl:
    """The URL of a service: ``scheme://authority/path``, and settings after a ``?``.

    >>> url = ServiceUrl.parse("tcp://[::1]:4000/fleet?ping_interval=5s")
    >>> str(url.address), url.topic, url.settings
    ('tcp://[::1]:4000', 'fleet', {'ping_interval': '5s'})
    """

    addresses: tuple[Address, ...]
    topic: str = ""
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def address(self) -> Address:
        """Where the service is; of several addresses, the first."""
        return self.addresses[0]

    @property
    def only_address(self) -> Address:
        """The one address of the service, as a server needs it.

        Raises:
            UrlError: there are several.
        """
        if len(self.addresses) > 1:
            raise UrlError(f"the URL names {len(self.addresses)} addresses: a server listens at one")
        return self.address

    @classmethod
    def parse(cls, text: str) -> ServiceUrl:
        """Parses the text of a URL.

        Raises:
            UrlError: what is wrong with it.
        """
        if not isinstance(text, str):
            raise TypeError(f"a URL is a text, such as tcp://127.0.0.1:7400, not {text!r:.80}")
        scheme, separator, rest = text.partition("://")
        if not separator:
            raise UrlError(f"{_quoted(text)} has no scheme: write tcp://host:port")
        scheme = scheme.lower()
        _check_scheme(scheme)
        if "#" in rest:
            raise UrlError("a service's URL has no fragment (#)")
        place, _, query = rest.partition("?")
        if "@" in place:
            raise UrlError("a URL must not hold a user or a password (before the @)")
        slash = place.find("/")
        authority, path = (place, "") if slash < 0 else (place[:slash], place[slash:])
        settings = _parse_settings(query)
        topic = settings.pop("topic", None)
        if topic is not None:
            _check_topic(topic)
        if scheme in _PATH_IS_TOPIC:
            short = path.removeprefix("/").removesuffix("/")
            if short:
                if topic is not None:
                    raise UrlError('the setting "topic" is there twice')
                topic = _check_topic(_unescaped(short))
            path = ""
        return cls(_addresses(scheme, authority, path), topic or "", settings)

    def __str__(self) -> str:
        first, *others = self.addresses
        text = f"{first.scheme}://{','.join(address.authority for address in (first, *others))}"
        text += _escaped(first.path) if first.scheme == "unix" else first.path
        settings = {"topic": self.topic, **self.settings} if self.topic else self.settings
        parts = [f"{_escaped(name, '')}={_escaped(value, '/:,')}" for name, value in settings.items()]
        return text + ("?" + "&".join(parts) if parts else "")


def is_loopback(host: str) -> bool:
    """Whether this is the name or an IP address of this machine's loopback."""
    if host.lower() == "localhost" or _LOOPBACK.fullmatch(host):
        return True
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_scheme(scheme: str) -> None:
    if scheme in _SCHEMES:
        return
    if scheme in _NOT_HERE:
        raise UrlError(f"the scheme {_quoted(scheme)} is not in the Python package: there are {', '.join(_SCHEMES)}")
    raise UrlError(f"unknown scheme {_quoted(scheme)}: there are {', '.join(_SCHEMES)}")


def _addresses(scheme: str, authority: str, path: str) -> tuple[Address, ...]:
    if scheme == "unix":
        if authority or not path.startswith("/"):
            raise UrlError(
                f"{_quoted(authority + path)} is not an absolute path: write unix:///run/name.sock, with three slashes"
            )
        return (Address(scheme, path=_socket_path(path)),)
    if scheme in ("ws", "wss"):
        path = path or "/"
        if _PATH.fullmatch(path) is None:
            raise UrlError(
                f"{_quoted(path)} is not the path of a URL: escape all but letters, digits and the signs that a path may have"
            )
    return tuple(_host_port(scheme, part, path) for part in authority.split(","))


def _socket_path(path: str) -> str:
    path = _unescaped(path)
    if path.endswith("/") or _has_controls(path):
        raise UrlError(f"{_quoted(path)} cannot be the path of a socket: it ends in a slash or has control characters")
    length = len(path.encode())
    if length > _MAX_SOCKET_PATH_LEN:
        raise UrlError(
            f"{_quoted(path)} is too long for the path of a Unix socket: {length} bytes, {_MAX_SOCKET_PATH_LEN} fit"
        )
    return path


def _host_port(scheme: str, text: str, path: str) -> Address:
    host, separator, port = text.rpartition(":")
    if not separator or text.endswith("]"):
        if not text:
            raise UrlError(f"{_quoted(text)} has no host: write 0.0.0.0 or [::] to listen on every address")
        raise UrlError(f"{_quoted(text)} has no port: write {scheme}://host:port")
    if not host:
        raise UrlError(f"{_quoted(text)} has no host: write 0.0.0.0 or [::] to listen on every address")
    if not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise UrlError(f"{_quoted(port)} is not a port: 0 to 65535 are")
    return Address(scheme, _host(host), int(port), path)


def _host(host: str) -> str:
    if host.startswith("[") and host.endswith("]"):
        import ipaddress

        try:
            return str(ipaddress.IPv6Address(host[1:-1]))
        except ValueError:
            raise _bad_host(host) from None
    if ":" in host:
        raise UrlError(f"{_quoted(host)} looks like an IPv6 address: write it in brackets, such as tcp://[::1]:4000")
    if len(host) > _MAX_NAME_LEN or _HOST.fullmatch(host) is None:
        raise _bad_host(host)
    return host


def _bad_host(host: str) -> UrlError:
    return UrlError(f"{_quoted(host)} is not a host name, an IPv4 address or an IPv6 address in brackets")


def _check_topic(topic: str) -> str:
    if not topic or len(topic.encode()) > _MAX_TOPIC_LEN or _has_controls(topic):
        raise UrlError(f"{_quoted(topic)} is not a topic: 1 to 255 bytes of text without control characters are")
    return topic


def _parse_settings(query: str) -> dict[str, str]:
    settings: dict[str, str] = {}
    for part in query.split("&"):
        if not part:
            continue
        name, separator, value = part.partition("=")
        if not name or not separator:
            raise UrlError(f"{_quoted(part)} is not a setting: write ?name=value&name=value")
        name = _unescaped(name)
        if name in settings:
            raise UrlError(f"the setting {_quoted(name)} is there twice")
        settings[name] = _unescaped(value)
    return settings


def _escaped(text: str, safe: str = "/") -> str:
    if _PLAIN.fullmatch(text):
        return text
    from urllib.parse import quote  # late: few URLs need it

    return quote(text, safe=safe)


def _unescaped(text: str) -> str:
    if "%" not in text:
        return text
    from urllib.parse import unquote_to_bytes  # late: few URLs need it

    broken = re.search(r"%(?![0-9A-Fa-f]{2})", text)
    try:
        if broken is None:
            return unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        pass
    raise UrlError(f"{_quoted(text)} holds a broken percent escape: write % itself as %25")


def _has_controls(text: str) -> bool:
    return any(character < " " or "\x7f" <= character < "\xa0" for character in text)


def _quoted(text: str) -> str:
    escaped = "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text[:128])
    return f'"{escaped}"'
