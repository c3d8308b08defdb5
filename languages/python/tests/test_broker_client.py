"""A client of a broker: subscriptions and topics."""

from __future__ import annotations

import unittest
from dataclasses import replace

from msip.errors import Code
from msip.protocol import Protocol
from msip.session import events as ev
from msip.wire import header
from msip.wire.decoder import Decoder
from msip.wire.header import pack_frame
from msip.wire.payload import with_length
from msip.wire.protobuf import put_bytes, put_fixed64, put_text
from msip.wire.subscribe import Subscribe, Subscribed, parse_subscribe
from pair import ECHO, NOTE, ORDER, Pair, events


class BrokerClient(unittest.TestCase):
    def setUp(self) -> None:
        self.pair = Pair()
        self.pair.exchange()
        events(self.pair.client)
        self.client = self.pair.client
        # The Python package has no broker: frames are answered by hand from here on.
        self.client._allows_topics = True

    def sent(self) -> list[tuple[int, int, bytes]]:
        return [(type, id, payload) for type, _, _, _, id, payload in Decoder(1 << 20).frames(self.client.transmit())]

    def event(self, topic: str, variant: int, body: bytes, id: int = 1 << 63 | 5, flags: int = 0) -> bytes:
        payload = with_length(topic.encode()) + body
        return header.HEADER.pack(header.MAGIC, 1, flags, header.EVENT, 1, variant, len(payload), id) + payload

    def test_a_subscription_is_answered_and_says_who_serves(self) -> None:
        options = Subscribe(by_peer=True, protocol="test.v1", fingerprint=7)
        id = self.client.subscribe("fleet/7", options, now=0)
        [(frame_type, sent_id, payload)] = self.sent()
        self.assertEqual((frame_type, sent_id), (header.SUBSCRIBE, id))
        self.assertEqual(parse_subscribe(payload, True), ("fleet/7", options))
        body = bytearray()
        put_text(body, 1, "test.v1")
        self.client.receive(pack_frame(header.ACK, 0, id, bytes(body)), 0)
        self.assertEqual(events(self.client), [ev.Subscribed(id, Subscribed("test.v1"))])

    def test_a_refused_subscription_is_not_made_again(self) -> None:
        id = self.client.subscribe("fleet/+", now=0)
        self.sent()
        self.client.receive(pack_frame(header.ERROR, 0, id, b"PERMISSION_DENIED: no"), 0)
        [failed] = events(self.client)
        assert isinstance(failed, ev.Failed)
        self.assertIs(failed.status.code, Code.PERMISSION_DENIED)
        self.assertEqual(self.client._subscriptions, {})

    def test_a_direct_server_answers_that_it_has_no_topics(self) -> None:
        id = self.client.subscribe("fleet/+", now=0)
        self.pair.exchange()
        [failed] = events(self.client)
        assert isinstance(failed, ev.Failed)
        self.assertEqual((failed.id, failed.status.code), (id, Code.UNIMPLEMENTED))

    def test_messages_come_with_their_topics(self) -> None:
        self.client.receive(self.event("fleet/7", NOTE.number, b"x"), 0)
        [message] = events(self.client)
        assert isinstance(message, ev.Message)
        self.assertEqual((message.topic, message.body), ("fleet/7", b"x"))
        self.client.call(ECHO, b"x", now=0, timeout=30.0, topic="fleet/7/$in")
        self.client.send(ORDER, b"x", now=0, topic="fleet/7/$in")
        for _, _, payload in self.sent():
            self.assertEqual(payload, b"\0\x0bfleet/7/$inx")

    def test_an_unanswered_subscription_goes_first_on_the_next_connection(self) -> None:
        self.client.subscribe("fleet/7", now=0)
        self.client.send(ORDER, b"x", now=0)
        self.sent()
        self.pair.lose()
        self.pair.connect(is_resumed=True)
        self.client.receive(self.pair.server.transmit(), 0)
        self.assertEqual([type for type, _, _ in self.sent()], [header.SUBSCRIBE, header.PUBLISH])

    def test_subscriptions_are_made_again_in_a_new_session(self) -> None:
        id = self.client.subscribe("fleet/7", now=0)
        self.sent()
        self.client.receive(pack_frame(header.ACK, 0, id), 0)
        self.pair.lose()
        self.pair.connect()
        self.client.receive(self.pair.server.transmit(), 0)
        [(frame_type, again, payload)] = self.sent()
        self.assertEqual((frame_type, payload), (header.SUBSCRIBE, b"fleet/7"))
        events(self.client)
        self.client.receive(pack_frame(header.ERROR, 0, again, b"PERMISSION_DENIED: no more"), 0)
        [ended] = events(self.client)
        assert isinstance(ended, ev.SubscriptionEnded)
        self.assertEqual((ended.topic, ended.status.message), ("fleet/7", "no more"))

    def test_one_that_does_not_last_is_left_to_its_owner(self) -> None:
        id = self.client.subscribe("fleet/7", now=0, lasts=False)
        self.sent()
        self.client.receive(pack_frame(header.ACK, 0, id), 0)
        self.pair.lose()
        self.pair.connect()
        self.client.receive(self.pair.server.transmit(), 0)
        self.assertEqual(self.sent(), [])
        self.assertEqual(self.client._subscriptions, {})

    def test_several_protocols_at_their_topics(self) -> None:
        shout = replace(NOTE, name="shout", number=77)
        other = Protocol("other.v1", 9, (), (shout,), "a description")
        self.client.speak_at("fleet/7", other)
        for topic, variant in (("fleet/7", 77), ("fleet/7/$to/1f", 77), ("fleet/8", 77), ("fleet/8", NOTE.number)):
            self.client.receive(self.event(topic, variant, b"x"), 0)
        heard = [(event.topic, event.member) for event in events(self.client) if isinstance(event, ev.Message)]
        self.assertEqual(heard, [("fleet/7", shout), ("fleet/7/$to/1f", shout), ("fleet/8", NOTE)])
        call = self.event("fleet/7", 65535, b"", 1 << 63 | 6, header.ACK_REQUIRED)
        self.client.receive(call[:8] + b"\0\x02" + call[10:], 0)
        self.assertIn(b"a description", [payload for _, _, payload in self.sent()])
        self.client.speak_at("fleet/7", None)
        self.client.receive(self.event("fleet/7", 77, b"x"), 0)
        self.assertEqual(events(self.client), [])

    def test_a_client_hears_what_is_spoken_at_its_topic(self) -> None:
        id = self.client.subscribe("fleet/7", now=0)
        self.client.receive(pack_frame(header.ACK, 0, id), 0)
        events(self.client)
        for topic in ("fleet/7", "fleet/8"):
            content, body = bytearray(), bytearray()
            put_text(content, 1, topic)
            put_text(content, 2, "test.v1")
            put_fixed64(content, 3, 7)
            put_bytes(body, 3, content)
            self.client.receive(self.event(f"$presence/{topic}", 3, bytes(body)), 0)
        self.client.receive(self.event("$presence/fleet/7", 3, b"\x1a\x01\xff"), 0)
        self.assertEqual(events(self.client), [ev.TopicSpoken("fleet/7", Subscribed("test.v1", 7))])

    def test_the_broker_ends_a_subscription(self) -> None:
        self.client._subscriptions["fleet/7"] = None, True
        content, body = bytearray(), bytearray()
        put_text(content, 1, "fleet/7")
        put_bytes(body, 4, content)
        self.client.receive(self.event("$broker", 4, bytes(body)), 0)
        [ended] = events(self.client)
        assert isinstance(ended, ev.SubscriptionEnded)
        self.assertEqual((ended.topic, ended.status.code), ("fleet/7", Code.PERMISSION_DENIED))
        self.client._subscriptions["fleet/7"] = None, True
        put_text(content, 2, "RESOURCE_EXHAUSTED")
        put_text(content, 3, "too slow")
        body = bytearray()
        put_bytes(body, 4, content)
        self.client.receive(self.event("$broker", 4, bytes(body)), 0)
        [ended] = events(self.client)
        assert isinstance(ended, ev.SubscriptionEnded)
        self.assertEqual((ended.status.code, ended.status.message), (Code.RESOURCE_EXHAUSTED, "too slow"))
        # What else a broker says is for services, and no input is too strange.
        self.client.receive(self.event("$presence/fleet/7", 1, b"\xff\xff"), 0)
        self.client.receive(self.event("$broker", 4, b"\xff\xff"), 0)
        self.assertEqual(events(self.client), [])


if __name__ == "__main__":
    unittest.main()
