"""The texts of ERROR and CLOSE, and how text of a peer is shown (docs/protocol.md, "Errors and close")."""

from __future__ import annotations

from typing import Final

from msip.errors import Code

__all__ = ["MAX_LONG_TEXT_LEN", "MAX_TEXT_LEN", "escaped", "format_error_text", "parse_error_text"]

MAX_TEXT_LEN: Final = 256
"""The longest text of an ERROR or a CLOSE, in bytes."""
MAX_LONG_TEXT_LEN: Final = 4096
"""The same where `error-metadata` was agreed on."""

_CODES = {code.name: code for code in Code}
_BREAKING = frozenset("\u061c\u200e\u200f\ufeff") | {
    chr(number) for numbers in (range(0x2028, 0x202F), range(0x2066, 0x206A)) for number in numbers
}
_SHORT = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}


def parse_error_text(payload: bytes, max_len: int = MAX_TEXT_LEN) -> tuple[Code, str]:
    """Reads `CODE: message`; never fails. What is unknown becomes UNKNOWN with the whole text."""
    text = payload[:max_len].decode("utf-8", "replace")
    name, _, message = text.partition(":")
    code = _CODES.get(name)
    if code is None:
        return Code.UNKNOWN, text
    return code, message.removeprefix(" ")


def format_error_text(code: Code, message: str, max_len: int = MAX_TEXT_LEN) -> bytes:
    """`CODE: message`, cut between two characters."""
    encoded = message.encode("utf-8", "replace")
    name = code.name.encode()
    most = max_len - len(name) - 2
    if len(encoded) > most:
        encoded = encoded[:most].decode("utf-8", "ignore").encode()
    return name + b": " + encoded


def escaped(text: str, max_len: int = 128) -> str:
    """Text of a peer, fit to be shown: control characters escaped, at most so many characters."""
    shown = "".join(map(_escape, text[:max_len]))
    return shown + "..." if len(text) > max_len else shown


def _escape(character: str) -> str:
    if character < " " or "\x7f" <= character < "\xa0" or character in _BREAKING:
        return _SHORT.get(character, f"\\u{{{ord(character):x}}}")
    return character
