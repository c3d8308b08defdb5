"""Deduplication: the state of the peer's last 4,096 deliveries (docs/protocol.md, "Resumption")."""

from __future__ import annotations

from enum import Enum
from typing import Final

__all__ = ["DELIVERY_WINDOW", "DeliveryState", "ReceivedDeliveries"]

DELIVERY_WINDOW: Final = 4096


class DeliveryState(Enum):
    """What is known of a delivery."""

    NEW = 0
    HANDLING = 1
    HANDLED = 2
    FAILED = 3
    FORGOTTEN = 4
    """It is older than the window."""


_STATES = (DeliveryState.NEW, DeliveryState.HANDLING, DeliveryState.HANDLED, DeliveryState.FAILED)


class ReceivedDeliveries:
    """The window of one direction of a session: a byte for each delivery, at its number modulo the window."""

    __slots__ = ("_oldest", "_states")

    def __init__(self) -> None:
        self._oldest = 0
        self._states: bytearray | None = None

    def begin(self, number: int) -> DeliveryState:
        """A delivery was received. Its state until now; a new one is being handled from here on."""
        states = self._states
        if states is None:
            states = self._states = bytearray(DELIVERY_WINDOW)
        oldest = number - DELIVERY_WINDOW + 1
        if oldest > self._oldest:
            # The sender issues a number only while it is within the window of its oldest unanswered one, so that nothing that
            # leaves the window can come again.
            if oldest - self._oldest >= DELIVERY_WINDOW:
                states[:] = bytes(DELIVERY_WINDOW)
            else:
                for leaving in range(self._oldest, oldest):
                    states[leaving % DELIVERY_WINDOW] = 0
            self._oldest = oldest
        if number < self._oldest:
            return DeliveryState.FORGOTTEN
        place = number % DELIVERY_WINDOW
        state = states[place]
        if state == 0:
            states[place] = 1
        return _STATES[state]

    def end(self, number: int, is_handled: bool) -> None:
        """A delivery was handled, or has failed."""
        # Where the window has moved on the sender does not wait any more.
        if self._states is not None and number >= self._oldest:
            place = number % DELIVERY_WINDOW
            if self._states[place] == 1:
                self._states[place] = 2 if is_handled else 3
