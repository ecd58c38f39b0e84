"""Request heads made at random: the same verdict however the bytes are split."""

import unittest

from hypothesis import given, settings
from hypothesis import strategies as st

from stickyd.http1.error_response import Refusal
from stickyd.http1.head_parser import Head, read_head
from stickyd.http1.limits import Limits
from tests.support.extent import examples
from tests.support.head_strategies import any_limits, endings, field_lists, strung, targets, tokens
from tests.support.heads import LIMITS, arriving, byte_by_byte, essence, get, post

OFTEN = settings(max_examples=examples(200), deadline=None, derandomize=True)


class Splits(unittest.TestCase):
    """Whole, byte by byte and split at random: the same verdict."""

    @settings(OFTEN, max_examples=examples(600))
    @given(strung, st.sampled_from([b"\r\n\r\n", b"\n\n"]), any_limits, st.data())
    def test_a_head_with_its_end(
        self, data: bytes, end: bytes, limits: Limits, draw: st.DataObject
    ) -> None:
        data += end
        self.same(data, limits, draw)

    @settings(OFTEN, max_examples=examples(600))
    @given(strung, any_limits, st.data())
    def test_a_head_that_may_be_unfinished(
        self, data: bytes, limits: Limits, draw: st.DataObject
    ) -> None:
        self.same(data, limits, draw)
        if isinstance(read_head(data, limits), Refusal):
            # What is refused becomes no head by what may still come.
            for end in (b"\r\n\r\n", b"\n\n", b"\r\nHost: a\r\n\r\n"):
                self.assertNotIsInstance(read_head(data + end, limits), Head)

    def same(self, data: bytes, limits: Limits, draw: st.DataObject) -> None:
        whole = essence(read_head(data, limits))
        self.assertEqual(essence(byte_by_byte(data, limits)), whole, data)
        cuts = draw.draw(st.sets(st.integers(1, max(len(data), 1)), max_size=6))
        ends = sorted({*cuts, len(data)})
        self.assertEqual(essence(arriving(data, ends, limits)), whole, (data, ends))

    @settings(OFTEN, max_examples=examples(300))
    @given(strung, strung, any_limits)
    def test_what_follows_changes_no_verdict(
        self, data: bytes, behind: bytes, limits: Limits
    ) -> None:
        verdict = read_head(data, limits)
        if verdict is not None:
            self.assertEqual(essence(read_head(data + behind, limits)), essence(verdict), data)


class AnyBytes(unittest.TestCase):
    """Whatever comes, the answer is a verdict."""

    @OFTEN
    @given(st.binary(max_size=300), any_limits)
    def test_never_raise(self, data: bytes, limits: Limits) -> None:
        for verdict in (read_head(data, limits), byte_by_byte(data, limits)):
            self.assertIsInstance(verdict, Head | Refusal | None)

    @OFTEN
    @given(st.binary(max_size=100), st.binary(max_size=100), any_limits)
    def test_never_raise_within_a_head(self, name: bytes, value: bytes, limits: Limits) -> None:
        for data in (
            get(name + b": " + value),
            get(first=b"GET " + name + b" HTTP/1.1"),
            post(b"Content-Length: " + value),
            post(b"Transfer-Encoding: " + value),
            get(b"Host: " + value, host=False),
        ):
            self.assertIsInstance(read_head(data, limits), Head | Refusal | None)

    @OFTEN
    @given(strung, any_limits)
    def test_a_head_keeps_to_its_limits(self, data: bytes, limits: Limits) -> None:
        head = read_head(data, limits)
        if isinstance(head, Head):
            self.assertLessEqual(head.size, limits.head)
            self.assertLessEqual(len(head.fields), limits.fields)
            self.assertTrue(data[: head.size].endswith(b"\n"))


class Generated(unittest.TestCase):
    """A valid head comes back with its parts, and what is behind it stays where it is."""

    @OFTEN
    @given(tokens, targets, st.integers(0, 1), field_lists, endings, st.binary(max_size=60))
    def test_parts(
        self,
        method: bytes,
        target: bytes,
        minor: int,
        fields: list[tuple[bytes, bytes, bytes, bytes]],
        ending: bytes,
        behind: bytes,
    ) -> None:
        if method == b"CONNECT":
            method = b"Connect"
        lines = [b"%s %s HTTP/1.%d" % (method, target, minor), b"Host: a.example"]
        lines += [name + b":" + before + value + after for name, before, value, after in fields]
        data = ending.join([*lines, b"", b""])
        head = read_head(data + behind, LIMITS)
        assert isinstance(head, Head), (data, head)
        self.assertEqual((head.method, head.target, head.minor), (method, target, minor))
        expected = [(name.lower(), value) for name, _, value, _ in fields if b"_" not in name]
        self.assertEqual(list(head.fields), [(b"host", b"a.example"), *expected])
        self.assertEqual((data + behind)[head.size :], behind)
        self.assertEqual((head.length, head.keep_alive), (0, minor == 1))
        self.assertEqual(byte_by_byte(data + behind), head)

    @settings(OFTEN, max_examples=examples(100))
    @given(st.lists(field_lists, min_size=1, max_size=3), endings)
    def test_pipelined_heads_come_one_after_the_other(
        self, requests: list[list[tuple[bytes, bytes, bytes, bytes]]], ending: bytes
    ) -> None:
        left = b""
        for number, fields in enumerate(requests):
            lines = [b"GET /%d HTTP/1.1" % number, b"Host: a"]
            lines += [name + b":" + value for name, _, value, _ in fields]
            left += ending.join([*lines, b"", b""])
        for number in range(len(requests)):
            head = read_head(left, LIMITS)
            assert isinstance(head, Head), (left, head)
            self.assertEqual(head.target, b"/%d" % number)
            left = left[head.size :]
        self.assertEqual(left, b"")
