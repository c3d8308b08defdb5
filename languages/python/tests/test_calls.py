"""Calls and their streams: answers, errors, deadlines, cancelling, limits."""

from __future__ import annotations

import unittest

from msip.errors import ClosedError, Code, Detail, NotReadyError, Status
from msip.session import Cause, Settings
from msip.session import events as ev
from msip.wire.metadata import Metadata
from pair import ALARM, BOTH, ECHO, ECHOED, NOTE, UPLOAD, WATCH, Pair, events, of, small


class Calls(unittest.TestCase):
    def setUp(self) -> None:
        self.pair = self.connected()

    def connected(self, client: Settings | None = None, server: Settings | None = None) -> Pair:
        pair = Pair(client, server)
        pair.exchange()
        events(pair.client)
        events(pair.server)
        return pair

    def request(self, pair: Pair) -> ev.Request:
        pair.exchange()
        [request] = of(pair.server, ev.Request)
        assert isinstance(request, ev.Request)
        return request

    def failure(self, pair: Pair) -> ev.Failed:
        pair.exchange()
        [failed] = of(pair.client, ev.Failed)
        assert isinstance(failed, ev.Failed)
        return failed

    def test_a_call_is_answered_to_its_caller(self) -> None:
        pair = self.pair
        ids = [pair.client.call(ECHO, body, now=0, timeout=30.0) for body in (b"a", b"b", b"c")]
        pair.exchange()
        for request in reversed(of(pair.server, ev.Request)):
            assert isinstance(request, ev.Request)
            self.assertIs(request.member, ECHO)
            self.assertEqual(request.deadline, 30.0)
            pair.server.answer(request.id, request.body.upper())
        pair.exchange()
        self.assertEqual(
            events(pair.client),
            [ev.Answer(id, body, False, None) for id, body in zip(reversed(ids), (b"C", b"B", b"A"), strict=True)],
        )

    def test_either_side_calls_the_other(self) -> None:
        pair = self.pair
        id = pair.server.call(ECHO, b"how are you", now=0, timeout=30.0)
        pair.exchange()
        [request] = events(pair.client)
        assert isinstance(request, ev.Request)
        pair.client.answer(request.id, b"fine")
        pair.exchange()
        self.assertEqual(events(pair.server), [ev.Answer(id, b"fine", False, None)])

    def test_metadata_goes_both_ways_and_no_client_asserts_an_identity(self) -> None:
        pair = self.connected(Settings(wall_clock=lambda: 7))
        sent = Metadata(correlation_id="order-17", headers={"lang": "en"})
        pair.client.call(ECHO, b"hi", now=0, timeout=1.5, metadata=sent)
        request = self.request(pair)
        self.assertEqual(
            request.metadata, Metadata(correlation_id="order-17", headers={"lang": "en"}, request_time_us=7)
        )
        self.assertEqual(request.deadline, 1.5)
        self.assertIsNone(sent.request_time_us, "what the user has given stays as it is")
        pair.server.answer(request.id, b"ho", Metadata(headers={"price-list": "2026"}))
        pair.exchange()
        [answer] = events(pair.client)
        assert isinstance(answer, ev.Answer)
        self.assertEqual(answer.metadata, Metadata(headers={"price-list": "2026"}))
        for wrong in (
            Metadata(headers={"no space": "x"}),
            Metadata(headers={"x": "line\nbreak"}),
            Metadata(key="\0"),
            Metadata(headers={"x": "y" * 9000}),
        ):
            with self.assertRaises(Status) as raised:
                pair.client.call(ECHO, b"hi", now=0, timeout=30.0, metadata=wrong)
            self.assertIs(raised.exception.code, Code.INVALID_ARGUMENT)

    def test_an_error_comes_with_its_headers_and_details(self) -> None:
        pair = self.pair
        pair.client.call(ECHO, b"hi", now=0, timeout=30.0)
        details = [Detail("shop.v1.RetryInfo", b"\x08\x01")]
        status = Status(Code.RESOURCE_EXHAUSTED, "too many orders", headers={"tenant": "north"}, details=details)
        pair.server.fail(self.request(pair).id, status)
        failed = self.failure(pair)
        self.assertEqual((failed.status.code, failed.status.message), (Code.RESOURCE_EXHAUSTED, "too many orders"))
        self.assertEqual(failed.status.headers, {"tenant": "north"})
        self.assertEqual(failed.status.details, tuple(details))
        self.assertIs(failed.cause, Cause.PEER)

    def test_no_handler_forges_what_only_the_session_says(self) -> None:
        pair = self.pair
        for text in ("not accepted", "not received"):
            pair.client.call(ECHO, b"hi", now=0, timeout=30.0)
            pair.server.fail(self.request(pair).id, Status(Code.UNAVAILABLE, text))
            failed = self.failure(pair)
            self.assertEqual(failed.status.message, f"{text}, says the handler")
            self.assertFalse(failed.cause.is_safe_to_repeat)

    def test_a_body_is_as_large_as_the_other_side_accepts_and_no_larger(self) -> None:
        pair = self.connected(small(Settings(), max_body=100), small(Settings(), max_body=50))
        id = pair.client.call(ECHO, b"x" * 50, now=0, timeout=30.0)
        with self.assertRaises(Status) as raised:
            pair.client.call(ECHO, b"x" * 51, now=0, timeout=30.0)
        self.assertIs(raised.exception.code, Code.RESOURCE_EXHAUSTED)
        pair.server.answer(self.request(pair).id, b"x" * 100)
        pair.exchange()
        self.assertEqual(events(pair.client), [ev.Answer(id, b"x" * 100, False, None)])
        pair.client.call(ECHO, b"x", now=0, timeout=30.0)
        pair.server.answer(self.request(pair).id, b"x" * 101)
        self.assertIs(self.failure(pair).status.code, Code.RESOURCE_EXHAUSTED)

    def test_a_call_whose_deadline_has_passed_fails_and_counts_until_its_handler_has_ended(self) -> None:
        pair = self.connected(server=small(Settings(), max_calls=1))
        id = pair.client.call(ECHO, b"hi", now=0, timeout=2.0)
        request = self.request(pair)
        pair.pass_time(2.5)
        [failed] = events(pair.client)
        assert isinstance(failed, ev.Failed)
        self.assertEqual((failed.id, failed.status.code, failed.cause), (id, Code.DEADLINE_EXCEEDED, Cause.DEADLINE))
        self.assertEqual(events(pair.server), [ev.Cancelled(request.id)])
        self.assertFalse(pair.client.can_send(ECHO), "the other side still runs it")
        pair.server.answer(request.id, b"late")
        pair.exchange()
        self.assertEqual(events(pair.client), [ev.Writable(0)])
        self.assertTrue(pair.client.can_send(ECHO))

    def test_a_call_with_no_time_left_is_not_sent(self) -> None:
        pair = self.pair
        id = pair.client.call(ECHO, b"hi", now=0, timeout=0.0005)
        [failed] = events(pair.client)
        assert isinstance(failed, ev.Failed)
        self.assertEqual((failed.id, failed.cause), (id, Cause.NOT_SENT))
        self.assertEqual(pair.client.transmit(), b"")

    def test_a_cancelled_call_stops_its_handler_and_counts_until_that_has_ended(self) -> None:
        pair = self.connected(server=small(Settings(), max_calls=1))
        id = pair.client.call(ECHO, b"hi", now=0, timeout=30.0)
        request = self.request(pair)
        pair.client.cancel(id, 0)
        pair.client.cancel(id, 0)
        pair.exchange()
        self.assertEqual(events(pair.server), [ev.Cancelled(request.id)])
        self.assertFalse(pair.client.can_send(ECHO))
        pair.server.fail(request.id, Status(Code.CANCELLED))
        pair.exchange()
        self.assertEqual(events(pair.client), [ev.Writable(0)])
        self.assertEqual((pair.client.ignored, pair.server.ignored), (0, 0))

    def test_an_item_that_was_under_way_does_not_end_a_cancelled_call(self) -> None:
        pair = self.connected(server=small(Settings(), max_calls=1))
        id = pair.client.call(WATCH, b"w", now=0, timeout=None)
        request = self.request(pair)
        pair.server.answer_item(request.id, b"under way")
        pair.client.cancel(id, 0)
        pair.exchange()
        self.assertFalse(pair.client.can_send(ECHO), "its handler runs")
        pair.server.fail(request.id, Status(Code.CANCELLED))
        pair.exchange()
        self.assertTrue(pair.client.can_send(ECHO))

    def test_a_call_that_is_cancelled_in_the_queue_is_not_sent(self) -> None:
        pair = self.pair
        kept = pair.client.call(ECHO, b"kept", now=0, timeout=30.0)
        id = pair.client.call(UPLOAD, b"", now=0, timeout=None)
        pair.client.item(id, b"one")
        pair.client.cancel(id, 0)
        request = self.request(pair)
        self.assertEqual((request.id, request.body), (kept, b"kept"))
        self.assertEqual(pair.client.queued, 0)

    def test_no_more_calls_are_open_than_the_server_allows(self) -> None:
        pair = self.connected(server=small(Settings(), max_calls=2))
        for _ in range(2):
            pair.client.call(ECHO, b"hi", now=0, timeout=30.0)
        with self.assertRaises(NotReadyError):
            pair.client.call(ECHO, b"hi", now=0, timeout=30.0)
        pair.exchange()
        requests = of(pair.server, ev.Request)
        assert isinstance(requests[0], ev.Request)
        pair.server.answer(requests[0].id, b"ho")
        pair.exchange()
        self.assertIn(ev.Writable(0), events(pair.client))

    def test_a_server_refuses_calls_beyond_its_limits(self) -> None:
        for limits in ({"max_calls": 1}, {"max_call_bytes": 1000}):
            pair = self.connected(server=small(Settings(), **limits))
            pair.client._max_calls = 10
            for _ in range(2):
                pair.client.call(ECHO, b"x" * 600, now=0, timeout=30.0)
            failed = self.failure(pair)
            self.assertIs(failed.status.code, Code.RESOURCE_EXHAUSTED)
            self.assertEqual(len(of(pair.server, ev.Request)), 1)

    def test_what_the_receiver_does_not_know_or_expect_is_answered(self) -> None:
        newer = small(ECHO, number=999)
        odd = {
            "a variant of a newer schema": (newer, b"x", Code.UNIMPLEMENTED),
            "the call for a schema": (small(ECHO, number=65535), b"", Code.UNIMPLEMENTED),
            "a call of a message": (small(ECHO, number=NOTE.number), b"x", Code.INVALID_ARGUMENT),
            "a call of an answer": (small(ECHO, number=ECHOED.number), b"x", Code.UNIMPLEMENTED),
            "a call without a request": (ECHO, b"", Code.INVALID_ARGUMENT),
            "a stream where one is expected": (small(UPLOAD, number=ECHO.number), b"x", Code.INVALID_ARGUMENT),
            "one where a stream is expected": (small(ECHO, number=UPLOAD.number), b"x", Code.INVALID_ARGUMENT),
        }
        for name, (member, body, code) in odd.items():
            with self.subTest(name):
                self.pair.client.call(member, body, now=0, timeout=30.0)
                self.assertIs(self.failure(self.pair).status.code, code)
                self.assertTrue(self.pair.server.is_connected)

    def test_an_answer_that_is_none_fails_the_call_as_internal(self) -> None:
        for answer in (small(ECHO, answer=9), small(ECHO, answer=ECHO.number)):
            self.pair.client.call(ECHO, b"hi", now=0, timeout=30.0)
            request = self.request(self.pair)
            self.pair.server._inbound[request.id].member = answer
            self.pair.server.answer(request.id, b"ho")
            failed = self.failure(self.pair)
            self.assertEqual((failed.status.code, failed.cause), (Code.INTERNAL, Cause.UNREADABLE))

    def test_urgent_frames_overtake_others(self) -> None:
        pair = self.pair
        for _ in range(40):
            pair.client.call(ECHO, b"x" * 10_000, now=0, timeout=30.0)
        pair.client.call(ALARM, b"fire", now=0, timeout=30.0)
        pair.server.receive(pair.client.transmit(), 0)
        first = events(pair.server)[0]
        assert isinstance(first, ev.Request)
        self.assertIs(first.member, ALARM)

    def test_nothing_is_sent_without_a_connection(self) -> None:
        pair = self.pair
        pair.client.lost(0)
        for send in (pair.client.call, pair.client.send):
            with self.assertRaises(NotReadyError):
                send(ECHO, b"x", now=0, timeout=30.0)
        pair.client.end(Status(Code.CANCELLED, "enough"))
        with self.assertRaises(ClosedError):
            pair.client.call(ECHO, b"x", now=0, timeout=30.0)


class Streams(unittest.TestCase):
    def setUp(self) -> None:
        self.pair = Pair()
        self.pair.exchange()
        events(self.pair.client)
        events(self.pair.server)

    def open(self, member: object = BOTH) -> ev.Request:
        self.pair.client.call(member, b"" if member is not WATCH else b"w", now=0, timeout=None)  # type: ignore[arg-type]
        self.pair.exchange()
        [request] = events(self.pair.server)
        assert isinstance(request, ev.Request)
        return request

    def test_both_streams_go_to_their_ends(self) -> None:
        pair = self.pair
        request = self.open()
        pair.client.item(request.id, b"one")
        pair.client.item(request.id, b"two", True)
        pair.server.answer_item(request.id, b"uno")
        pair.exchange()
        self.assertEqual(
            events(pair.server),
            [
                ev.RequestItem(request.id, b"one", False, 5),
                ev.RequestItem(request.id, b"two", False, 5),
                ev.RequestEnd(request.id),
            ],
        )
        pair.server.answer_end(request.id, Metadata(headers={"count": "1"}))
        pair.exchange()
        self.assertEqual(
            events(pair.client),
            [
                ev.AnswerItem(request.id, b"uno", False, 3),
                ev.AnswerEnd(request.id, Metadata(headers={"count": "1"})),
            ],
        )
        self.assertEqual(pair.client.open_calls + pair.server.open_calls, 0)

    def test_a_sender_waits_for_credit_and_goes_on_with_it(self) -> None:
        pair = self.pair
        request = self.open(WATCH)
        sent = 0
        while pair.server.can_send_item(request.id, 1):
            pair.server.answer_item(request.id, b"x")
            sent += 1
        self.assertEqual(sent, 16)
        with self.assertRaises(NotReadyError):
            pair.server.answer_item(request.id, b"x")
        pair.exchange()
        self.assertEqual(events(pair.server), [], "nothing is finished with yet")
        for item in events(pair.client)[:8]:
            assert isinstance(item, ev.AnswerItem)
            pair.client.finished(item.id, 1, item.size)
        pair.exchange()
        self.assertEqual(events(pair.server), [ev.Writable(request.id)])
        self.assertTrue(pair.server.can_send_item(request.id, 1))

    def test_a_slow_reader_grants_a_little_after_a_while(self) -> None:
        pair = self.pair
        request = self.open(WATCH)
        while pair.server.can_send_item(request.id, 1):
            pair.server.answer_item(request.id, b"x")
        pair.exchange()
        pair.client.finished(request.id, 1, 1)
        pair.exchange()
        self.assertEqual(events(pair.server), [])
        pair.pass_time(0.25)
        self.assertEqual(events(pair.server), [ev.Writable(request.id)])

    def test_an_item_beyond_the_credit_ends_the_connection(self) -> None:
        pair = self.pair
        request = self.open()
        stream = pair.client._outbound[request.id].sends
        assert stream is not None
        stream.items = 100
        for _ in range(17):
            pair.client.item(request.id, b"x")
        pair.exchange()
        [closed] = of(pair.server, ev.Closed)
        assert isinstance(closed, ev.Closed)
        self.assertIs(closed.code, Code.RESOURCE_EXHAUSTED)
        self.assertFalse(closed.by_peer)
        [told] = of(pair.client, ev.Closed)
        assert isinstance(told, ev.Closed)
        self.assertTrue(told.by_peer)
        self.assertIs(told.code, Code.RESOURCE_EXHAUSTED)

    def test_an_item_of_another_member_ends_its_call(self) -> None:
        pair = self.pair
        request = self.open(UPLOAD)
        pair.client._outbound[request.id].member = small(UPLOAD, number=9)
        pair.client.item(request.id, b"x")
        pair.exchange()
        [failed] = of(pair.client, ev.Failed)
        assert isinstance(failed, ev.Failed)
        self.assertIs(failed.status.code, Code.INVALID_ARGUMENT)
        self.assertIn("variant 9", failed.status.message)
        self.assertEqual(events(pair.server), [ev.Cancelled(request.id)])

    def test_a_stream_fails_with_its_connection(self) -> None:
        pair = self.pair
        request = self.open()
        pair.lose()
        [failed] = events(pair.client)
        assert isinstance(failed, ev.Failed)
        self.assertIs(failed.cause, Cause.LOST)
        self.assertEqual(events(pair.server), [ev.Cancelled(request.id)])

    def test_what_comes_after_the_end_of_a_call_is_ignored(self) -> None:
        pair = self.pair
        request = self.open()
        pair.server.fail(request.id, Status(Code.ABORTED, "enough"))
        for _ in range(16):
            pair.client.item(request.id, b"x")
        pair.exchange()
        self.assertEqual(pair.server.ignored, 16)
        pair.client.item(request.id, b"x")
        pair.server.answer_item(request.id, b"x")
        self.assertEqual((pair.client.transmit(), pair.server.transmit()), (b"", b""))


if __name__ == "__main__":
    unittest.main()
