"""The accepting side before there is a session: a HELLO is read, within tight limits, and answered."""

from __future__ import annotations

from msip.errors import Code, MsipError, Status
from msip.session.settings import Settings
from msip.wire.decoder import Decoder
from msip.wire.error_text import format_error_text
from msip.wire.header import ERROR, FRAME_TYPES, HELLO, FrameError, FrameFault, pack_frame
from msip.wire.hello import Hello, parse_hello
from msip.wire.limits import MAX_HELLO

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

    __slots__ = ("_hello", "_timeout", "decoder", "hello_id")

    def __init__(self, settings: Settings, now: float) -> None:
        self.decoder = Decoder(MAX_HELLO)
        """What has come and was not read; the session goes on with it."""
        self.hello_id = 0
        """The message id of the HELLO."""
        self._hello: Hello | None = None
        self._timeout = now + settings.handshake_timeout

    def receive(self, data: bytes, now: float) -> Hello | None:
        """Reads what has come. Raises `RefusedError` where it begins no HELLO of MSIP, or something follows it."""
        found = None
        try:
            for frame_type, _, kind, _, id, payload in self.decoder.frames(data):
                if self._hello is not None:
                    raise _out_of_order(frame_type, id, "before its HELLO was answered")
                if frame_type != HELLO:
                    raise _out_of_order(frame_type, id, "before HELLO")
                found = self._hello = parse_hello(kind, id, payload)
                self.hello_id = id
        except FrameError as error:
            reply = b""
            if error.fault is not FrameFault.MIP:
                text = "TLS, where MSIP is spoken without it" if error.fault is FrameFault.TLS else error.message
                reply = pack_frame(ERROR, 0, error.msg_id, format_error_text(error.code, text))
            raise RefusedError(error.code, error.message, reply) from None
        return found

    @property
    def hello(self) -> Hello:
        """The Hello that `receive` has returned."""
        if self._hello is None:
            raise RuntimeError("no HELLO has come yet")
        return self._hello

    def refuse(self, status: Status) -> bytes:
        """The ERROR that answers the HELLO, or the transport where there was none, which is to be closed after it."""
        text = format_error_text(status.code, status.message)
        return pack_frame(ERROR, 0, self.hello_id, text)

    def timeout(self) -> float:
        """When the time for the handshake is up: then close the transport."""
        return self._timeout


def _out_of_order(frame_type: int, id: int, when: str) -> FrameError:
    return FrameError(f"{FRAME_TYPES[frame_type]} {when}", code=Code.FAILED_PRECONDITION, msg_id=id)
