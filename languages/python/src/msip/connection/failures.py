"""How calls and sends fail for those who wait for them."""

from __future__ import annotations

from msip.errors import Code, Status
from msip.session import Cause


class CallError(Status):
    """A call or a send of this side has failed: with a status of the other side, or for a reason of its own.

    `cause` says what is known beyond the code.
    """

    def __init__(self, status: Status, cause: Cause) -> None:
        super().__init__(status.code, status.message, headers=status.headers, details=status.details)
        self.cause = cause

    @property
    def is_safe_to_repeat(self) -> bool:
        """Whether it certainly reached no handler."""
        return self.cause.is_safe_to_repeat


def not_sent(code: Code, text: str) -> CallError:
    """The failure of what was not handed to a transport."""
    return CallError(Status(code, text), Cause.NOT_SENT)
