"""The outgoing queue: encoded frames in two lanes, ready to be written (docs/protocol.md, "Priorities")."""

from __future__ import annotations

from collections import deque
from typing import Final

__all__ = ["FRAME_COST", "PROVOKED", "REQUEST", "RESPONSE", "Lane", "OutgoingQueue"]

FRAME_COST: Final = 64
"""What each frame counts besides its bytes, so that empty frames cannot fill the memory."""

REQUEST: Final = 0
"""A frame that this side sends of its own accord."""
RESPONSE: Final = 1
"""An answer of a handler."""
PROVOKED: Final = 2
"""What reading alone leads to: refusals, PONGs, credit."""

_JOINED = 64 * 1024


class Lane:
    """Frames of one priority, in order."""

    __slots__ = ("classes", "frames", "taken")

    def __init__(self) -> None:
        self.frames: deque[bytes] = deque()
        self.classes: deque[int] = deque()
        self.taken = 0
        """How many frames were handed to the transport. A frame's position is below it from then on."""

    @property
    def position(self) -> int:
        """The position of the frame that is appended next."""
        return self.taken + len(self.frames)


class OutgoingQueue:
    """Both lanes, and what they cost in bytes."""

    __slots__ = ("_costs", "_urgent_ahead", "cost", "normal", "urgent")

    def __init__(self) -> None:
        self.normal = Lane()
        self.urgent = Lane()
        self.cost = 0
        """What waits, each frame counted as its length + 64."""
        self._costs = [0, 0, 0]
        self._urgent_ahead = 0

    @property
    def response_cost(self) -> int:
        """What of that is answers of any kind."""
        return self._costs[RESPONSE] + self._costs[PROVOKED]

    @property
    def provoked_cost(self) -> int:
        """What of that reading alone has led to."""
        return self._costs[PROVOKED]

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not self.normal.frames and not self.urgent.frames

    def push(self, frame: bytes, urgent: bool, frame_class: int) -> None:
        """Appends a frame."""
        lane = self.urgent if urgent else self.normal
        lane.frames.append(frame)
        lane.classes.append(frame_class)
        cost = len(frame) + FRAME_COST
        self.cost += cost
        self._costs[frame_class] += cost

    def take(self) -> bytes:
        """Frames to be written, joined: about 64 KiB, and the urgent ones first, at half of the bytes while others wait."""
        normal, urgent = self.normal, self.urgent
        if self.cost <= _JOINED:
            frames = urgent.frames
            if not frames:
                frames = normal.frames
                data = frames[0] if len(frames) == 1 else b"".join(frames)
            else:
                data = b"".join(frames) + b"".join(normal.frames)
                urgent.taken += len(frames)
                urgent.frames.clear()
                urgent.classes.clear()
                frames = normal.frames
            normal.taken += len(frames)
            frames.clear()
            normal.classes.clear()
            self.cost = 0
            self._costs = [0, 0, 0]
            self._urgent_ahead = 0
            return data
        chosen: list[bytes] = []
        length = 0
        while length < _JOINED and (urgent.frames or normal.frames):
            is_urgent = bool(urgent.frames) and (not normal.frames or self._urgent_ahead <= 0)
            lane = urgent if is_urgent else normal
            frame = lane.frames.popleft()
            cost = len(frame) + FRAME_COST
            self.cost -= cost
            self._costs[lane.classes.popleft()] -= cost
            lane.taken += 1
            if is_urgent:
                self._urgent_ahead += len(frame)
            else:
                self._urgent_ahead = max(0, self._urgent_ahead - len(frame))
            chosen.append(frame)
            length += len(frame)
        return b"".join(chosen)

    def at(self, position: int, urgent: bool) -> bytes | None:
        """The frame at this position, where it has not been taken."""
        lane = self.urgent if urgent else self.normal
        index = position - lane.taken
        return lane.frames[index] if 0 <= index < len(lane.frames) else None

    def withdraw(self, position: int, urgent: bool) -> bool:
        """Takes a frame back, and those of the same exchange behind it; False where it was taken to be written."""
        lane = self.urgent if urgent else self.normal
        index = position - lane.taken
        if not 0 <= index < len(lane.frames):
            return False
        id = lane.frames[index][16:24]
        for place in range(index, len(lane.frames)):
            frame = lane.frames[place]
            # An answer to a call of the peer has another id, since ids tell who has chosen them.
            if frame[16:24] == id:
                self.cost -= len(frame)
                self._costs[lane.classes[place]] -= len(frame)
                lane.frames[place] = b""
        return True

    def clear(self) -> list[tuple[bytes, bool]]:
        """Empties both lanes, and returns what was in them, with its priority."""
        frames = [(frame, True) for frame in self.urgent.frames if frame]
        frames += [(frame, False) for frame in self.normal.frames if frame]
        for lane in (self.urgent, self.normal):
            lane.frames.clear()
            lane.classes.clear()
        self.cost = 0
        self._costs = [0, 0, 0]
        self._urgent_ahead = 0
        return frames
