"""Resumption: what is kept when a connection is lost, and what is told of it."""

from __future__ import annotations

import unittest

from msip.errors import Code, Status
from msip.session import Accepting, Cause, Settings, negotiate
from msip.session import events as ev
from pair import ECHO, NOTE, ORDER, PROTOCOL, Pair, events, of


def connected(client: Settings | None = None, server: Settings | None = None) -> Pair:
    pair = Pair(client, server)
    pair.exchange()
    events(pair.client)
    events(pair.server)
    return pair


def come_back(pair: Pair) -> None:
    pair.connect(is_resumed=True)
    pair.exchange()


class Resuming(unittest.TestCase):
    def test_deliveries_without_an_answer_come_again_in_their_order_and_are_handled_once(self) -> None:
        pair = connected()
        ids = [pair.client.send(ORDER, b"%d" % number, now=0) for number in range(3)]
        pair.server.receive(pair.client.transmit(), 0)
        ids += [pair.client.send(ORDER, b"%d" % number, now=0) for number in range(3, 5)]
        pair.server.acknowledge(ids[0])
        pair.server.fail(ids[1], Status(Code.NOT_FOUND, "no such thing"))
        pair.lose()
        come_back(pair)
        handled = [event.body for event in of(pair.server, ev.Message) if isinstance(event, ev.Message)]
        self.assertEqual(handled, [b"0", b"1", b"2", b"3", b"4"])
        connected_again, acknowledged, failed = events(pair.client)
        assert isinstance(connected_again, ev.Connected) and isinstance(failed, ev.Failed)
        self.assertTrue(connected_again.resumed)
        self.assertEqual(acknowledged, ev.Acknowledged(ids[0]))
        self.assertEqual(
            (failed.id, failed.status.code, failed.status.message), (ids[1], Code.ABORTED, "failed earlier")
        )
        for id in ids[2:]:
            pair.server.acknowledge(id)
        pair.exchange()
        self.assertEqual(events(pair.client), [ev.Acknowledged(id) for id in ids[2:]])
        self.assertEqual(pair.client._kept_cost, 0)

    def test_each_awaited_call_has_its_fate(self) -> None:
        pair = connected()
        runs, kept, gone, lost, unsent = (
            pair.client.call(ECHO, body, now=0, timeout=30.0)
            for body in (b"runs", b"kept", b"gone", b"lost", b"unsent")
        )
        # All but the last are handed to the transport, and the server hears three.
        frames = pair.client.transmit()
        size = 24 + 2 + 4
        pair.server.receive(frames[: 3 * size], 0)
        self.assertEqual(len(of(pair.server, ev.Request)), 3)
        pair.server.answer(gone, b"written and lost")
        pair.server.transmit()
        pair.lose()
        pair.server.answer(kept, b"kept")
        come_back(pair)
        outcomes = {}
        for event in events(pair.client):
            if isinstance(event, ev.Failed):
                outcomes[event.id] = (event.status.code, event.cause)
            elif isinstance(event, ev.Answer):
                self.assertEqual((event.id, event.body), (kept, b"kept"))
        self.assertEqual(
            outcomes,
            {
                gone: (Code.UNKNOWN, Cause.PEER),
                lost: (Code.UNAVAILABLE, Cause.NOT_RECEIVED),
                unsent: (Code.UNAVAILABLE, Cause.NOT_RECEIVED),
            },
        )
        pair.server.answer(runs, b"at last")
        pair.exchange()
        self.assertEqual(events(pair.client), [ev.Answer(runs, b"at last", False, None)])

    def test_an_answer_of_a_client_that_awaits_its_welcome_is_kept(self) -> None:
        pair = connected()
        asked = pair.server.call(ECHO, b"asked", now=0, timeout=30.0)
        pair.exchange()
        self.assertEqual(len(of(pair.client, ev.Request)), 1)
        pair.lose()
        pair.connect(is_resumed=True)
        pair.client.answer(asked, b"meanwhile")
        pair.exchange()
        self.assertEqual(of(pair.server, ev.Answer), [ev.Answer(asked, b"meanwhile", False, None)])

    def test_a_call_that_was_not_written_is_sent_with_the_time_that_remains(self) -> None:
        pair = connected()
        id = pair.client.call(ECHO, b"waits", now=0, timeout=30.0)
        pair.lose()
        pair.now = 10.0
        come_back(pair)
        [request] = of(pair.server, ev.Request)
        assert isinstance(request, ev.Request)
        self.assertEqual((request.id, request.body, request.deadline), (id, b"waits", 30.0))

    def test_a_call_that_is_given_up_meanwhile_is_cancelled(self) -> None:
        pair = connected()
        sent = pair.client.call(ECHO, b"sent", now=0, timeout=30.0)
        pair.exchange()
        unsent = pair.client.call(ECHO, b"unsent", now=0, timeout=30.0)
        events(pair.server)
        pair.lose()
        pair.client.cancel(sent, 0)
        pair.client.cancel(unsent, 0)
        come_back(pair)
        self.assertEqual([type(event) for event in events(pair.server)], [ev.Connected, ev.Cancelled])
        pair.server.fail(sent, Status(Code.CANCELLED))
        pair.exchange()
        self.assertEqual(pair.server.open_calls, 0)
        self.assertTrue(pair.client.can_send(ECHO))

    def test_messages_that_nobody_waits_for_are_dropped_and_counted(self) -> None:
        pair = connected()
        pair.client.send(NOTE, b"queued", now=0)
        pair.lose()
        self.assertEqual(pair.client.dropped.disconnected, 1)
        come_back(pair)
        self.assertEqual(of(pair.server, ev.Message), [])

    def test_credit_of_an_earlier_connection_is_not_granted_again(self) -> None:
        pair = connected(Settings(window_items=4), Settings(window_items=4))
        for _ in range(4):
            pair.client.send(NOTE, b"x", now=0)
        pair.exchange()
        pair.lose()
        come_back(pair)
        self.assertEqual(pair.client._send_window.items, 4)
        for _ in range(4):
            pair.server.finished(0, 1, 3)
        pair.exchange()
        self.assertEqual(pair.client._send_window.items, 4)
        for _ in range(4):
            pair.client.send(NOTE, b"x", now=0)
        pair.exchange()
        pair.server.finished(0, 4, 12)
        pair.exchange()
        self.assertGreaterEqual(pair.client._send_window.items, 4)
        self.assertTrue(pair.server.is_connected)

    def test_a_session_that_the_server_has_lost_is_lost_with_all_that_was_open(self) -> None:
        pair = connected()
        call = pair.client.call(ECHO, b"sent", now=0, timeout=30.0)
        order = pair.client.send(ORDER, b"sent", now=0)
        asked = pair.server.call(ECHO, b"asked", now=0, timeout=30.0)
        pair.exchange()
        events(pair.client)
        pair.lose()
        pair.connect()
        pair.exchange()
        *failed, cancelled, connected_again = events(pair.client)
        self.assertEqual(
            {(event.id, event.cause) for event in failed if isinstance(event, ev.Failed)},
            {(call, Cause.LOST), (order, Cause.LOST)},
        )
        self.assertEqual(cancelled, ev.Cancelled(asked))
        assert isinstance(connected_again, ev.Connected)
        self.assertEqual((connected_again.resumed, connected_again.session_lost), (False, True))
        self.assertEqual(pair.client.send(ORDER, b"again", now=0), order, "deliveries count from 1 again")

    def test_handlers_of_a_lost_session_do_not_answer_for_calls_of_the_next(self) -> None:
        pair = connected()
        before = pair.server.call(ECHO, b"before", now=0, timeout=30.0)
        pair.server.send(ORDER, b"before", now=0)
        pair.exchange()
        old = [event.id for event in events(pair.client) if isinstance(event, (ev.Request, ev.Message))]
        pair.lose()
        pair.connect()
        pair.exchange()
        events(pair.client)
        after = pair.server.call(ECHO, b"after", now=0, timeout=30.0)
        pair.server.send(ORDER, b"after", now=0)
        self.assertEqual(before, after, "another session begins with the same ids")
        pair.exchange()
        new = [event.id for event in events(pair.client) if isinstance(event, (ev.Request, ev.Message))]
        pair.client.answer(old[0], b"of before")
        pair.client.acknowledge(old[1])
        pair.client.finished(0, 1, 8)
        pair.exchange()
        self.assertEqual(of(pair.server, ev.Answer) + of(pair.server, ev.Acknowledged), [])
        pair.client.answer(new[0], b"of after")
        pair.client.acknowledge(new[1])
        pair.exchange()
        answer, acknowledged = events(pair.server)
        assert isinstance(answer, ev.Answer) and isinstance(acknowledged, ev.Acknowledged)
        self.assertEqual(answer.body, b"of after")

    def test_a_newer_connection_takes_the_session_over(self) -> None:
        pair = connected()
        pair.client.lost(0)
        pair.client.begin(0)
        accepting = Accepting(Settings(), 0)
        hello = accepting.receive(pair.client.transmit(), 0)
        assert hello is not None
        self.assertTrue(pair.server.owns(hello.session_secret))
        self.assertFalse(pair.server.owns(bytes(16)))
        last = pair.server.take_over(0)
        self.assertIn(b"ABORTED: session taken over", last)
        pair.server.resume(accepting, negotiate(hello, PROTOCOL, Settings(), peer_id=1), 0)
        pair.exchange()
        [connected_again] = events(pair.client)
        assert isinstance(connected_again, ev.Connected)
        self.assertTrue(connected_again.resumed)

    def test_a_session_that_is_not_kept_ends_with_its_connection(self) -> None:
        pair = connected(server=Settings(session_expiry=0))
        id = pair.client.send(ORDER, b"x", now=0)
        pair.exchange()
        pair.lose()
        failed, closed = events(pair.client)
        assert isinstance(failed, ev.Failed) and isinstance(closed, ev.Closed)
        self.assertEqual((failed.id, failed.cause), (id, Cause.LOST))
        self.assertTrue(pair.server.is_over)

    def test_more_replies_than_may_be_kept_end_the_session(self) -> None:
        pair = connected(server=Settings(session_buffer=1000))
        for _ in range(10):
            pair.client.call(ECHO, b"x", now=0, timeout=30.0)
        pair.exchange()
        requests = of(pair.server, ev.Request)
        pair.lose()
        for request in requests:
            assert isinstance(request, ev.Request)
            pair.server.answer(request.id, b"x" * 200)
        self.assertTrue(pair.server.is_over)
        self.assertLess(pair.server._ended_calls.kept_cost, 1500)


if __name__ == "__main__":
    unittest.main()
