"""The client's end of the upgrade to a WebSocket (RFC 6455, section 4.1). No I/O."""

from __future__ import annotations

from binascii import b2a_base64

from msip.transport.stream import StreamError
from msip.transport.websocket_head import (
    SUBPROTOCOL,
    Head,
    HeadError,
    LongHeadError,
    accept_of,
    has_element,
    read_head,
)

_MAX_REASON_LEN = 256


class UpgradeError(StreamError):
    """Why a server did not give a WebSocket."""


class UpgradeRequest:
    """Asks for a WebSocket, and checks the answer."""

    def __init__(self, authority: str, path: str, random: bytes) -> None:
        self._authority = authority
        self._key = b2a_base64(random, newline=False).decode()
        self.text = (
            f"GET {path} HTTP/1.1\r\nHost: {authority}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {self._key}\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
        ).encode()
        """The request."""
        self._answer = bytearray()

    def receive(self, data: bytes) -> bytes | None:
        """Takes bytes of the answer. Returns what follows it once the server has agreed, and `None` before.

        Raises:
            UpgradeError: the server has not agreed.
        """
        answer = self._answer
        answer += data
        self._check_first()
        head = _head(answer)
        if head is None:
            return None
        status = _status(head)
        rest = bytes(answer[head.end :])
        if not status.startswith("101"):
            length = head.fields.get("content-length", ["0"])[0]
            wanted = min(int(length), _MAX_REASON_LEN) if length.isdigit() else 0
            if len(rest) < wanted:
                # What it says is worth waiting for: whoever connects has a limit.
                return None
            raise UpgradeError(_refused(status, rest[:wanted]))
        self._check_fields(head.fields)
        return rest

    def cut(self) -> UpgradeError:
        """The error where the server closes before it has answered."""
        head = _head(self._answer)
        if head is not None:
            rest = bytes(self._answer[head.end :])
            return UpgradeError(_refused(_status(head), rest[:_MAX_REASON_LEN]))
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
        if not has_element(fields, "upgrade", "websocket") or not has_element(fields, "connection", "upgrade"):
            raise _not_accepted("it does not say that it upgrades to websocket")
        if fields.get("sec-websocket-accept") != [accept_of(self._key)]:
            raise _not_accepted("its Sec-WebSocket-Accept is not that of the key")
        if "sec-websocket-extensions" in fields:
            raise _not_accepted("it has chosen an extension, and none was offered")
        if fields.get("sec-websocket-protocol") != [SUBPROTOCOL]:
            raise UpgradeError(
                f"the server did not agree to the subprotocol {SUBPROTOCOL}: it speaks WebSocket, and not MSIP"
            )


def _head(answer: bytearray) -> Head | None:
    try:
        return read_head(answer)
    except LongHeadError:
        raise UpgradeError("the head of the server's answer is longer than 16 KiB") from None
    except HeadError as error:
        raise UpgradeError(f"the server's answer is no HTTP: {error}") from None


def _status(head: Head) -> str:
    """The status with its reason."""
    version, _, status = head.first.partition(" ")
    if version not in ("HTTP/1.1", "HTTP/1.0") or not status[:3].isdigit() or status[3:4] not in ("", " "):
        raise UpgradeError("the server's answer is no HTTP: its first line is no status")
    return status


def _not_accepted(what: str) -> UpgradeError:
    return UpgradeError(f"the server did not accept the WebSocket as it must: {what}")


def _refused(status: str, body: bytes) -> str:
    reason = body.decode(errors="replace").strip()
    shown = "".join(character if character.isprintable() else ascii(character)[1:-1] for character in reason)
    return f"the server answered {status}" + (f": {shown}" if shown else "")
