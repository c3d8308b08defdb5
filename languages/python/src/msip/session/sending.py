"""Sending: calls, messages, deliveries, items and pings of this side."""

from __future__ import annotations

from math import inf

from msip.errors import Code, NotReadyError, Status
from msip.protocol import Kind, Member, Shape
from msip.session.budget import FLOOR
from msip.session.core import AWAIT_WELCOME, OPEN, SUSPENDED
from msip.session.droppable import Droppable, is_droppable
from msip.session.events import Cause, Failed
from msip.session.exchanges import Class, Outbound
from msip.session.outgoing import REQUEST
from msip.session.queueing import QUEUE_SHARE, Queueing
from msip.session.request_head import deadline_ms, message_prefix
from msip.session.windows import STREAM_GROWTH, ReceiveWindow, SendWindow
from msip.wire.header import (
    ACK_REQUIRED,
    COMPRESSED,
    DELIVERY_ID,
    HEADER,
    ITEM,
    MAGIC,
    MORE,
    PING,
    STATE,
    URGENT,
    pack_frame,
)
from msip.wire.limits import MAX_CONTROL
from msip.wire.metadata import Metadata
from msip.wire.payload import NO_TOPIC, PayloadError

__all__ = ["Sending"]

_COMMAND = int(Kind.COMMAND)
_pack = HEADER.pack


class Sending(Queueing):
    """What this side begins."""

    __slots__ = ()

    # --- Calls

    def call(
        self,
        member: Member,
        body: bytes,
        *,
        now: float,
        timeout: float | None,
        compressed: bool = False,
        metadata: Metadata | None = None,
        topic: str = "",
    ) -> int:
        """Begins a call, and returns its id. Ends with `Answer`, `AnswerEnd` or `Failed`.

        Of a member with a stream of requests the body is the first item, or empty; `item` sends the others. `timeout` is in
        seconds from `now`; None is without limit where there is a stream, and the member's limit otherwise.
        """
        outgoing = self._outgoing
        # What `can_send` says of a call, without its cost where it says yes.
        if (
            self._phase != OPEN
            or self._is_close_begun
            or self._is_close_received
            or self._call_count + len(self._abandoned) >= self._max_calls
            or self._resend
            or outgoing.cost >= self._request_queue
            or (self._budget.is_short and outgoing.cost >= FLOOR)
        ):
            self._check_open()
            self._waits = True
            raise NotReadyError(Code.RESOURCE_EXHAUSTED, f"no capacity for {member.name}: wait for `Writable`")
        if len(body) > self._peer_max_body:
            self._check_body(member, body)
        has_streams = member.request_stream or member.response_stream
        if timeout is None and not has_streams:
            timeout = member.timeout
        flags = 0
        if timeout == member.timeout and metadata is None and not topic:
            prefix = NO_TOPIC
        else:
            named = None if timeout == member.timeout else deadline_ms(timeout)
            flags, prefix = self._prefix(metadata, named, topic)
        self._now = now
        self._sequence += 1
        id = self._own_bit | self._sequence
        deadline = inf if timeout is None else now + timeout
        urgent = member.urgent
        entry = Outbound(Class.CALL, member, urgent, now, timeout, deadline)
        if timeout is not None and timeout < 0.001:
            text = f"{member.name} was not sent: its time limit is less than a millisecond"
            self._events.append(Failed(id, Status(Code.DEADLINE_EXCEEDED, text), Cause.NOT_SENT))
            return id
        flags |= ACK_REQUIRED
        if urgent:
            flags |= URGENT
        if compressed:
            flags |= COMPRESSED
        if has_streams:
            entry.has_streams = True
            settings = self.settings
            if member.request_stream:
                flags |= MORE
                entry.sends = SendWindow(settings.stream_items, settings.stream_bytes, is_stream=True)
            if member.response_stream:
                entry.receives = ReceiveWindow(settings.stream_items, settings.stream_bytes, STREAM_GROWTH)
            self._streams_begin()
        payload = prefix + body
        frame = _pack(MAGIC, 1, flags, self._message_type, _COMMAND, member.number, len(payload), id) + payload
        lane = outgoing.urgent if urgent else outgoing.normal
        entry.position = lane.taken + len(lane.frames)
        outgoing.push(frame, urgent, REQUEST)
        self._outbound[id] = entry
        self._call_count += 1
        if deadline < self._next_deadline:
            self._next_deadline = deadline
        return id

    def _streams_begin(self) -> None:
        """A call with streams is open from now on: where the session drains, it has its time from here."""
        if self._drain_at != inf and self._drain_streams_at == inf:
            self._drain_streams_at = min(self._now + self.settings.stream_drain, self._drain_at)

    def _prefix(self, metadata: Metadata | None, deadline: int | None, topic: str) -> tuple[int, bytes]:
        try:
            return message_prefix(metadata, deadline, topic, self.settings.wall_clock)
        except PayloadError as error:
            raise Status(error.code, error.message) from None

    def can_send_item(self, id: int, size: int) -> bool:
        """Whether the stream of this call, of this side's requests or answers, takes an item. `Writable(id)` follows
        otherwise; where the call has ended, what is sent is ignored, so that this says yes."""
        window = self._send_window_of(id)
        if window is None:
            return True
        if window.is_open and self._has_request_capacity():
            return True
        self._waiting_streams.add(id)
        return False

    def _send_window_of(self, id: int) -> SendWindow | None:
        entry = self._outbound.get(id)
        if entry is not None:
            return entry.sends
        call = self._inbound.get(id)
        if call is None or call.interest or not call.member.response_stream:
            return None
        if call.sends is None:
            settings = self.settings
            call.sends = SendWindow(settings.stream_items, settings.stream_bytes, is_stream=True)
        return call.sends

    def item(self, id: int, body: bytes, last: bool = False, *, compressed: bool = False) -> None:
        """Sends a request item of a call of this side. `last` ends the stream; with an empty body it is an end alone, which
        needs no credit. Does nothing where the call has ended."""
        entry = self._outbound.get(id)
        if entry is None or entry.sends is None or entry.member is None or self._phase != OPEN:
            return
        flags = ITEM | (0 if last else MORE) | (URGENT if entry.urgent else 0)
        variant = 0
        if body:
            self._check_body(entry.member, body)
            if not self.can_send_item(id, len(body)):
                raise NotReadyError(Code.RESOURCE_EXHAUSTED, "no credit for an item: wait for `Writable`")
            entry.sends.spend(len(body) + 2)
            variant = entry.member.number
            if compressed:
                flags |= COMPRESSED
        elif not last:
            return
        if last:
            self._late_outbound += max(entry.sends.uncredited, 0)
            entry.sends = None
            self._waiting_streams.discard(id)
        frame = self._pack(self._message_type, flags, STATE, variant, id, NO_TOPIC + body)
        self._outgoing.push(frame, entry.urgent, REQUEST)

    # --- Messages

    def send(
        self,
        member: Member,
        body: bytes,
        *,
        now: float,
        timeout: float | None = None,
        compressed: bool = False,
        metadata: Metadata | None = None,
        topic: str = "",
        acknowledged: bool | None = None,
        key: str = "",
    ) -> int:
        """Sends a one-way message or a delivery, and returns its id; `acknowledged` is the member's shape where it is None.

        A delivery ends with `Acknowledged` or `Failed`. Of kinds that may be dropped (STATE, LOG, METRIC) what has no credit
        waits here, and is replaced or dropped by its kind; `key` distinguishes one STATE of the member from another. A STATE
        with an empty body clears it. A delivery names its deadline to the peer only where `timeout` is given here.
        """
        if acknowledged is None:
            acknowledged = member.shape is Shape.ACKNOWLEDGED
        if self._phase != OPEN or self._is_closing:
            self._check_open()
        if len(body) > self._peer_max_body:
            self._check_body(member, body)
        self._now = now
        flags, prefix = 0, NO_TOPIC
        if metadata is not None or topic or (acknowledged and timeout is not None):
            flags, prefix = self._prefix(metadata, deadline_ms(timeout) if acknowledged and timeout else None, topic)
        if member.urgent:
            flags |= URGENT
        if compressed:
            flags |= COMPRESSED
        payload = prefix + body
        if not self._may_send_now(member) or (acknowledged and not self._may_deliver()):
            return self._send_later(member, flags, payload, now, timeout, acknowledged, key, topic)
        if acknowledged:
            return self._deliver(member, flags, payload, now, timeout)
        self._sequence += 1
        id = self._own_bit | self._sequence
        frame = _pack(MAGIC, 1, flags, self._message_type, member.kind, member.number, len(payload), id) + payload
        self._outgoing.push(frame, member.urgent, REQUEST)
        self._send_window.spend(len(payload))
        return id

    def _deliver(self, member: Member, flags: int, payload: bytes, now: float, timeout: float | None) -> int:
        id = self._own_bit | DELIVERY_ID | self._next_delivery
        self._next_delivery += 1
        frame = self._pack(self._message_type, flags | ACK_REQUIRED, member.kind, member.number, id, payload)
        deadline = inf if timeout is None else now + timeout
        entry = Outbound(Class.DELIVERY, member, member.urgent, now, timeout, deadline)
        self._insert_delivery(id, entry, frame)
        return id

    def _send_later(
        self,
        member: Member,
        flags: int,
        payload: bytes,
        now: float,
        timeout: float | None,
        acknowledged: bool,
        key: str,
        topic: str,
    ) -> int:
        """A message that finds no capacity: waits in the droppable queue, or is refused."""
        if not is_droppable(member.kind) or not self._may_enqueue(member, topic, key):
            self._waits = True
            raise NotReadyError(Code.RESOURCE_EXHAUSTED, f"no capacity for {member.name}: wait for `Writable`")
        frame = self._pack(self._message_type, flags, member.kind, member.number, 0, payload)
        self._sequence += 1
        id = self._own_bit | self._sequence
        state_key = (member.number, topic, key) if member.kind is Kind.STATE else None
        droppable = Droppable(frame, member.kind, state_key, id if acknowledged else 0)
        if acknowledged:
            deadline = inf if timeout is None else now + timeout
            entry = Outbound(Class.DELIVERY, member, member.urgent, now, timeout, deadline)
            entry.alias = id
            self._placeholders[id] = entry
            self._next_deadline = min(self._next_deadline, deadline)
        queue = self._droppable
        older = queue.put(droppable)
        if older is not None:
            self._note_dropped(older)
        limit = self.settings.outgoing_queue // QUEUE_SHARE
        while queue.cost > limit and len(queue) > 1:
            oldest = queue.drop_oldest()
            if oldest is None:
                break
            self._note_dropped(oldest)
        return id

    # --- Giving up, and pings

    def cancel(self, id: int, now: float) -> None:
        """The answer of a call, delivery, subscription or ping is not wanted any more: no event follows for it. Unknown ids are
        ignored. A delivery may arrive all the same."""
        self._now = now
        if self._placeholders.pop(id, None) is not None:
            return
        id = self._aliases.get(id, id)
        entry = self._outbound.pop(id, None)
        if entry is None:
            return
        if entry.cls is Class.CALL:
            self._give_up_call(id, entry, says_cancel=True)
        else:
            self._late_outbound += 1
        self._remove(id, entry)

    def _give_up_call(self, id: int, entry: Outbound, *, says_cancel: bool) -> None:
        """Nobody waits for a call any more: it is not sent, or cancelled at the peer, where it counts until it has ended."""
        if not self._is_sent(entry):
            if entry.position >= 0:
                self._outgoing.withdraw(entry.position, entry.urgent)
            return
        if self._phase == OPEN and says_cancel:
            self._push_cancel(id, entry.urgent)
        if self._peer_ends_cancelled and self._phase in (OPEN, SUSPENDED, AWAIT_WELCOME):
            self._abandoned[id] = entry.urgent
        else:
            self._late_outbound += 1

    def _expire(self) -> None:
        """Fails the exchanges whose deadlines have passed."""
        now = self._now
        next_deadline = inf
        late: list[tuple[int, Outbound]] = []
        for id, entry in self._outbound.items():
            if entry.deadline <= now:
                late.append((id, entry))
            elif entry.deadline < next_deadline:
                next_deadline = entry.deadline
        for id, entry in list(self._placeholders.items()):
            if entry.deadline <= now:
                del self._placeholders[id]
                self._fail_expired(id, entry, sent=False)
            elif entry.deadline < next_deadline:
                next_deadline = entry.deadline
        for id, call in self._inbound.items():
            if call.deadline > now:
                next_deadline = min(next_deadline, call.deadline)
            elif not call.is_expired and not call.interest:
                call.is_expired = True
                self._tell_cancelled(id)
        self._next_deadline = next_deadline
        for id, entry in late:
            sent = self._is_sent(entry)
            del self._outbound[id]
            if entry.cls is Class.CALL:
                # The peer knows the deadline of a call without streams itself.
                self._give_up_call(id, entry, says_cancel=entry.has_streams)
            else:
                self._late_outbound += 1
            self._remove(id, entry)
            self._fail_expired(id, entry, sent)

    def _fail_expired(self, id: int, entry: Outbound, sent: bool) -> None:
        name = entry.member.name if entry.member is not None else entry.cls.name
        text = f"no answer to {name} within {entry.timeout:g} s" if entry.timeout is not None else "no answer in time"
        cause = Cause.DEADLINE if sent else Cause.NOT_SENT
        self._events.append(Failed(entry.alias or id, Status(Code.DEADLINE_EXCEEDED, text), cause))

    def _tell_cancelled(self, id: int) -> None:
        """A call of the peer is not awaited any more; defined where calls of the peer are."""
        raise NotImplementedError

    def ping(self, now: float, data: bytes = b"", *, timeout: float | None = 30.0) -> int:
        """Sends a PING; ends with `Pong` or `Failed`. `data` has at most 64 KiB."""
        self._check_open()
        if len(data) > MAX_CONTROL:
            raise Status(Code.INVALID_ARGUMENT, f"a PING of {len(data)} bytes: {MAX_CONTROL} are allowed")
        if self._outgoing.cost >= self.settings.outgoing_queue:
            raise NotReadyError(Code.RESOURCE_EXHAUSTED, "no capacity for a PING: wait for `Writable`")
        self._now = now
        self._sequence += 1
        id = self._own_bit | self._sequence
        entry = Outbound(Class.PING, None, True, now, timeout, inf if timeout is None else now + timeout)
        entry.position = self._outgoing.urgent.position
        self._outgoing.push(pack_frame(PING, 0, id, data), True, REQUEST)
        self._outbound[id] = entry
        self._next_deadline = min(self._next_deadline, entry.deadline)
        return id
