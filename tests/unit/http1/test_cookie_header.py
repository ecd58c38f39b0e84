"""Cookies of one name, a request without them, and what a Set-Cookie stores."""

import unittest

from hypothesis import given, settings
from hypothesis import strategies as st

from stickyd.core.native import CORE
from stickyd.http1.cookie_header import cookies, set_cookie, without_cookie
from stickyd.http1.head_parser import Head, connection_options, read_head
from stickyd.http1.limits import Limits

NAME = b"STICKYD"
OFTEN = settings(max_examples=200, deadline=None, derandomize=True)

# What is sent; what is left of it, None for no Cookie at all.
REMOVED: dict[bytes, bytes | None] = {
    b"STICKYD=x": None,
    b"STICKYD=": None,
    b"STICKYD=x;": None,
    b"; STICKYD=x ;;": None,
    b"STICKYD=x; STICKYD=y": None,
    b" STICKYD=x": None,
    b"STICKYD =x": b"STICKYD =x",
    b"STICKYD=x; a=1": b"a=1",
    b"a=1; STICKYD=x": b"a=1",
    b"a=1; STICKYD=x; b=2": b"a=1; b=2",
    b"a=1;STICKYD=x;b=2": b"a=1;b=2",
    b"a=1 ;\tSTICKYD=x\t; b=2": b"a=1 ; b=2",
    b"STICKYD=x; a=1; STICKYD=y; b=2; STICKYD=z": b"a=1; b=2",
    b'STICKYD="x"; a="y z"': b'a="y z"',
    b'STICKYD="x=y"; a=1': b"a=1",
    b"a=1; STICKYD=x=y=; b": b"a=1; b",
    b"a=STICKYD; b=x": b"a=STICKYD; b=x",
    b"a=STICKYD=x": b"a=STICKYD=x",
    b"STICKYD": b"STICKYD",
    b"xSTICKYD=1; STICKYDx=2; stickyd=3": b"xSTICKYD=1; STICKYDx=2; stickyd=3",
    b"xSTICKYD=1; STICKYD=2": b"xSTICKYD=1",
    b"a=1;; b=2; STICKYD=x": b"a=1;; b=2",
    b"a=\xff\xfe; STICKYD=\xff": b"a=\xff\xfe",
    b"a=1": b"a=1",
    b"": b"",
}

SET: dict[bytes, bytes | None] = {
    b"sid=abc": b"abc",
    b"sid=abc; Path=/; HttpOnly": b"abc",
    b" sid = abc ;Path=/": b"abc",
    b'sid="a b"; Max-Age=60': b'"a b"',
    b"sid=a=b": b"a=b",
    b"sid=abc; Max-Age=1": b"abc",
    b"sid=abc; Max-Age=x": b"abc",
    b"sid=abc; max-age=0": None,
    b"sid=abc; Max-Age=-1": None,
    b"sid=abc; Max-Age= 000": None,
    b"sid=": None,
    b'sid=""; expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/': None,
    b"sid": None,
    b"SID=abc": None,
    b"other=1; sid=abc": None,
    b"": None,
}


def head_of(*lines: bytes) -> Head:
    fields = b"".join(b"Cookie: %b\r\n" % line for line in lines)
    data = b"GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\n%bB: 2\r\n\r\n" % fields
    head = read_head(data, Limits())
    assert isinstance(head, Head), head
    return head


class Removal(unittest.TestCase):
    def test_by_example(self) -> None:
        for sent, left in REMOVED.items():
            with self.subTest(sent):
                head = without_cookie(head_of(sent), NAME)
                self.assertEqual(head.values(b"cookie"), [] if left is None else [left.strip()])
                self.assertEqual(cookies(head, NAME), [])
                self.assertEqual(
                    [f for f in head.fields if f[0] in (b"a", b"b")], [(b"a", b"1"), (b"b", b"2")]
                )

    def test_several_lines_are_one(self) -> None:
        head = without_cookie(head_of(b"a=1; STICKYD=x", b"STICKYD=y", b"b=2"), NAME)
        self.assertEqual(head.values(b"cookie"), [b"a=1; b=2"])
        self.assertEqual(
            without_cookie(head_of(b"STICKYD=x", b"STICKYD=y"), NAME).values(b"cookie"), []
        )

    def test_what_has_none_is_the_same_object(self) -> None:
        for lines in ((), (b"a=1",), (b"xSTICKYD=1",)):
            head = head_of(*lines)
            self.assertIs(without_cookie(head, NAME), head)

    def test_a_head_of_the_compiled_reader(self) -> None:
        if CORE.native is None:
            self.skipTest("the compiled core is not in use")
        reader = CORE.native.HeadReader(Head, connection_options, read_head)
        head = reader.read(
            b"GET / HTTP/1.1\r\nHost: a\r\nCookie: a=1; STICKYD=x\r\n\r\n", Limits(), 0
        )
        assert isinstance(head, Head)
        self.assertEqual(cookies(head, NAME), [b"x"])
        self.assertEqual(without_cookie(head, NAME).values(b"cookie"), [b"a=1"])

    @OFTEN
    @given(
        st.lists(
            st.tuples(
                st.sampled_from([b"", b" ", b"\t", b"  "]),
                st.sampled_from([b"STICKYD=", b"STICKYD", b"a=", b"STICKYDx=", b"", b"x=STICKYD="]),
                st.sampled_from([b"", b"1", b'"q"', b"STICKYD=", b"\xe9"]),
            ),
            max_size=8,
        )
    )
    def test_every_other_pair_stays(self, pairs: list[tuple[bytes, bytes, bytes]]) -> None:
        sent = [blank + name + value for blank, name, value in pairs]
        head = head_of(b";".join(sent))
        left = without_cookie(head, NAME)
        self.assertEqual(cookies(left, NAME), [])
        kept = [pair.strip(b" \t") for line in left.values(b"cookie") for pair in line.split(b";")]
        expected = [
            pair.strip(b" \t") for pair in sent if not pair.strip(b" \t").startswith(b"STICKYD=")
        ]
        self.assertEqual([pair for pair in kept if pair], [pair for pair in expected if pair])
        for name in (b"a", b"x", b"STICKYDx"):
            self.assertEqual(cookies(left, name), cookies(head, name))


class SetCookie(unittest.TestCase):
    def test_by_example(self) -> None:
        for line, stored in SET.items():
            with self.subTest(line):
                self.assertEqual(set_cookie(line, b"sid"), stored)
