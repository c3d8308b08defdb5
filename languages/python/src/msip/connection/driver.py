"""The driver of a session: moves its bytes and its time over one stream after the other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from msip.errors import Code, Status
from msip.session import Session, events
from msip.transport.stream import ByteStream

_log = logging.getLogger("msip")

# How long a closed stream may take to write its last bytes.
_LAST_BYTES = 1.0
# When a session that does not want to read is asked again.
_READ_AGAIN = 1.0
# How much more or less memory a session holds before it says so.
_HELD_STEP = 64 * 1024
# How many chunks of 64 KiB are written before other tasks have their turn.
_CHUNKS_AT_ONCE = 8


class Driver:
    """Runs a session over a stream. Everything happens in callbacks of the event loop: it has no task.

    Owners register what is to be done for each kind of event in `routes`, before the first stream.
    """

    def __init__(self, session: Session, write_timeout: float) -> None:
        self.loop = asyncio.get_running_loop()
        self.session = session
        self.stream: ByteStream | None = None
        self.routes: dict[type[Any], Callable[[Any], None]] = {}
        self.on_flushed: Callable[[], None] | None = None
        """Called when something was written."""
        self.first = b""
        """What the other end of the stream began with."""
        self.error: Exception | None = None
        """The error with which the stream ended, if any."""
        self._closing: ByteStream | None = None
        self.last_progress = self.loop.time()
        """When bytes were last handed to a stream that took them."""
        self._write_timeout = write_timeout
        self._is_flush_due = False
        self._timer: asyncio.TimerHandle | None = None
        # Of a time that has passed, uvloop's handle does not tell its time.
        self._timer_at = 0.0
        self._stall: asyncio.TimerHandle | None = None
        self._stalled_len = 0
        self._read_again: asyncio.TimerHandle | None = None
        self._ended: asyncio.Future[Status] | None = None
        self._budget = session.settings.budget
        self._held = 0

    def attach(self, stream: ByteStream) -> asyncio.Future[Status]:
        """Goes on over this stream. The future says why it has ended; it never fails."""
        self.stream = stream
        self.first, self.error = b"", None
        self._ended = ended = self.loop.create_future()
        self.last_progress = self.loop.time()
        self.flush()
        stream.start(self)
        return ended

    def detach(self) -> ByteStream | None:
        """Forgets the stream without ending it: another one takes over."""
        stream, self.stream = self.stream, None
        self._end(Status(Code.ABORTED, "another connection has taken the session over"))
        return stream

    def now(self) -> float:
        """The session's time."""
        return self.loop.time()

    def wake(self) -> None:
        """Something was given to the session: its bytes are written once the tasks that are ready now have run."""
        if not self._is_flush_due:
            self._is_flush_due = True
            self.loop.call_soon(self.flush)

    # The stream's side.

    def data_received(self, data: bytes) -> None:
        if not self.first:
            self.first = data[:8]
        self.session.receive(data, self.loop.time())
        self.flush()
        self._check_reading()

    def stream_ended(self, error: Exception | None) -> None:
        if self.stream is None or self.stream.is_open:
            return
        self.error = error
        text = "the connection was closed by the other side" if error is None else f"the connection broke: {error}"
        self.lose(text)

    def writing_resumed(self) -> None:
        self.last_progress = self.loop.time()
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
        self.flush()

    # Ending.

    def lose(self, text: str) -> None:
        """The stream is gone, or has to go: the session is kept for another one."""
        stream, self.stream = self.stream, None
        if stream is not None:
            stream.abort()
            self.session.lost(self.loop.time())
        self._end(Status(Code.UNAVAILABLE, text))
        self.flush()

    def finish(self, reason: Status) -> None:
        """The session is over: writes what is left and ends the stream."""
        stream = self.stream
        if stream is None:
            return
        while data := self.session.transmit():
            stream.write(data)
        self.stream = None
        stream.close()
        self._closing = stream
        # A peer that does not read must not keep it.
        abort = self.loop.call_later(_LAST_BYTES, stream.abort)
        stream.when_ended(abort.cancel)
        self._end(reason)

    async def closed(self) -> None:
        """Waits until the last stream has ended, which takes a second at most."""
        if self._closing is not None:
            await self._closing.wait_ended()

    def stop(self) -> None:
        """Nothing more happens: timers are gone."""
        self._hold(0)
        for timer in (self._timer, self._stall, self._read_again):
            if timer is not None:
                timer.cancel()
        self._timer = self._stall = self._read_again = None

    def _end(self, reason: Status) -> None:
        for timer in (self._stall, self._read_again):
            if timer is not None:
                timer.cancel()
        self._stall = self._read_again = None
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(reason)

    # Bytes and time.

    def flush(self) -> None:
        """Handles what has happened, and writes what is there."""
        self._is_flush_due = False
        session, routes = self.session, self.routes
        while (event := session.poll()) is not None:
            try:
                routes[type(event)](event)
            except Exception:
                _log.exception("a fault in handling %s", type(event).__name__)
        self._write()
        if session.has_events:
            self.wake()
        held = session.held
        # Not each byte: an idle connection counts as nothing.
        if held - self._held >= _HELD_STEP or self._held - held >= _HELD_STEP or not session.is_connected:
            self._hold(held)
        when = session.timeout()
        if when is not None and (self._timer is None or when < self._timer_at):
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = when
            self._timer = self.loop.call_at(when, self._timed_out)

    def _hold(self, held: int) -> None:
        """Tells how much memory the session holds."""
        by, self._held = held - self._held, held
        if by:
            self._budget.change(by)

    def _write(self) -> None:
        stream = self.stream
        if stream is None:
            return
        has_written = False
        for _ in range(_CHUNKS_AT_ONCE):
            if not stream.can_write:
                self._watch_stall(stream)
                break
            data = self.session.transmit()
            if not data:
                break
            stream.write(data)
            has_written = True
        else:
            self.wake()
        if has_written:
            self.last_progress = self.loop.time()
            if self.on_flushed is not None:
                self.on_flushed()

    def _timed_out(self) -> None:
        self._timer = None
        self.session.handle_timeout(self.loop.time())
        self.flush()

    def _watch_stall(self, stream: ByteStream) -> None:
        """A peer that reads nothing for `write_timeout` is given up."""
        if self._stall is None:
            self._stalled_len = stream.unwritten_len
            self._stall = self.loop.call_later(self._write_timeout, self._check_stall)

    def _check_stall(self) -> None:
        self._stall = None
        stream = self.stream
        if stream is None or stream.can_write:
            return
        if stream.unwritten_len >= self._stalled_len:
            self.lose(f"the peer has read nothing for {self._write_timeout:g} s (setting `write_timeout`)")
        else:
            self.last_progress = self.loop.time()
            self._watch_stall(stream)

    def _check_reading(self) -> None:
        """Reads no more where the session has enough to do."""
        stream = self.stream
        if stream is None or self.session.wants_read(self.loop.time()):
            return
        stream.pause_reading()
        if self._read_again is None:
            self._read_again = self.loop.call_later(_READ_AGAIN, self.read_on)

    def read_on(self) -> None:
        """Asks again whether to read, where reading has stopped."""
        if self._read_again is None:
            return
        self._read_again.cancel()
        self._read_again = None
        if self.stream is not None:
            if self.session.wants_read(self.loop.time()):
                self.stream.resume_reading()
            else:
                self._read_again = self.loop.call_later(_READ_AGAIN, self.read_on)

    # What every owner does the same way.

    def on_dead(self, event: events.TransportDead) -> None:
        """The peer is silent."""
        self.lose(event.text)
