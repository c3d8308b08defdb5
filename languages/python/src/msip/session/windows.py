"""Windows: how many messages may be under way (docs/protocol.md, "Credit")."""

from __future__ import annotations

from typing import Final

__all__ = ["STREAM_GROWTH", "WINDOW_GROWTH", "ReceiveWindow", "SendWindow"]

WINDOW_GROWTH: Final = 16
"""The window of a connection may grow to this many times its items."""
STREAM_GROWTH: Final = 256
"""The same for a stream: it begins with few, and items of a few bytes are many."""

_MOST = 0xFFFFFFFF


class SendWindow:
    """What this side may still send. One message may exceed what is left, so both counts can go below zero."""

    __slots__ = ("_granted", "_start_size", "items", "size")

    def __init__(self, items: int, size: int, *, is_stream: bool = False) -> None:
        self.items = items
        self.size = size
        self._start_size = size
        # By how much this is more than `items`, so many more CREDITs may come. The receiver of a stream may grant more
        # before it has received anything.
        self._granted = items + 1 if is_stream else items

    @property
    def is_open(self) -> bool:
        """Whether one more message may be sent."""
        return self.items > 0 and self.size > 0

    @property
    def uncredited(self) -> int:
        """How many more CREDITs may come, if each grants what was freed by one message at least."""
        return self._granted - self.items

    def leaves(self, messages: int) -> bool:
        """Whether credit is left for so many more messages, and for many bytes, after one more."""
        return messages == 0 or (self.items > messages and self.size > self._start_size // 4)

    def spend(self, size: int) -> None:
        """A message with a payload of so many bytes was sent."""
        self.items -= 1
        self.size -= size

    def grant(self, items: int, size: int) -> bool:
        """The peer grants more; False where it has granted too much, and has lost count."""
        self._granted += items - (1 if self.uncredited > 0 else 0)
        self.items += items
        self.size += size
        return self.items <= _MOST and self.size <= _MOST


class ReceiveWindow:
    """What the peer may still send, and what is to be granted for messages that were handled."""

    __slots__ = (
        "_grants_at_once",
        "_largest",
        "_largest_urgent",
        "_max_items",
        "_pending_items",
        "_pending_size",
        "_start_size",
        "_window_items",
        "grant_count",
        "items",
        "size",
    )

    def __init__(self, items: int, size: int, growth: int) -> None:
        self.items = items
        self.size = size
        self._window_items = items
        self._max_items = items * growth
        self._start_size = size
        self._pending_items = 0
        self._pending_size = 0
        self._largest = 0
        self._largest_urgent = 0
        self._grants_at_once = False
        self.grant_count = 0
        """How often something was granted; tells whether a window that is used up was granted anything since."""

    def accept(self, size: int, urgent: bool) -> bool:
        """A message was received; False where the peer had no credit for it.

        The last message of a window may exceed its bytes, and may overtake those of the other priority that were sent
        before it, so that it is there when nothing is left.
        """
        others = self._largest if urgent else self._largest_urgent
        if self.items <= 0 or self.size + others <= 0:
            return False
        if urgent:
            if size > self._largest_urgent:
                self._largest_urgent = size
        elif size > self._largest:
            self._largest = size
        self.items -= 1
        self.size -= size
        return True

    @property
    def taken(self) -> int:
        """How many bytes have come and were not granted again: they wait, or are handled."""
        return max(self._start_size - self.size, 0)

    @property
    def is_used_up(self) -> bool:
        """Whether the peer may send nothing more."""
        return self.items <= 0 or self.size <= 0

    def consume(self, items: int, size: int) -> tuple[int, int] | None:
        """Messages were handled. What to grant, once that is worth a frame: half of the window, or anything where it has been
        used up for long. A sender that has little left by then could have sent more: the window grows."""
        self._pending_items += items
        self._pending_size += size
        if self._pending_items < self._window_items // 2 and self._pending_size < self._start_size // 2:
            return self._grant() if self._grants_at_once else None
        grown = min(self._window_items * 2, self._max_items)
        more = 0
        if self.items < self._window_items // 4 and grown > self._window_items:
            more = grown - self._window_items
            self._window_items = grown
        return self._grant(more)

    def relieve(self) -> tuple[int, int] | None:
        """The window has been used up for a while: what is granted for what was handled. Where nothing was, whatever is
        handled next is granted at once."""
        if self._pending_items or self._pending_size:
            return self._grant()
        self._grants_at_once = True
        return None

    def _grant(self, more_items: int = 0) -> tuple[int, int] | None:
        items = self._pending_items + more_items
        size = self._pending_size
        if items == 0 and size == 0:
            return None
        self._pending_items = self._pending_size = 0
        self._grants_at_once = False
        self.grant_count += 1
        self.items += items
        self.size += size
        return items, size
