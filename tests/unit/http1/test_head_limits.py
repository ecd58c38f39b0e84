"""Limits of request heads to the byte, and what reading one costs."""

import sys
import unittest

from stickyd.http1.head_parser import Head, read_head
from stickyd.http1.limits import Limits
from tests.support.heads import LIMITS, SERVED, arriving, byte_by_byte, essence, get


def field_of(size: int) -> bytes:
    """A field line of ``size`` bytes."""
    return b"X: " + b"y" * (size - 3)


def request_line_of(size: int) -> bytes:
    """A request line of ``size`` bytes."""
    return b"GET /" + b"a" * (size - 14) + b" HTTP/1.1"


class Borders(unittest.TestCase):
    """A limit is the last size that is served, in either line ending."""

    def check(self, data: bytes, status: int, limits: Limits = LIMITS) -> None:
        ways = {"whole": read_head(data, limits), "by bytes": byte_by_byte(data, limits)}
        ways["in two"] = arriving(data, (len(data) - 1, len(data)), limits)
        for way, verdict in ways.items():
            got = SERVED if isinstance(verdict, Head) else essence(verdict)
            self.assertEqual(got, status, f"{way}, {len(data)} bytes: {verdict}"[:300])

    def check_both(self, data: bytes, status: int, limits: Limits = LIMITS) -> None:
        self.check(data, status, limits)
        self.check(data.replace(b"\r\n", b"\n"), status, limits)

    def test_request_line(self) -> None:
        self.check_both(get(first=request_line_of(8190)), SERVED)
        self.check_both(get(first=request_line_of(8191)), 414)

    def test_request_line_that_never_ends(self) -> None:
        self.check(b"GET /" + b"a" * 40000, 414)
        self.assertIsNone(byte_by_byte(b"G" * 8190))
        self.assertIsNone(byte_by_byte(b"G" * 8190 + b"\r"))
        self.check(b"G" * 8191, 414)
        self.check(b"G" * 8190 + b"\rX", 414)

    def test_field_size(self) -> None:
        self.check_both(get(field_of(8190)), SERVED)
        self.check_both(get(field_of(8191)), 431)
        self.check_both(get(field_of(8191), b"X: y"), 431)

    def test_field_that_never_ends(self) -> None:
        begun = b"GET / HTTP/1.1\r\nHost: a\r\n"
        self.assertIsNone(byte_by_byte(begun + b"x" * 8190))
        self.check(begun + b"x" * 8191, 431)

    def test_number_of_fields(self) -> None:
        self.check_both(get(*[b"X: y"] * 99), SERVED)
        self.check_both(get(*[b"X: y"] * 100), 431)

    def test_fields_that_are_dropped_count(self) -> None:
        self.check_both(get(*[b"X_Y: z"] * 100), 431)

    def head_of(self, size: int, ending: bytes) -> bytes:
        """A head of ``size`` bytes in four long fields."""
        lines = [b"GET / HTTP/1.1", b"Host: a", *[field_of(8000)] * 4]
        rest = size - sum(map(len, lines)) - 8 * len(ending)
        return ending.join([*lines, field_of(rest), b"", b""])

    def test_whole_head(self) -> None:
        for ending in (b"\r\n", b"\n"):
            self.assertEqual(len(self.head_of(32768, ending)), 32768)
            self.check(self.head_of(32768, ending), SERVED)
            self.check(self.head_of(32769, ending), 431)

    def test_head_that_never_ends(self) -> None:
        self.check(b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 99 + b"X:" + b"y" * 8190, 431)
        wide = Limits(fields=100000)
        self.check(b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 6000, 431, wide)

    def test_an_unfinished_head_of_the_largest_size(self) -> None:
        """It has no end yet, and the end would be one byte too many."""
        small = Limits(request_line=20, fields=9, field_size=60, head=64)
        begun = b"GET / HTTP/1.1\nHost: a\nX: "
        for size, status in ((62, None), (63, None), (64, 431), (65, 431)):
            data = begun.ljust(size, b"y")
            self.assertEqual(essence(read_head(data, small)), status, size)
            self.assertEqual(essence(byte_by_byte(data, small)), status, size)

    def test_what_follows_does_not_count(self) -> None:
        data = self.head_of(32768, b"\r\n")
        verdict = read_head(data + data * 3, LIMITS)
        assert isinstance(verdict, Head), verdict
        self.assertEqual(verdict.size, 32768)

    def test_small_limits(self) -> None:
        small = Limits(request_line=20, fields=3, field_size=24, head=64)
        host = b"Host: a.example"
        self.check_both(get(first=request_line_of(20)), SERVED, small)
        self.check_both(get(first=request_line_of(21)), 414, small)
        self.check_both(get(b"X: y", b"X: y"), SERVED, small)
        self.check_both(get(b"X: y", b"X: y", b"X: y"), 431, small)
        self.check_both(get(field_of(24)), SERVED, small)
        self.check_both(get(field_of(25)), 431, small)
        for ending in (b"\r\n", b"\n"):
            rest = small.head - 14 - len(host) - 5 * len(ending)
            for over, status in ((0, SERVED), (1, 431)):
                both = [field_of(10), field_of(rest - 10 + over)]
                data = ending.join([b"GET / HTTP/1.1", host, *both, b"", b""])
                self.assertEqual(len(data), small.head + over)
                self.check(data, status, small)

    def test_the_first_fault_in_the_order_of_the_bytes_is_answered(self) -> None:
        small = Limits(request_line=20, fields=3, field_size=24, head=64)
        self.check(get(b"bad", field_of(30)), 400, small)
        self.check(get(field_of(30), b"bad"), 431, small)
        self.check(get(field_of(30), first=b"GET / HTTP/2.0"), 505, small)
        self.check(get(b"bad", first=request_line_of(21)), 414, small)
        self.check(get(b"bad" * 10), 431, small)


class Cost(unittest.TestCase):
    """A head that arrives byte by byte costs steps in proportion to its bytes."""

    STEPS_PER_BYTE = 8

    def check(self, data: bytes, limits: Limits) -> None:
        calls = 0

        def count(frame: object, event: str, argument: object) -> None:
            nonlocal calls
            calls += event == "call"

        before = sys.getprofile()
        sys.setprofile(count)
        try:
            verdict = byte_by_byte(data, limits)
        finally:
            sys.setprofile(before)
        self.assertIsNone(verdict)
        self.assertLess(calls, self.STEPS_PER_BYTE * len(data), limits)

    def test_many_fields(self) -> None:
        data = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 98
        self.check(data, LIMITS)

    def test_a_long_request_line(self) -> None:
        self.check(b"GET /" + b"a" * 8000, LIMITS)
        self.check(b"GET /" + b"a" * 8000, Limits(field_size=64))

    def test_a_long_field_behind_many(self) -> None:
        data = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 98 + field_of(1500)
        self.check(data, LIMITS)
        # The shorter of the two limits on lines must not set the price of the other.
        self.check(data, Limits(request_line=64, field_size=8190))
