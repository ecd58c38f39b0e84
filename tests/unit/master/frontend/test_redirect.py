"""Where a request over http is sent."""

import unittest

from stickyd.core.head_reader import read_head
from stickyd.http1.head_parser import Head
from stickyd.http1.limits import Limits
from stickyd.master.frontend.redirect import Redirect


def location(head: bytes, port: int = 443) -> bytes | None:
    read = read_head(head.replace(b"\n", b"\r\n"), Limits(), 0)
    assert isinstance(read, Head), read
    return Redirect(port).location(read)


class Locations(unittest.TestCase):
    def test_host_port_and_target(self) -> None:
        for head, port, expected in (
            (b"GET /a?b=c HTTP/1.1\nHost: x.example\n\n", 443, b"https://x.example/a?b=c"),
            (b"GET / HTTP/1.1\nHost: x.example:80\n\n", 443, b"https://x.example/"),
            (b"GET / HTTP/1.1\nHost: x.example:80\n\n", 8443, b"https://x.example:8443/"),
            (b"GET / HTTP/1.1\nHost: [2001:db8::1]:80\n\n", 443, b"https://[2001:db8::1]/"),
            (b"GET http://y/z HTTP/1.1\nHost: x\n\n", 443, b"https://y/z"),
            (b"OPTIONS * HTTP/1.1\nHost: x\n\n", 443, b"https://x/"),
            (b"GET //evil.example/ HTTP/1.1\nHost: x\n\n", 443, b"https://x//evil.example/"),
        ):
            with self.subTest(head=head):
                self.assertEqual(location(head, port), expected)

    def test_no_host(self) -> None:
        for head in (
            b"GET / HTTP/1.0\n\n",
            b"GET / HTTP/1.1\nHost:\n\n",
            b"GET / HTTP/1.1\nHost: a%b\n\n",
        ):
            with self.subTest(head=head):
                self.assertIsNone(location(head))
