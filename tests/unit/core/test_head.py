"""The compiled head reader beside Python's: its verdict is the same, or it asks Python."""

import random
import sys
import unittest

from hypothesis import given, settings
from hypothesis import strategies as st

from stickyd.core.head_reader import reader
from stickyd.http1.error_response import Refusal
from stickyd.http1.head_parser import Head, connection_options, read_head
from stickyd.http1.limits import Limits
from tests.corpus.reading import load
from tests.slow.fuzz_heads import TIGHT, mutate
from tests.support.core_agreement import BROWSER, NATIVE, PLAIN, Heads
from tests.support.extent import examples
from tests.support.head_strategies import any_limits, field_lists, strung, targets, tokens
from tests.support.heads import LIMITS, byte_by_byte, get

OFTEN = settings(max_examples=examples(600), deadline=None, derandomize=True)
FILLING = b"abcdefgh"


@unittest.skipIf(NATIVE is None, "the compiled core is not built")
class Compiled(unittest.TestCase):
    def setUp(self) -> None:
        assert NATIVE is not None
        self.heads = Heads(NATIVE)
        self.read = reader(NATIVE)

    def agree(self, data: bytes, limits: Limits = LIMITS, *ends: int) -> None:
        difference, _ = self.heads.difference(data, limits, [*ends, len(data)])
        self.assertIsNone(difference, (data, limits, ends))


class ItsOwn(Compiled):
    """What it must read without Python, or there would be no use in it."""

    def test_plain_heads(self) -> None:
        for data in PLAIN:
            self.agree(data)
        self.assertEqual((self.heads.own["head"], self.heads.asked), (len(PLAIN), 0))

    def test_plain_heads_byte_by_byte(self) -> None:
        for data in PLAIN:
            self.agree(data, LIMITS, *range(1, len(data)))
        self.assertEqual(self.heads.asked, 0)

    def test_byte_by_byte_right_at_the_bounds(self) -> None:
        """The CR of a line ending does not count, not even while its LF has not arrived."""
        for data in PLAIN[:-2]:
            lines = data[: data.index(b"\r\n\r\n")].split(b"\r\n")
            longest = max(map(len, lines[1:]), default=1)
            size = sum(len(line) + 2 for line in lines) + 2
            limits = Limits(len(lines[0]), max(1, len(lines) - 1), longest, size)
            self.agree(data[:size], limits, *range(1, size))
        self.assertEqual(self.heads.asked, 0)

    def test_every_part_of_a_browsers_head(self) -> None:
        head = self.read(BROWSER, LIMITS, 0)
        assert isinstance(head, Head)
        self.assertEqual((head.method, head.target), (b"GET", b"/news/today?page=2&sort=new"))
        self.assertEqual(head.values(b"x-forwarded-for"), [b"203.0.113.7"])
        self.assertEqual(head.connection, {b"keep-alive"})
        self.assertEqual((head.length, head.size, head.keep_alive), (0, len(BROWSER), True))

    @settings(OFTEN, max_examples=examples(200))
    @given(tokens, targets, st.integers(0, 1), field_lists)
    def test_generated(
        self, method: bytes, target: bytes, minor: int, fields: list[tuple[bytes, ...]]
    ) -> None:
        if method == b"CONNECT":
            method = b"Connect"
        lines = [name + b":" + before + value + after for name, before, value, after in fields]
        self.agree(get(*lines, first=b"%s %s HTTP/1.%d" % (method, target, minor)))
        self.assertEqual(self.heads.asked, 0)


class Agreement(Compiled):
    def test_every_byte_at_every_place(self) -> None:
        """Each head with each of its bytes replaced by each other, and with each put in between."""
        for data in PLAIN[:-1]:
            for at in range(len(data)):
                for byte in range(256):
                    one = bytes([byte])
                    self.agree(data[:at] + one + data[at + 1 :])
                    self.agree(data[:at] + one + data[at:])
                    self.agree(data[:at] + one)

    def test_every_byte_in_a_value_of_every_length(self) -> None:
        """Values are looked at eight bytes at a time: each lane, and what is left over."""
        for length in range(18):
            for at in range(length):
                for byte in range(256):
                    value = bytearray((FILLING * 3)[:length])
                    value[at] = byte
                    self.agree(get(b"X: " + value))

    def test_bounds(self) -> None:
        for data in PLAIN:
            line = data.index(b"\r\n")
            fields = data[: data.index(b"\r\n\r\n")].split(b"\r\n")[1:]
            longest = max(map(len, fields), default=0)
            size = data.index(b"\r\n\r\n") + 4
            for off in range(-3, 4):
                for limits in (
                    Limits(request_line=line + off),
                    Limits(fields=max(1, len(fields) + off)),
                    Limits(field_size=max(1, longest + off)),
                    Limits(head=size + off),
                ):
                    self.agree(data, limits)
                    self.agree(data, limits, *range(1, len(data)))

    def test_bounds_beyond_all_numbers_of_c(self) -> None:
        huge = 2**70
        for data in PLAIN:
            self.agree(data, Limits(huge, huge, huge, huge))
        self.assertEqual(self.heads.asked, 0)

    def test_as_many_fields_as_there_is_room_for_and_more(self) -> None:
        for count in (127, 128, 129, 200):
            data = get(*(b"X-%d: y" % number for number in range(count - 1)))
            self.agree(data, Limits(fields=1000))
            self.agree(data, Limits(fields=1000), len(data) - 1)
        self.assertEqual(self.heads.own["head"], 2 * 2)

    def test_the_corpus(self) -> None:
        for case in load():
            self.agree(case.data)
            self.agree(case.data, TIGHT)
            self.agree(case.data, LIMITS, *range(1, min(len(case.data), 2000)))

    def test_mutated(self) -> None:
        corpus = [case.data for case in load() if len(case.data) < 2000] + PLAIN * 50
        chance = random.Random(1)
        for _ in range(examples(60_000)):
            data = mutate(corpus, chance)
            ends = sorted(chance.randrange(len(data) + 1) for _ in range(chance.randint(0, 4)))
            self.agree(data, TIGHT if chance.random() < 0.3 else LIMITS, *ends)
        self.assertGreater(min(self.heads.own.values()), self.heads.asked / 50)

    @OFTEN
    @given(strung, st.sampled_from([b"", b"\r\n\r\n", b"\n\n"]), any_limits, st.data())
    def test_strung_together(
        self, data: bytes, end: bytes, limits: Limits, draw: st.DataObject
    ) -> None:
        data += end
        self.agree(data, limits)
        self.agree(data, limits, *range(1, len(data)))
        self.agree(data, limits, *sorted(draw.draw(st.sets(st.integers(1, len(data) + 1)))))


class Seam(Compiled):
    """`read_head` of the compiled core: what it does not know, Python answers."""

    def test_refusals_are_pythons(self) -> None:
        for data in (b"\x16\x03", b"GET / HTTP/2.0\r\n\r\n", get(b"no colon"), get(host=False)):
            refusal = self.read(data, LIMITS, 0)
            self.assertIsInstance(refusal, Refusal)
            self.assertEqual(refusal, read_head(data, LIMITS))

    def test_whatever_else_is_valid(self) -> None:
        for data in (
            b"GET / HTTP/1.1\nHost: a\n\n",
            b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            get(b"Transfer-Encoding: chunked"),
            get(b"Expect: 100-continue"),
            get(b"Cookie: a=1", b"X: y", b"cookie: b=2"),
            get(first=b"OPTIONS * HTTP/1.1"),
            get(first=b"GET http://b/ HTTP/1.1"),
            get(b"Host: [v1.a]", host=False),
        ):
            self.assertIsInstance(self.read(data, LIMITS, 0), Head)
            self.assertEqual(self.read(data, LIMITS, 0), read_head(data, LIMITS))

    def test_odd_arguments(self) -> None:
        self.assertIsNone(self.read(b"", LIMITS, 0))
        self.assertIsNone(self.read(b"GET", LIMITS, 5))
        self.assertIsNone(self.read(b"GET", LIMITS, -1))
        for data in (bytearray(PLAIN[0]), type("Bytes", (bytes,), {})(PLAIN[0])):
            self.assertEqual(self.read(data, LIMITS, 0), read_head(PLAIN[0], LIMITS))

    def test_limits_are_not_confused_with_each_other(self) -> None:
        """Their numbers are remembered: also where one takes another's place in memory."""
        for most in range(60, 80):
            verdict = self.read(PLAIN[0], Limits(head=most), 0)
            self.assertEqual(isinstance(verdict, Head), most >= len(PLAIN[0]), most)

    def test_names_that_share_a_place_in_memory(self) -> None:
        names = [b"X-%d" % number for number in range(5000)]
        for _ in range(2):
            for name in names:
                head = self.read(get(name + b": y"), LIMITS, 0)
                assert isinstance(head, Head)
                self.assertEqual(head.fields[1], (name.lower(), b"y"))

    def test_no_reference_is_lost_or_left(self) -> None:
        options = connection_options(b"close")
        self.read(get(b"Connection: close"), LIMITS, 0)
        before = sys.getrefcount(options), sys.getrefcount(b"GET"), sys.getrefcount(None)
        for _ in range(1000):
            self.read(get(b"Connection: close"), LIMITS, 0)
            self.read(get(b"Connection: close")[:20], LIMITS, 10)
        after = sys.getrefcount(options), sys.getrefcount(b"GET"), sys.getrefcount(None)
        for one, other in zip(before, after, strict=True):
            self.assertLess(abs(one - other), 100)

    def test_a_head_of_another_make_is_refused(self) -> None:
        assert NATIVE is not None
        for kind in (tuple, dict, type("Head", (tuple,), {"_fields": ("method",)})):
            with self.assertRaises((TypeError, AttributeError)):
                NATIVE.HeadReader(kind, connection_options, read_head)  # type: ignore[arg-type]


class Fallback(unittest.TestCase):
    def test_without_the_core_python_reads(self) -> None:
        self.assertIs(reader(None), read_head)

    def test_byte_by_byte_is_as_whole(self) -> None:
        self.assertEqual(byte_by_byte(BROWSER), read_head(BROWSER, LIMITS))
