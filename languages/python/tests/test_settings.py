"""Settings: values, ranges, and how a URL writes them."""

import unittest

from msip.settings import ClientSettings, ServerSettings, SettingError


class SettingsTest(unittest.TestCase):
    def test_a_url_wins_over_the_code(self) -> None:
        settings = ClientSettings(ping_interval=1, max_body=2048, codec="json")
        changed = settings.with_url({"ping_interval": "5min", "max_body": "4MiB", "insecure": "true"}, "tcp")
        self.assertEqual(changed.ping_interval, 300)
        self.assertEqual(changed.max_body, 4 << 20)
        self.assertEqual((changed.codec, changed.insecure), ("json", True))
        self.assertEqual(settings.ping_interval, 1)

    def test_lists_and_modes(self) -> None:
        settings = ServerSettings().with_url(
            {"codecs": "json,protobuf", "compressions": "none", "mode": "0660"}, "unix"
        )
        self.assertEqual(settings.codecs, ("json", "protobuf"))
        self.assertEqual((settings.compressions, settings.mode), ((), 0o660))

    def test_what_is_wrong_is_said(self) -> None:
        cases = [
            ("ping_interval", "5", "setting `ping_interval`: expected a time, such as 250ms, 10s or 5min, found `5`"),
            ("ping_interval", "1ms", "setting `ping_interval`: 0.001 s is out of range (0.01 s to 3600 s)"),
            ("max_body", "x", "setting `max_body`: expected a number, such as 4096 or 4MiB, found `x`"),
            ("max_body", "1", "setting `max_body`: 1 is out of range (1024 to 1.07374e+09)"),
            ("insecure", "yes", "setting `insecure`: expected `true` or `false`, found `yes`"),
            ("codec", "xml", "setting `codec`: expected `protobuf`, `json` or `msgpack`, found `xml`"),
        ]
        for name, value, expected in cases:
            with self.subTest(name), self.assertRaises(SettingError) as caught:
                ClientSettings().with_url({name: value}, "tcp")
            self.assertEqual(str(caught.exception), expected)

    def test_unknown_settings_are_named(self) -> None:
        cases = {
            "colour": "unknown setting `colour`: expected one of `max_body`,",
            "buffer_disconnected": "setting `buffer_disconnected` is not in the Python package: there are `max_body`,",
            "token": "setting `token`: a URL must not hold a secret: write token_file=PATH or token_env=NAME",
            "ca": "setting `ca` is one of tls and wss, and the URL has tcp",
        }
        for name, expected in cases.items():
            with self.subTest(name), self.assertRaises(SettingError) as caught:
                ClientSettings().with_url({name: "1"}, "tcp")
            self.assertTrue(str(caught.exception).startswith(expected), str(caught.exception))

    def test_values_of_the_code_are_checked_too(self) -> None:
        with self.assertRaisesRegex(SettingError, "`max_calls`: 0 is out of range"):
            ServerSettings(max_calls=0)
        with self.assertRaisesRegex(SettingError, "`call_timeout`: expected seconds"):
            ClientSettings(call_timeout="5s")  # type: ignore[arg-type]
        with self.assertRaisesRegex(SettingError, "`token_file` and `token_env`: give one of them"):
            ClientSettings(token_file="a", token_env="b")


if __name__ == "__main__":
    unittest.main()
