"""Request heads: each rule by example, and the same verdict however the bytes are split."""

import unittest
from collections.abc import Callable

from stickyd.http1.head_parser import Head, read_head
from tests.support.heads import LIMITS, SERVED, byte_by_byte, essence, get, post

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
