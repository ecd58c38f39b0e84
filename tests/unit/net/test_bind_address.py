"""Addresses to bind, as endpoint descriptions."""

import unittest

from stickyd.net.bind_address import endpoint_of, host_in, is_loopback


class Endpoints(unittest.TestCase):
    def test_addresses(self) -> None:
        for address, expected in (
            ("9100", "tcp:9100:interface=127.0.0.1"),
            (":9100", "tcp:9100:interface=127.0.0.1"),
            ("localhost:9100", "tcp:9100:interface=127.0.0.1"),
            ("0.0.0.0:9100", "tcp:9100:interface=0.0.0.0"),
            ("[::1]:9100", r"tcp6:9100:interface=\:\:1"),
            ("[2001:db8::7]:9100", r"tcp6:9100:interface=2001\:db8\:\:7"),
            ("unix:/run/admin", "unix:/run/admin"),
            ("unix:/run/admin:mode=600", "unix:/run/admin:mode=600"),
            ("tcp:9100", "tcp:9100:interface=127.0.0.1"),
            ("tcp6:9100", r"tcp6:9100:interface=\:\:1"),
            ("tcp:9100:interface=192.0.2.1", "tcp:9100:interface=192.0.2.1"),
            ("tcp:9100:50:192.0.2.1", "tcp:9100:50:192.0.2.1"),
            ("systemd:domain=INET:index=0", "systemd:domain=INET:index=0"),
        ):
            with self.subTest(address):
                self.assertEqual(endpoint_of(address, loopback=True), expected)

    def test_every_interface(self) -> None:
        self.assertEqual(endpoint_of(":80", loopback=False), "tcp:80")
        self.assertEqual(endpoint_of("tcp:80", loopback=False), "tcp:80")

    def test_others_are_refused(self) -> None:
        for address in ("", "/run/x", "host", "::1:80", "[::1]", "example.org:80", "1.2.3:80"):
            with self.subTest(address), self.assertRaises(ValueError):
                endpoint_of(address, loopback=True)
        with self.assertRaisesRegex(ValueError, "65536"):
            endpoint_of(":65536", loopback=True)


class Hosts(unittest.TestCase):
    def test_host_of_a_host_field(self) -> None:
        for text, host in (
            ("localhost", "localhost"),
            ("localhost:9100", "localhost"),
            ("[::1]:9100", "::1"),
            ("[::1]", "::1"),
            ("127.0.0.1:9100", "127.0.0.1"),
            ("a:b:c", ""),
            ("[::1]x", ""),
        ):
            self.assertEqual(host_in(text), host)

    def test_loopback(self) -> None:
        for host in ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"):
            self.assertTrue(is_loopback(host))
        for host in ("128.0.0.1", "::2", "", "localhost.example", "0.0.0.0"):
            self.assertFalse(is_loopback(host))
