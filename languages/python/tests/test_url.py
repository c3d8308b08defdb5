"""URLs of services: what they name, and what is wrong with those that name nothing."""

import unittest

from msip.url import Address, ServiceUrl, UrlError


class UrlTest(unittest.TestCase):
    def test_a_url_names_addresses_a_topic_and_settings(self) -> None:
        url = ServiceUrl.parse("tcp://[::1]:4000,host.example:5/fleet%2F7?ping_interval=5s&codec=json")
        self.assertEqual(url.addresses, (Address("tcp", "::1", 4000), Address("tcp", "host.example", 5)))
        self.assertEqual(url.topic, "fleet/7")
        self.assertEqual(url.settings, {"ping_interval": "5s", "codec": "json"})
        self.assertEqual(ServiceUrl.parse(str(url)), url)

    def test_a_path_is_a_place_where_it_is_no_topic(self) -> None:
        self.assertEqual(ServiceUrl.parse("unix:///run/a%20b.sock").address.path, "/run/a b.sock")
        web = ServiceUrl.parse("ws://host:80/chat?topic=room")
        self.assertEqual((web.address.path, web.topic), ("/chat", "room"))
        self.assertEqual(ServiceUrl.parse("wss://host:80").address.path, "/")

    def test_what_is_wrong_is_said(self) -> None:
        cases = {
            "host:4000": '"host:4000" has no scheme: write tcp://host:port',
            "http://h:1": 'unknown scheme "http": there are tcp, tls, unix, ws, wss',
            "quic://h:1": 'the scheme "quic" is not in the Python package: there are tcp, tls, unix, ws, wss',
            "tcp://h": '"h" has no port: write tcp://host:port',
            "tcp://:1": '":1" has no host: write 0.0.0.0 or [::] to listen on every address',
            "tcp://": '"" has no host: write 0.0.0.0 or [::] to listen on every address',
            "tcp://h:99999": '"99999" is not a port: 0 to 65535 are',
            "tcp://::1:4000": '"::1" looks like an IPv6 address: write it in brackets, such as tcp://[::1]:4000',
            "tcp://a b:1": '"a b" is not a host name, an IPv4 address or an IPv6 address in brackets',
            "tcp://u:p@h:1": "a URL must not hold a user or a password (before the @)",
            "tcp://h:1#x": "a service's URL has no fragment (#)",
            "tcp://h:1?x": '"x" is not a setting: write ?name=value&name=value',
            "tcp://h:1?a=1&a=2": 'the setting "a" is there twice',
            "tcp://h:1?a=%zz": '"%zz" holds a broken percent escape: write % itself as %25',
            "tcp://h:1/t?topic=u": 'the setting "topic" is there twice',
            "tcp://h:1?topic=": '"" is not a topic: 1 to 255 bytes of text without control characters are',
            "tcp://h:1?topic=%0a": '"\\n" is not a topic: 1 to 255 bytes of text without control characters are',
            "unix://run/x": '"run/x" is not an absolute path: write unix:///run/name.sock, with three slashes',
            "unix:///x/": '"/x/" cannot be the path of a socket: it ends in a slash or has control characters',
            "ws://h:1/a\r\nb": '"/a\\r\\nb" is not the path of a URL: escape all but letters, digits and the signs that a path'
            " may have",
        }
        for text, expected in cases.items():
            with self.subTest(text), self.assertRaises(UrlError) as caught:
                ServiceUrl.parse(text)
            self.assertEqual(str(caught.exception), expected)
        with self.assertRaisesRegex(UrlError, "too long for the path of a Unix socket: 108 bytes, 107 fit"):
            ServiceUrl.parse("unix:///" + "x" * 107)
        with self.assertRaisesRegex(UrlError, "names 2 addresses: a server listens at one"):
            _ = ServiceUrl.parse("tcp://a:1,b:2").only_address

    def test_confidential_is_what_is_encrypted_or_stays_here(self) -> None:
        cases = {"tcp://127.0.0.1:1": True, "tcp://[::1]:1": True, "tcp://localhost:1": True, "tcp://10.0.0.1:1": False}
        cases |= {"tcp://h:1": False, "tls://h:1": True, "wss://h:1": True, "ws://h:1": False, "unix:///x": True}
        for text, expected in cases.items():
            self.assertEqual(ServiceUrl.parse(text).address.is_confidential, expected, text)


if __name__ == "__main__":
    unittest.main()
