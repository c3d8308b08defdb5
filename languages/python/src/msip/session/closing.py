"""Closing: the graceful close of a session (docs/protocol.md, "Errors and close" and "Drain")."""

from __future__ import annotations

from math import inf

from msip.errors import Code, Status
from msip.session.core import LATE_FRAMES, OPEN, OVER
from msip.session.events import Cause, Failed
from msip.session.exchanges import Interest
from msip.session.outgoing import RESPONSE
from msip.session.receiving import Receiving
from msip.wire.error_text import format_error_text
from msip.wire.header import CLOSE, pack_frame

__all__ = ["Closing"]

_LINGER = 0.5
"""How long a side that has said CLOSE, and for which nothing is open any more, waits for the peer to close the transport: what
the peer had sent before it read the CLOSE is refused by name meanwhile."""


class Closing(Receiving):
    """The end of a session."""

    __slots__ = ()

    def close(self, now: float, code: Code = Code.UNAVAILABLE, text: str = "") -> None:
        """Begins a graceful close: says CLOSE, refuses what is new, lets open exchanges finish within `drain_timeout`.

        `Closed` follows when it is done; at once where there is no connection.
        """
        self._now = now
        if self._phase != OPEN:
            if self._phase != OVER:
                self._end_all(Status(code, text), by_peer=False, is_clean=not self._outbound and not self._inbound)
            return
        if self._is_close_begun:
            return
        self._is_close_begun = True
        self._pending_close = (code, text)
        self._start_draining(code, text)
        if not self._resend and len(self._droppable) == 0:
            self._send_close()
        self._look_at_drain()

    def end(self, status: Status) -> None:
        """Gives the session up at once, with or without a transport: all that is open fails, `Closed` follows. Where a transport
        is there, CLOSE with this status is written."""
        if self._phase == OPEN:
            self._outgoing.push(pack_frame(CLOSE, 0, 0, format_error_text(status.code, status.message)), True, RESPONSE)
        self._end_all(status, by_peer=False, is_clean=False)

    def _start_draining(self, code: Code, text: str) -> None:
        if self._drain_at == inf:
            self._close_text = (code, text)
        self._drain_at = min(self._drain_at, self._now + self.settings.drain_timeout)
        if any(entry.has_streams for entry in self._outbound.values()) or any(
            call.has_streams for call in self._inbound.values()
        ):
            self._streams_begin()

    def _is_drained(self) -> bool:
        """Whether the session is closing, and nothing is open or waits to be sent."""
        return (
            not self._inbound
            and not self._handling
            and not self._resend
            and len(self._droppable) == 0
            and self._outgoing.is_empty
            and self._pending_close is None
            and self._call_count == 0
            and self._delivery_count == 0
        )

    def _look_at_drain(self) -> None:
        """Ends the session where it is drained; one that has said CLOSE lingers before, unless the peer has said it too."""
        if self._drain_at == inf or self._phase != OPEN or not self._is_drained():
            return
        if self._is_close_received or self._has_lingered:
            code, text = self._close_text
            self._end_all(Status(code, text), by_peer=not self._is_close_begun, is_clean=True)
        elif self._linger_at == inf:
            self._linger_at = self._now + _LINGER

    def _handle_drain_timeout(self) -> None:
        now = self._now
        if now >= self._drain_streams_at:
            self._drain_streams_at = inf
            self._end_streams()
        if now >= self._linger_at:
            self._linger_at = inf
            self._has_lingered = True
        if now >= self._drain_at and self._phase == OPEN and not self._is_drained():
            self._send_close()
            text = f"what was open did not finish within {self.settings.drain_timeout:g} s"
            self._end_all(Status(self._close_text[0], text), by_peer=not self._is_close_begun, is_clean=False)
        self._look_at_drain()

    def _end_streams(self) -> None:
        """Ends the calls with streams that have not ended by themselves."""
        reason = self._close_text[1]
        status = Status(Code.UNAVAILABLE, f"{reason}: the stream was ended")
        for id, call in self._inbound.items():
            if call.has_streams and call.interest is Interest.ANSWER:
                call.interest = Interest.NOTHING
                self._orphans += 1
                # Items and credit may be under way.
                self._late_inbound += 1 + LATE_FRAMES
                self._push_error(id, status.code, status.message, call.urgent, RESPONSE)
                if not call.is_expired:
                    self._tell_cancelled(id)
        if self._is_close_begun:
            for id, entry in list(self._outbound.items()):
                if entry.has_streams:
                    self.cancel(id, self._now)
                    self._events.append(Failed(id, status, Cause.LOST))

    def _lost_while_closing(self) -> None:
        """The transport is gone, and the session was closing: it is over."""
        is_clean = not self._outbound and not self._inbound and self._outgoing.is_empty
        code, text = self._close_text
        self._end_all(Status(code, text), by_peer=not self._is_close_begun, is_clean=is_clean)
