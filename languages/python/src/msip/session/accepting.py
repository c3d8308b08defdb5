"""The accepting side before there is a session: a HELLO is read, within tight limits, and answered."""

from __future__ import annotations

from msip.errors import Code, MsipError, Status
from msip.session.settings import Settings
from msip.wire.hello import Hello

__all__ = ["Accepting", "RefusedError"]


class RefusedError(MsipError):
    """What came is no HELLO that can be answered: write `reply`, and close the transport."""

    def __init__(self, code: Code, message: str, reply: bytes) -> None:
        super().__init__(code, message)
        self.reply = reply
        """The last bytes to write, perhaps none."""


class Accepting:
    """A transport whose client has not been answered yet. It holds no more than a HELLO may have: 16 KiB.

    Feed it with `receive` until a Hello is there, decide, and give it to `Session.accept` or `Session.resume`, or answer
    with the bytes of `refuse`.
    """

    def __init__(self, settings: Settings, now: float) -> None:
        raise NotImplementedError

    def receive(self, data: bytes, now: float) -> Hello | None:
        """Reads what has come. Raises `RefusedError` where it begins no HELLO of MSIP."""
        raise NotImplementedError

    def refuse(self, status: Status) -> bytes:
        """The ERROR that answers the HELLO; the transport is to be closed after it."""
        raise NotImplementedError

    def timeout(self) -> float:
        """When the time for the handshake is up: then close the transport (`refuse` has the bytes where a HELLO came)."""
        raise NotImplementedError
