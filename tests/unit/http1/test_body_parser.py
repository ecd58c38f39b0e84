"""Request bodies: each rule by example, and the same body however the bytes are split."""

import unittest
from collections.abc import Callable, Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from stickyd.http1.body_parser import BodyPart, ChunkedReader, LengthReader, body_reader
from stickyd.http1.error_response import Refusal
from stickyd.http1.head_parser import CHUNKED
from stickyd.http1.limits import Limits
from tests.support.extent import examples

OFTEN = settings(max_examples=examples(200), deadline=None, derandomize=True)

Result = tuple[bytes, bytes] | int | None
"""Body and what is behind it; or the status of a refusal; or None for an unfinished body."""


def reading(reader: LengthReader | ChunkedReader, pieces: Iterable[bytes]) -> Result:
    """What a reader makes of a body that arrives in pieces."""
    body = b""
    left = iter(pieces)
    for piece in left:
        part = reader.read(piece)
        if isinstance(part, Refusal):
            return part.status
        assert isinstance(part, BodyPart), part
        body += part.data
        if part.rest is not None:
            return body, part.rest + b"".join(left)
    return None


def whole(data: bytes, most: int = 0) -> Result:
    return reading(ChunkedReader(most), [data])


def by_bytes(data: bytes, most: int = 0) -> Result:
    return reading(ChunkedReader(most), (data[at : at + 1] for at in range(len(data))))


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    """``data`` in pieces; a place beyond the end makes an empty piece."""
    ends = sorted(places)
    return [data[a:b] for a, b in zip([0, *ends], [*ends, len(data)], strict=True)]


LAST = b"0\r\n\r\n"

DECODED: dict[str, tuple[bytes, Result]] = {
    "empty": (LAST, (b"", b"")),
    "one_chunk": (b"5\r\nhello\r\n" + LAST, (b"hello", b"")),
    "two_chunks": (b"5\r\nhello\r\n1\r\n!\r\n" + LAST, (b"hello!", b"")),
    "upper_case_hex": (b"A\r\n0123456789\r\n" + LAST, (b"0123456789", b"")),
    "lower_case_hex": (b"a\r\n0123456789\r\n" + LAST, (b"0123456789", b"")),
    "leading_zeros": (b"0005\r\nhello\r\n" + LAST, (b"hello", b"")),
    "many_zeros_at_the_end": (b"5\r\nhello\r\n000\r\n\r\n", (b"hello", b"")),
    "line_endings_are_data": (b"4\r\n\r\n\r\n\r\n" + LAST, (b"\r\n\r\n", b"")),
    "a_chunk_is_data_of_a_chunk": (b"5\r\n" + LAST + b"\r\n" + LAST, (LAST, b"")),
    "any_byte_is_data": (b"100\r\n%b\r\n" % bytes(range(256)) + LAST, (bytes(range(256)), b"")),
    "extension": (b"5;a=b\r\nhello\r\n" + LAST, (b"hello", b"")),
    "extension_quoted": (b'5;a="b c"\r\nhello\r\n0;z\r\n\r\n', (b"hello", b"")),
    "extensions": (b"5;a;b=c; d\r\nhello\r\n" + LAST, (b"hello", b"")),
    "extension_as_long_as_allowed": (b"5;%b\r\nhello\r\n" % (b"x" * 1022) + LAST, (b"hello", b"")),
    "trailer": (b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n", (b"hello", b"")),
    "trailers": (b"0\r\nA: b\r\nC:\r\nD:\te \r\n\r\n", (b"", b"")),
    "trailer_with_obs_text": (b"0\r\nA: \xfc\r\n\r\n", (b"", b"")),
    "pipelined_rest": (LAST + b"GET / HTTP/1.1\r\n", (b"", b"GET / HTTP/1.1\r\n")),
    "rest_that_looks_like_a_chunk": (b"1\r\nx\r\n" + LAST + LAST, (b"x", LAST)),
    "rest_of_line_endings": (LAST + b"\r\n", (b"", b"\r\n")),
}

UNFINISHED: dict[str, tuple[bytes, Result]] = {
    "nothing": (b"", None),
    "half_a_size": (b"5", None),
    "size_without_lf": (b"5\r", None),
    "no_data": (b"5\r\n", None),
    "half_the_data": (b"5\r\nhel", None),
    "no_cr_behind_the_data": (b"5\r\nhello", None),
    "no_lf_behind_the_data": (b"5\r\nhello\r", None),
    "no_last_chunk": (b"5\r\nhello\r\n", None),
    "no_empty_line": (b"0\r\n", None),
    "half_an_empty_line": (b"0\r\n\r", None),
    "no_empty_line_behind_a_trailer": (b"0\r\nA: b\r\n", None),
}

REFUSED: dict[str, tuple[bytes, Result]] = {
    "size_0x": (b"0x5\r\nhello\r\n" + LAST, 400),
    "size_0X": (b"0X5\r\nhello\r\n" + LAST, 400),
    "size_plus": (b"+5\r\nhello\r\n" + LAST, 400),
    "size_minus": (b"-5\r\nhello\r\n" + LAST, 400),
    "size_minus_0": (b"-0\r\n\r\n", 400),
    "size_not_hex": (b"g\r\nhello\r\n" + LAST, 400),
    "size_with_underscore": (b"1_0\r\n0123456789abcdef\r\n" + LAST, 400),
    "size_fraction": (b"5.0\r\nhello\r\n" + LAST, 400),
    "size_empty": (b"\r\nhello\r\n" + LAST, 400),
    "size_is_only_an_extension": (b";a=b\r\nhello\r\n" + LAST, 400),
    "blank_in_front": (b" 5\r\nhello\r\n" + LAST, 400),
    "blank_behind": (b"5 \r\nhello\r\n" + LAST, 400),
    "tab_in_front": (b"\t5\r\nhello\r\n" + LAST, 400),
    "tab_behind": (b"5\t\r\nhello\r\n" + LAST, 400),
    "blank_before_the_extension": (b"5 ;a\r\nhello\r\n" + LAST, 400),
    "blank_within": (b"1 0\r\n0123456789abcdef\r\n" + LAST, 400),
    "blank_behind_the_last_size": (b"0 \r\n\r\n", 400),
    "size_of_16_digits": (b"0000000000000005\r\nhello\r\n" + LAST, 400),
    "size_beyond_64_bits": (b"10000000000000005\r\nhello\r\n" + LAST, 400),
    "size_of_all_64_bits": (b"ffffffffffffffff\r\nhello\r\n" + LAST, 400),
    "size_of_five_thousand_digits": (b"0" * 5000 + b"5\r\nhello\r\n" + LAST, 400),
    "size_that_never_ends": (b"0" * 5000, 400),
    "size_full_width_digit": ("\uff15".encode() + b"\r\nhello\r\n" + LAST, 400),
    "comma_extension": (b"5,a\r\nhello\r\n" + LAST, 400),
    "extension_with_nul": (b"5;a\0\r\nhello\r\n" + LAST, 400),
    "extension_with_cr": (b"5;a\rb\r\nhello\r\n" + LAST, 400),
    "extension_with_lf": (b"5;a\nb\r\nhello\r\n" + LAST, 400),
    "extension_with_del": (b"5;a\x7f\r\nhello\r\n" + LAST, 400),
    "extension_too_long": (b"5;%b\r\nhello\r\n" % (b"x" * 1023) + LAST, 400),
    "extension_that_never_ends": (b"5;" + b"x" * 5000, 400),
    "lf_behind_the_size": (b"5\nhello\r\n" + LAST, 400),
    "lf_behind_the_data": (b"5\r\nhello\n" + LAST, 400),
    "lf_behind_the_last_size": (b"0\n\r\n", 400),
    "lf_as_the_empty_line": (b"0\r\n\n", 400),
    "lf_behind_a_trailer": (b"0\r\nA: b\n\r\n", 400),
    "lf_everywhere": (b"5\nhello\n0\n\n", 400),
    "lf_first": (b"\n5\r\nhello\r\n" + LAST, 400),
    "cr_behind_the_size": (b"5\rhello\r\n" + LAST, 400),
    "two_crs_behind_the_size": (b"5\r\r\nhello\r\n" + LAST, 400),
    "chunk_longer_than_its_size": (b"4\r\nhello\r\n" + LAST, 400),
    "chunk_much_longer_than_its_size": (b"1\r\nhello\r\n" + LAST, 400),
    "chunk_shorter_than_its_size": (b"6\r\nhello\r\n" + LAST, 400),
    "chunk_one_shorter_by_its_line_ending": (b"7\r\nhello\r\n" + LAST, 400),
    "no_line_ending_behind_the_data": (b"5\r\nhello" + LAST, 400),
    "first_byte_behind_the_data": (b"5\r\nhelloX", 400),
    "cr_and_no_lf_behind_the_data": (b"5\r\nhello\rX", 400),
    "data_of_the_last_chunk": (b"0\r\nhello\r\n\r\n", 400),
    "trailer_without_colon": (b"0\r\nA\r\n\r\n", 400),
    "trailer_blank_before_the_colon": (b"0\r\nA : b\r\n\r\n", 400),
    "trailer_fold": (b"0\r\nA: b\r\n c\r\n\r\n", 400),
    "trailer_empty_name": (b"0\r\n: b\r\n\r\n", 400),
    "trailer_blank_in_the_name": (b"0\r\nA B: c\r\n\r\n", 400),
    "trailer_with_nul": (b"0\r\nA: \0\r\n\r\n", 400),
    "trailer_with_cr": (b"0\r\nA: b\rc\r\n\r\n", 400),
    "trailer_with_del": (b"0\r\nA: \x7f\r\n\r\n", 400),
    "trailers_too_long": (b"0\r\n" + b"A: b\r\n" * 2000 + b"\r\n", 431),
}


def by_example(table: dict[str, tuple[bytes, Result]]) -> Callable[[type], type]:
    """Make a test of each row of a table: whole, byte by byte, and in two at each place."""

    def add(cls: type) -> type:
        for name, (data, result) in table.items():

            def test(self: unittest.TestCase, data: bytes = data, result: Result = result) -> None:
                self.assertEqual(whole(data), result, f"whole: {data[:200]!r}")
                self.assertEqual(by_bytes(data), result, f"by bytes: {data[:200]!r}")
                for place in range(min(len(data), 60)):
                    got = reading(ChunkedReader(), [data[:place], data[place:]])
                    self.assertEqual(got, result, f"{data[:place]!r} {data[place:][:200]!r}")

            test.__name__ = f"test_{name}"
            setattr(cls, test.__name__, test)
        return cls

    return add


@by_example(DECODED)
class Decoded(unittest.TestCase):
    """What must be read, and where it ends."""


@by_example(UNFINISHED)
class Unfinished(unittest.TestCase):
    """What may still become a body."""


@by_example(REFUSED)
class Refused(unittest.TestCase):
    """What two readers might understand in two ways."""


class Bounds(unittest.TestCase):
    """413 beyond the limit, for either framing."""

    def check(self, data: bytes, most: int, result: Result) -> None:
        self.assertEqual(whole(data, most), result, data[:100])
        self.assertEqual(by_bytes(data, most), result, data[:100])

    def test_chunked_at_the_border(self) -> None:
        self.check(b"5\r\nhello\r\n" + LAST, 5, (b"hello", b""))
        self.check(b"5\r\nhello\r\n" + LAST, 4, 413)
        self.check(b"4\r\nhell\r\n1\r\no\r\n" + LAST, 5, (b"hello", b""))
        self.check(b"4\r\nhell\r\n2\r\no!\r\n" + LAST, 5, 413)

    def test_what_is_behind_the_body_does_not_count(self) -> None:
        self.check(b"5\r\nhello\r\n" + LAST + b"GET / HTTP/1.1", 5, (b"hello", b"GET / HTTP/1.1"))

    def test_a_size_is_refused_before_its_data(self) -> None:
        self.check(b"6\r\n", 5, 413)
        self.check(b"fffffffffffffff\r\n", 2**40, 413)

    def test_no_limit(self) -> None:
        self.check(b"5\r\nhello\r\n" * 1000 + LAST, 0, (b"hello" * 1000, b""))
        self.check(b"fffffffffffffff\r\nabc", 0, None)

    def test_framing_does_not_count(self) -> None:
        self.check(b"1;extension\r\nx\r\n" * 5 + b"0\r\nA: b\r\n\r\n", 5, (b"xxxxx", b""))

    def test_reader_of_a_length(self) -> None:
        limits = Limits(body=10)
        for length, allowed in ((0, True), (10, True), (11, False), (10**17, False)):
            reader = body_reader(length, limits)
            if allowed:
                self.assertIsInstance(reader, LengthReader, length)
            else:
                assert isinstance(reader, Refusal), reader
                self.assertEqual(reader.status, 413)
        self.assertIsInstance(body_reader(10**17, Limits()), LengthReader)

    def test_reader_of_chunks(self) -> None:
        reader = body_reader(CHUNKED, Limits(body=4))
        assert isinstance(reader, ChunkedReader), reader
        self.assertEqual(reading(reader, [b"5\r\nhello\r\n", LAST]), 413)
        reader = body_reader(CHUNKED, Limits())
        assert isinstance(reader, ChunkedReader), reader
        self.assertEqual(reading(reader, [b"5\r\nhello\r\n", LAST]), (b"hello", b""))


class ByLength(unittest.TestCase):
    """A body of a known number of bytes."""

    def test_no_body(self) -> None:
        self.assertEqual(reading(LengthReader(0), [b""]), (b"", b""))
        self.assertEqual(reading(LengthReader(0), [b"GET /"]), (b"", b"GET /"))

    def test_one_byte_short(self) -> None:
        self.assertIsNone(reading(LengthReader(6), [b"hello"]))

    def test_exactly(self) -> None:
        self.assertEqual(reading(LengthReader(5), [b"hello"]), (b"hello", b""))

    def test_one_byte_more(self) -> None:
        self.assertEqual(reading(LengthReader(5), [b"hello!"]), (b"hello", b"!"))

    def test_data_is_passed_on_as_it_comes(self) -> None:
        reader = LengthReader(5)
        parts = [reader.read(piece) for piece in (b"he", b"l", b"", b"lo!")]
        expected = [(b"he", None), (b"l", None), (b"", None), (b"lo", b"!")]
        self.assertEqual(parts, [BodyPart(*part) for part in expected])

    @OFTEN
    @given(st.binary(max_size=100), st.binary(max_size=50), st.data())
    def test_any_split(self, body: bytes, behind: bytes, draw: st.DataObject) -> None:
        data = body + behind
        places = draw.draw(st.lists(st.integers(0, len(data)), max_size=6))
        got = reading(LengthReader(len(body)), cut(data, places))
        self.assertEqual(got, (body, behind), places)

    @OFTEN
    @given(st.integers(1, 200), st.binary(max_size=100), st.data())
    def test_a_body_cut_off_has_no_end(self, more: int, body: bytes, draw: st.DataObject) -> None:
        places = draw.draw(st.lists(st.integers(0, len(body)), max_size=6))
        self.assertIsNone(reading(LengthReader(len(body) + more), cut(body, places)))


# ---- chunked, by Hypothesis

visible = st.text([chr(c) for c in range(0x21, 0x7F)], max_size=12).map(str.encode)
extensions = st.one_of(st.just(b""), visible.map(lambda text: b";" + text))
sizes = st.sampled_from([b"%x", b"%X", b"0%x", b"000%X"])
chunks = st.tuples(st.binary(min_size=1, max_size=40), sizes, extensions)
trailer_names = st.text("!#$%&'*+-.^_`|~09azAZ", min_size=1, max_size=8).map(str.encode)
trailers = st.lists(st.tuples(trailer_names, visible), max_size=3)

Chunk = tuple[bytes, bytes, bytes]


def encode(body: list[Chunk], last: bytes, fields: list[tuple[bytes, bytes]]) -> bytes:
    """A chunked body, written from RFC 9112, 7.1."""
    parts = [size % len(data) + ext + b"\r\n" + data + b"\r\n" for data, size, ext in body]
    parts.append(b"0" + last + b"\r\n")
    parts += [name + b": " + value + b"\r\n" for name, value in fields]
    return b"".join(parts) + b"\r\n"


# Pieces of chunked framing, right and wrong, to be strung together at random.
scraps = st.sampled_from(
    [
        b"5\r\nhello\r\n",
        b"1;x\r\na\r\n",
        b"0\r\n",
        b"\r\n",
        b"5",
        b"f",
        b"\r",
        b"\n",
        b"hello",
        b";",
        b" ",
        b"0x",
        b"A: b\r\n",
        b"A : b\r\n",
        b"x" * 1100,
        b"A: " + b"b" * 4200 + b"\r\n",
        b"A: " + b"b" * 8300 + b"\r\n",
        b"\0",
    ]
)
strung = st.one_of(st.lists(scraps, max_size=12).map(b"".join), st.binary(max_size=60))
mosts = st.sampled_from([0, 0, 1, 5, 20])


class Splits(unittest.TestCase):
    """A chunked body is the same whole, byte by byte and split at random."""

    @OFTEN
    @given(st.lists(chunks, max_size=6), extensions, trailers, st.binary(max_size=40), st.data())
    def test_what_was_encoded_is_decoded(
        self,
        body: list[Chunk],
        last: bytes,
        fields: list[tuple[bytes, bytes]],
        behind: bytes,
        draw: st.DataObject,
    ) -> None:
        data = encode(body, last, fields)
        expected = b"".join(chunk for chunk, _, _ in body), behind
        self.assertEqual(whole(data + behind), expected)
        self.assertEqual(by_bytes(data + behind), expected)
        places = draw.draw(st.lists(st.integers(0, len(data)), max_size=6))
        self.assertEqual(reading(ChunkedReader(), cut(data + behind, places)), expected, places)

    @OFTEN
    @given(st.lists(chunks, max_size=4), extensions, trailers, st.data())
    def test_no_part_of_a_body_is_a_whole_one(
        self,
        body: list[Chunk],
        last: bytes,
        fields: list[tuple[bytes, bytes]],
        draw: st.DataObject,
    ) -> None:
        data = encode(body, last, fields)
        short = data[: draw.draw(st.integers(0, len(data) - 1))]
        self.assertIsNone(whole(short), short)
        self.assertIsNone(by_bytes(short), short)

    @settings(OFTEN, max_examples=examples(400))
    @given(strung, mosts, st.data())
    def test_any_bytes_have_one_verdict(self, data: bytes, most: int, draw: st.DataObject) -> None:
        expected = whole(data, most)
        self.assertEqual(by_bytes(data, most), expected, data)
        places = draw.draw(st.lists(st.integers(0, len(data)), max_size=6))
        self.assertEqual(reading(ChunkedReader(most), cut(data, places)), expected, places)

    @OFTEN
    @given(st.lists(chunks, min_size=1, max_size=6), st.integers(1, 100))
    def test_a_bound_holds_for_the_decoded_bytes(self, body: list[Chunk], most: int) -> None:
        data = encode(body, b"", [])
        decoded = b"".join(chunk for chunk, _, _ in body)
        expected = (decoded, b"") if len(decoded) <= most else 413
        self.assertEqual(whole(data, most), expected)
        self.assertEqual(by_bytes(data, most), expected)

    @OFTEN
    @given(st.lists(chunks, min_size=1, max_size=4))
    def test_data_is_passed_on_as_it_comes(self, body: list[Chunk]) -> None:
        """No byte of the body waits for a later one."""
        data = encode(body, b"", [])
        decoded = b"".join(chunk for chunk, _, _ in body)
        reader = ChunkedReader()
        got = b""
        framing = len(data) - len(decoded)
        for at in range(len(data)):
            part = reader.read(data[at : at + 1])
            assert isinstance(part, BodyPart), part
            got += part.data
            self.assertGreaterEqual(len(got), at + 1 - framing)
            self.assertTrue(decoded.startswith(got))
        self.assertEqual(got, decoded)
