"""What waits to be sent: for capacity, in the droppable queue, and to be sent again."""

from __future__ import annotations

from math import inf

from msip.errors import ClosedError, Code, NotReadyError, Status
from msip.protocol import Kind, Member, Shape
from msip.session.budget import FLOOR
from msip.session.core import NEW, OPEN, OVER, SessionCore
from msip.session.droppable import Droppable, is_droppable
from msip.session.events import Acknowledged, Cause, Failed
from msip.session.exchanges import Class, Outbound
from msip.session.outgoing import REQUEST
from msip.session.received_deliveries import DELIVERY_WINDOW
from msip.session.request_head import deadline_ms, rewrite_frame
from msip.wire.error_text import format_error_text
from msip.wire.header import ACK_REQUIRED, CLOSE, DELIVERY_ID, HEADER_LEN, URGENT, pack_frame

__all__ = ["QUEUE_SHARE", "Queueing", "numbered"]

QUEUE_SHARE = 8
"""The limit of the droppable queue: that of the outgoing queue divided by this."""


class Queueing(SessionCore):
    """Capacity, and what waits for it."""

    __slots__ = ()

    # --- Capacity

    def can_send(self, member: Member, size: int = 0) -> bool:
        """Whether `send` or `call` of this member, with a body of so many bytes, would be taken now.

        Where it is not because of credit, open calls or a full queue, `Writable(0)` follows. A body that is larger than the
        peer accepts finds capacity, and is refused by `send` and `call` with its reason.
        """
        if self._phase != OPEN or self._is_close_begun or self._is_close_received:
            return False
        if member.shape is Shape.CALL:
            may = (
                self._call_count + len(self._abandoned) < self._max_calls
                and not self._resend
                and self._has_request_capacity()
            )
        else:
            may = self._may_send_now(member) or (is_droppable(member.kind) and self._may_enqueue(member, "", ""))
        if not may:
            self._waits = True
        return may

    def _has_request_capacity(self) -> bool:
        cost = self._outgoing.cost
        return cost < self._request_queue and not (self._budget.is_short and cost >= FLOOR)

    def _may_send_now(self, member: Member) -> bool:
        """Whether there is credit and a place in the queue for a message, and it would overtake nothing."""
        window = self._send_window
        cost = self._outgoing.cost
        if self._resend or window.items <= 0 or window.size <= 0 or cost >= self.settings.outgoing_queue:
            return False
        if self._budget.is_short and cost + self._kept_cost >= FLOOR:
            return False
        if member.shape is Shape.ACKNOWLEDGED and not self._may_deliver():
            return False
        if len(self._droppable) == 0:
            return True
        return not is_droppable(member.kind) and self._empty_droppable_queue()

    def _may_deliver(self) -> bool:
        """Whether a delivery has a number, and a place among those that are kept."""
        if self._delivery_count == 0:
            self._oldest_delivery = self._next_delivery
        else:
            first = self._own_bit | DELIVERY_ID
            while first | self._oldest_delivery not in self._outbound:
                self._oldest_delivery += 1
        settings = self.settings
        return self._next_delivery < self._oldest_delivery + DELIVERY_WINDOW and not (
            self._is_kept
            and (self._kept_cost >= settings.session_buffer or self._delivery_count >= settings.session_deliveries)
        )

    def _check_open(self) -> None:
        phase = self._phase
        if phase == OPEN and not self._is_closing:
            return
        if phase == OVER or self._is_closing:
            raise ClosedError(Code.UNAVAILABLE, "the session is closed: nothing new can be sent in it")
        known = "not connected yet" if phase == NEW else "not connected now"
        raise NotReadyError(Code.UNAVAILABLE, f"{known}: wait for `Connected`")

    def _check_body(self, member: Member, body: bytes) -> None:
        if len(body) > self._peer_max_body:
            raise Status(
                Code.RESOURCE_EXHAUSTED,
                f"{member.name} has a body of {len(body)} bytes, and the other side accepts {self._peer_max_body} "
                "(its setting `max_body`)",
            )

    def _insert_delivery(self, id: int, entry: Outbound, frame: bytes) -> None:
        """A delivery that has its number is sent, and kept."""
        outgoing = self._outgoing
        entry.position = (outgoing.urgent if entry.urgent else outgoing.normal).position
        outgoing.push(frame, entry.urgent, REQUEST)
        self._send_window.spend(len(frame) - HEADER_LEN)
        if self._is_kept:
            entry.frame = frame
            self._kept_cost += len(frame) + 64
        self._outbound[id] = entry
        self._delivery_count += 1
        if entry.deadline < self._next_deadline:
            self._next_deadline = entry.deadline

    # --- What may be dropped

    def _may_enqueue(self, member: Member, topic: str, key: str) -> bool:
        """Whether the droppable queue takes a message: a STATE that would displace others with other keys has to wait."""
        if member.kind is not Kind.STATE or self._droppable.has_key((member.number, topic, key)):
            return True
        states = self._droppable.states_cost
        return states == 0 or states < self.settings.outgoing_queue // QUEUE_SHARE

    def _note_dropped(self, dropped: Droppable) -> None:
        """Counts a dropped message, and tells its waiter."""
        self._dropped.count(dropped.kind)
        if self._placeholders.pop(dropped.waiter, None) is None:
            return
        if dropped.kind is Kind.STATE:
            # The newer one is sent in its place.
            self._events.append(Acknowledged(dropped.waiter))
        else:
            status = Status(Code.RESOURCE_EXHAUSTED, "dropped from a full queue, by its kind")
            self._events.append(Failed(dropped.waiter, status, Cause.DROPPED))

    def _send_droppable(self, others: int) -> None:
        """Sends what is in the droppable queue, as far as there is capacity. `others` is how many other messages wait: LOG and
        METRIC leave it to them."""
        queue = self._droppable
        while (first := queue.first()) is not None:
            before = others + queue.state_count if others else 0
            if first.key is None and not self._send_window.leaves(before):
                return
            if not self._has_capacity_for(first) or self._outgoing.cost >= self.settings.outgoing_queue:
                return
            queue.take_first()
            self._send_one_droppable(first)
        if not self._resend:
            self._send_close()

    def _has_capacity_for(self, droppable: Droppable) -> bool:
        is_awaited = droppable.waiter in self._placeholders
        return not self._resend and self._send_window.is_open and (not is_awaited or self._may_deliver())

    def _send_one_droppable(self, droppable: Droppable) -> None:
        entry = self._placeholders.pop(droppable.waiter, None)
        if entry is not None:
            id = self._own_bit | DELIVERY_ID | self._next_delivery
            self._next_delivery += 1
            self._aliases[entry.alias] = id
            self._insert_delivery(id, entry, numbered(droppable.frame, id, ACK_REQUIRED))
            return
        self._sequence += 1
        frame = numbered(droppable.frame, self._own_bit | self._sequence, 0)
        self._outgoing.push(frame, bool(frame[5] & URGENT), REQUEST)
        self._send_window.spend(len(frame) - HEADER_LEN)

    def _empty_droppable_queue(self) -> bool:
        """Empties the queue for a message of another kind, for which there is capacity, but which must not overtake: sends what
        can be sent, and drops the rest. False where the message has to wait."""
        queue = self._droppable
        self._send_droppable(1)
        first = queue.first()
        if first is not None and not self._has_capacity_for(first):
            return False
        while (dropped := queue.drop_oldest()) is not None:
            self._note_dropped(dropped)
        self._send_droppable(0)
        return len(queue) == 0 and self._send_window.is_open and self._outgoing.cost < self.settings.outgoing_queue

    # --- What is sent again

    def _send_waiting(self) -> None:
        """Sends what waits since a resume, as far as credit allows, with what remains of each deadline; then what was kept
        back for lack of credit."""
        resend = self._resend
        while resend:
            id, frame = resend[0]
            entry = self._outbound.get(id)
            if entry is not None:
                remaining = None if entry.deadline == inf else deadline_ms(entry.deadline - self._now)
                is_delivery = entry.cls is Class.DELIVERY
                if is_delivery and not self._send_window.is_open:
                    return
                # A call that has timed out is not sent: the next timeout ends it.
                if is_delivery or remaining != 0:
                    again = rewrite_frame(frame or entry.frame, entry.was_sent, remaining, is_delivery)
                    outgoing = self._outgoing
                    entry.position = (outgoing.urgent if entry.urgent else outgoing.normal).position
                    outgoing.push(again, entry.urgent, REQUEST)
                    if is_delivery:
                        self._send_window.spend(len(again) - HEADER_LEN)
                    if entry.was_sent:
                        # Its first answer may be under way already; then the second one answers nothing.
                        self._late_outbound += 1
            resend.popleft()
        self._send_droppable(1 if self._waits else 0)

    def _send_close(self) -> None:
        """Sends CLOSE, where it waits, after which nothing new is sent."""
        if self._pending_close is not None:
            code, text = self._pending_close
            self._pending_close = None
            self._outgoing.push(pack_frame(CLOSE, 0, 0, format_error_text(code, text)), False, REQUEST)


def numbered(frame: bytes, id: int, flags: int) -> bytes:
    """A frame with its id, and with more flags."""
    return frame[:5] + bytes([frame[5] | flags]) + frame[6:16] + id.to_bytes(8, "big") + frame[HEADER_LEN:]
