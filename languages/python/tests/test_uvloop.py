"""The same talks on uvloop, where it is installed."""

from __future__ import annotations

import importlib
import importlib.util
import unittest

import test_lab
import test_reconnect
import test_websocket_server

_HAS_UVLOOP = importlib.util.find_spec("uvloop") is not None


class _OnUvloop:
    def setUp(self) -> None:
        if not _HAS_UVLOOP:
            raise unittest.SkipTest("uvloop is not installed")
        super().setUp()  # type: ignore[misc]
        self.new_loop = importlib.import_module("uvloop").new_event_loop


class ExchangesTest(_OnUvloop, test_lab.ExchangesTest):
    pass


class StreamsTest(_OnUvloop, test_lab.StreamsTest):
    pass


class ServersTest(_OnUvloop, test_lab.ServersTest):
    pass


class ReconnectTest(_OnUvloop, test_reconnect.ReconnectTest):
    pass


class WebSocketsTest(_OnUvloop, test_websocket_server.ServerTest):
    pass


class HostileWebSocketsTest(_OnUvloop, test_websocket_server.HostileTest):
    pass


if __name__ == "__main__":
    unittest.main()
