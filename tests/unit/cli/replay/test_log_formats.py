"""Access log formats: what is read of a line, and how a format is recognised."""

import json
import unittest

from stickyd.cli.replay.log_formats import FORMATS, Entry, json_entries, recognised

COMBINED = b'192.0.2.1 - ann [25/Nov/2026:07:00:00 +0000] "GET /\\x22 HTTP/1.1" 200 5 "-" "curl"\n'
ROUTED = COMBINED.rstrip() + b' 2 xff 0.001 "cookie(sid): no cookie sid"\n'
QUOTES = COMBINED.replace(b"curl", b'a \\"b\\" c')
MAIN = COMBINED.rstrip() + b' "198.51.100.7, 192.0.2.9"\n'
HAPROXY = (
    b"Feb  6 12:14:14 localhost haproxy[14389]: 10.0.1.2:33317 [06/Feb/2009:12:14:14.655]"
    b' http-in static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {} {} "GET / HTTP/1.1"\n'
)
ALB = (
    b"https 2018-07-02T22:23:00.186641Z app/my-lb/50dc6c495c0c9188 192.168.131.39:2817"
    b' 10.0.0.1:80 0.086 0.048 0.037 200 200 0 57 "GET https://x/ HTTP/1.1" "curl" - -\n'
)
ALB_V6 = ALB.replace(b"192.168.131.39:", b"[2001:db8::7]:")


class Lines(unittest.TestCase):
    def test_clients(self) -> None:
        for name, line, client in (
            ("combined", COMBINED, ("192.0.2.1", "")),
            ("combined", ROUTED, ("192.0.2.1", "")),
            ("combined", QUOTES, ("192.0.2.1", "")),
            ("nginx", QUOTES.rstrip() + b' "192.0.2.9" 0.1 "b"\n', ("192.0.2.1", "192.0.2.9")),
            ("nginx", MAIN, ("192.0.2.1", "198.51.100.7, 192.0.2.9")),
            ("nginx", MAIN.replace(b"198.51.100.7, 192.0.2.9", b"-"), ("192.0.2.1", "")),
            ("haproxy", HAPROXY, ("10.0.1.2", "")),
            ("alb", ALB, ("192.168.131.39", "")),
            ("alb", ALB_V6, ("[2001:db8::7]", "")),
        ):
            with self.subTest(name=name, line=line):
                self.assertEqual(FORMATS[name].count(line * 3), {client: 3})
                self.assertEqual(FORMATS[name].count(line.replace(b"\n", b"\r\n")), {client: 1})
                self.assertEqual(FORMATS[name].count(b"\n\xff\0 x\n" + line.rstrip()), {client: 1})

    def test_what_no_server_has_got(self) -> None:
        """Connections without a request, and requests that the proxy has answered itself."""
        for name, line, ours in (
            ("combined", COMBINED, b'"GET /\\x22 HTTP/1.1" 200'),
            ("nginx", MAIN, b'"GET /\\x22 HTTP/1.1" 200'),
            ("haproxy", HAPROXY, b"static/srv1"),
            ("alb", ALB, b"10.0.0.1:80"),
        ):
            for theirs in {
                "combined": (b'"-" 408', b'"" 400'),
                "nginx": (b'"-" 408', b'"" 400'),
                "haproxy": (b"http-in/<NOSRV>", b"http-in/<STATS>"),
                "alb": (b"-",),
            }[name]:
                with self.subTest(name=name, theirs=theirs):
                    self.assertIn(ours, line)
                    got = FORMATS[name].count(line.replace(ours, theirs) + line)
                    self.assertEqual(list(got.values()), [1])

    def test_recognised(self) -> None:
        for name, line in (
            ("combined", COMBINED),
            ("combined", ROUTED),
            ("combined", QUOTES),
            ("nginx", MAIN),
            ("haproxy", HAPROXY),
            ("alb", ALB),
            ("json", b'{"client": "192.0.2.1"}\n'),
            ("", b"nothing\n"),
            ("", b""),
        ):
            with self.subTest(name=name, line=line):
                self.assertEqual(recognised(line * 5 + b"\n"), name)
                self.assertEqual(recognised(line * 5 + b"a line of another kind\n"), name)

    def test_json(self) -> None:
        lines = [
            {"client": "192.0.2.1", "connection": 7, "slot": 2},
            {"remote_addr": "192.0.2.2", "slot": "2"},
            {"key": "a", "client": "192.0.2.1"},
            {"client": "-"},
            [1],
        ]
        block = b"\n".join(json.dumps(line).encode() for line in lines) + b"\n{broken\n\xff\n"
        self.assertEqual(
            list(json_entries(block)),
            [
                Entry(("192.0.2.1", ""), "7", 2),
                Entry(("192.0.2.2", ""), "", 0),
                Entry(("a", ""), "", 0),
            ],
        )
        nested = b'{"request": {"ip": "192.0.2.3"}, "up": "c1"}'
        self.assertEqual(
            list(json_entries(nested, "request.ip", "up")), [Entry(("192.0.2.3", ""), "c1", 0)]
        )
