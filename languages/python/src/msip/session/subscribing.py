"""Subscriptions of a broker's client (docs/protocol.md, "Subscribe")."""

from __future__ import annotations

from math import inf

from msip.errors import Code, DecodeError, NotReadyError, Status
from msip.protocol import Protocol, Side
from msip.session.core import OPEN, accepted
from msip.session.events import BrokerSaid, Failed, Subscribed, SubscriptionEnded, TopicSpoken
from msip.session.exchanges import Class, Outbound
from msip.session.outgoing import REQUEST
from msip.session.replying import Replying
from msip.wire.header import ACK_REQUIRED, META, SUBSCRIBE, UNSUBSCRIBE, pack_frame
from msip.wire.payload import PayloadError
from msip.wire.protobuf import as_bytes, as_int, as_text, fields
from msip.wire.subscribe import Subscribe, write_subscribe
from msip.wire.subscribe import Subscribed as SubscribedTo

__all__ = ["BROKER", "BROKER_TOPICS", "Subscribing"]

BROKER = "$broker"
"""The topic at which a broker tells its clients of their subscriptions."""
BROKER_TOPICS = (BROKER, "$presence")
"""What begins the topics at which a broker itself speaks."""

_TOPIC_SPOKEN = 3
_SUBSCRIPTION_ENDED = 4


class Subscribing(Replying):
    """SUBSCRIBE and UNSUBSCRIBE of the connecting side."""

    __slots__ = ()

    def speak_at(self, topic: str, protocol: Protocol | None) -> None:
        """Client of a broker: what comes at this topic, or at the client's own below it, is of this protocol. With None it is of the
        session's own again."""
        if protocol is None:
            self._at_topics.pop(topic, None)
        else:
            self._at_topics[topic] = protocol, accepted(protocol, Side.SERVER)

    def subscribe(
        self,
        topic: str,
        options: Subscribe | None = None,
        *,
        now: float,
        timeout: float | None = 30.0,
        lasts: bool = True,
    ) -> int:
        """Client of a broker: subscribes. Ends with `Subscribed` or `Failed`. One that `lasts` is made again by itself in a new
        session.

        Another one for the same topic takes the place of the one before. Raises `Status` for a topic that is none."""
        id = self._ask(SUBSCRIBE, topic, options, now, timeout)
        self._outbound[id].topic = topic
        self._subscriptions[topic] = options, lasts
        return id

    def unsubscribe(self, topic: str, *, now: float, timeout: float | None = 30.0) -> int:
        """Revokes a subscription. Ends with `Subscribed` or `Failed`."""
        id = self._ask(UNSUBSCRIBE, topic, None, now, timeout)
        self._subscriptions.pop(topic, None)
        return id

    def _ask(self, frame_type: int, topic: str, options: Subscribe | None, now: float, timeout: float | None) -> int:
        self._check_open()
        if not self._has_request_capacity():
            self._waits = True
            raise NotReadyError(Code.RESOURCE_EXHAUSTED, "no capacity for a subscription: wait for `Writable`")
        try:
            payload = write_subscribe(topic, options)
        except PayloadError as error:
            raise Status(error.code, error.message) from None
        self._now = now
        self._sequence += 1
        id = self._own_bit | self._sequence
        flags = ACK_REQUIRED | (META if options is not None else 0)
        entry = Outbound(Class.SUBSCRIBE, None, False, now, timeout, inf if timeout is None else now + timeout)
        entry.frame = pack_frame(frame_type, flags, id, payload)
        self._push_subscribe(id, entry)
        return id

    def _push_subscribe(self, id: int, entry: Outbound) -> None:
        entry.position = self._outgoing.normal.position
        self._outgoing.push(entry.frame, False, REQUEST)
        self._outbound[id] = entry
        self._next_deadline = min(self._next_deadline, entry.deadline)

    def _resubscribe(self) -> None:
        """Sends again what a lost connection has left unanswered, under the same ids and before any message."""
        for id, entry in list(self._outbound.items()):
            if entry.cls is Class.SUBSCRIBE:
                if entry.was_sent:
                    self._late_outbound += 1
                self._push_subscribe(id, entry)

    def _subscribe_again(self) -> None:
        """Makes the subscriptions of a session that was lost in the new one."""
        lasting = {topic: kept for topic, kept in self._subscriptions.items() if kept[1]}
        self._subscriptions = lasting
        for topic, (options, _) in lasting.items():
            self._sequence += 1
            id = self._own_bit | self._sequence
            entry = Outbound(Class.SUBSCRIBE, None, False, self._now, None, inf)
            entry.topic = topic
            # No user knows this id: what comes of it is told by the topic.
            entry.alias = -1
            flags = ACK_REQUIRED | (META if options is not None else 0)
            entry.frame = pack_frame(SUBSCRIBE, flags, id, write_subscribe(topic, options))
            self._push_subscribe(id, entry)

    def _subscription_answered(self, id: int, entry: Outbound, body: bytes) -> None:
        """The broker has accepted it."""
        if entry.alias == -1:
            return
        service = None
        if body:
            try:
                service = SubscribedTo.decode(body)
            except DecodeError:
                service = None
        self._events.append(Subscribed(id, service))

    def _subscription_failed(self, id: int, entry: Outbound, failed: Failed) -> None:
        """The broker has refused it."""
        if entry.topic:
            self._subscriptions.pop(entry.topic, None)
        if entry.alias == -1:
            self._events.append(SubscriptionEnded(entry.topic, failed.status))
        else:
            self._events.append(failed)

    def _broker_says(self, topic: str, variant: int, body: bytes) -> None:
        """A message of a broker's own protocol. A client hears what is spoken at its topics, and of the end of its subscriptions."""
        if self.settings.hears_presence and topic != BROKER:
            self._events.append(BrokerSaid(topic, variant, body))
            return
        if topic == BROKER and variant == _SUBSCRIPTION_ENDED:
            read = self._subscription_ended
        elif variant == _TOPIC_SPOKEN:
            read = self._topic_spoken
        else:
            self.ignored += 1
            return
        try:
            for number, content in fields(body):
                if number == variant and self._phase == OPEN:
                    read(as_bytes(content))
        except DecodeError:
            self.ignored += 1

    def _topic_spoken(self, content: bytes) -> None:
        topic, service = "", SubscribedTo()
        for number, value in fields(content):
            if number == 1:
                topic = as_text(value)
            elif number == 2:
                service.protocol = as_text(value)
            elif number == 3:
                service.fingerprint = as_int(value)
        if topic in self._subscriptions:
            self._events.append(TopicSpoken(topic, service))

    def _subscription_ended(self, content: bytes) -> None:
        topic, code, text = "", "", "what allowed the subscription was withdrawn"
        for number, value in fields(content):
            if number == 1:
                topic = as_text(value)
            elif number == 2:
                code = as_text(value)
            elif number == 3:
                text = as_text(value)
        if topic in self._subscriptions:
            del self._subscriptions[topic]
            status = Status(Code.__members__.get(code, Code.PERMISSION_DENIED), text)
            self._events.append(SubscriptionEnded(topic, status))
