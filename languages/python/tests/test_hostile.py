"""Whatever a peer sends: no exception, an end with a reason, and bounded memory."""

from __future__ import annotations

import random
import unittest

from msip.errors import Code, DecodeError, MsipError, Status
from msip.session import Accepting, RefusedError, Session, Settings
from msip.session import events as ev
from msip.wire import header
from msip.wire.hello import Hello, Welcome
from msip.wire.metadata import Metadata
from msip.wire.payload import split_message
from msip.wire.subscribe import Subscribe, parse_subscribe
from pair import BOTH, ECHO, MEMBERS, NOTE, ORDER, UPLOAD, Pair, events, small


def random_frame(random: random.Random) -> bytes:
    """A frame that is valid as far as its header tells, mostly."""
    variant = random.choice([member.number for member in MEMBERS] + [0, 99, 65535])
    kind = random.choice((1, 2, 3, 4, 5, 0, 6))
    flags = random.choice((0, 1, 1, 8, 9, 0x28, 0x20, 0x10, 0x11, random.randrange(0x80)))
    own = random.choice((0, 1 << 63)) | random.choice((0, 0, 1 << 62))
    id = own | random.choice((1, 2, 3, 4, 5, 6, 0, random.getrandbits(60)))
    payload = random.choice(
        (b"", b"\0\0", b"\0\0body", b"\0\x05abc", bytes(8), b"\0\0\0\1\0\0\1\0", random.randbytes(30))
    )
    frame_type = random.choice((4, 5, 6, 7, 8, 9, 11, 12, 4, 5, 6, 11, random.randrange(1, 13)))
    return header.HEADER.pack(header.MAGIC, 1, flags, frame_type, kind, variant, len(payload), id) + payload


def busy_pair() -> Pair:
    """A pair with something open in every way."""
    pair = Pair()
    pair.exchange()
    for session in (pair.client, pair.server):
        for member in (ECHO, UPLOAD, BOTH):
            session.call(member, b"x" if member is ECHO else b"", now=0, timeout=30.0)
        session.send(ORDER, b"x", now=0)
        session.send(NOTE, b"x", now=0)
    pair.exchange()
    events(pair.client)
    events(pair.server)
    return pair


class Hostile(unittest.TestCase):
    def check(self, session: Session, data: bytes) -> None:
        """Whatever has come: it is told, and the session is open or over."""
        told = events(session)
        session.handle_timeout(0.0)
        if session.is_over:
            self.assertIsInstance([event for event in told if isinstance(event, ev.Closed)][-1], ev.Closed, data)
            self.assertEqual(session.open_calls, 0)
            self.assertIsNone(session.timeout())
        for part in ("_outbound", "_inbound", "_handling", "_abandoned", "_starved"):
            self.assertLess(len(getattr(session, part)), 3000, part)

    def test_random_bytes_and_frames_end_a_session_or_do_not(self) -> None:
        for seed in range(150):
            rng = random.Random(seed)
            pair = busy_pair()
            for session in (pair.client, pair.server):
                for _ in range(30):
                    data = random_frame(rng)
                    if rng.random() < 0.05:
                        data = rng.randbytes(40)
                    session.receive(data, 0.0)
                    self.check(session, data)
                    session.transmit()
                    if session.is_over:
                        break

    def test_a_conversation_with_changed_bytes_raises_nothing(self) -> None:
        for seed in range(100):
            rng = random.Random(seed)
            pair = busy_pair()
            pair.client.call(ECHO, b"x" * 50, now=0, timeout=2.0)
            pair.client.send(ORDER, b"y" * 50, now=0)
            data = bytearray(pair.client.transmit())
            for _ in range(rng.randrange(1, 4)):
                data[rng.randrange(len(data))] = rng.randrange(256)
            for start in range(0, len(data), 17):
                pair.server.receive(bytes(data[start : start + 17]), 0.0)
            self.check(pair.server, bytes(data))

    def test_a_first_frame_is_refused_or_read(self) -> None:
        pair = Pair()
        pair.client.lost(0)
        pair.client.begin(0)
        hello = pair.client.transmit()
        for seed in range(500):
            rng = random.Random(seed)
            data = bytearray(hello)
            for _ in range(rng.randrange(1, 5)):
                data[rng.randrange(len(data))] = rng.randrange(256)
            accepting = Accepting(Settings(), 0)
            try:
                accepting.receive(bytes(data), 0)
            except RefusedError as error:
                self.assertLessEqual(len(error.reply), 300)
            self.assertLessEqual(accepting.decoder.held, 1000)

    def test_a_hello_holds_no_more_than_its_limit(self) -> None:
        accepting = Accepting(Settings(), 0)
        announcement = header.HEADER.pack(header.MAGIC, 1, 0, header.HELLO, 3, 0, 16 * 1024, 1)
        accepting.receive(announcement, 0)
        for _ in range(16):
            accepting.receive(bytes(1000), 0)
        self.assertLessEqual(accepting.decoder.held, 16 * 1024 + 24)
        with self.assertRaises(RefusedError):
            accepting.receive(bytes(1000), 0)

    def test_what_is_decoded_by_itself_raises_typed_errors_only(self) -> None:
        rng = random.Random(1)
        seeds = [
            Metadata(deadline_ms=5, headers={"a": "b"}, key="k").encode(),
            Subscribe(group="g", by_peer=True).encode(),
            Hello(1, "p", 2, [1], awaited=[1, 2], extensions={"x": b"y"}).encode(),
            bytes(30),
        ]
        readers = (
            Metadata.decode,
            Hello.decode,
            Welcome.decode,
            Subscribe.decode,
            lambda data: parse_subscribe(data, True),
            lambda data: split_message(data, True, 100),
        )
        for _ in range(4000):
            data = bytearray(rng.choice(seeds))
            for _ in range(rng.randrange(4)):
                data[rng.randrange(len(data))] = rng.randrange(256)
            for read in readers:
                try:
                    read(bytes(data[: rng.randrange(len(data) + 1)]))
                except (DecodeError, MsipError):
                    pass

    def test_refusals_that_are_not_read_stop_reading(self) -> None:
        pair = Pair(server=small(Settings(), max_calls=1, outgoing_queue=1 << 16))
        pair.exchange()
        server = pair.server
        payload = b"\0\0x"
        id = 100
        while server.wants_read(0.0) and not server.is_over:
            id += 1
            server.receive(header.HEADER.pack(header.MAGIC, 1, 1, 4, 2, 3, len(payload), id) + payload, 0.0)
            if id > 1500:
                break
        self.assertFalse(server.wants_read(0.0))
        self.assertLess(server.queued, 1 << 17)

    def test_no_handler_begins_while_answers_are_not_read(self) -> None:
        pair = Pair(server=small(Settings(), outgoing_queue=10_000))
        pair.exchange()
        for _ in range(20):
            pair.client.call(ECHO, b"x", now=0, timeout=30.0)
        pair.exchange()
        begun = 0
        for event in events(pair.server):
            if isinstance(event, ev.Request):
                if not pair.server.may_begin_handler:
                    break
                pair.server.answer(event.id, b"x" * 2000)
                begun += 1
        self.assertLess(begun, 7)
        pair.exchange()
        self.assertTrue(pair.server.may_begin_handler)

    def test_requests_count_as_inflated(self) -> None:
        pair = Pair(server=small(Settings(), max_call_bytes=1000))
        pair.exchange()
        for _ in range(3):
            pair.client.call(ECHO, b"x", now=0, timeout=30.0)
        pair.exchange()
        first, second, third = (event.id for event in events(pair.server) if isinstance(event, ev.Request))
        pair.server.grow_request(first, 600)
        with self.assertRaises(Status) as raised:
            pair.server.grow_request(second, 600)
        self.assertIs(raised.exception.code, Code.RESOURCE_EXHAUSTED)
        pair.server.grow_request(third, 300)
        for id in (first, second, third):
            pair.server.answer(id, b"x")
        self.assertEqual(pair.server._inbound_size, 0)


if __name__ == "__main__":
    unittest.main()
