"""Errors of messages: which field, and what is wrong with it."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from msip.errors import DecodeError

if TYPE_CHECKING:
    from msip.message.message import Message

__all__ = ["READ_FAILURES", "WRITE_FAILURES", "EncodeError", "too_deep", "unreadable", "unwritable", "unwritably_deep", "within"]


class EncodeError(ValueError):
    """A message that cannot be written: which field, and which value it has."""

    def __init__(self, reason: str, path: str = "") -> None:
        super().__init__(f"{path}: {reason}" if path else reason)
        self.path = path
        """The field, such as `people[3].age`; empty where the whole is meant."""
        self.reason = reason


READ_FAILURES: tuple[type[Exception], ...] = (IndexError, ValueError, OverflowError, struct.error)
"""What reading a field raises."""

WRITE_FAILURES: tuple[type[Exception], ...] = (
    AttributeError,
    IndexError,
    OverflowError,
    TypeError,
    ValueError,
    struct.error,
)
"""What writing a field raises whose value it cannot hold."""

TOO_DEEP = "more than 100 messages are inside of each other"


def unwritable(message: Message, error: Exception) -> EncodeError:
    """The error of a message that cannot be written, found by going over its fields."""
    from msip.message.tree import problem  # which needs this module

    if isinstance(error, EncodeError) and error.reason == TOO_DEEP:
        return error  # the message may contain itself
    found = problem(message)
    if found is not None:
        return found
    return error if isinstance(error, EncodeError) else EncodeError(str(error) or type(error).__name__)


def unwritably_deep() -> EncodeError:
    """The error of a message that is nested too deep to be written."""
    return EncodeError(TOO_DEEP)


def too_deep() -> DecodeError:
    """The error of a message that is nested too deep."""
    return DecodeError(TOO_DEEP)


def within(step: str, path: str) -> str:
    """The path of what is found below a step."""
    return f"{step}.{path}" if path and not path.startswith("[") else f"{step}{path}"


def unreadable(message: Message, tag: int, error: Exception) -> DecodeError:
    """The error of the field with this tag."""
    number = tag >> 3
    name = next((field.name for field in message._table() if field.number == number), "")
    if isinstance(error, DecodeError):
        return DecodeError(error.reason, within(name, error.path) if name else error.path, error.code)
    if isinstance(error, (IndexError, struct.error)):
        return DecodeError("the data end in the middle of a field", name)
    if isinstance(error, UnicodeDecodeError):
        return DecodeError(f"not UTF-8: {error.reason} at byte {error.start}", name)
    return DecodeError(str(error), name)
