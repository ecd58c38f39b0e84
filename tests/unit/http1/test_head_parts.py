"""What the parser says of a head: its parts, and when it says it."""

import re
import unittest

from stickyd.http1.error_response import Refusal
from stickyd.http1.head_parser import CHUNKED, Head, origin_form, read_head
from tests.support.heads import LIMITS, arriving, byte_by_byte, essence, get, post


class AtOnce(unittest.TestCase):
    """What is no HTTP request is refused by its first bytes, without waiting for a line."""

    def test_tls_client_hello(self) -> None:
        hello = bytes.fromhex("16030100c8010000c40303") + bytes(180)
        for size in range(1, len(hello)):
            self.assertEqual(essence(read_head(hello[:size], LIMITS)), 400, size)

    def test_any_byte_that_begins_no_request(self) -> None:
        token = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z\r\n]")
        for number in range(256):
            byte = bytes([number])
            expected = None if token.match(byte) else 400
            self.assertEqual(essence(read_head(byte, LIMITS)), expected, byte)

    def test_http_2_preface_at_its_first_line(self) -> None:
        preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        self.assertEqual(essence(read_head(preface, LIMITS)), 400)
        first_line = preface.index(b"\n") + 1
        self.assertEqual(essence(arriving(preface, range(1, first_line + 1))), 400)

    def test_a_bad_request_line_before_its_fields(self) -> None:
        self.assertEqual(essence(byte_by_byte(b"GET / HTTP/3.0\r\n")), 505)
        self.assertEqual(essence(byte_by_byte(b"\r\nGET  / HTTP/1.1\r\n")), 400)

    def test_nothing_yet(self) -> None:
        for data in (b"", b"\r", b"\r\n", b"\n", b"GET", get()[:-1], get()[:-2]):
            self.assertIsNone(read_head(data, LIMITS), data)

    def test_a_fault_in_an_unfinished_head_whatever_the_split(self) -> None:
        for fault in (b"no colon\r\n", b"X : y\r\n", b" fold\r\n", b"X: \0\r\n", b"X: lf\n"):
            data = b"GET / HTTP/1.1\r\nHost: a\r\n" + fault
            self.assertEqual(essence(read_head(data, LIMITS)), 400, data)
            self.assertEqual(essence(byte_by_byte(data)), 400, f"byte by byte: {data!r}")
        many = b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 101
        self.assertEqual(essence(read_head(many, LIMITS)), 431)
        self.assertEqual(essence(byte_by_byte(many)), 431)


class Parts(unittest.TestCase):
    """What a valid head says."""

    def head(self, data: bytes) -> Head:
        verdict = read_head(data, LIMITS)
        assert isinstance(verdict, Head), verdict
        self.assertEqual(byte_by_byte(data), verdict)
        return verdict

    def test_everything(self) -> None:
        data = (
            b"POST /a?b HTTP/1.1\r\nHost: a\r\nX-One: 1\r\nx-one:\t2 \r\nContent-Length: 3\r\n\r\n"
        )
        head = self.head(data + b"abcGET /")
        self.assertEqual((head.method, head.target, head.minor), (b"POST", b"/a?b", 1))
        self.assertEqual(head.version, b"HTTP/1.1")
        self.assertEqual(head.values(b"x-one"), [b"1", b"2"])
        self.assertEqual(head.values(b"x-two"), [])
        self.assertEqual(head.length, 3)
        self.assertEqual(head.size, len(data))
        self.assertTrue(head.keep_alive)
        self.assertFalse(head.expects_continue)

    def test_empty_line_in_front_counts_to_the_size(self) -> None:
        for data in (b"\r\n" + get(), b"\nGET / HTTP/1.1\nHost: a\n\n"):
            self.assertEqual(self.head(data).size, len(data))

    def test_lf_and_crlf_say_the_same(self) -> None:
        data = get(b"X: y", b"Connection: close")
        crlf, lf = self.head(data), self.head(data.replace(b"\r\n", b"\n"))
        self.assertEqual(crlf.fields, lf.fields)
        self.assertEqual(lf.size, len(data) - 5)

    def test_body_lengths(self) -> None:
        for field, length in (
            (b"X: y", 0),
            (b"Content-Length: 0", 0),
            (b"Content-Length: 007", 7),
            (b"Content-Length: 123456789012", 123456789012),
            (b"Transfer-Encoding: chunked", CHUNKED),
            (b"transfer-encoding:Chunked\t", CHUNKED),
        ):
            self.assertEqual(self.head(post(field)).length, length, field)

    def test_keep_alive(self) -> None:
        for minor, fields, kept in (
            (1, [], True),
            (0, [], False),
            (1, [b"close"], False),
            (1, [b"Close"], False),
            (1, [b"foo,close"], False),
            (1, [b"foo, close ,bar"], False),
            (1, [b"foo", b"close"], False),
            (1, [b"close", b"keep-alive"], False),
            (1, [b"closed"], True),
            (1, [b"foo;close"], True),
            (1, [b"", b","], True),
            (0, [b"keep-alive"], True),
            (0, [b"Keep-Alive"], True),
            (0, [b"foo,\tkeep-alive"], True),
            (0, [b"foo", b"keep-alive"], True),
            (0, [b"keep-alive, close"], False),
            (0, [b"keep"], False),
        ):
            lines = [b"Connection: " + field for field in fields]
            head = self.head(get(*lines, first=b"GET / HTTP/1.%d" % minor))
            self.assertEqual(head.keep_alive, kept, (minor, fields))

    def test_upgrade_needs_both_fields(self) -> None:
        both = self.head(get(b"Connection: keep-alive, Upgrade", b"Upgrade: websocket"))
        self.assertTrue(both.wants_upgrade)
        self.assertFalse(self.head(get(b"Upgrade: websocket")).wants_upgrade)
        self.assertFalse(self.head(get(b"Connection: upgrade")).wants_upgrade)

    def test_expect(self) -> None:
        self.assertTrue(self.head(post(b"Expect: 100-continue")).expects_continue)
        self.assertTrue(self.head(post(b"Expect: 100-Continue")).expects_continue)
        # RFC 9110, 10.1.1: from a 1.0 client it is ignored.
        self.assertFalse(self.head(post(b"Expect: 100-continue", minor=0)).expects_continue)

    def test_names_with_underscores_are_dropped(self) -> None:
        head = self.head(get(b"X_Forwarded_For: 1.1.1.1", b"X-Forwarded_For: 2.2.2.2", b"X: y"))
        self.assertEqual(head.fields, [(b"host", b"a.example"), (b"x", b"y")])
        smuggled = self.head(post(b"Content_Length: 5", b"Transfer_Encoding: chunked"))
        self.assertEqual(smuggled.length, 0)

    def test_origin_form(self) -> None:
        for method, target, expected in (
            (b"GET", b"/", (b"/", None)),
            (b"GET", b"/a?b=http://c/d", (b"/a?b=http://c/d", None)),
            (b"GET", b"//a/b", (b"//a/b", None)),
            (b"OPTIONS", b"*", (b"*", None)),
            (b"GET", b"http://a.example", (b"/", b"a.example")),
            (b"GET", b"http://a.example/", (b"/", b"a.example")),
            (b"GET", b"HTTPS://A.example:1/b?c", (b"/b?c", b"A.example:1")),
            (b"GET", b"http://a.example?b", (b"/?b", b"a.example")),
            (b"GET", b"http://[::1]/b", (b"/b", b"[::1]")),
            (b"GET", b"http://a.example/b@c", (b"/b@c", b"a.example")),
        ):
            head = self.head(get(first=b"%s %s HTTP/1.1" % (method, target)))
            self.assertEqual(origin_form(head), expected, target)

    def test_a_refusal_is_a_whole_response_that_closes(self) -> None:
        for status in (400, 408, 413, 414, 417, 431, 500, 501, 503, 505):
            head, _, body = Refusal(status, "why \u00fc").response().partition(b"\r\n\r\n")
            lines = head.split(b"\r\n")
            self.assertTrue(lines[0].startswith(b"HTTP/1.1 %d " % status), lines)
            self.assertIn(b"Connection: close", lines)
            self.assertIn(b"Content-Length: %d" % len(body), lines)
