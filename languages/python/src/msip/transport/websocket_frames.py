"""Frames of WebSockets (RFC 6455, section 5), and what MSIP allows of them (docs/protocol.md, "WebSocket"). No I/O."""

from __future__ import annotations

from enum import IntEnum

from msip.transport.stream import StreamError

MAX_SENT_LEN = 32 * 1024
"""The longest message that is sent."""
MAX_RECEIVED_LEN = 64 * 1024
"""The longest message that is received, in whatever fragments."""
_MAX_CONTROL_LEN = 125
# Bytes until the HELLO is answered, and afterwards bytes of which no message comes.
_MAX_FIRST = 64 * 1024
_MAX_BETWEEN = 128 * 1024
# Frames that carry nothing: at once, and then in a second.
_BURST = 1000
_PER_SECOND = 10


class Opcode(IntEnum):
    """What a frame is."""

    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


class ViolationError(StreamError):
    """A rule of WebSockets, or of MSIP over them, that the peer has broken; the connection ends with `status`."""

    def __init__(self, status: int, rule: str) -> None:
        super().__init__(rule)
        self.status = status


def write_frame(opcode: Opcode, payload: bytes, mask: bytes = b"") -> bytes:
    """A whole frame: that of a client is masked by four bytes, and that of a server by none."""
    length = len(payload)
    mask_bit = 0x80 if mask else 0
    if length < 126:
        head = bytes((0x80 | opcode, mask_bit | length))
    elif length < 65536:
        head = bytes((0x80 | opcode, mask_bit | 126)) + length.to_bytes(2)
    else:
        head = bytes((0x80 | opcode, mask_bit | 127)) + length.to_bytes(8)
    return head + mask + masked(payload, mask) if mask else head + payload


def masked(payload: bytes, mask: bytes) -> bytes:
    """Masks a payload, or takes its mask away: one exclusive or of two long numbers, which is as fast as Python has it."""
    length = len(payload)
    pattern = (mask * (length // 4 + 1))[:length]
    return (int.from_bytes(payload) ^ int.from_bytes(pattern)).to_bytes(length)


class FrameReader:
    """Cuts what the peer sends into the payloads of binary messages, and says what is to be answered."""

    def __init__(self, *, is_client: bool) -> None:
        """`is_client`: this is the client's end, so that the peer is a server, and masks nothing."""
        self.pongs: list[bytes] = []
        """The payloads of pings that are to be answered."""
        self.close: int | None = None
        """The status of a close frame, once one has come; 1005 where it has none. What follows it is not read."""
        self._mask_len = 0 if is_client else 4
        self._buffer = bytearray()
        self._message: bytearray | None = None
        self._is_established = False
        self._read_len = 0
        self._allowance = _BURST
        self._refilled: float | None = None

    def receive(self, data: bytes, now: float) -> bytes:
        """Takes bytes, and returns the payloads of the messages that are complete, joined.

        Raises:
            ViolationError: the peer has broken a rule; nothing more is to be given.
        """
        self._read_len += len(data)
        buffer = self._buffer
        buffer += data
        payloads: list[bytes] = []
        place = 0
        while self.close is None:
            taken = self._frame(place, payloads, now)
            if taken == 0:
                break
            place += taken
        del buffer[:place]
        if payloads and self._is_established:
            self._read_len = len(buffer)
        most = _MAX_BETWEEN if self._is_established else _MAX_FIRST
        if self._read_len > most:
            raise ViolationError(
                1008,
                f"the peer sent {self._read_len} bytes of WebSocket frames, and no message is complete: {most} are the most",
            )
        return payloads[0] if len(payloads) == 1 else b"".join(payloads)

    def establish(self) -> None:
        """The HELLO was answered: the peer may send more from now on."""
        if not self._is_established:
            self._is_established = True
            self._read_len = len(self._buffer)

    def _frame(self, start: int, payloads: list[bytes], now: float) -> int:
        """Reads the frame that begins at `start`. Returns its length, or 0 where it is not complete."""
        buffer = self._buffer
        available = len(buffer) - start
        if available < 2:
            return 0
        first, second = buffer[start], buffer[start + 1]
        if first & 0x70:
            raise _broken("a reserved bit is set")
        mask_len = self._mask_len
        if second >> 7 != (mask_len != 0):
            raise _broken("a client's frame is not masked" if mask_len else "a server's frame is masked")
        opcode, is_last, length, head_len = first & 0x0F, bool(first & 0x80), second & 0x7F, 2
        if opcode > 2 and opcode not in (8, 9, 10):
            raise _broken(f"unknown opcode {opcode}")
        if opcode >= 8 and (not is_last or length > _MAX_CONTROL_LEN):
            raise _broken("a control frame is fragmented or longer than 125 bytes")
        if length >= 126:
            head_len = 4 if length == 126 else 10
            if available < head_len:
                return 0
            length = int.from_bytes(buffer[start + 2 : start + head_len])
        self._check(opcode, length)
        begin = start + head_len + mask_len
        end = begin + length
        if len(buffer) < end:
            return 0
        payload = bytes(buffer[begin:end])
        if mask_len:
            payload = masked(payload, bytes(buffer[begin - mask_len : begin]))
        if opcode >= 8:
            self._control(opcode, payload, now)
        else:
            self._data(is_last, payload, payloads, now)
        return end - start

    def _check(self, opcode: int, length: int) -> None:
        """Checks what the head of a frame says, before its payload has come."""
        if opcode == Opcode.TEXT:
            raise ViolationError(1003, "the peer sent a text message over a WebSocket, and MSIP is sent in binary ones")
        if opcode == Opcode.BINARY and self._message is not None:
            raise _broken("a message begins before the one before it is complete")
        if opcode == Opcode.CONTINUATION and self._message is None:
            raise _broken("a fragment continues no message")
        whole = length + len(self._message or b"")
        if opcode < 8 and whole > MAX_RECEIVED_LEN:
            raise ViolationError(
                1009, f"the peer sent a WebSocket message of {whole} bytes: {MAX_RECEIVED_LEN} are the most"
            )

    def _data(self, is_last: bool, payload: bytes, payloads: list[bytes], now: float) -> None:
        if not payload:
            self._take_allowance(now)
        if self._message is not None:
            self._message += payload
            if not is_last:
                return
            payload, self._message = bytes(self._message), None
        elif not is_last:
            self._message = bytearray(payload)
            return
        if payload:
            payloads.append(payload)

    def _control(self, opcode: int, payload: bytes, now: float) -> None:
        if opcode == Opcode.CLOSE:
            self.close = int.from_bytes(payload[:2]) if len(payload) >= 2 else 1005
            return
        self._take_allowance(now)
        if opcode == Opcode.PING:
            self.pongs.append(payload)

    def _take_allowance(self, now: float) -> None:
        if self._refilled is None:
            self._refilled = now
        seconds = int(now - self._refilled)
        if seconds > 0:
            self._allowance = min(_BURST, self._allowance + seconds * _PER_SECOND)
            self._refilled += seconds
        if self._allowance == 0:
            raise ViolationError(
                1008,
                f"the peer sent too many WebSocket frames that carry nothing: {_BURST} at once and {_PER_SECOND} a second are allowed",
            )
        self._allowance -= 1


def _broken(rule: str) -> ViolationError:
    return ViolationError(1002, f"the peer breaks the WebSocket protocol: {rule}")
