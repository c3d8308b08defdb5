"""What a service keeps of its clients behind a broker, without one."""

from __future__ import annotations

import unittest

import msip
from lab import LabServer, Served
from msip.attached import AttachedServer
from msip.attached.broker_messages import Presence, PresenceInd, disconnect_req, peer_credit
from msip.attached.client import MAX_WINDOW_ITEMS, WINDOW_BYTES, WINDOW_ITEMS, ClientWindow
from msip.codec.envelope import wrap
from msip.wire.protobuf import put_fixed64, put_number, put_text


class WindowTest(unittest.TestCase):
    def setUp(self) -> None:
        self.granted: list[int] = []
        self.sizes: list[int] = []
        self.window = ClientWindow(self.grant)

    def grant(self, items: int, size: int) -> None:
        self.granted.append(items)
        self.sizes.append(size)

    def handle(self, items: int, size: int) -> None:
        for _ in range(items):
            self.window.received()
            self.window.handled(size)

    def test_the_broker_hears_of_half_a_window(self) -> None:
        self.handle(WINDOW_ITEMS // 2 - 1, 1)
        self.assertEqual(self.granted, [])
        self.handle(1, 1)
        self.assertEqual(self.granted, [WINDOW_ITEMS // 2])
        self.handle(2, WINDOW_BYTES // 4)
        self.assertEqual(self.granted, [WINDOW_ITEMS // 2, 2])

    def use_up(self, times: int) -> None:
        """A broker that sends all it may at once, of which a half is handled so many times."""
        size = left = WINDOW_ITEMS
        for _ in range(times):
            for _ in range(left):
                self.window.received()
            begun = len(self.granted)
            while len(self.granted) == begun:
                self.window.handled(1)
            left = self.granted[-1]
            if self.sizes[-1]:
                left += self.sizes[-1] - size
                size = self.sizes[-1]

    def test_it_grows_while_it_is_used_up_and_begins_anew_with_each_connection(self) -> None:
        self.use_up(6)
        self.assertEqual(self.sizes, [512, 1024, 2048, 4096, 0, 0])
        self.window.resumed()
        while len(self.window._arrivals):
            self.window.handled(1)
        self.granted.clear()
        self.handle(WINDOW_ITEMS // 2, 1)
        self.assertEqual((self.granted, self.sizes[-1]), ([WINDOW_ITEMS // 2], 0))

    def test_one_of_which_a_broker_uses_little_stays(self) -> None:
        self.handle(1000, 0)
        self.assertEqual(self.sizes, [0] * 7)

    def test_what_came_by_an_earlier_connection_is_not_granted(self) -> None:
        for _ in range(WINDOW_ITEMS):
            self.window.received()
        self.window.resumed()
        for _ in range(WINDOW_ITEMS):
            self.window.handled(1)
        self.assertEqual(self.granted, [])
        self.handle(WINDOW_ITEMS // 2, 1)
        self.assertEqual(self.granted, [WINDOW_ITEMS // 2])

    def test_a_broker_that_does_not_keep_to_it_is_held_back(self) -> None:
        for _ in range(4 * MAX_WINDOW_ITEMS):
            self.assertFalse(self.window.is_full)
            self.window.received()
        self.assertTrue(self.window.is_full)


class MessagesTest(unittest.TestCase):
    def test_presence_is_read(self) -> None:
        content = bytearray()
        put_text(content, 1, "fleet/7")
        put_text(content, 2, "91c4e07fb2a6d358")
        put_number(content, 3, 1)
        put_text(content, 4, "device-7")
        put_text(content, 7, "operator")
        put_text(content, 7, "owner")
        put_fixed64(content, 11, 5)
        put_number(content, 12, 1)
        about = PresenceInd.of_body(wrap(2, bytes(content)))
        expected = PresenceInd("fleet/7", "91c4e07fb2a6d358", Presence.CONNECTED, "device-7", fingerprint=5)
        expected.roles, expected.looks_after = ["operator", "owner"], True
        self.assertEqual(about, expected)
        assert about is not None
        self.assertEqual(about.key, "fleet/7/$in/91c4e07fb2a6d358")

    def test_what_a_broker_may_say_besides_is_no_presence(self) -> None:
        self.assertIsNone(PresenceInd.of_body(wrap(3, b"")))
        for body in (b"\xff", wrap(2, b"\x0a\xff"), wrap(2, b"\x12\x03xyz"), wrap(2, b"\x08\x01"), wrap(2, b"")):
            with self.subTest(body=body), self.assertRaises(msip.DecodeError):
                PresenceInd.of_body(body)

    def test_vectors_of_the_protocol(self) -> None:
        self.assertEqual(
            peer_credit("91c4e07fb2a6d358", 128, 0).hex(), "12150a1039316334653037666232613664333538108001"
        )
        self.assertTrue(peer_credit("91c4e07fb2a6d358", 128, 512).hex().endswith("8001188004"))
        status = msip.Status(msip.Code.NOT_FOUND, "no")
        self.assertEqual(disconnect_req("a", status), b"\x0a\x12\x0a\x01a\x12\x09NOT_FOUND\x1a\x02no")


class UrlTest(unittest.TestCase):
    def test_a_service_needs_a_topic_that_can_be_served(self) -> None:
        for url in ("tcp://h:1", "tcp://h:1?topic=a/%23", "tcp://h:1?topic=$in", "tcp://h:1?topic=a/+b"):
            with self.subTest(url), self.assertRaises(msip.UrlError):
                LabServer.attach(url, Served())

    def test_it_is_a_server_of_its_protocol(self) -> None:
        server = LabServer.attach("tcp://h:1/rooms/+", Served())
        self.assertIsInstance(server, LabServer)
        assert isinstance(server, AttachedServer)
        self.assertEqual(server.topic, "rooms/+")
        self.assertEqual(server.everyone().note_ind("nobody is there yet"), 0)


if __name__ == "__main__":
    unittest.main()
