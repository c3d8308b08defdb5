"""The call by which a peer asks for the schema (docs/protocol.md, "Schema fingerprint")."""

from __future__ import annotations

import unittest
from dataclasses import replace

from msip.errors import Code
from msip.protocol import Kind, Member, Shape
from msip.session import Accepting, Session, Settings, negotiate
from msip.session import events as ev
from msip.session.receiving_messages import DESCRIBE
from pair import NOTE, PROTOCOL, Pair, events

CALL = Member("describe", DESCRIBE, None, Kind.COMMAND, Shape.CALL, answer=DESCRIBE, timeout=30.0)
DESCRIBED = replace(PROTOCOL, description="msip-description 1\npackage test.v1\n")


def connected(settings: Settings | None = None) -> Pair:
    """A pair whose server describes itself."""
    pair = Pair(settings, protocol=DESCRIBED)
    pair.lose()
    pair.client = Session.connect(DESCRIBED, settings or Settings(), 0, random=pair.random.randbytes)
    pair.client.begin(0)
    accepting = Accepting(pair.server_settings, 0)
    hello = accepting.receive(pair.client.transmit(), 0)
    assert hello is not None
    welcome = negotiate(hello, DESCRIBED, pair.server_settings, peer_id=7)
    pair.server = Session.accept(DESCRIBED, pair.server_settings, accepting, welcome, 0)
    pair.exchange()
    return pair


def asked(pair: Pair, topic: str = "") -> ev.Event:
    """What the server answers."""
    pair.client.call(CALL, b"", now=0, timeout=30.0, topic=topic)
    pair.exchange()
    [event] = events(pair.client)
    return event


class Describing(unittest.TestCase):
    def test_it_is_announced_where_there_is_a_description(self) -> None:
        for protocol, expected in ((PROTOCOL, False), (DESCRIBED, True)):
            client = Session.connect(protocol, Settings(), 0, random=lambda count: b"x" * count)
            client.begin(0)
            accepting = Accepting(Settings(), 0)
            hello = accepting.receive(client.transmit(), 0)
            assert hello is not None
            self.assertEqual("schema-description" in hello.extensions, expected)
            Session.accept(protocol, Settings(), accepting, negotiate(hello, protocol, Settings(), peer_id=7), 0)
        pair = connected()
        [event] = events(pair.client)
        assert isinstance(event, ev.Connected)
        self.assertIn("schema-description", event.welcome.extensions)

    def test_the_session_answers_and_no_handler_hears_of_it(self) -> None:
        pair = connected()
        events(pair.client)
        events(pair.server)
        answer = asked(pair)
        assert isinstance(answer, ev.Answer)
        self.assertEqual(answer.body.decode(), DESCRIBED.description)
        self.assertEqual(events(pair.server), [])
        self.assertEqual(pair.server.open_calls, 0)

    def test_it_is_sent_four_times_in_a_session(self) -> None:
        pair = connected()
        events(pair.client)
        for _ in range(4):
            self.assertIsInstance(asked(pair), ev.Answer)
        failed = asked(pair)
        assert isinstance(failed, ev.Failed)
        self.assertIs(failed.status.code, Code.RESOURCE_EXHAUSTED)
        self.assertEqual(failed.status.message, "the schema was sent 4 times already")

    def test_who_asks_at_a_topic_is_one_of_many(self) -> None:
        pair = connected()
        events(pair.client)
        pair.server._allows_topics = True
        for _ in range(9):
            self.assertIsInstance(asked(pair, "T/$to/0000000000000007"), ev.Answer)

    def test_it_is_not_larger_than_its_reader_takes(self) -> None:
        pair = connected(Settings(max_body=16))
        events(pair.client)
        failed = asked(pair)
        assert isinstance(failed, ev.Failed)
        self.assertIs(failed.status.code, Code.RESOURCE_EXHAUSTED)

    def test_without_a_description_it_says_so(self) -> None:
        pair = Pair()
        pair.exchange()
        events(pair.client)
        failed = asked(pair)
        assert isinstance(failed, ev.Failed)
        self.assertIs(failed.status.code, Code.UNIMPLEMENTED)

    def test_a_stream_and_a_message_are_refused(self) -> None:
        pair = connected()
        events(pair.client)
        pair.client.call(replace(CALL, request_stream=True), b"", now=0, timeout=30.0)
        pair.exchange()
        [failed] = events(pair.client)
        assert isinstance(failed, ev.Failed)
        self.assertIs(failed.status.code, Code.INVALID_ARGUMENT)
        events(pair.server)
        ignored = pair.server.ignored
        pair.client.send(replace(NOTE, number=DESCRIBE), b"x", now=0)
        pair.exchange()
        self.assertEqual(events(pair.server), [])
        self.assertEqual(pair.server.ignored, ignored + 1)


if __name__ == "__main__":
    unittest.main()
