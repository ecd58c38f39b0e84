"""Request heads: each rule by example, and the same verdict however the bytes are split."""

import re
import sys
import unittest
from collections.abc import Callable, Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from stickyd.http1.error_response import Refusal
from stickyd.http1.head_parser import CHUNKED, Head, origin_form, read_head
from stickyd.http1.limits import Limits
from tests.support.extent import examples

OFTEN = settings(max_examples=examples(200), deadline=None, derandomize=True)
LIMITS = Limits()

Verdict = Head | Refusal | None


def arriving(data: bytes, ends: Iterable[int], limits: Limits = LIMITS) -> Verdict:
    """The first verdict while ``data`` arrives in pieces that end at ``ends``."""
    scanned = 0
    for end in ends:
        verdict = read_head(data[:end], limits, scanned)
        if verdict is not None:
            return verdict
        scanned = end
    return None


def byte_by_byte(data: bytes, limits: Limits = LIMITS) -> Verdict:
    return arriving(data, range(1, len(data) + 1), limits)


def essence(verdict: Verdict) -> Head | int | None:
    """What must not depend on the split: the whole head, or the status of a refusal."""
    return verdict.status if isinstance(verdict, Refusal) else verdict


def get(*fields: bytes, first: bytes = b"GET / HTTP/1.1", host: bool = True) -> bytes:
    """A head of these lines, in CRLF, with a Host unless told otherwise."""
    lines = [first, *([b"Host: a.example"] if host else []), *fields, b"", b""]
    return b"\r\n".join(lines)


def post(*fields: bytes, minor: int = 1) -> bytes:
    return get(*fields, first=b"POST / HTTP/1.%d" % minor)


# ---- each rule by example

SERVED = 200
"""In the tables: the head is valid. What the head says is asked elsewhere."""

PLAIN: dict[str, tuple[bytes, int]] = {
    "crlf": (get(), SERVED),
    "lf_only": (b"GET / HTTP/1.1\nHost: a\nX: y\n\n", SERVED),
    "http_1_0_without_host": (get(first=b"GET / HTTP/1.0", host=False), SERVED),
    "http_1_0_with_host": (get(first=b"GET / HTTP/1.0"), SERVED),
    "empty_line_before_the_request": (b"\r\n" + get(), SERVED),
    "lf_empty_line_before_an_lf_request": (b"\nGET / HTTP/1.1\nHost: a\n\n", SERVED),
    # What stands behind the head says nothing about the line endings in it.
    "cr_behind_a_head_with_an_lf_in_front": (b"\nGET / HTTP/1.1\nHost: a\n\n\r", SERVED),
    "crlf_behind_an_lf_head": (b"GET / HTTP/1.1\nHost: a\n\n\r\n", SERVED),
    "lf_behind_a_crlf_head": (get() + b"\n", SERVED),
    "unknown_method": (get(first=b"BREW / HTTP/1.1"), SERVED),
    "method_of_all_token_characters": (get(first=b"!#$%&'*+-.^_`|~aZ09 / HTTP/1.1"), SERVED),
    "no_field_but_host": (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", SERVED),
}

LINE_ENDINGS: dict[str, tuple[bytes, int]] = {
    "lf_after_crlf_request_line": (b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400),
    "crlf_after_lf_request_line": (b"GET / HTTP/1.1\nHost: a\r\nX: y\n\n", 400),
    "crlf_head_ended_by_lf": (b"GET / HTTP/1.1\r\nHost: a\r\n\n", 400),
    "lf_head_ended_by_crlf": (b"GET / HTTP/1.1\nHost: a\n\r\n", 400),
    "lf_in_the_last_field_only": (b"GET / HTTP/1.1\r\nHost: a\r\nX: y\n\r\n", 400),
    "cr_only": (b"GET / HTTP/1.1\rHost: a\r\r\n\r\n", 400),
    "cr_before_crlf": (b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", 400),
    "cr_before_lf_in_an_lf_head": (b"GET / HTTP/1.1\nHost: a\r\n\n", 400),
    "two_empty_lines_before_the_request": (b"\r\n\r\n" + get(), 400),
    "two_lf_empty_lines_before_the_request": (b"\n\nGET / HTTP/1.1\nHost: a\n\n", 400),
    "crlf_empty_line_before_an_lf_head": (b"\r\nGET / HTTP/1.1\nHost: a\n\n", 400),
}

REQUEST_LINES: dict[str, tuple[bytes, int]] = {
    name: (get(first=line), status)
    for name, (line, status) in {
        "two_blanks": (b"GET  / HTTP/1.1", 400),
        "two_blanks_before_the_version": (b"GET /  HTTP/1.1", 400),
        "blank_in_front": (b" GET / HTTP/1.1", 400),
        "blank_behind": (b"GET / HTTP/1.1 ", 400),
        "tab_instead_of_blank": (b"GET\t/\tHTTP/1.1", 400),
        "no_version": (b"GET /", 400),
        "no_target": (b"GET HTTP/1.1", 400),
        "method_only": (b"GET", 400),
        "method_with_a_separator": (b"GE(T / HTTP/1.1", 400),
        "method_with_a_colon": (b"GET: / HTTP/1.1", 400),
        "lower_case_version": (b"GET / http/1.1", 400),
        "another_protocol": (b"GET / ICY/1.1", 400),
        "nul_in_the_target": (b"GET /\0 HTTP/1.1", 400),
        "del_in_the_target": (b"GET /\x7f HTTP/1.1", 400),
        "obs_text_in_the_target": (b"GET /\xc3\xbc HTTP/1.1", 400),
        "blank_in_the_target": (b"GET /a b HTTP/1.1", 400),
        "cr_in_the_target": (b"GET /a\rb HTTP/1.1", 400),
        "bare_cr_behind_the_version": (b"GET / HTTP/1.1\rX", 400),
        "version_0_9": (b"GET / HTTP/0.9", 505),
        "version_1_2": (b"GET / HTTP/1.2", 505),
        "version_2_0": (b"GET / HTTP/2.0", 505),
        "version_3_1": (b"GET / HTTP/3.1", 505),
        "connect": (b"CONNECT a.example:443 HTTP/1.1", 501),
        "connect_with_a_path": (b"CONNECT / HTTP/1.1", 501),
        "lower_case_connect_is_another_method": (b"connect / HTTP/1.1", SERVED),
        "http_2_preface": (b"PRI * HTTP/2.0", 400),
    }.items()
}

TARGETS: dict[str, tuple[bytes, int]] = {
    name: (get(first=b"%s %s HTTP/1.1" % (method, target)), status)
    for name, (method, target, status) in {
        "root": (b"GET", b"/", SERVED),
        "path_and_query": (b"GET", b"/a/b;c?d=e&f=%20", SERVED),
        "two_slashes": (b"GET", b"//a.example/b", SERVED),
        "absolute": (b"GET", b"http://a.example/b?c", SERVED),
        "absolute_upper_case": (b"GET", b"HTTP://A.EXAMPLE/", SERVED),
        "absolute_https": (b"GET", b"https://a.example:8443/", SERVED),
        "absolute_without_path": (b"GET", b"http://a.example", SERVED),
        "absolute_with_query_only": (b"GET", b"http://a.example?b", SERVED),
        "absolute_v6": (b"GET", b"http://[2001:db8::1]:80/", SERVED),
        "asterisk_of_options": (b"OPTIONS", b"*", SERVED),
        "path_of_options": (b"OPTIONS", b"/a", SERVED),
        "asterisk_of_get": (b"GET", b"*", 400),
        "two_asterisks": (b"OPTIONS", b"**", 400),
        "authority": (b"GET", b"a.example:80", 400),
        "relative": (b"GET", b"a/b", 400),
        "query_only": (b"GET", b"?a", 400),
        "no_authority": (b"GET", b"http:///b", 400),
        "no_authority_at_all": (b"GET", b"http://", 400),
        "no_slashes": (b"GET", b"http:a.example", 400),
        "backslash_in_the_authority": (b"GET", b"http://a.example\\b/", 400),
        "port_that_is_no_number": (b"GET", b"http://a.example:http/", 400),
        "v6_not_closed": (b"GET", b"http://[::1/", 400),
        # RFC 9110, 4.2.4: an error; readers differ on who is meant.
        "userinfo": (b"GET", b"http://good.example@evil.example/", 400),
        "userinfo_with_password": (b"GET", b"http://good.example:80@evil.example/", 400),
        # RFC 9110, 4.2.1: a recipient must reject an empty host.
        "port_without_host": (b"GET", b"http://:80/", 400),
    }.items()
}

FIELDS: dict[str, tuple[bytes, int]] = {
    name: (get(field), status)
    for name, (field, status) in {
        "no_blank_behind_the_colon": (b"X:y", SERVED),
        "many_blanks_around_the_value": (b"X: \t y\t ", SERVED),
        "empty_value": (b"X:", SERVED),
        "blank_value": (b"X: \t", SERVED),
        "colons_in_the_value": (b"X: a:b:c", SERVED),
        "tab_in_the_value": (b"X: a\tb", SERVED),
        "obs_text_in_the_value": (b"X: gr\xfc\xc3\xbc\x80\xff", SERVED),
        "name_of_all_token_characters": (b"!#$%&'*+-.^_`|~aZ09: x", SERVED),
        "obs_fold": (b"X: y\r\n z", 400),
        "obs_fold_with_tab": (b"X: y\r\n\tz", 400),
        "obs_fold_that_looks_like_a_field": (b"X: y\r\n Z: w", 400),
        "line_of_blanks": (b" ", 400),
        "blank_before_the_colon": (b"X : y", 400),
        "tab_before_the_colon": (b"X\t: y", 400),
        "blank_before_the_colon_of_a_known_name": (b"Connection : close", 400),
        "empty_name": (b": y", 400),
        "no_colon": (b"X", 400),
        "known_name_without_colon": (b"Host", 400),
        "blank_in_the_name": (b"X Y: z", 400),
        "separator_in_the_name": (b"X(Y): z", 400),
        "at_sign_in_the_name": (b"X@Y: z", 400),
        "obs_text_in_the_name": (b"\xc3\xbc: y", 400),
        "nul_in_the_name": (b"X\0: y", 400),
        "nul_in_the_value": (b"X: a\0b", 400),
        "cr_in_the_value": (b"X: a\rb", 400),
        "cr_at_the_start_of_the_value": (b"X:\rb", 400),
        "bare_lf_in_the_value": (b"X: a\nY: b", 400),
        "vertical_tab_in_the_value": (b"X: a\x0bb", 400),
        "form_feed_at_the_end_of_the_value": (b"X: a\x0c", 400),
        "escape_in_the_value": (b"X: a\x1bb", 400),
        "del_in_the_value": (b"X: a\x7fb", 400),
        "control_in_the_value_of_a_dropped_field": (b"X_Y: a\x01b", 400),
    }.items()
}
FIELDS["fold_before_the_first_field"] = (b"GET / HTTP/1.1\r\n X: y\r\nHost: a\r\n\r\n", 400)

HOSTS: dict[str, tuple[bytes, int]] = {
    name: (get(*fields, host=False), status)
    for name, (fields, status) in {
        "missing": ((), 400),
        "two": ((b"Host: a", b"Host: b"), 400),
        "two_equal": ((b"Host: a", b"host: a"), 400),
        "two_far_apart": ((b"Host: a", b"X: y", b"HOST: b"), 400),
        "underscored_host_is_no_host": ((b"H_ost: a",), 400),
        "empty": ((b"Host:",), SERVED),
        "with_port": ((b"Host: a.example:3000",), SERVED),
        "v4": ((b"Host: 192.0.2.1:80",), SERVED),
        "v6": ((b"Host: [2001:db8::1]:80",), SERVED),
        "v6_without_brackets": ((b"Host: 2001:db8::1",), 400),
        "list": ((b"Host: a, b",), 400),
        "with_blank": ((b"Host: a b",), 400),
        "with_path": ((b"Host: a/b",), 400),
        "with_userinfo": ((b"Host: a@b",), 400),
        "port_that_is_no_number": ((b"Host: a:b",), 400),
        "obs_text": ((b"Host: \xc3\xbc.example",), 400),
    }.items()
}
HOSTS["two_on_http_1_0"] = (get(b"Host: b", first=b"GET / HTTP/1.0"), 400)

FRAMING: dict[str, tuple[bytes, int]] = {
    "length": (post(b"Content-Length: 5"), SERVED),
    "length_with_leading_zeros": (post(b"Content-Length: 005"), SERVED),
    "length_twice": (post(b"Content-Length: 5", b"Content-Length: 6"), 400),
    "length_twice_the_same": (post(b"Content-Length: 5", b"content-length: 5"), 400),
    "length_list": (post(b"Content-Length: 5, 5"), 400),
    "length_list_without_blank": (post(b"Content-Length: 5,6"), 400),
    "length_empty": (post(b"Content-Length:"), 400),
    "length_plus": (post(b"Content-Length: +5"), 400),
    "length_minus": (post(b"Content-Length: -5"), 400),
    "length_hex": (post(b"Content-Length: 0x5"), 400),
    "length_letters": (post(b"Content-Length: five"), 400),
    "length_fraction": (post(b"Content-Length: 5.0"), 400),
    "length_underscore": (post(b"Content-Length: 5_0"), 400),
    "length_blank_inside": (post(b"Content-Length: 5 0"), 400),
    "length_quoted": (post(b'Content-Length: "5"'), 400),
    "length_obs_text_digit": (post(b"Content-Length: \xb2"), 400),
    "length_utf8_digit": (post("Content-Length: \u0665".encode()), 400),
    "length_beyond_64_bits": (post(b"Content-Length: 99999999999999999999"), 400),
    "length_of_five_thousand_digits": (post(b"Content-Length: " + b"9" * 5000), 400),
    "length_on_http_1_0": (post(b"Content-Length: 5", minor=0), SERVED),
    "chunked": (post(b"Transfer-Encoding: chunked"), SERVED),
    "chunked_in_capitals": (post(b"Transfer-Encoding: CHUNKED"), SERVED),
    "chunked_and_length": (post(b"Transfer-Encoding: chunked", b"Content-Length: 5"), 400),
    "length_and_chunked": (post(b"Content-Length: 5", b"Transfer-Encoding: chunked"), 400),
    "length_0_and_chunked": (post(b"Content-Length: 0", b"Transfer-Encoding: chunked"), 400),
    "length_and_identity": (post(b"Content-Length: 5", b"Transfer-Encoding: identity"), 400),
    "chunked_on_http_1_0": (post(b"Transfer-Encoding: chunked", minor=0), 400),
    "identity": (post(b"Transfer-Encoding: identity"), 400),
    "gzip": (post(b"Transfer-Encoding: gzip"), 400),
    "gzip_then_chunked": (post(b"Transfer-Encoding: gzip, chunked"), 400),
    "chunked_then_gzip": (post(b"Transfer-Encoding: chunked, gzip"), 400),
    "chunked_twice": (post(b"Transfer-Encoding: chunked, chunked"), 400),
    "chunked_on_two_lines": (post(*[b"Transfer-Encoding: chunked"] * 2), 400),
    "gzip_and_chunked_on_two_lines": (
        post(b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked"),
        400,
    ),
    "coding_empty": (post(b"Transfer-Encoding:"), 400),
    "chunked_with_a_parameter": (post(b"Transfer-Encoding: chunked;q=1"), 400),
    "chunked_quoted": (post(b'Transfer-Encoding: "chunked"'), 400),
    "chunked_behind_a_vertical_tab": (post(b"Transfer-Encoding: \x0bchunked"), 400),
    "chunked_cut_short": (post(b"Transfer-Encoding: chunke"), 400),
    "unknown_expectation": (post(b"Expect: the-unexpected"), 417),
    "unknown_expectation_on_http_1_0": (post(b"Expect: the-unexpected", minor=0), SERVED),
}


def by_example(table: dict[str, tuple[bytes, int]]) -> Callable[[type], type]:
    """Make a test of each row of a table: the status when it comes whole, and byte by byte."""

    def add(cls: type) -> type:
        for name, (data, status) in table.items():

            def test(self: unittest.TestCase, data: bytes = data, status: int = status) -> None:
                for way in (read_head(data, LIMITS), byte_by_byte(data)):
                    got = SERVED if isinstance(way, Head) else essence(way)
                    self.assertEqual(got, status, f"{data[:300]!r}: {way}")

            test.__name__ = f"test_{name}"
            setattr(cls, test.__name__, test)
        return cls

    return add


@by_example(PLAIN)
class PlainHeads(unittest.TestCase):
    """What must be served."""


@by_example(LINE_ENDINGS)
class LineEndings(unittest.TestCase):
    """Bare LF only where every line uses it."""


@by_example(REQUEST_LINES)
class RequestLines(unittest.TestCase):
    """Method, version and the blanks between."""


@by_example(TARGETS)
class Targets(unittest.TestCase):
    """Origin-form, absolute-form, or the asterisk of OPTIONS."""


@by_example(FIELDS)
class FieldLines(unittest.TestCase):
    """Names and values."""


@by_example(HOSTS)
class Hosts(unittest.TestCase):
    """One Host, and a host it must be."""


@by_example(FRAMING)
class Framing(unittest.TestCase):
    """Where the body ends must be beyond doubt."""


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


# ---- by Hypothesis

TOKEN = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
MEANT = {b"host", b"connection", b"content-length", b"transfer-encoding", b"expect"}

tokens = st.text(TOKEN, min_size=1, max_size=12).map(str.encode)
targets = st.text([chr(c) for c in range(0x21, 0x7F) if chr(c) != "#"], max_size=30).map(
    lambda text: b"/" + text.encode()
)
names = tokens.filter(lambda name: name.lower() not in MEANT)
values = st.lists(
    st.sampled_from([*range(0x20, 0x7F), *range(0x80, 0x100), 0x09]), max_size=20
).map(lambda numbers: bytes(numbers).strip(b" \t"))
blanks = st.text(" \t", max_size=3).map(str.encode)
field_lists = st.lists(st.tuples(names, blanks, values, blanks), max_size=8)
endings = st.sampled_from([b"\r\n", b"\n"])

# Pieces that a head is made of, right and wrong, to be strung together at random.
pieces = st.sampled_from(
    [
        b"GET / HTTP/1.1",
        b"POST /a HTTP/1.0",
        b"OPTIONS * HTTP/1.1",
        b"CONNECT a:1 HTTP/1.1",
        b"PRI * HTTP/2.0",
        b"GET / HTTP/1.2",
        b"Host: a",
        b"Host: b",
        b"X-One: two",
        b"X_One: two",
        b"Content-Length: 5",
        b"Content-Length: x",
        b"Transfer-Encoding: chunked",
        b"Connection: close",
        b"Expect: 100-continue",
        b"no colon",
        b" fold",
        b"X: a\rb",
        b"X: \x00",
        b"X: yyyyyyyyyyyyyyyyyyyyyyyyy",
        b"",
        b"\r",
        b"\x16\x03\x01",
    ]
)
mostly_crlf = st.sampled_from([b"\r\n"] * 6 + [b"\n", b"\r"])
mostly_lf = st.sampled_from([b"\n"] * 6 + [b"\r\n", b"\r"])
strung = st.one_of(
    *(
        st.tuples(
            st.sampled_from([b"", b"", b"", b"\r\n", b"\n", b"\r\n\r\n", b"\n\n"]),
            st.sampled_from([b"GET / HTTP/1.1", b"GET / HTTP/1.0", b"GET /longer/target HTTP/1.1"]),
            ending,
            st.lists(st.tuples(pieces, ending).map(b"".join), max_size=8).map(b"".join),
        ).map(b"".join)
        for ending in (mostly_crlf, mostly_lf)
    ),
    st.lists(st.tuples(pieces, mostly_crlf).map(b"".join), max_size=8).map(b"".join),
    st.binary(max_size=80),
)
small_limits = st.builds(
    lambda line, fields, size, more: Limits(line, fields, size, line + 16 + more),
    st.integers(14, 40),
    st.integers(1, 6),
    st.integers(5, 40),
    st.integers(0, 100),
)
any_limits = st.one_of(st.just(LIMITS), small_limits)


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
