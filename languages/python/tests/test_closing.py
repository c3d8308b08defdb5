"""The end of a session: draining, faults, silence."""

from __future__ import annotations

import unittest

from msip.errors import ClosedError, Code, Status
from msip.session import Accepting, Cause, RefusedError, Session, Settings, negotiate
from msip.session import events as ev
from msip.wire import header
from msip.wire.header import pack_frame
from msip.wire.hello import Codec, Compression, Hello
from pair import ALARM, ECHO, LINE, NOTE, ORDER, PROTOCOL, WATCH, Pair, events, of, small


def connected(client: Settings | None = None, server: Settings | None = None) -> Pair:
    pair = Pair(client, server)
    pair.exchange()
    events(pair.client)
    events(pair.server)
    return pair


class Closing(unittest.TestCase):
    def test_open_calls_finish_and_new_ones_are_refused(self) -> None:
        pair = connected()
        client, server = pair.client, pair.server
        id = client.call(ECHO, b"hi", now=0, timeout=30.0)
        pair.exchange()
        [request] = events(server)
        assert isinstance(request, ev.Request)
        server.close(0, Code.UNAVAILABLE, "the server shuts down")
        late = client.call(ALARM, b"crossed the CLOSE", now=0, timeout=30.0)
        order = client.send(ORDER, b"crossed it too", now=0)
        client.send(NOTE, b"is still accepted", now=0)
        pair.exchange()
        self.assertEqual([type(event) for event in events(server)], [ev.Message])
        draining, *failed = events(client)
        self.assertEqual(draining, ev.Draining(Code.UNAVAILABLE, "the server shuts down"))
        self.assertEqual(
            {(event.id, event.cause) for event in failed if isinstance(event, ev.Failed)},
            {(late, Cause.NOT_ACCEPTED), (order, Cause.NOT_ACCEPTED)},
        )
        with self.assertRaises(ClosedError):
            client.call(ECHO, b"no", now=0, timeout=30.0)
        server.answer(request.id, b"ho")
        pair.exchange()
        answer, closed = events(client)
        self.assertEqual(answer, ev.Answer(id, b"ho", False, None))
        self.assertEqual(closed, ev.Closed(Code.UNAVAILABLE, "the server shuts down", by_peer=True, is_clean=True))
        pair.pass_time(1)
        self.assertEqual(of(server, ev.Closed), [ev.Closed(Code.UNAVAILABLE, "the server shuts down", False, True)])

    def test_streams_are_ended_after_a_quarter_of_a_second(self) -> None:
        for closing in ("client", "server"):
            with self.subTest(closing):
                pair = connected()
                id = pair.client.call(WATCH, b"w", now=0, timeout=None)
                pair.exchange()
                events(pair.server)
                getattr(pair, closing).close(0, Code.UNAVAILABLE, "bye")
                pair.pass_time(0.2)
                events(pair.client)
                self.assertEqual(pair.client.open_calls, 1)
                pair.pass_time(0.1)
                told = events(pair.client)
                self.assertEqual(of(pair.server, ev.Cancelled), [ev.Cancelled(id)])
                pair.server.fail(id, Status(Code.CANCELLED))
                pair.pass_time(1)
                failed, closed = told + events(pair.client)
                assert isinstance(failed, ev.Failed) and isinstance(closed, ev.Closed)
                self.assertEqual((failed.id, failed.status.code), (id, Code.UNAVAILABLE))
                self.assertTrue(closed.is_clean)

    def test_what_does_not_finish_in_time_fails(self) -> None:
        pair = connected(server=small(Settings(), drain_timeout=2.0))
        id = pair.client.call(ECHO, b"hi", now=0, timeout=30.0)
        pair.exchange()
        pair.server.close(0, text="bye")
        pair.pass_time(2.1)
        self.assertEqual(of(pair.server, ev.Cancelled), [ev.Cancelled(id)])
        self.assertTrue(pair.server.is_over)
        pair.client.lost(pair.now)
        failed, closed = [event for event in events(pair.client) if not isinstance(event, ev.Draining)]
        assert isinstance(failed, ev.Failed) and isinstance(closed, ev.Closed)
        self.assertEqual((failed.cause, closed.is_clean), (Cause.LOST, False))

    def test_close_goes_behind_what_waits_for_credit(self) -> None:
        pair = connected(Settings(window_items=1), Settings(window_items=1))
        pair.client.send(NOTE, b"1", now=0)
        pair.client.send(LINE, b"2", now=0)
        pair.client.close(0, text="bye")
        pair.exchange()
        self.assertEqual([type(event) for event in events(pair.server)], [ev.Message])
        pair.server.finished(0, 1, 3)
        pair.exchange()
        self.assertEqual([type(event) for event in events(pair.server)], [ev.Message, ev.Draining, ev.Closed])

    def test_an_end_fails_everything_at_once(self) -> None:
        pair = connected()
        pair.client.call(ECHO, b"sent", now=0, timeout=30.0)
        pair.exchange()
        pair.client.call(ECHO, b"not sent", now=0, timeout=30.0)
        pair.client.end(Status(Code.CANCELLED, "the program stops"))
        causes = [event.cause for event in of(pair.client, ev.Failed) if isinstance(event, ev.Failed)]
        self.assertEqual(causes, [Cause.LOST, Cause.NOT_SENT])
        pair.exchange()
        self.assertEqual(of(pair.server, ev.Draining), [ev.Draining(Code.CANCELLED, "the program stops")])

    def test_a_client_whose_session_was_closed_begins_another(self) -> None:
        pair = connected()
        before = pair.client.session_id
        pair.server.close(0, text="bye")
        pair.pass_time(1)
        self.assertTrue(pair.client.is_over and pair.server.is_over)
        events(pair.client)
        pair.connect()
        pair.exchange()
        [connected_again] = events(pair.client)
        assert isinstance(connected_again, ev.Connected)
        self.assertEqual((connected_again.resumed, connected_again.session_lost), (False, False))
        self.assertNotEqual(pair.client.session_id, before)

    def test_faults_are_told_before_the_end(self) -> None:
        faults = {
            "a second HELLO": pack_frame(header.HELLO, 0, 9, b"x" * 9),
            "EVENT in the wrong direction": pack_frame(header.EVENT, 0, 9, b"\0\0x"),
            "an id of the other side": pack_frame(header.PUBLISH, 0, 1 << 63 | 9, b"\0\0x"),
            "id 0": pack_frame(header.PUBLISH, header.ACK_REQUIRED, 0, b"\0\0x"),
            "a CREDIT of nothing": pack_frame(header.CREDIT, 0, 0, bytes(8)),
            "a CREDIT that is too much": pack_frame(header.CREDIT, 0, 0, b"\xff" * 8),
            "no frame": b"GET / HTTP/1.1\r\n\r\n",
        }
        for name, data in faults.items():
            with self.subTest(name):
                pair = connected()
                pair.server.receive(data, 0)
                self.assertIsInstance(events(pair.server)[-1], ev.Closed)
                said = pair.server.transmit()
                self.assertEqual(said[7], header.ERROR)
                pair.client.receive(said, 0)
                [closed] = of(pair.client, ev.Closed)
                assert isinstance(closed, ev.Closed)
                self.assertTrue(closed.by_peer)
                self.assertEqual(pair.server.timeout(), None)

    def test_one_message_whose_frame_cannot_be_read_is_answered(self) -> None:
        def publish(id: int, flags: int, kind: int, variant: int, payload: bytes) -> bytes:
            return header.HEADER.pack(header.MAGIC, 1, flags, header.PUBLISH, kind, variant, len(payload), id) + payload

        unreadable = {
            "unknown kind": (0, 9, NOTE.number, b"\0\0x"),
            "topic cut off": (0, 1, NOTE.number, b"\0\5to"),
            "topic on a direct connection": (0, 1, NOTE.number, b"\0\2tox"),
            "metadata cut off": (header.META, 1, NOTE.number, b"\0\0\0\xff"),
            "MORE without a call": (header.MORE, 1, NOTE.number, b"\0\0x"),
        }
        for name, (flags, kind, variant, payload) in unreadable.items():
            with self.subTest(name):
                pair = connected()
                pair.server.receive(publish(9, flags, kind, variant, payload), 0)
                said = pair.server.transmit()
                self.assertEqual((said[7], int.from_bytes(said[16:24])), (header.ERROR, 9))
                self.assertTrue(said[24:].startswith(b"INVALID_ARGUMENT: "), said)
                # Nobody could tell an answer to message 0 from the end of the connection.
                pair.server.receive(publish(0, flags, kind, variant, payload), 0)
                self.assertEqual((pair.server.transmit(), events(pair.server)), (b"", []))
        with self.subTest("a frame that can be read"):
            pair = connected()
            pair.server.receive(publish(9, 0, 1, 999, b"\0\0x") + publish(10, 0, 1, NOTE.number, b"\0\0"), 0)
            self.assertEqual((pair.server.transmit(), events(pair.server)), (b"", []))


class Handshake(unittest.TestCase):
    def test_a_server_refuses_with_its_reason(self) -> None:
        pair = Pair()
        pair.client.lost(0)
        pair.client.begin(0)
        accepting = Accepting(Settings(), 0)
        self.assertIsNotNone(accepting.receive(pair.client.transmit(), 0))
        said = accepting.refuse(Status(Code.UNAUTHENTICATED, "who are you?"))
        events(pair.client)
        pair.client.receive(said + pack_frame(header.CLOSE, 0, 0, b"UNAUTHENTICATED: who are you?"), 0)
        self.assertEqual(events(pair.client), [ev.Refused(Code.UNAUTHENTICATED, "who are you?")])
        self.assertFalse(pair.client.is_over)

    def test_codecs_and_compressions_are_agreed_on_in_the_order_of_the_client(self) -> None:
        server = Settings(codecs=(Codec.PROTOBUF, Codec.JSON), compressions=(Compression.GZIP,))
        hello = Hello(protocol="test.v1", codecs=[3, 2, 1], compressions=[2, 1])
        welcome = negotiate(hello, PROTOCOL, server, peer_id=7)
        self.assertEqual((welcome.codec, welcome.compression), (Codec.JSON, Compression.GZIP))
        welcome = negotiate(hello, PROTOCOL, server, peer_id=7, compress=False)
        self.assertEqual(welcome.compression, Compression.NONE)
        for wrong, code in (
            (Hello(protocol="other.v1"), Code.FAILED_PRECONDITION),
            (Hello(protocol="test.v1", codecs=[3, 99]), Code.UNIMPLEMENTED),
        ):
            with self.assertRaises(Status) as raised:
                negotiate(wrong, PROTOCOL, server, peer_id=7)
            self.assertIs(raised.exception.code, code)

    def test_nothing_but_a_hello_begins_a_session(self) -> None:
        pair = Pair()
        pair.client.lost(0)
        pair.client.begin(0)
        hello = pair.client.transmit()
        for name, data in {
            "a PING": pack_frame(header.PING, 0, 1),
            "a frame behind the HELLO": hello + pack_frame(header.PING, 0, 1),
            "a HELLO that is too long": pack_frame(header.HELLO, 0, 1, bytes(20_000)),
            "TLS": bytes.fromhex("16030101"),
        }.items():
            with self.subTest(name):
                accepting = Accepting(Settings(), 0)
                with self.assertRaises(RefusedError) as raised:
                    accepting.receive(data, 0)
                self.assertEqual(raised.exception.reply[7], header.ERROR)

    def test_a_client_ends_a_connection_with_what_it_has_not_offered(self) -> None:
        pair = Pair()
        pair.client.lost(0)
        pair.client.begin(0)
        accepting = Accepting(Settings(), 0)
        hello = accepting.receive(pair.client.transmit(), 0)
        assert hello is not None
        welcome = negotiate(hello, PROTOCOL, Settings(), peer_id=1)
        welcome.codec = Codec.JSON
        server = Session.accept(PROTOCOL, Settings(), accepting, welcome, 0)
        pair.client.receive(server.transmit(), 0)
        self.assertIsInstance(events(pair.client)[-1], ev.TransportDead)
        self.assertEqual(pair.client.transmit()[7], header.ERROR)

    def test_what_answers_in_place_of_the_server_ends_no_session(self) -> None:
        pair = connected()
        id = pair.client.send(ORDER, b"is kept", now=0)
        pair.lose()
        for data in (b"HTTP/1.1 503 Service Unavailable", pack_frame(header.ACK, 0, 99, bytes(20)), b"\x15\x03\x01"):
            pair.client.begin(0)
            pair.client.transmit()
            pair.client.receive(data, 0)
            self.assertIsInstance(events(pair.client)[-1], ev.TransportDead)
        pair.connect(is_resumed=True)
        pair.exchange()
        [message] = of(pair.server, ev.Message)
        assert isinstance(message, ev.Message)
        self.assertEqual((message.id, message.body), (id, b"is kept"))

    def test_an_answer_that_does_not_come_is_not_waited_for(self) -> None:
        pair = Pair()
        pair.client.lost(0)
        pair.client.begin(10.0)
        self.assertEqual(pair.client.timeout(), 15.0)
        pair.client.handle_timeout(15.0)
        self.assertIsInstance(events(pair.client)[-1], ev.TransportDead)
        pair.client.lost(15.0)
        pair.client.begin(16.0)


class Liveness(unittest.TestCase):
    def test_a_silent_peer_is_pinged_and_then_given_up(self) -> None:
        pair = connected()
        client = pair.client
        client.handle_timeout(10.0)
        self.assertEqual(client.transmit()[7], header.PING)
        self.assertEqual(client.timeout(), 20.0)
        client.handle_timeout(20.0)
        [dead] = events(client)
        self.assertIsInstance(dead, ev.TransportDead)

    def test_two_that_have_nothing_to_say_stay_connected(self) -> None:
        pair = connected()
        pair.pass_time(3600)
        self.assertEqual(events(pair.client) + events(pair.server), [])
        self.assertEqual(pair.client.round_trip, 0)

    def test_a_frame_that_is_not_completed_is_not_waited_for(self) -> None:
        pair = connected()
        frame = pack_frame(header.PING, 0, 2, b"x" * 100)
        pair.server.receive(frame[:50], 0)
        now = 0.0
        while not (dead := events(pair.server)):
            # Bytes come, so that the peer is alive, and not those of the frame.
            at = pair.server.timeout()
            assert at is not None
            now = at
            pair.server._keepalive.received(now)
            pair.server.handle_timeout(now)
        self.assertIsInstance(dead[0], ev.TransportDead)
        self.assertLess(now, 32)

    def test_a_ping_is_answered(self) -> None:
        pair = connected()
        id = pair.client.ping(1.0, b"hello")
        pair.now = 1.5
        pair.exchange()
        self.assertEqual(events(pair.client), [ev.Pong(id, 0.5)])

    def test_a_flood_of_pings_is_bounded_and_ends_the_connection(self) -> None:
        pair = connected()
        flood = pack_frame(header.PING, 0, 2, b"x" * 1000)
        pair.server.receive(flood * 100, 0)
        self.assertLess(pair.server.queued, 16 * 1200)
        pair.server.receive(flood * 2000, 0)
        [closed] = of(pair.server, ev.Closed)
        assert isinstance(closed, ev.Closed)
        self.assertIs(closed.code, Code.RESOURCE_EXHAUSTED)


if __name__ == "__main__":
    unittest.main()
