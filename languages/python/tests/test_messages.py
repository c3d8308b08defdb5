"""One-way messages and deliveries: acknowledgment, credit, and what may be dropped."""

from __future__ import annotations

import unittest

from msip.errors import Code, NotReadyError, Status
from msip.session import Cause, Settings
from msip.session import events as ev
from msip.wire.metadata import Metadata
from pair import LINE, NOTE, ORDER, POSITION, URGENT_ORDER, Pair, events, of

ONE_ITEM = Settings(window_items=1)


def connected(client: Settings | None = None, server: Settings | None = None) -> Pair:
    pair = Pair(client, server)
    pair.exchange()
    events(pair.client)
    events(pair.server)
    return pair


def bodies(pair: Pair) -> list[bytes]:
    pair.exchange()
    return [event.body for event in of(pair.server, ev.Message) if isinstance(event, ev.Message)]


class Messages(unittest.TestCase):
    def test_a_delivery_is_acknowledged_when_its_handler_has_returned(self) -> None:
        pair = connected()
        id = pair.client.send(ORDER, b"two pizzas", now=0)
        failing = pair.client.send(ORDER, b"ten pizzas", now=0)
        pair.exchange()
        self.assertEqual(
            events(pair.server),
            [
                ev.Message(id, ORDER, b"two pizzas", False, None, "", True, 12),
                ev.Message(failing, ORDER, b"ten pizzas", False, None, "", True, 12),
            ],
        )
        self.assertEqual(events(pair.client), [])
        pair.server.acknowledge(id)
        pair.server.fail(failing, Status(Code.RESOURCE_EXHAUSTED, "no flour"))
        pair.exchange()
        acknowledged, failed = events(pair.client)
        self.assertEqual(acknowledged, ev.Acknowledged(id))
        assert isinstance(failed, ev.Failed)
        self.assertEqual((failed.id, failed.status.message, failed.cause), (failing, "no flour", Cause.PEER))

    def test_messages_need_credit_and_it_comes_back(self) -> None:
        pair = connected(Settings(window_items=4), Settings(window_items=4))
        for number in range(4):
            pair.client.send(NOTE, b"%d" % number, now=0)
        self.assertFalse(pair.client.can_send(NOTE))
        with self.assertRaises(NotReadyError):
            pair.client.send(NOTE, b"4", now=0)
        self.assertEqual(bodies(pair), [b"0", b"1", b"2", b"3"])
        pair.server.finished(0, 2, 6)
        pair.exchange()
        self.assertEqual(events(pair.client), [ev.Writable(0)])
        self.assertTrue(pair.client.can_send(NOTE))

    def test_a_window_grows_while_it_is_used_up(self) -> None:
        pair = connected()
        sent = []
        for _ in range(6):
            count = 0
            while pair.client.can_send(NOTE):
                pair.client.send(NOTE, b"x", now=0)
                count += 1
            sent.append(count)
            pair.exchange()
            for event in of(pair.server, ev.Message):
                assert isinstance(event, ev.Message)
                pair.server.finished(0, 1, event.size)
            pair.exchange()
        self.assertEqual(sent[0], 1024)
        self.assertGreater(max(sent), 8000)
        self.assertLessEqual(max(sent), 16 * 1024)

    def test_a_message_beyond_the_credit_ends_the_connection(self) -> None:
        pair = connected()
        pair.client._send_window.items = 5000
        for _ in range(1025):
            pair.client.send(NOTE, b"x", now=0)
        pair.exchange()
        [closed] = of(pair.server, ev.Closed)
        assert isinstance(closed, ev.Closed)
        self.assertEqual((closed.code, closed.by_peer), (Code.RESOURCE_EXHAUSTED, False))

    def test_a_state_without_credit_is_replaced_by_a_newer_one_of_its_key(self) -> None:
        pair = connected(ONE_ITEM, ONE_ITEM)
        pair.client.send(NOTE, b"takes the credit", now=0)
        for body, key in ((b"north 1", "north"), (b"south 1", "south"), (b"north 2", "north")):
            self.assertTrue(pair.client.can_send(POSITION))
            pair.client.send(POSITION, body, now=0, key=key)
        received = []
        for _ in range(4):
            received += bodies(pair)
            pair.server.finished(0, 1, 30)
        self.assertEqual(received, [b"takes the credit", b"north 2", b"south 1"])
        self.assertEqual(pair.client.dropped.state, 1)

    def test_the_oldest_lines_of_a_log_are_dropped_from_a_full_queue(self) -> None:
        client = Settings(window_items=1, outgoing_queue=8000)
        pair = connected(client, ONE_ITEM)
        pair.client.send(NOTE, b"takes the credit", now=0)
        for number in range(100):
            pair.client.send(LINE, b"%d" % number, now=0)
        dropped = pair.client.dropped.log
        self.assertGreater(dropped, 80)
        self.assertLessEqual(pair.client._droppable.cost, 1000)
        received = []
        for _ in range(30):
            received += bodies(pair)
            pair.server.finished(0, 1, 30)
        self.assertEqual(received[1:], [b"%d" % number for number in range(dropped, 100)])

    def test_what_waits_for_a_place_in_the_queue_is_sent_with_the_next_write(self) -> None:
        pair = connected(Settings(outgoing_queue=100))
        pair.client.send(NOTE, b"fills the queue" * 10, now=0)
        pair.client.send(LINE, b"waits", now=0)
        pair.client.close(0, text="bye")
        pair.exchange()
        self.assertEqual(
            [type(event) for event in events(pair.server)], [ev.Message, ev.Message, ev.Draining, ev.Closed]
        )

    def test_who_waits_for_a_dropped_message_is_told(self) -> None:
        pair = connected(ONE_ITEM, ONE_ITEM)
        pair.client.send(NOTE, b"takes the credit", now=0)
        first = pair.client.send(POSITION, b"1", now=0, acknowledged=True)
        second = pair.client.send(POSITION, b"2", now=0, acknowledged=True)
        self.assertEqual(events(pair.client), [ev.Acknowledged(first)], "the newer one is sent in its place")
        self.assertEqual(bodies(pair), [b"takes the credit"])
        pair.server.finished(0, 1, 18)
        pair.exchange()
        [message] = of(pair.server, ev.Message)
        assert isinstance(message, ev.Message)
        pair.server.acknowledge(message.id)
        pair.exchange()
        self.assertEqual(of(pair.client, ev.Acknowledged), [ev.Acknowledged(second)])

    def test_an_event_is_not_held_up_by_what_may_be_dropped(self) -> None:
        pair = connected(ONE_ITEM, ONE_ITEM)
        pair.client.send(NOTE, b"takes the credit", now=0)
        for number in range(3):
            pair.client.send(LINE, b"%d" % number, now=0)
        self.assertFalse(pair.client.can_send(NOTE))
        self.assertEqual(bodies(pair), [b"takes the credit"])
        pair.server.finished(0, 1, 18)
        pair.exchange()
        self.assertEqual(events(pair.client), [ev.Writable(0)])
        pair.client.send(NOTE, b"news", now=0)
        self.assertEqual(bodies(pair), [b"news"])
        self.assertEqual(pair.client.dropped.log, 3)

    def test_a_state_is_cleared_by_an_empty_body(self) -> None:
        pair = connected()
        pair.client.send(POSITION, b"", now=0, metadata=Metadata(cleared=b"\x42\x00"))
        pair.exchange()
        [message] = events(pair.server)
        assert isinstance(message, ev.Message) and message.metadata is not None
        self.assertEqual((message.body, message.metadata.cleared), (b"", b"\x42\x00"))

    def test_a_message_to_a_topic_is_refused_on_a_direct_connection(self) -> None:
        pair = connected()
        pair.client.send(ORDER, b"x", now=0, topic="kitchen")
        pair.exchange()
        [failed] = events(pair.client)
        assert isinstance(failed, ev.Failed)
        self.assertIs(failed.status.code, Code.INVALID_ARGUMENT)
        self.assertEqual(events(pair.server), [])

    def test_no_more_than_4096_deliveries_are_unanswered(self) -> None:
        pair = connected(Settings(window_items=10_000), Settings(window_items=10_000))
        first = 0
        for number in range(4096):
            id = pair.client.send(ORDER, b"x", now=0)
            first = first or id
            self.assertEqual(id & 0xFFFF, number + 1, "without gaps")
        self.assertFalse(pair.client.can_send(ORDER))
        self.assertTrue(pair.client.can_send(NOTE))
        pair.exchange()
        pair.server.acknowledge(first + 1)
        pair.exchange()
        self.assertFalse(pair.client.can_send(ORDER), "the oldest is what counts")
        pair.server.acknowledge(first)
        pair.exchange()
        self.assertTrue(pair.client.can_send(ORDER))

    def test_a_delivery_of_which_nobody_hears_fails_by_its_deadline(self) -> None:
        pair = connected()
        id = pair.client.send(URGENT_ORDER, b"x", now=0, timeout=3.0)
        pair.pass_time(4)
        [failed] = events(pair.client)
        assert isinstance(failed, ev.Failed)
        self.assertEqual((failed.id, failed.cause), (id, Cause.DEADLINE))
        pair.server.acknowledge(id)
        pair.exchange()
        self.assertEqual(events(pair.client), [])


if __name__ == "__main__":
    unittest.main()
