"""Arguments of a wrong type, of programs that no type checker has read: each is a `TypeError` that says what is expected."""

from __future__ import annotations

from inspect import isawaitable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from msip.protocol import Member


def check_handler(handler: object, base: type) -> None:
    """A handler is an object of a class that is derived from a generated one."""
    if isinstance(handler, type):
        raise TypeError(
            f"the handler is the class {handler.__name__}: expected an object of it, `{handler.__name__}()`"
        )
    if not isinstance(handler, base):
        raise TypeError(
            f"the handler's class has to derive from the generated one, or from msip.{base.__name__}; found {handler!r:.80}"
        )


def check_settings(settings: object, expected: type) -> None:
    """Settings are those of the role."""
    if settings is not None and not isinstance(settings, expected):
        raise TypeError(f"settings: expected msip.{expected.__name__}(…), found {settings!r:.80}")


def check_metadata(metadata: object, expected: type) -> None:
    """Metadata is an object with headers, and not the headers alone."""
    if not isinstance(metadata, expected):
        raise TypeError(f"metadata: expected msip.Metadata(headers=…), found {metadata!r:.80}")


def check_timeout(timeout: object) -> None:
    """A time limit is a number."""
    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        raise TypeError(f"timeout: expected seconds, as an int or a float, found {timeout!r:.80}")


def check_awaitable(member: Member, returned: object) -> None:
    """Methods of handlers are asynchronous, and answer once where the schema has no stream."""
    if not isawaitable(returned):
        raise TypeError(
            f"{member.handler} has to be written with `async def`, and without `yield`: it has returned {returned!r:.80}"
        )
