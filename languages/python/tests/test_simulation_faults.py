"""The simulation notices faults: each of these deliberate ones fails it."""

from __future__ import annotations

import unittest
from typing import Any
from unittest import mock

from msip.errors import Code
from msip.session import queueing
from msip.session.ended_calls import EndedCalls
from msip.session.exchanges import Outbound
from msip.session.received_deliveries import DeliveryState, ReceivedDeliveries
from msip.session.session import Session
from msip.session.windows import ReceiveWindow, SendWindow
from simulation import World


class Anything:
    """A window that is always open."""

    def __get__(self, instance: Any, owner: Any) -> bool:
        return True


class Never:
    """What nothing has."""

    def __get__(self, instance: Any, owner: Any) -> bool:
        return False

    def __set__(self, instance: Any, value: bool) -> None:
        pass


def grants_twice(self: ReceiveWindow, items: int, size: int) -> tuple[int, int] | None:
    granted = consume(self, items, size)
    return granted and (granted[0] * 2, granted[1] * 2)


def forgets_what_waits(self: Session) -> None:
    detach(self)
    self._resend.clear()


def resends_backwards(self: Session) -> None:
    detach(self)
    self._resend.reverse()


consume = ReceiveWindow.consume
detach = Session._detach_outbound

FAULTS: dict[str, Any] = {
    "deliveries are handled again": mock.patch.object(
        ReceivedDeliveries, "begin", lambda self, number: DeliveryState.NEW
    ),
    "messages are sent without credit": mock.patch.object(SendWindow, "is_open", Anything()),
    "credit is granted twice": mock.patch.object(ReceiveWindow, "consume", grants_twice),
    "credit is never granted": mock.patch.object(ReceiveWindow, "consume", lambda self, items, size: None),
    "what waits is forgotten": mock.patch.object(Session, "_detach_outbound", forgets_what_waits),
    "deliveries are sent again in another order": mock.patch.object(Session, "_detach_outbound", resends_backwards),
    "what was sent is told as not sent": mock.patch.object(Session, "_is_sent", lambda self, entry: entry.was_sent),
    "a lost reply is told as not received": mock.patch.object(
        EndedCalls, "take", lambda self, id: (Code.UNAVAILABLE, "not received")
    ),
    "streams survive their connection": mock.patch.object(Outbound, "has_streams", Never()),
    "deadlines are forgotten": mock.patch.object(Session, "_expire", lambda self: None),
    "redelivery is not said": mock.patch.object(queueing, "rewrite_frame", lambda frame, was_sent, *rest: frame),
}


class Faults(unittest.TestCase):
    def test_each_fault_fails_the_simulation(self) -> None:
        for name, fault in FAULTS.items():
            with self.subTest(name), fault:
                self.assertTrue(self.fails(), "no run has noticed it")

    def fails(self) -> bool:
        for seed in range(1, 25):
            try:
                World(seed).run(300)
            except Exception:
                return True
        return False


if __name__ == "__main__":
    unittest.main()
