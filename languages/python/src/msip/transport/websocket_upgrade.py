"""The client's end of the upgrade to a WebSocket (RFC 6455, section 4.1). No I/O."""

from __future__ import annotations

import base64
import hashlib

_SUBPROTOCOL = "msip.1"
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_MAX_HEAD_LEN = 16 * 1024
_MAX_FIELDS = 124
_MAX_REASON_LEN = 256


class UpgradeError(Exception):
    """Why a server did not give a WebSocket."""


class Upgrade:
    """Asks for a WebSocket, and checks the answer."""

    def __init__(self, authority: str, path: str, random: bytes) -> None:
        self._authority = authority
        self._key = base64.b64encode(random).decode()
        self.request = (
            f"GET {path} HTTP/1.1\r\nHost: {authority}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {self._key}\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Protocol: {_SUBPROTOCOL}\r\n\r\n"
        ).encode()
        self._answer = bytearray()

    def receive(self, data: bytes) -> bytes | None:
        """Takes bytes of the answer. Returns what follows it once the server has agreed, and `None` before.

        Raises:
            UpgradeError: the server has not agreed.
        """
        answer = self._answer
        answer += data
        self._check_first()
        end = answer.find(b"\r\n\r\n")
        if end < 0:
            if len(answer) > _MAX_HEAD_LEN:
                raise UpgradeError("the head of the server's answer is longer than 16 KiB")
            return None
        if end > _MAX_HEAD_LEN:
            raise UpgradeError("the head of the server's answer is longer than 16 KiB")
        status, fields = _parsed(bytes(answer[:end]))
        rest = bytes(answer[end + 4 :])
        if not status.startswith("101"):
            length = fields.get("content-length", ["0"])[0]
            wanted = min(int(length), _MAX_REASON_LEN) if length.isdigit() else 0
            if len(rest) < wanted:
                # What it says is worth waiting for: whoever connects has a limit.
                return None
            raise UpgradeError(_refused(status, rest[:wanted]))
        self._check_fields(fields)
        return rest

    def cut(self) -> UpgradeError:
        """The error where the server closes before it has answered."""
        head, separator, rest = bytes(self._answer).partition(b"\r\n\r\n")
        if separator:
            status, _ = _parsed(head)
            return UpgradeError(_refused(status, rest[:_MAX_REASON_LEN]))
        return UpgradeError("the server closed the connection instead of answering")

    def _check_first(self) -> None:
        first = bytes(self._answer[:5])
        if b"HTTP/".startswith(first):
            return
        if first.startswith(b"MSIP"):
            raise UpgradeError(f"the server speaks MSIP without a WebSocket: connect to tcp://{self._authority}")
        if first[:1] in (b"\x15", b"\x16") and first[1:2] in (b"", b"\x03"):
            raise UpgradeError(f"the server speaks TLS: connect to wss://{self._authority}")
        if len(self._answer) >= 5 or not b"MSIP".startswith(first):
            raise UpgradeError(f"the server speaks no HTTP: its answer began with {first!r}")

    def _check_fields(self, fields: dict[str, list[str]]) -> None:
        if "websocket" not in _elements(fields, "upgrade") or "upgrade" not in _elements(fields, "connection"):
            raise _not_accepted("it does not say that it upgrades to websocket")
        accept = base64.b64encode(hashlib.sha1(self._key.encode() + _GUID, usedforsecurity=False).digest()).decode()
        if fields.get("sec-websocket-accept") != [accept]:
            raise _not_accepted("its Sec-WebSocket-Accept is not that of the key")
        if "sec-websocket-extensions" in fields:
            raise _not_accepted("it has chosen an extension, and none was offered")
        if fields.get("sec-websocket-protocol") != [_SUBPROTOCOL]:
            raise UpgradeError(
                f"the server did not agree to the subprotocol {_SUBPROTOCOL}: it speaks WebSocket, and not MSIP"
            )


def _parsed(head: bytes) -> tuple[str, dict[str, list[str]]]:
    """The status with its reason, and the fields by their names in lower case."""
    first, *lines = head.decode("latin-1").split("\r\n")
    version, _, status = first.partition(" ")
    if version not in ("HTTP/1.1", "HTTP/1.0") or not status[:3].isdigit() or status[3:4] not in ("", " "):
        raise UpgradeError("the server's answer is no HTTP: its first line is no status")
    if len(lines) > _MAX_FIELDS:
        raise UpgradeError(f"the server's answer is no HTTP: it has more than {_MAX_FIELDS} fields")
    fields: dict[str, list[str]] = {}
    for line in lines:
        name, separator, value = line.partition(":")
        if not separator or not name or name != name.strip():
            raise UpgradeError("the server's answer is no HTTP: a line of its head is no field")
        fields.setdefault(name.lower(), []).append(value.strip())
    return status, fields


def _elements(fields: dict[str, list[str]], name: str) -> list[str]:
    return [element.strip().lower() for value in fields.get(name, []) for element in value.split(",")]


def _not_accepted(what: str) -> UpgradeError:
    return UpgradeError(f"the server did not accept the WebSocket as it must: {what}")


def _refused(status: str, body: bytes) -> str:
    reason = body.decode(errors="replace").strip()
    shown = "".join(character if character.isprintable() else ascii(character)[1:-1] for character in reason)
    return f"the server answered {status}" + (f": {shown}" if shown else "")
