"""The server's end of the upgrade to a WebSocket: a request is answered with one, or with a status that says what is wrong. No I/O."""

from __future__ import annotations

import re

from msip.errors import Code
from msip.record import record
from msip.transport.stream import StreamError
from msip.transport.websocket_head import (
    SUBPROTOCOL,
    HeadError,
    LongHeadError,
    accept_of,
    elements,
    has_element,
    read_head,
)
from msip.wire.error_text import escaped, format_error_text
from msip.wire.header import ERROR, pack_frame

_KEY = re.compile(r"[A-Za-z0-9+/]{22}==")
_MAX_SHOWN_LEN = 128


class RefusedUpgradeError(StreamError):
    """Why a connection did not become a WebSocket, and the last bytes for the client, in its own protocol."""

    def __init__(self, text: str, answer: bytes = b"") -> None:
        super().__init__(text)
        self.answer = answer


@record
class Accepting:
    """What a listener of WebSockets takes."""

    scheme: str
    """That of its URL, ``ws`` or ``wss``."""
    path: str
    origins: tuple[str, ...]
    """The origins of the web pages that may connect."""


class UpgradeResponse:
    """Reads the request of a client, and answers it."""

    def __init__(self, accepting: Accepting) -> None:
        self._accepting = accepting
        self._request = bytearray()

    def receive(self, data: bytes) -> bytes | None:
        """Takes bytes of the request. Returns the answer by which it becomes a WebSocket, and `None` before the request has ended.

        Raises:
            RefusedUpgradeError: there is none for it.
        """
        request = self._request
        request += data
        self._check_first()
        try:
            head = read_head(request)
        except LongHeadError:
            raise _refused(
                "431 Request Header Fields Too Large", "the head of the request is longer than 16 KiB"
            ) from None
        except HeadError as error:
            raise _refused("400 Bad Request", f"the request is no HTTP: {error}") from None
        if head is None:
            return None
        self._check(head.first, head.fields)
        if len(request) > head.end or _has_body(head.fields):
            raise _broken("bytes follow its head")
        return (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept_of(head.fields['sec-websocket-key'][0])}\r\n"
            f"Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
        ).encode()

    def cut(self) -> RefusedUpgradeError:
        """The error where the client closes before its request has ended."""
        return RefusedUpgradeError("it closed the connection within its request")

    def _check_first(self) -> None:
        """Tells what is no HTTP, as soon as it shows."""
        first = bytes(self._request[:4])
        if first == b"MSIP":
            scheme = self._accepting.scheme
            told = format_error_text(
                Code.FAILED_PRECONDITION, f"this port speaks MSIP over WebSocket: connect to {scheme}://"
            )
            raise RefusedUpgradeError(
                f"the peer speaks MSIP without a WebSocket: it has to connect to {scheme}://",
                pack_frame(ERROR, 0, 0, told),
            )
        if first[:1] in (b"\x15", b"\x16"):
            if first[1:2] == b"\x03":
                raise RefusedUpgradeError("the peer speaks TLS: it has to connect to ws://, or this listener be wss://")
            if len(first) == 1:
                return
        # A method.
        if not first[:1].isupper():
            raise RefusedUpgradeError(f"the peer speaks no HTTP: it began with {bytes(self._request[:16])!r}")

    def _check(self, first: str, fields: dict[str, list[str]]) -> None:
        words = first.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/"):
            raise _refused("400 Bad Request", "the request is no HTTP: its first line is no request")
        method, target, version = words
        path = target.partition("?")[0]
        if path != self._accepting.path:
            raise _refused("404 Not Found", f'there is nothing at "{_shown(path)}"')
        is_upgrade = has_element(fields, "upgrade", "websocket") and has_element(fields, "connection", "upgrade")
        is_version = fields.get("sec-websocket-version") == ["13"]
        if method != "GET" or version != "HTTP/1.1" or not is_upgrade or not is_version:
            raise _refused(
                "426 Upgrade Required",
                "the request asks for no WebSocket of version 13",
                "Upgrade, close",
                "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
            )
        if len(fields.get("host", ())) != 1:
            raise _broken("it needs one Host")
        keys = fields.get("sec-websocket-key", [])
        if len(keys) != 1 or _KEY.fullmatch(keys[0]) is None:
            raise _broken("it needs one Sec-WebSocket-Key, of 16 bytes in base64")
        listed = [origin.lower() for origin in self._accepting.origins]
        for origin in fields.get("origin", []):
            if origin.lower() not in listed:
                raise _refused(
                    "403 Forbidden",
                    f'pages of the origin "{_shown(origin)}" may not connect (the setting origin lists those that may)',
                )
        if SUBPROTOCOL not in elements(fields, "sec-websocket-protocol"):
            raise _refused("400 Bad Request", f"the request does not offer the subprotocol {SUBPROTOCOL}")


def _has_body(fields: dict[str, list[str]]) -> bool:
    return "transfer-encoding" in fields or any(length != "0" for length in fields.get("content-length", []))


def _broken(what: str) -> RefusedUpgradeError:
    return _refused("400 Bad Request", f"the request breaks the WebSocket protocol: {what}")


def _refused(status: str, text: str, connection: str = "close", more: str = "") -> RefusedUpgradeError:
    body = f"{text}\n".encode()
    head = (
        f"HTTP/1.1 {status}\r\nConnection: {connection}\r\n{more}"
        f"Content-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return RefusedUpgradeError(text, head.encode() + body)


def _shown(text: str) -> str:
    return escaped(text[:_MAX_SHOWN_LEN])
