"""Writes the corpus: ``python -m tests.corpus.make_corpus``.

Each case is a pair of files, ``<rule>/<name>.http`` with the bytes a client
sends and ``<rule>/<name>.expect`` with what must come back. What is expected
follows from the rules (RFC 9110, RFC 9112, and where they leave a choice the
stricter reading, docs included), never from running the code.

An expectation has a line for each answer: a status, and for a request that the
app saw its method, target, and the length and digest of its body, then
``name=value`` for fields it must have seen and ``!name`` for those it must
not. The last line says what becomes of the connection:

- ``open``: the next request may follow at once,
- ``waits``: a request has begun, and its rest may follow,
- ``close``: nothing that follows is read as a request.
"""

import hashlib
import shutil
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote_from_bytes

HERE = Path(__file__).resolve().parent

BODY_LIMIT = 20000
"""The bound on bodies for the cases in ``body_limit``; no other case comes near it."""

Table = dict[str, "Case"]


class Case(NamedTuple):
    """What is sent, and what must come back."""

    data: bytes
    lines: tuple[str, ...]


# ---- the words that the tables use


def echo(
    method: str = "GET",
    target: str = "/",
    body: bytes = b"",
    *fields: str,
    status: int = 200,
    **values: bytes,
) -> str:
    """An answer of the app to the request that it saw."""
    digest = hashlib.sha256(body).hexdigest()[:16]
    seen = [f"{name}={quote_from_bytes(value, safe='')}" for name, value in values.items()]
    return " ".join([str(status), method, target, str(len(body)), digest, *seen, *fields])


def get(*fields: bytes, first: bytes = b"GET / HTTP/1.1", host: bool = True) -> bytes:
    """A head of these lines in CRLF, with a Host unless told otherwise."""
    lines = [first, *([b"Host: a.example"] if host else []), *fields, b"", b""]
    return b"\r\n".join(lines)


def post(*fields: bytes, minor: int = 1) -> bytes:
    """As `get`, for a request with a body."""
    return get(*fields, first=b"POST / HTTP/1.%d" % minor)


def chunked(body: bytes) -> bytes:
    """A request with a chunked body, its framing as given."""
    return post(b"Transfer-Encoding: chunked") + body


def sized(body: bytes) -> bytes:
    """A request with a body of a known length."""
    return post(b"Content-Length: %d" % len(body)) + body


BEHIND = get(first=b"GET /behind HTTP/1.1")
SMUGGLED = get(first=b"GET /smuggled HTTP/1.1")
HELLO = b"hello"
LAST = b"0\r\n\r\n"
GET = echo()
POSTED = echo("POST", "/", HELLO)


def ends(end: str, data: bytes, *answers: str) -> Case:
    """These answers, then this end."""
    return Case(data, (*answers, end))


def served(data: bytes, *answers: str) -> Case:
    """Every request is served, and the next one may follow."""
    return ends("open", data, *(answers or (GET,)))


def refused(data: bytes, status: int = 400, *before: str) -> Case:
    """Refused; a sound request stands behind, and must not be read as one."""
    return ends("close", data + BEHIND, *before, str(status))


def begun(data: bytes, status: int = 400) -> Case:
    """Refused by its first bytes; nothing else comes, so nothing can be waited for."""
    return ends("close", data, str(status))


def first_lines(status: int, lines: dict[str, bytes]) -> Table:
    """Heads that are refused for their request line."""
    return {name: refused(get(first=line), status) for name, line in lines.items()}


def bad_fields(lines: dict[str, bytes]) -> Table:
    """Heads that are refused for one field line."""
    return {name: refused(get(line, b"X-Test: behind")) for name, line in lines.items()}


def bad_hosts(values: dict[str, bytes]) -> Table:
    """Heads that are refused for the value of their Host."""
    return {
        name: refused(get(b"Host: " + value, host=False) + b"") for name, value in values.items()
    }


def bad_framing(fields: dict[str, tuple[bytes, ...]]) -> Table:
    """Heads that are refused for their framing; what could be a body stands behind them."""
    return {name: refused(post(*lines) + HELLO + LAST) for name, lines in fields.items()}


def bad_chunks(bodies: dict[str, bytes]) -> Table:
    """Chunked bodies that are refused."""
    return {name: refused(chunked(body)) for name, body in bodies.items()}


def good_chunks(bodies: dict[str, tuple[bytes, bytes]]) -> Table:
    """Chunked bodies as sent and as decoded; a second request shows where they end."""
    return {
        name: served(
            chunked(body) + get(first=b"GET /next HTTP/1.1"),
            echo("POST", "/", decoded),
            echo("GET", "/next"),
        )
        for name, (body, decoded) in bodies.items()
    }


def methods(names: dict[str, bytes]) -> Table:
    """Requests that are served whatever their method means."""
    return {
        name: served(get(first=b"%b /a HTTP/1.1" % method), echo(method.decode(), "/a"))
        for name, method in names.items()
    }


# ---- heads: lines

LINE_ENDINGS: Table = {
    "crlf": served(get()),
    "crlf_with_fields": served(get(b"X-Test: y", b"Accept: */*")),
    "lf": served(b"GET / HTTP/1.1\nHost: a\n\n"),
    "lf_with_fields": served(b"GET /a HTTP/1.1\nHost: a\nX-Test: y\n\n", echo("GET", "/a")),
    "lf_with_a_body_of_known_length": served(
        b"POST / HTTP/1.1\nHost: a\nContent-Length: 5\n\nhello", POSTED
    ),
    "lf_head_of_a_chunked_body": served(
        b"POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n5\r\nhello\r\n" + LAST, POSTED
    ),
    "lf_head_then_crlf_head": served(b"GET / HTTP/1.1\nHost: a\n\n" + get(), GET, GET),
    "crlf_head_then_lf_head": served(get() + b"GET / HTTP/1.1\nHost: a\n\n", GET, GET),
    "lf_on_http_1_0": ends("close", b"GET / HTTP/1.0\n\n", GET),
    "lf_behind_the_first_field": refused(b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n"),
    "lf_behind_the_last_field": refused(b"GET / HTTP/1.1\r\nHost: a\r\nX: y\n\r\n"),
    "lf_behind_the_request_line": refused(b"GET / HTTP/1.1\nHost: a\r\nX: y\r\n\r\n"),
    "lf_as_the_empty_line": refused(b"GET / HTTP/1.1\r\nHost: a\r\n\n"),
    "crlf_behind_the_first_field": refused(b"GET / HTTP/1.1\nHost: a\r\nX: y\n\n"),
    "crlf_behind_the_last_field": refused(b"GET / HTTP/1.1\nHost: a\nX: y\r\n\n"),
    "crlf_as_the_empty_line": refused(b"GET / HTTP/1.1\nHost: a\n\r\n"),
    "cr_alone_everywhere": refused(b"GET / HTTP/1.1\rHost: a\r\r\r\n\r\n"),
    "cr_before_crlf": refused(b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n"),
    "cr_before_crlf_of_the_request_line": refused(b"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n"),
    "cr_before_the_empty_line": refused(b"GET / HTTP/1.1\r\nHost: a\r\n\r\r\n\r\n"),
    "cr_behind_the_version": refused(get(first=b"GET / HTTP/1.1\r ")),
    "lf_cr": refused(b"GET / HTTP/1.1\n\rHost: a\n\r\n\r"),
    "second_head_is_mixed": refused(get() + b"GET / HTTP/1.1\r\nHost: a\n\r\n", 400, GET),
}

EMPTY_LINE_FIRST: Table = {
    "crlf": served(b"\r\n" + get()),
    "lf_before_lf": served(b"\nGET / HTTP/1.1\nHost: a\n\n"),
    "between_two_requests": served(get() + b"\r\n" + get(), GET, GET),
    "behind_a_body": served(sized(HELLO) + b"\r\n" + get(), POSTED, GET),
    "behind_a_chunked_body": served(
        chunked(b"5\r\nhello\r\n" + LAST) + b"\r\n" + get(), POSTED, GET
    ),
    "behind_the_last_request": served(get() + b"\r\n"),
    "nothing_else": ends("open", b"\r\n"),
    "two": refused(b"\r\n\r\n" + get()),
    "three": refused(b"\r\n\r\n\r\n" + get()),
    "two_lf": refused(b"\n\nGET / HTTP/1.1\nHost: a\n\n"),
    "two_between_requests": refused(get() + b"\r\n\r\n" + get(), 400, GET),
    "crlf_before_lf": refused(b"\r\nGET / HTTP/1.1\nHost: a\n\n"),
    "lf_before_crlf": refused(b"\n" + get()),
    "cr_alone": refused(b"\r" + get()),
    "blank_line": begun(b" \r\n" + get()),
    "crlf_then_tls": refused(b"\r\n\x16\x03\x01\0\xc8\r\n\r\n"),
}

REQUEST_LINE: Table = first_lines(
    400,
    {
        "two_blanks_before_the_target": b"GET  / HTTP/1.1",
        "two_blanks_before_the_version": b"GET /  HTTP/1.1",
        "blank_behind": b"GET / HTTP/1.1 ",
        "tab_behind": b"GET / HTTP/1.1\t",
        "tabs_for_blanks": b"GET\t/\tHTTP/1.1",
        "tab_before_the_target": b"GET\t/ HTTP/1.1",
        "tab_before_the_version": b"GET /\tHTTP/1.1",
        "vertical_tab_for_a_blank": b"GET\x0b/ HTTP/1.1",
        "form_feed_for_a_blank": b"GET /\x0cHTTP/1.1",
        "nul_for_a_blank": b"GET\0/ HTTP/1.1",
        "no_break_space": b"GET\xa0/ HTTP/1.1",
        "no_version": b"GET /",
        "no_version_but_a_blank": b"GET / ",
        "no_target": b"GET HTTP/1.1",
        "no_target_but_blanks": b"GET  HTTP/1.1",
        "method_only": b"GET",
        "target_with_a_blank": b"GET /a b HTTP/1.1",
        "four_words": b"GET / HTTP/1.1 HTTP/1.1",
        "two_request_lines_in_one": b"GET / HTTP/1.1 GET /smuggled HTTP/1.1",
        "method_with_a_parenthesis": b"GE(T / HTTP/1.1",
        "method_with_a_colon": b"GET: / HTTP/1.1",
        "method_with_a_slash": b"GET/ / HTTP/1.1",
        "method_with_a_comma": b"GET,POST / HTTP/1.1",
        "method_with_nul": b"G\0ET / HTTP/1.1",
        "method_with_del": b"GET\x7f / HTTP/1.1",
        "method_with_obs_text": b"G\xc9T / HTTP/1.1",
        "method_with_cr": b"G\rET / HTTP/1.1",
        "method_quoted": b'G"ET" / HTTP/1.1',
        "a_field_where_it_should_be": b"X-Test: y",
        "a_status_line": b"HTTP/1.1 200 OK",
    },
)

METHODS: Table = methods(
    {
        "get": b"GET",
        "head": b"HEAD",
        "post_without_body": b"POST",
        "put": b"PUT",
        "delete": b"DELETE",
        "patch": b"PATCH",
        "options": b"OPTIONS",
        "trace": b"TRACE",
        "propfind": b"PROPFIND",
        "m_search": b"M-SEARCH",
        "pri": b"PRI",
        "unknown": b"BREW",
        "lower_case": b"get",
        "lower_case_connect": b"connect",
        "connected": b"CONNECTED",
        "one_letter": b"A",
        "a_digit": b"1",
        "every_token_character": b"!#$%&'*+-.^_`|~aZ09",
        "long": b"X" * 300,
    }
)

VERSION: Table = {
    **first_lines(
        505,
        {
            "0_0": b"GET / HTTP/0.0",
            "0_9": b"GET / HTTP/0.9",
            "1_2": b"GET / HTTP/1.2",
            "1_9": b"GET / HTTP/1.9",
            "2_0": b"GET / HTTP/2.0",
            "2_1": b"GET / HTTP/2.1",
            "3_0": b"GET / HTTP/3.0",
            "9_9": b"GET / HTTP/9.9",
        },
    ),
    **first_lines(
        400,
        {
            "two_digits_minor": b"GET / HTTP/1.10",
            "two_digits_major": b"GET / HTTP/11.1",
            "leading_zero": b"GET / HTTP/01.1",
            "no_minor": b"GET / HTTP/1",
            "no_minor_but_a_dot": b"GET / HTTP/1.",
            "no_major": b"GET / HTTP/.1",
            "no_dot": b"GET / HTTP/11",
            "comma": b"GET / HTTP/1,1",
            "three_numbers": b"GET / HTTP/1.1.1",
            "signed": b"GET / HTTP/+1.1",
            "negative": b"GET / HTTP/1.-1",
            "letters": b"GET / HTTP/x.y",
            "hexadecimal": b"GET / HTTP/1.a",
            "lower_case": b"GET / http/1.1",
            "mixed_case": b"GET / Http/1.1",
            "blank_before_the_slash": b"GET / HTTP /1.1",
            "blank_behind_the_slash": b"GET / HTTP/ 1.1",
            "no_slash": b"GET / HTTP1.1",
            "https": b"GET / HTTPS/1.1",
            "icy": b"GET / ICY/1.1",
            "rtsp": b"GET / RTSP/1.0",
            "word_only": b"GET / HTTP",
            "superscript_digit": b"GET / HTTP/1.\xb9",
            "nul_behind": b"GET / HTTP/1.1\0",
        },
    ),
}

CONNECT: Table = {
    **first_lines(
        501,
        {
            "authority": b"CONNECT a.example:443 HTTP/1.1",
            "host_only": b"CONNECT a.example HTTP/1.1",
            "v6": b"CONNECT [::1]:443 HTTP/1.1",
            "path": b"CONNECT / HTTP/1.1",
            "absolute": b"CONNECT http://a.example/ HTTP/1.1",
            "asterisk": b"CONNECT * HTTP/1.1",
            "http_1_0": b"CONNECT a.example:443 HTTP/1.0",
        },
    ),
    "behind_a_served_request": refused(
        get() + get(first=b"CONNECT a.example:443 HTTP/1.1"), 501, GET
    ),
    "with_a_tunnel_behind": refused(
        get(first=b"CONNECT a.example:443 HTTP/1.1") + b"\x16\x03\x01", 501
    ),
    "two_targets": refused(get(first=b"CONNECT a b HTTP/1.1")),
}


def target(text: bytes, *seen: str, method: bytes = b"GET", **values: bytes) -> Case:
    """A request for this target, which the app sees as ``seen`` if that differs."""
    wanted = seen[0] if seen else text.decode()
    return served(
        get(first=b"%b %b HTTP/1.1" % (method, text)), echo(method.decode(), wanted, **values)
    )


TARGET: Table = {
    "root": target(b"/", method=b"DELETE", host=b"a.example"),
    "path_and_query": target(b"/a/b;c?d=e&f=%20"),
    "empty_query": target(b"/a?"),
    "two_question_marks": target(b"/a?b?c"),
    "two_slashes": target(b"//b.example/c", host=b"a.example"),
    "dot_segments": target(b"/a/../b/./c"),
    "percent_encoded_nul": target(b"/%00"),
    "percent_encoded_line_ending": target(b"/%0d%0aX-Test:%20y", "/%0d%0aX-Test:%20y"),
    "percent_encoded_slash": target(b"/a%2fb"),
    "sub_delims": target(b"/!$&'()*+,;=:@-._~"),
    "absolute_in_the_query": target(b"/?u=http://b.example/"),
    "absolute": target(b"http://b.example/c?d", "/c?d", host=b"b.example"),
    "absolute_upper_case": target(b"HTTP://B.EXAMPLE/", "/", host=b"B.EXAMPLE"),
    "absolute_https": target(b"https://b.example:8443/", "/", host=b"b.example:8443"),
    "absolute_without_path": target(b"http://b.example", "/", host=b"b.example"),
    "absolute_with_query_only": target(b"http://b.example?c", "/?c", host=b"b.example"),
    "absolute_v4": target(b"http://192.0.2.1:80/", "/", host=b"192.0.2.1:80"),
    "absolute_v6": target(b"http://[2001:db8::1]:80/", "/", host=b"[2001:db8::1]:80"),
    "absolute_with_empty_port": target(b"http://b.example:/", "/", host=b"b.example:"),
    "absolute_on_http_1_0": ends(
        "close",
        get(first=b"GET http://b.example/c HTTP/1.0", host=False),
        echo("GET", "/c", host=b"b.example"),
    ),
    "asterisk_of_options": target(b"*", method=b"OPTIONS"),
    "absolute_without_host_field": refused(
        get(first=b"GET http://b.example/ HTTP/1.1", host=False)
    ),
    "absolute_with_two_host_fields": refused(
        get(b"Host: b.example", first=b"GET http://b.example/ HTTP/1.1")
    ),
    "absolute_with_malformed_host_field": refused(
        get(b"Host: a b", first=b"GET http://b.example/ HTTP/1.1", host=False)
    ),
    **first_lines(
        400,
        {
            name: b"GET %b HTTP/1.1" % text
            for name, text in {
                "asterisk_of_get": b"*",
                "authority": b"a.example:80",
                "host_only": b"a.example",
                "relative": b"a/b",
                "relative_with_dots": b"../a",
                "query_only": b"?a",
                "fragment_only": b"#a",
                "fragment": b"/a#b",
                "fragment_of_a_url": b"http://b.example/#c",
                "backslash": b"\\a",
                "no_authority": b"http:///b",
                "no_authority_at_all": b"http://",
                "scheme_only": b"http:",
                "one_slash": b"http:/b.example",
                "no_slashes": b"http:b.example",
                "backslashes": b"http:\\\\b.example\\",
                "backslash_in_the_authority": b"http://b.example\\c/",
                "port_that_is_no_number": b"http://b.example:http/",
                "two_ports": b"http://b.example:80:80/",
                "port_without_host": b"http://:80/",
                "v6_not_closed": b"http://[::1/",
                "v6_not_opened": b"http://::1]/",
                "v6_with_a_tail": b"http://[::1]x/",
                "userinfo": b"http://good.example@evil.example/",
                "userinfo_with_password": b"http://good.example:80@evil.example/",
                "userinfo_empty": b"http://@b.example/",
                "ftp": b"ftp://b.example/c",
                "javascript": b"javascript:alert(1)",
                "file": b"file:///etc/passwd",
                "http_with_a_letter_too_many": b"httpx://b.example/",
                "blank_in_the_authority": b"http://a b/",
                "nul": b"/\0",
                "soh": b"/\x01",
                "tab": b"/a\tb",
                "vertical_tab": b"/a\x0bb",
                "form_feed": b"/a\x0cb",
                "cr": b"/a\rb",
                "escape": b"/\x1b",
                "unit_separator": b"/\x1f",
                "del": b"/\x7f",
                "c1_control": b"/\x85",
                "latin_1": b"/\xfc",
                "utf_8": b"/\xc3\xbc",
                "nul_in_the_query": b"/?a\0",
                "obs_text_in_the_authority": b"http://\xfc.example/",
            }.items()
        },
    ),
    "two_asterisks": refused(get(first=b"OPTIONS ** HTTP/1.1")),
    "asterisk_of_post": refused(get(first=b"POST * HTTP/1.1")),
    "asterisk_of_lower_case_options": refused(get(first=b"options * HTTP/1.1")),
    "asterisk_with_a_path": refused(get(first=b"OPTIONS */a HTTP/1.1")),
    "lf_in_the_target": refused(get(first=b"GET /a\nb HTTP/1.1")),
}

# ---- heads: fields

_SEPARATORS = {
    "parenthesis": b"(",
    "closing_parenthesis": b")",
    "comma": b",",
    "slash": b"/",
    "semicolon": b";",
    "less": b"<",
    "equals": b"=",
    "greater": b">",
    "question_mark": b"?",
    "at_sign": b"@",
    "bracket": b"[",
    "backslash": b"\\",
    "closing_bracket": b"]",
    "brace": b"{",
    "closing_brace": b"}",
    "quote": b'"',
    "blank": b" ",
    "tab": b"\t",
    "nul": b"\0",
    "soh": b"\x01",
    "backspace": b"\x08",
    "vertical_tab": b"\x0b",
    "form_feed": b"\x0c",
    "cr": b"\r",
    "unit_separator": b"\x1f",
    "del": b"\x7f",
    "c1_control": b"\x80",
    "no_break_space": b"\xa0",
    "obs_text": b"\xff",
    "utf_8": b"\xc3\xbc",
}

FIELD_NAME: Table = {
    "one_letter": served(get(b"X: y")),
    "digits": served(get(b"123: y")),
    "every_token_character": served(get(b"!#$%&'*+-.^`|~aZ09: x")),
    "any_case": served(get(b"x-TeSt: y"), echo(**{"x-test": b"y"})),
    "long": served(get(b"X" * 300 + b": y")),
    **bad_fields({f"with_{name}": b"X%bY: z" % byte for name, byte in _SEPARATORS.items()}),
    **bad_fields(
        {
            "empty": b": y",
            "empty_and_no_value": b":",
            "no_colon": b"X-Test",
            "no_colon_behind_a_known_name": b"Connection",
            "no_colon_but_a_value": b"X-Test y",
            "bare_lf": b"X\nY: z",
        }
    ),
    **{
        f"{what}_before_the_colon_of_{name}": refused(get(field + blank + b": " + value) + HELLO)
        for what, blank in {"blank": b" ", "tab": b"\t"}.items()
        for name, (field, value) in {
            "any": (b"X", b"y"),
            "host": (b"Host", b"b.example"),
            "content_length": (b"Content-Length", b"5"),
            "transfer_encoding": (b"Transfer-Encoding", b"chunked"),
            "connection": (b"Connection", b"close"),
        }.items()
    },
}


def seen_value(line: bytes, value: bytes) -> Case:
    """A field line whose value the app sees as ``value``."""
    return served(get(line), echo(**{"x-test": value}))


FIELD_VALUE: Table = {
    "no_blank_behind_the_colon": seen_value(b"X-Test:y", b"y"),
    "blanks_around": seen_value(b"X-Test: \t y\t ", b"y"),
    "empty": seen_value(b"X-Test:", b""),
    "blanks_only": seen_value(b"X-Test: \t", b""),
    "colons": seen_value(b"X-Test: a:b: c", b"a:b: c"),
    "starts_with_a_colon": seen_value(b"X-Test::y", b":y"),
    "tab_inside": seen_value(b"X-Test: a\tb", b"a\tb"),
    "quoted": seen_value(b'X-Test: "a, b"', b'"a, b"'),
    "obs_text": seen_value(b"X-Test: gr\xfc\x80\xff", b"gr\xfc\x80\xff"),
    "utf_8": seen_value(b"X-Test: \xc3\xbc", b"\xc3\xbc"),
    "c1_next_line_is_obs_text": seen_value(b"X-Test: a\x85b", b"a\x85b"),
    "looks_like_a_request": seen_value(b"X-Test: GET / HTTP/1.1", b"GET / HTTP/1.1"),
    "two_lines_of_one_name": served(get(b"X-Test: a", b"x-test: b"), echo(**{"x-test": b"a,b"})),
    **bad_fields(
        {
            f"control_{number:02x}": b"X-Test: a%cb" % number
            for number in (*range(0x20), 0x7F)
            if number not in (0x09, 0x0A)
        }
    ),
    **bad_fields(
        {
            "nul_first": b"X-Test:\0y",
            "nul_last": b"X-Test: y\0",
            "cr_first": b"X-Test:\ry",
            "cr_last": b"X-Test: y\r",
            "cr_before_a_blank": b"X-Test: y\r ",
            "vertical_tab_last": b"X-Test: y\x0b",
            "form_feed_first": b"X-Test:\x0cy",
            "bare_lf": b"X-Test: a\nY: b",
            "bare_lf_before_framing": b"X-Test: a\nTransfer-Encoding: chunked",
            "control_in_a_dropped_field": b"X_Test: a\x01b",
            "control_in_connection": b"Connection: close\x01",
        }
    ),
}

OBS_FOLD: Table = {
    **bad_fields(
        {
            "blank": b"X-Test: y\r\n z",
            "blanks": b"X-Test: y\r\n   z",
            "tab": b"X-Test: y\r\n\tz",
            "looks_like_a_field": b"X-Test: y\r\n Content-Length: 5",
            "of_an_empty_value": b"X-Test:\r\n y",
            "twice": b"X-Test: y\r\n z\r\n w",
            "blanks_only": b"X-Test: y\r\n ",
            "tab_only": b"X-Test: y\r\n\t",
            "of_content_length": b"Content-Length:\r\n 5",
            "of_transfer_encoding": b"Transfer-Encoding:\r\n chunked",
            "of_transfer_encoding_in_two": b"Transfer-Encoding: x,\r\n\tchunked",
            "of_connection": b"Connection: keep-alive,\r\n close",
        }
    ),
    "before_the_first_field": refused(b"GET / HTTP/1.1\r\n X: y\r\nHost: a\r\n\r\n"),
    "host_behind_the_request_line": refused(b"GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
    "of_the_host": refused(b"GET / HTTP/1.1\r\nHost:\r\n a\r\n\r\n"),
    "of_the_last_field": refused(b"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n"),
    "in_lf": refused(b"GET / HTTP/1.1\nHost: a\nX: y\n z\n\n"),
    "on_http_1_0": refused(b"GET / HTTP/1.0\r\nX: y\r\n z\r\n\r\n"),
}


def host(value: bytes) -> Case:
    """A Host that is good."""
    return served(get(b"Host: " + value, host=False), echo(host=value))


HOST: Table = {
    "name": host(b"b.example"),
    "name_with_port": host(b"b.example:3000"),
    "name_with_empty_port": host(b"b.example:"),
    "name_with_a_dot_at_the_end": host(b"b.example."),
    "name_with_underscore": host(b"b_c.example"),
    "one_letter": host(b"b"),
    "v4": host(b"192.0.2.1"),
    "v4_with_port": host(b"192.0.2.1:80"),
    "v6": host(b"[2001:db8::1]"),
    "v6_with_port": host(b"[2001:db8::1]:80"),
    "v6_of_v4": host(b"[::ffff:192.0.2.1]"),
    "future_address": host(b"[v1.a:b]"),
    "percent_encoded": host(b"b%20c"),
    "empty": host(b""),
    "blanks_around": served(get(b"Host: \t b.example \t", host=False), echo(host=b"b.example")),
    "any_case": served(get(b"hOsT: b.example", host=False), echo(host=b"b.example")),
    "behind_other_fields": served(
        get(b"X: y", b"Host: b.example", host=False), echo(host=b"b.example")
    ),
    "missing": refused(get(host=False)),
    "missing_but_other_fields": refused(get(b"X: y", b"Accept: */*", host=False)),
    "missing_in_lf": refused(b"GET / HTTP/1.1\n\n"),
    "missing_on_the_second_request": refused(get() + get(host=False), 400, GET),
    "two": refused(get(b"Host: b.example")),
    "two_equal": refused(get(b"Host: a.example")),
    "two_of_other_case": refused(get(b"HOST: a.example")),
    "two_far_apart": refused(get(b"X: y", b"Y: z", b"Host: b.example")),
    "two_and_one_is_empty": refused(get(b"Host:")),
    "three": refused(get(b"Host: b.example", b"Host: c.example")),
    "two_on_http_1_0": refused(get(b"Host: b.example", first=b"GET / HTTP/1.0")),
    "malformed_on_http_1_0": refused(get(b"Host: a b", first=b"GET / HTTP/1.0", host=False)),
    "underscored_name_is_no_host": refused(get(b"Ho_st: a.example", host=False)),
    "x_forwarded_host_is_no_host": refused(get(b"X-Forwarded-Host: a.example", host=False)),
    **bad_hosts(
        {
            "list": b"a.example, b.example",
            "two_words": b"a.example b.example",
            "tab_inside": b"a\tb",
            "path": b"a.example/b",
            "query": b"a.example?b",
            "fragment": b"a.example#b",
            "userinfo": b"b@a.example",
            "userinfo_with_password": b"b:c@a.example",
            "url": b"http://a.example",
            "backslash": b"a\\b",
            "quoted": b'"a.example"',
            "angles": b"<a.example>",
            "pipe": b"a|b",
            "caret": b"a^b",
            "braces": b"{a}",
            "port_that_is_no_number": b"a.example:http",
            "port_with_a_letter": b"a.example:80x",
            "port_signed": b"a.example:+80",
            "two_ports": b"a.example:80:80",
            "port_only": b":80",
            "v6_without_brackets": b"2001:db8::1",
            "v6_not_closed": b"[::1",
            "v6_not_opened": b"::1]",
            "v6_empty": b"[]",
            "v6_not_hexadecimal": b"[g::1]",
            "v6_with_a_tail": b"[::1]x",
            "v6_with_a_zone": b"[fe80::1%eth0]",
            "obs_text": b"\xfc.example",
            "utf_8": b"\xc3\xbc.example",
            "nul": b"a\0b",
            "cr": b"a\rb",
            "del": b"a\x7fb",
        }
    ),
}

UNDERSCORE: Table = {
    "x_forwarded_for": served(
        get(b"X_Forwarded_For: 10.9.9.9"), echo("GET", "/", b"", "!x-forwarded-for")
    ),
    "x_forwarded_for_beside_the_real_one": served(
        get(b"X_Forwarded_For: 10.9.9.9", b"X-Forwarded-For: 10.0.0.1"),
        echo(**{"x-forwarded-for": b"10.0.0.1"}),
    ),
    "x_forwarded_for_half": served(
        get(b"X-Forwarded_For: 10.9.9.9"), echo("GET", "/", b"", "!x-forwarded-for")
    ),
    "any_name": served(get(b"X_Test: y"), echo("GET", "/", b"", "!x_test", "!x-test")),
    "first_and_last": served(get(b"_X: y", b"X_: y", b"_: y")),
    "content_length_is_no_framing": served(
        post(b"Content_Length: 99") + get(first=b"GET /next HTTP/1.1"),
        echo("POST", "/", b"", "!content-length"),
        echo("GET", "/next"),
    ),
    "transfer_encoding_is_no_framing": served(
        post(b"Transfer_Encoding: chunked") + get(first=b"GET /next HTTP/1.1"),
        echo("POST", "/", b"", "!transfer-encoding"),
        echo("GET", "/next"),
    ),
    "content_length_beside_the_real_one": served(
        post(b"Content_Length: 1", b"Content-Length: 5") + HELLO, POSTED
    ),
    "transfer_encoding_beside_content_length": served(
        post(b"Transfer_Encoding: chunked", b"Content-Length: 5") + HELLO, POSTED
    ),
    "connection_is_not_obeyed": served(get(b"Connec_tion: close")),
    "host_twice_is_one": served(get(b"Ho_st: b.example"), echo(host=b"a.example")),
    "malformed_all_the_same": refused(get(b"X_Test : y")),
}

# ---- where a body ends

CONTENT_LENGTH: Table = {
    "five": served(sized(HELLO), POSTED),
    "zero": served(post(b"Content-Length: 0"), echo("POST")),
    "zero_then_a_request": served(post(b"Content-Length: 0") + get(), echo("POST"), GET),
    "leading_zeros": served(post(b"Content-Length: 005") + HELLO, POSTED),
    "eighteen_digits": served(post(b"Content-Length: %018d" % 5) + HELLO, POSTED),
    "any_case": served(post(b"cOnTeNt-LeNgTh: 5") + HELLO, POSTED),
    "no_blank": served(post(b"Content-Length:5") + HELLO, POSTED),
    "blanks_around": served(post(b"Content-Length: \t5\t ") + HELLO, POSTED),
    "body_of_get": served(get(b"Content-Length: 5") + HELLO, echo("GET", "/", HELLO)),
    "body_of_delete": served(
        get(b"Content-Length: 5", first=b"DELETE / HTTP/1.1") + HELLO, echo("DELETE", "/", HELLO)
    ),
    "body_of_head": served(
        get(b"Content-Length: 5", first=b"HEAD / HTTP/1.1") + HELLO + get(),
        echo("HEAD", "/", HELLO),
        GET,
    ),
    "body_of_an_unknown_method": served(
        get(b"Content-Length: 5", first=b"BREW / HTTP/1.1") + HELLO, echo("BREW", "/", HELLO)
    ),
    "on_http_1_0": ends("close", post(b"Content-Length: 5", minor=0) + HELLO, POSTED),
    "body_is_a_request": served(sized(SMUGGLED), echo("POST", "/", SMUGGLED)),
    "body_is_two_requests": served(sized(SMUGGLED * 2), echo("POST", "/", SMUGGLED * 2)),
    "body_is_a_request_then_a_request": served(
        sized(SMUGGLED) + get(), echo("POST", "/", SMUGGLED), GET
    ),
    "body_is_chunks": served(sized(LAST + SMUGGLED), echo("POST", "/", LAST + SMUGGLED)),
    "body_of_every_byte": served(sized(bytes(range(256))), echo("POST", "/", bytes(range(256)))),
    "body_of_line_endings": served(sized(b"\r\n\r\n\n\n"), echo("POST", "/", b"\r\n\r\n\n\n")),
    "body_of_ten_thousand": served(
        sized(b"0123456789" * 1000), echo("POST", "/", b"0123456789" * 1000)
    ),
    **bad_framing(
        {
            "twice": (b"Content-Length: 5", b"Content-Length: 6"),
            "twice_the_same": (b"Content-Length: 5", b"Content-Length: 5"),
            "twice_in_other_case": (b"Content-Length: 5", b"content-length: 5"),
            "twice_far_apart": (b"Content-Length: 5", b"X: y", b"Content-Length: 5"),
            "twice_zero": (b"Content-Length: 0", b"Content-Length: 0"),
            "twice_and_one_is_malformed": (b"Content-Length: x", b"Content-Length: 5"),
            "twice_and_one_is_empty": (b"Content-Length: 5", b"Content-Length:"),
            "list": (b"Content-Length: 5, 6",),
            "list_of_the_same": (b"Content-Length: 5, 5",),
            "list_without_blank": (b"Content-Length: 5,5",),
            "list_with_an_empty_member": (b"Content-Length: 5,",),
            "list_with_an_empty_member_first": (b"Content-Length: ,5",),
            "empty": (b"Content-Length:",),
            "blanks_only": (b"Content-Length: \t",),
            "plus": (b"Content-Length: +5",),
            "minus": (b"Content-Length: -5",),
            "minus_zero": (b"Content-Length: -0",),
            "minus_one": (b"Content-Length: -1",),
            "hexadecimal": (b"Content-Length: 0x5",),
            "hexadecimal_letter": (b"Content-Length: a",),
            "octal": (b"Content-Length: 0o5",),
            "letters": (b"Content-Length: five",),
            "fraction": (b"Content-Length: 5.0",),
            "exponent": (b"Content-Length: 5e0",),
            "underscore": (b"Content-Length: 5_0",),
            "blank_inside": (b"Content-Length: 5 0",),
            "tab_inside": (b"Content-Length: 5\t0",),
            "parameter": (b"Content-Length: 5;a=b",),
            "letter_behind": (b"Content-Length: 5x",),
            "quoted": (b'Content-Length: "5"',),
            "vertical_tab_before": (b"Content-Length: \x0b5",),
            "nul_behind": (b"Content-Length: 5\0",),
            "cr_behind": (b"Content-Length: 5\r",),
            "no_break_space_before": (b"Content-Length: \xa05",),
            "superscript": (b"Content-Length: \xb2",),
            "utf_8_digit": (b"Content-Length: \xd9\xa5",),
            "full_width_digit": (b"Content-Length: \xef\xbc\x95",),
            "nineteen_digits": (b"Content-Length: %019d" % 5,),
            "beyond_64_bits": (b"Content-Length: 18446744073709551621",),
            "beyond_32_bits_squared": (b"Content-Length: 99999999999999999999",),
            "five_thousand_digits": (b"Content-Length: " + b"9" * 5000,),
        }
    ),
    "twice_on_http_1_0": refused(post(b"Content-Length: 5", b"Content-Length: 5", minor=0) + HELLO),
    "malformed_on_get": refused(get(b"Content-Length: x")),
}

TRANSFER_ENCODING: Table = {
    "chunked": served(chunked(b"5\r\nhello\r\n" + LAST), POSTED),
    "capitals": served(post(b"TRANSFER-ENCODING: CHUNKED") + b"5\r\nhello\r\n" + LAST, POSTED),
    "mixed_case": served(post(b"Transfer-Encoding: chUNked") + b"5\r\nhello\r\n" + LAST, POSTED),
    "no_blank": served(post(b"Transfer-Encoding:chunked") + b"5\r\nhello\r\n" + LAST, POSTED),
    "blanks_around": served(
        post(b"Transfer-Encoding: \tchunked \t") + b"5\r\nhello\r\n" + LAST, POSTED
    ),
    "of_get": served(
        get(b"Transfer-Encoding: chunked") + b"5\r\nhello\r\n" + LAST, echo("GET", "/", HELLO)
    ),
    "of_head": served(
        get(b"Transfer-Encoding: chunked", first=b"HEAD / HTTP/1.1") + b"5\r\nhello\r\n" + LAST,
        echo("HEAD", "/", HELLO),
    ),
    "te_is_another_field": served(post(b"TE: chunked") + get(), echo("POST"), GET),
    "content_encoding_is_another_field": served(
        post(b"Content-Encoding: chunked") + get(), echo("POST"), GET
    ),
    "body_is_a_request": served(
        chunked(b"%x\r\n%b\r\n" % (len(SMUGGLED), SMUGGLED) + LAST), echo("POST", "/", SMUGGLED)
    ),
    **bad_framing(
        {
            "identity": (b"Transfer-Encoding: identity",),
            "gzip": (b"Transfer-Encoding: gzip",),
            "x_gzip": (b"Transfer-Encoding: x-gzip",),
            "deflate": (b"Transfer-Encoding: deflate",),
            "compress": (b"Transfer-Encoding: compress",),
            "unknown": (b"Transfer-Encoding: cow",),
            "empty": (b"Transfer-Encoding:",),
            "blanks_only": (b"Transfer-Encoding:  ",),
            "gzip_then_chunked": (b"Transfer-Encoding: gzip, chunked",),
            "chunked_then_gzip": (b"Transfer-Encoding: chunked, gzip",),
            "identity_then_chunked": (b"Transfer-Encoding: identity, chunked",),
            "chunked_then_identity": (b"Transfer-Encoding: chunked, identity",),
            "chunked_twice": (b"Transfer-Encoding: chunked, chunked",),
            "chunked_on_two_lines": (b"Transfer-Encoding: chunked",) * 2,
            "gzip_and_chunked_on_two_lines": (
                b"Transfer-Encoding: gzip",
                b"Transfer-Encoding: chunked",
            ),
            "chunked_and_identity_on_two_lines": (
                b"Transfer-Encoding: chunked",
                b"Transfer-Encoding: identity",
            ),
            "chunked_and_empty_on_two_lines": (
                b"Transfer-Encoding: chunked",
                b"Transfer-Encoding:",
            ),
            "comma_behind": (b"Transfer-Encoding: chunked,",),
            "comma_before": (b"Transfer-Encoding: ,chunked",),
            "parameter": (b"Transfer-Encoding: chunked;q=1",),
            "semicolon": (b"Transfer-Encoding: chunked;",),
            "quoted": (b'Transfer-Encoding: "chunked"',),
            "single_quoted": (b"Transfer-Encoding: 'chunked'",),
            "a_letter_too_many": (b"Transfer-Encoding: xchunked",),
            "a_letter_behind": (b"Transfer-Encoding: chunkedx",),
            "cut_short": (b"Transfer-Encoding: chunke",),
            "two_words": (b"Transfer-Encoding: chunked chunked",),
            "blank_inside": (b"Transfer-Encoding: chun ked",),
            "vertical_tab_before": (b"Transfer-Encoding: \x0bchunked",),
            "vertical_tab_behind": (b"Transfer-Encoding: chunked\x0b",),
            "form_feed_behind": (b"Transfer-Encoding: chunked\x0c",),
            "nul_behind": (b"Transfer-Encoding: chunked\0",),
            "cr_before": (b"Transfer-Encoding:\rchunked",),
            "cr_behind": (b"Transfer-Encoding: chunked\r",),
            "del_behind": (b"Transfer-Encoding: chunked\x7f",),
            "no_break_space_before": (b"Transfer-Encoding: \xa0chunked",),
            "obs_text_behind": (b"Transfer-Encoding: chunked\xff",),
            "kelvin_sign": (b"Transfer-Encoding: chun\xe2\x84\xaaed",),
            "colon_twice": (b"Transfer-Encoding:: chunked",),
            "name_in_two_words": (b"Transfer Encoding: chunked",),
            "blank_before_the_name": (b" Transfer-Encoding: chunked",),
            "behind_a_bare_lf": (b"X: y\nTransfer-Encoding: chunked",),
            "behind_a_bare_cr": (b"X: y\rTransfer-Encoding: chunked",),
        }
    ),
    "chunked_on_http_1_0": refused(
        post(b"Transfer-Encoding: chunked", minor=0) + b"5\r\nhello\r\n" + LAST
    ),
    "chunked_on_http_1_0_kept_alive": refused(
        post(b"Transfer-Encoding: chunked", b"Connection: keep-alive", minor=0) + LAST
    ),
    "identity_on_http_1_0": refused(post(b"Transfer-Encoding: identity", minor=0)),
}

BOTH_FRAMINGS: Table = {
    **bad_framing(
        {
            "length_first": (b"Content-Length: 5", b"Transfer-Encoding: chunked"),
            "length_last": (b"Transfer-Encoding: chunked", b"Content-Length: 5"),
            "length_zero": (b"Content-Length: 0", b"Transfer-Encoding: chunked"),
            "length_that_fits_both": (b"Content-Length: 10", b"Transfer-Encoding: chunked"),
            "length_malformed": (b"Content-Length: x", b"Transfer-Encoding: chunked"),
            "length_empty": (b"Content-Length:", b"Transfer-Encoding: chunked"),
            "length_twice": (
                b"Content-Length: 5",
                b"Transfer-Encoding: chunked",
                b"Content-Length: 5",
            ),
            "coding_unknown": (b"Content-Length: 5", b"Transfer-Encoding: cow"),
            "coding_identity": (b"Content-Length: 5", b"Transfer-Encoding: identity"),
            "coding_empty": (b"Content-Length: 5", b"Transfer-Encoding:"),
            "coding_twice": (
                b"Transfer-Encoding: chunked",
                b"Content-Length: 5",
                b"Transfer-Encoding: identity",
            ),
            "other_case": (b"CONTENT-LENGTH: 5", b"transfer-encoding: chunked"),
            "far_apart": (b"Content-Length: 5", b"X: y", b"Transfer-Encoding: chunked"),
        }
    ),
    "on_http_1_0": refused(
        post(b"Content-Length: 5", b"Transfer-Encoding: chunked", minor=0) + HELLO
    ),
    "in_lf": refused(
        b"POST / HTTP/1.1\nHost: a\nContent-Length: 5\nTransfer-Encoding: chunked\n\n" + LAST
    ),
    "smuggled_behind_the_last_chunk": refused(
        post(b"Content-Length: %d" % len(LAST + SMUGGLED), b"Transfer-Encoding: chunked")
        + LAST
        + SMUGGLED
    ),
    "smuggled_behind_the_length": refused(
        post(b"Content-Length: 4", b"Transfer-Encoding: chunked")
        + b"%x\r\n%b\r\n" % (len(SMUGGLED), SMUGGLED)
        + LAST
    ),
    "on_the_second_request": refused(
        get() + post(b"Content-Length: 5", b"Transfer-Encoding: chunked") + LAST, 400, GET
    ),
}

# ---- chunks

CHUNK: Table = good_chunks(
    {
        "no_data": (LAST, b""),
        "one": (b"5\r\nhello\r\n" + LAST, HELLO),
        "two": (b"4\r\nhell\r\n1\r\no\r\n" + LAST, HELLO),
        "of_one_byte_each": (b"".join(b"1\r\n%c\r\n" % c for c in HELLO) + LAST, HELLO),
        "upper_case_size": (b"A\r\n0123456789\r\n" + LAST, b"0123456789"),
        "lower_case_size": (b"a\r\n0123456789\r\n" + LAST, b"0123456789"),
        "leading_zeros": (b"0005\r\nhello\r\n" + LAST, HELLO),
        "fifteen_digits": (b"000000000000005\r\nhello\r\n" + LAST, HELLO),
        "many_zeros_at_the_end": (b"5\r\nhello\r\n000\r\n\r\n", HELLO),
        "line_endings_are_data": (b"4\r\n\r\n\r\n\r\n" + LAST, b"\r\n\r\n"),
        "a_last_chunk_is_data": (b"5\r\n" + LAST + b"\r\n" + LAST, LAST),
        "a_request_is_data": (
            b"%x\r\n%b\r\n" % (len(SMUGGLED), SMUGGLED) + LAST,
            SMUGGLED,
        ),
        "every_byte_is_data": (
            b"100\r\n" + bytes(range(256)) + b"\r\n" + LAST,
            bytes(range(256)),
        ),
        "four_thousand_bytes": (b"fa0\r\n" + b"x" * 4000 + b"\r\n" + LAST, b"x" * 4000),
    }
)

CHUNK_SIZE: Table = bad_chunks(
    {
        "hex_prefix": b"0x5\r\nhello\r\n" + LAST,
        "hex_prefix_in_capitals": b"0X5\r\nhello\r\n" + LAST,
        "hex_prefix_of_the_last_chunk": b"0x0\r\n\r\n",
        "hex_suffix": b"5h\r\nhello\r\n" + LAST,
        "plus": b"+5\r\nhello\r\n" + LAST,
        "minus": b"-5\r\nhello\r\n" + LAST,
        "minus_zero": b"-0\r\n\r\n",
        "plus_zero": b"+0\r\n\r\n",
        "not_hexadecimal": b"g\r\nhello\r\n" + LAST,
        "letter_behind": b"5g\r\nhello\r\n" + LAST,
        "underscore": b"1_0\r\n0123456789abcdef\r\n" + LAST,
        "fraction": b"5.0\r\nhello\r\n" + LAST,
        "comma": b"5,5\r\nhello\r\n" + LAST,
        "quoted": b'"5"\r\nhello\r\n' + LAST,
        "empty": b"\r\nhello\r\n" + LAST,
        "blank_only": b" \r\nhello\r\n" + LAST,
        "extension_only": b";a=b\r\nhello\r\n" + LAST,
        "blank_before": b" 5\r\nhello\r\n" + LAST,
        "blank_behind": b"5 \r\nhello\r\n" + LAST,
        "blanks_behind": b"5   \r\nhello\r\n" + LAST,
        "tab_before": b"\t5\r\nhello\r\n" + LAST,
        "tab_behind": b"5\t\r\nhello\r\n" + LAST,
        "vertical_tab_behind": b"5\x0b\r\nhello\r\n" + LAST,
        "blank_within": b"1 0\r\n0123456789abcdef\r\n" + LAST,
        "blank_behind_the_last": b"0 \r\n\r\n",
        "blank_before_the_extension": b"5 ;a\r\nhello\r\n" + LAST,
        "tab_before_the_extension": b"5\t;a\r\nhello\r\n" + LAST,
        "nul_behind": b"5\0\r\nhello\r\n" + LAST,
        "cr_behind": b"5\r\r\nhello\r\n" + LAST,
        "sixteen_digits": b"0000000000000005\r\nhello\r\n" + LAST,
        "sixteen_zeros": b"0000000000000000\r\n\r\n",
        "beyond_64_bits": b"10000000000000005\r\nhello\r\n" + LAST,
        "beyond_32_bits": b"0000000100000005\r\nhello\r\n" + LAST,
        "all_of_64_bits": b"ffffffffffffffff\r\nhello\r\n" + LAST,
        "negative_in_64_bits": b"fffffffffffffffe\r\nhello\r\n" + LAST,
        "five_thousand_digits": b"0" * 5000 + b"5\r\nhello\r\n" + LAST,
        "full_width_digit": b"\xef\xbc\x95\r\nhello\r\n" + LAST,
        "of_the_second_chunk": b"5\r\nhello\r\n0x1\r\n!\r\n" + LAST,
    }
)

CHUNK_FRAMING: Table = {
    **bad_chunks(
        {
            "lf_behind_the_size": b"5\nhello\r\n" + LAST,
            "lf_behind_the_data": b"5\r\nhello\n" + LAST,
            "lf_behind_the_last_size": b"0\n\r\n",
            "lf_as_the_empty_line": b"0\r\n\n",
            "lf_everywhere": b"5\nhello\n0\n\n",
            "lf_first": b"\n5\r\nhello\r\n" + LAST,
            "crlf_first": b"\r\n5\r\nhello\r\n" + LAST,
            "cr_behind_the_size": b"5\rhello\r\n" + LAST,
            "cr_for_lf": b"5\rXhello\r\n" + LAST,
            "cr_behind_the_data": b"5\r\nhello\r" + LAST,
            "lf_cr_behind_the_data": b"5\r\nhello\n\r" + LAST,
            "two_line_endings_behind_the_data": b"5\r\nhello\r\n\r\n" + LAST,
            "two_bytes_that_are_no_line_ending": b"5\r\nhelloXX" + LAST,
            "data_longer_than_the_size": b"4\r\nhello\r\n" + LAST,
            "data_much_longer": b"1\r\nhello\r\n" + LAST,
            "data_shorter_than_the_size": b"6\r\nhello\r\n" + LAST,
            "data_shorter_by_its_line_ending": b"7\r\nhello\r\n" + LAST,
            "no_line_ending_behind_the_data": b"5\r\nhello" + LAST,
            "data_of_the_last_chunk": b"0\r\nhello\r\n\r\n",
            "no_size_for_the_second_chunk": b"5\r\nhello\r\nworld\r\n" + LAST,
            "no_framing_at_all": b"hello, world\r\n",
        }
    ),
    "lf_head_and_lf_chunks": refused(
        b"POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n5\nhello\n0\n\n"
    ),
    "on_the_second_request": refused(
        chunked(b"5\r\nhello\r\n" + LAST) + chunked(b"5\nhello\r\n" + LAST), 400, POSTED
    ),
    "a_request_for_the_last_chunk": refused(chunked(b"5\r\nhello\r\n") + SMUGGLED),
}

CHUNK_EXTENSION: Table = {
    **good_chunks(
        {
            "name": (b"5;a\r\nhello\r\n" + LAST, HELLO),
            "value": (b"5;a=b\r\nhello\r\n" + LAST, HELLO),
            "quoted": (b'5;a="b c"\r\nhello\r\n' + LAST, HELLO),
            "several": (b"5;a;b=c;d=e\r\nhello\r\n" + LAST, HELLO),
            "of_the_last_chunk": (b"5\r\nhello\r\n0;a=b\r\n\r\n", HELLO),
            "blank_behind_the_semicolon": (b"5; a=b\r\nhello\r\n" + LAST, HELLO),
        }
    ),
    **bad_chunks(
        {
            "comma": b"5,a\r\nhello\r\n" + LAST,
            "no_semicolon": b"5 a=b\r\nhello\r\n" + LAST,
            "nul": b"5;a\0\r\nhello\r\n" + LAST,
            "cr": b"5;a\rb\r\nhello\r\n" + LAST,
            "lf": b"5;a\nb\r\nhello\r\n" + LAST,
            "lf_at_its_end": b"5;a\nhello\r\n" + LAST,
            "lf_in_quotes": b'5;a="\n"\r\nhello\r\n' + LAST,
            "escape": b"5;a\x1b\r\nhello\r\n" + LAST,
            "del": b"5;a\x7f\r\nhello\r\n" + LAST,
            "too_long": b"5;" + b"x" * 5000 + b"\r\nhello\r\n" + LAST,
        }
    ),
    "that_never_ends": begun(chunked(b"5;" + b"x" * 5000)),
}

TRAILER: Table = {
    **good_chunks(
        {
            "one": (b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n", HELLO),
            "several": (b"0\r\nA: b\r\nC:\r\nD:\te \r\n\r\n", b""),
            "obs_text": (b"0\r\nA: \xfc\r\n\r\n", b""),
            "as_long_as_allowed": (b"0\r\nA: " + b"b" * 8187 + b"\r\n\r\n", b""),
        }
    ),
    # A trailer field must not change what the head said (RFC 9110, 6.5.1).
    "is_dropped": served(
        chunked(b"0\r\nX-Test: y\r\nX-Forwarded-For: 10.9.9.9\r\n\r\n"),
        echo("POST", "/", b"", "!x-test", "!x-forwarded-for"),
    ),
    "content_length_is_dropped": served(
        chunked(b"5\r\nhello\r\n0\r\nContent-Length: 99\r\n\r\n") + get(), POSTED, GET
    ),
    "transfer_encoding_is_dropped": served(
        chunked(b"5\r\nhello\r\n0\r\nTransfer-Encoding: x\r\n\r\n") + get(), POSTED, GET
    ),
    "host_is_dropped": served(
        chunked(b"0\r\nHost: b.example\r\n\r\n"), echo("POST", "/", b"", host=b"a.example")
    ),
    "connection_is_dropped": served(chunked(b"0\r\nConnection: close\r\n\r\n"), echo("POST")),
    **bad_chunks(
        {
            "no_colon": b"0\r\nA\r\n\r\n",
            "blank_before_the_colon": b"0\r\nA : b\r\n\r\n",
            "fold": b"0\r\nA: b\r\n c\r\n\r\n",
            "fold_first": b"0\r\n A: b\r\n\r\n",
            "empty_name": b"0\r\n: b\r\n\r\n",
            "blank_in_the_name": b"0\r\nA B: c\r\n\r\n",
            "separator_in_the_name": b"0\r\nA(B: c\r\n\r\n",
            "nul": b"0\r\nA: \0\r\n\r\n",
            "cr": b"0\r\nA: b\rc\r\n\r\n",
            "lf": b"0\r\nA: b\nC: d\r\n\r\n",
            "lf_behind": b"0\r\nA: b\n\r\n",
            "lf_as_the_empty_line": b"0\r\nA: b\r\n\n",
            "del": b"0\r\nA: \x7f\r\n\r\n",
            "vertical_tab": b"0\r\nA: \x0b\r\n\r\n",
            "is_a_request": b"0\r\nGET /smuggled HTTP/1.1\r\n\r\n",
        }
    ),
    "one_byte_too_long": refused(chunked(b"0\r\nA: " + b"b" * 8188 + b"\r\n\r\n"), 431),
    "one_byte_too_long_in_two": refused(
        chunked(b"0\r\nA: " + b"b" * 4091 + b"\r\nB: " + b"b" * 4092 + b"\r\n\r\n"), 431
    ),
    "too_many": refused(chunked(b"0\r\n" + b"A: b\r\n" * 2000 + b"\r\n"), 431),
}

BODY_SIZE: Table = {
    "length_at_the_limit": served(sized(b"x" * BODY_LIMIT), echo("POST", "/", b"x" * BODY_LIMIT)),
    "length_beyond_by_one": begun(post(b"Content-Length: %d" % (BODY_LIMIT + 1)), 413),
    "length_beyond_with_its_body": refused(sized(b"x" * (BODY_LIMIT + 1)), 413),
    "length_of_eighteen_nines": begun(post(b"Content-Length: " + b"9" * 18), 413),
    "length_beyond_expecting_to_continue": begun(
        post(b"Content-Length: 999999", b"Expect: 100-continue"), 413
    ),
    "chunks_at_the_limit": served(
        chunked(b"2710\r\n%b\r\n2710\r\n%b\r\n" % (b"x" * 10000, b"y" * 10000) + LAST),
        echo("POST", "/", b"x" * 10000 + b"y" * 10000),
    ),
    "chunks_beyond_by_one": refused(
        chunked(b"2710\r\n%b\r\n2711\r\n%b\r\n" % (b"x" * 10000, b"y" * 10001) + LAST), 413
    ),
    "chunk_beyond_before_its_data": begun(chunked(b"4e21\r\n"), 413),
    "chunk_of_fifteen_digits": begun(chunked(b"fffffffffffffff\r\n"), 413),
    "on_the_second_request": refused(
        get() + post(b"Content-Length: %d" % (BODY_LIMIT + 1)), 413, GET
    ),
}

# ---- what becomes of the connection


def closes(*fields: bytes) -> Case:
    """The connection ends behind the answer, and what follows is not read."""
    return ends("close", get(*fields) + BEHIND, GET)


CONNECTION: Table = {
    "keep_alive": served(get(b"Connection: keep-alive")),
    "empty": served(get(b"Connection:")),
    "another_option": served(get(b"Connection: x")),
    "closed_is_not_close": served(get(b"Connection: closed")),
    "close_with_a_dash_is_not_close": served(get(b"Connection: x-close")),
    "close_as_a_parameter_is_not_close": served(get(b"Connection: x=close")),
    "proxy_connection_is_another_field": served(get(b"Proxy-Connection: close")),
    "keep_alive_field": served(get(b"Keep-Alive: timeout=5", b"Connection: keep-alive")),
    "upgrade_that_the_app_ignores": served(
        get(b"Connection: Upgrade", b"Upgrade: websocket") + get(), GET, GET
    ),
    "upgrade_to_h2c_is_ignored": served(
        get(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAA")
    ),
    "close": closes(b"Connection: close"),
    "close_in_capitals": closes(b"CONNECTION: CLOSE"),
    "close_last_in_a_list": closes(b"Connection: x, close"),
    "close_first_in_a_list": closes(b"Connection: close, x"),
    "close_without_blanks": closes(b"Connection: x,close"),
    "close_between_tabs": closes(b"Connection: x\t,\tclose\t, y"),
    "close_behind_an_empty_member": closes(b"Connection: ,close"),
    "close_before_an_empty_member": closes(b"Connection: close,"),
    "close_on_the_second_line": closes(b"Connection: x", b"Connection: close"),
    "close_on_the_first_line": closes(b"Connection: close", b"Connection: x"),
    "close_against_keep_alive": closes(b"Connection: keep-alive, close"),
    "close_against_keep_alive_on_two_lines": closes(
        b"Connection: close", b"Connection: keep-alive"
    ),
    "close_with_a_body": ends(
        "close", post(b"Connection: close", b"Content-Length: 5") + HELLO + BEHIND, POSTED
    ),
    "close_with_a_chunked_body": ends(
        "close",
        post(b"Connection: close", b"Transfer-Encoding: chunked") + LAST + BEHIND,
        echo("POST"),
    ),
    "close_on_the_second_request": ends(
        "close", get() + get(b"Connection: close") + BEHIND, GET, GET
    ),
    "close_before_junk": ends("close", get(b"Connection: close") + b"\0\0\0", GET),
}


def old(*fields: bytes, first: bytes = b"GET / HTTP/1.0", host: bool = False) -> bytes:
    """A head of HTTP/1.0, without Host."""
    return get(*fields, first=first, host=host)


HTTP_1_0: Table = {
    "without_host": ends("close", old() + BEHIND, GET),
    "with_host": ends("close", old(host=True) + BEHIND, echo(host=b"a.example")),
    "connection_close": ends("close", old(b"Connection: close") + BEHIND, GET),
    "connection_x": ends("close", old(b"Connection: x") + BEHIND, GET),
    "keep_alive": served(old(b"Connection: keep-alive")),
    "keep_alive_in_capitals": served(old(b"Connection: Keep-Alive")),
    "keep_alive_in_a_list": served(old(b"Connection: x, keep-alive")),
    "keep_alive_on_the_second_line": served(old(b"Connection: x", b"Connection: keep-alive")),
    "keep_alive_twice": served(old(b"Connection: keep-alive") * 2, GET, GET),
    "keep_alive_then_not": ends("close", old(b"Connection: keep-alive") + old() + BEHIND, GET, GET),
    "keep_alive_then_http_1_1": served(old(b"Connection: keep-alive") + get(), GET, GET),
    "keep_alive_against_close": ends("close", old(b"Connection: keep-alive, close") + BEHIND, GET),
    "keep_alive_field_only": ends("close", old(b"Keep-Alive: timeout=5") + BEHIND, GET),
    "proxy_connection": ends("close", old(b"Proxy-Connection: keep-alive") + BEHIND, GET),
    "body": ends(
        "close",
        old(b"Content-Length: 5", first=b"POST / HTTP/1.0") + HELLO + BEHIND,
        POSTED,
    ),
    "body_kept_alive": served(
        old(b"Content-Length: 5", b"Connection: keep-alive", first=b"POST / HTTP/1.0")
        + HELLO
        + get(),
        POSTED,
        GET,
    ),
    "body_without_length_is_none": ends(
        "close", old(first=b"POST / HTTP/1.0") + HELLO, echo("POST")
    ),
    "head": ends("close", old(first=b"HEAD / HTTP/1.0") + BEHIND, echo("HEAD")),
    "head_kept_alive": served(
        old(b"Connection: keep-alive", first=b"HEAD / HTTP/1.0") + get(), echo("HEAD"), GET
    ),
    "204_kept_alive": served(
        old(b"Connection: keep-alive", first=b"GET /204 HTTP/1.0") + get(),
        echo("GET", "/204", status=204),
        GET,
    ),
    "options_asterisk": ends(
        "close", old(first=b"OPTIONS * HTTP/1.0") + BEHIND, echo("OPTIONS", "*")
    ),
}

EXPECT: Table = {
    "continue": served(post(b"Expect: 100-continue", b"Content-Length: 5") + HELLO, POSTED),
    "continue_in_capitals": served(
        post(b"Expect: 100-CONTINUE", b"Content-Length: 5") + HELLO, POSTED
    ),
    "continue_chunked": served(
        post(b"Expect: 100-continue", b"Transfer-Encoding: chunked") + b"5\r\nhello\r\n" + LAST,
        POSTED,
    ),
    "continue_without_body": served(get(b"Expect: 100-continue")),
    "continue_then_a_request": served(
        post(b"Expect: 100-continue", b"Content-Length: 5") + HELLO + get(), POSTED, GET
    ),
    "continue_then_a_bad_chunk": refused(
        post(b"Expect: 100-continue", b"Transfer-Encoding: chunked") + b"0x5\r\nhello\r\n" + LAST
    ),
    "continue_on_http_1_0": ends(
        "close", post(b"Expect: 100-continue", b"Content-Length: 5", minor=0) + HELLO, POSTED
    ),
    "unknown_on_http_1_0": ends("close", old(b"Expect: x"), GET),
    "unknown": refused(get(b"Expect: x"), 417),
    "unknown_with_a_body": refused(post(b"Expect: x", b"Content-Length: 5") + HELLO, 417),
    "200_ok": refused(get(b"Expect: 200-ok"), 417),
    "unknown_beside_continue": refused(get(b"Expect: 100-continue", b"Expect: x"), 417),
    "unknown_in_a_list": refused(get(b"Expect: 100-continue, x"), 417),
    "continue_with_a_parameter": refused(get(b"Expect: 100-continue=y"), 417),
    "continued": refused(get(b"Expect: 100-continued"), 417),
}

NO_BODY: Table = {
    "head": served(get(first=b"HEAD / HTTP/1.1"), echo("HEAD")),
    "head_then_get": served(get(first=b"HEAD / HTTP/1.1") + get(), echo("HEAD"), GET),
    "head_twice": served(get(first=b"HEAD / HTTP/1.1") * 2, echo("HEAD"), echo("HEAD")),
    "204": served(get(first=b"GET /204 HTTP/1.1"), echo("GET", "/204", status=204)),
    "204_then_get": served(
        get(first=b"GET /204 HTTP/1.1") + get(), echo("GET", "/204", status=204), GET
    ),
    "304": served(get(first=b"GET /304 HTTP/1.1"), echo("GET", "/304", status=304)),
    "304_then_get": served(
        get(first=b"GET /304 HTTP/1.1") + get(), echo("GET", "/304", status=304), GET
    ),
    "204_to_post": served(
        get(b"Content-Length: 5", first=b"POST /204 HTTP/1.1") + HELLO + get(),
        echo("POST", "/204", HELLO, status=204),
        GET,
    ),
    "204_and_close": ends(
        "close",
        get(b"Connection: close", first=b"GET /204 HTTP/1.1") + BEHIND,
        echo("GET", "/204", status=204),
    ),
}

NUMBERS = [get(first=b"GET /%d HTTP/1.1" % number) for number in range(30)]
# Two clients whose requests, at seed 1 with two slots, belong to different workers.
CLIENTS = [b"X-Forwarded-For: 10.10.10.10", b"X-Forwarded-For: 10.10.10.11"]

PIPELINE: Table = {
    "two": served(b"".join(NUMBERS[:2]), echo("GET", "/0"), echo("GET", "/1")),
    "thirty": served(b"".join(NUMBERS), *(echo("GET", f"/{n}") for n in range(30))),
    "post_between": served(get() + sized(HELLO) + get(), GET, POSTED, GET),
    "chunked_between": served(get() + chunked(b"5\r\nhello\r\n" + LAST) + get(), GET, POSTED, GET),
    "all_kinds": served(
        get()
        + sized(HELLO)
        + get(first=b"HEAD / HTTP/1.1")
        + chunked(b"1;a\r\nh\r\n4\r\nello\r\n0\r\nA: b\r\n\r\n")
        + get(first=b"OPTIONS * HTTP/1.1")
        + get(first=b"DELETE /last HTTP/1.1"),
        GET,
        POSTED,
        echo("HEAD"),
        POSTED,
        echo("OPTIONS", "*"),
        echo("DELETE", "/last"),
    ),
    "two_clients": served(
        get(CLIENTS[0]) + get(CLIENTS[1]),
        echo(**{"x-forwarded-for": b"10.10.10.10"}),
        echo(**{"x-forwarded-for": b"10.10.10.11"}),
    ),
    "two_clients_in_turn": served(
        b"".join(get(CLIENTS[n % 2], first=b"GET /%d HTTP/1.1" % n) for n in range(12)),
        *(echo("GET", f"/{n}") for n in range(12)),
    ),
    "two_clients_with_bodies": served(
        b"".join(
            post(CLIENTS[n % 2], b"Content-Length: 5")
            + HELLO
            + post(CLIENTS[n % 2], b"Transfer-Encoding: chunked")
            + b"5\r\nhello\r\n"
            + LAST
            for n in range(4)
        ),
        *[POSTED] * 8,
    ),
    "two_clients_then_junk": refused(
        get(CLIENTS[0]) + get(CLIENTS[1]) + b"junk\r\n\r\n", 400, GET, GET
    ),
    "two_clients_then_a_bad_body": refused(
        get(CLIENTS[0]) + post(CLIENTS[1], b"Transfer-Encoding: chunked") + b"5\r\nhelloX",
        400,
        GET,
    ),
    "refused_behind_a_body": refused(sized(HELLO) + b"junk\r\n\r\n", 400, POSTED),
    "refused_behind_a_chunked_body": refused(
        chunked(b"5\r\nhello\r\n" + LAST) + b"junk\r\n\r\n", 400, POSTED
    ),
    "body_longer_than_said": refused(
        post(b"Content-Length: 4") + b"hello junk\r\n\r\n", 400, echo("POST", "/", b"hell")
    ),
    "body_longer_by_a_control": ends(
        "close", post(b"Content-Length: 5") + b"hello\0" + BEHIND, POSTED, "400"
    ),
    "body_longer_by_a_letter": served(
        post(b"Content-Length: 4") + HELLO + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        echo("POST", "/", b"hell"),
        echo("oGET"),
    ),
    "no_length_and_a_body": served(
        post() + get(first=b"GET /body HTTP/1.1"), echo("POST"), echo("GET", "/body")
    ),
}

WAITS: Table = {
    name: ends("waits", data, *answers)
    for name, (data, *answers) in {
        "one_letter": (b"G",),
        "half_a_method": (b"GE",),
        "half_a_request_line": (b"GET / HT",),
        "no_line_ending": (b"GET / HTTP/1.1",),
        "half_a_line_ending": (b"GET / HTTP/1.1\r",),
        "request_line_only": (b"GET / HTTP/1.1\r\n",),
        "half_a_field": (b"GET / HTTP/1.1\r\nHo",),
        "no_empty_line": (b"GET / HTTP/1.1\r\nHost: a\r\n",),
        "half_an_empty_line": (b"GET / HTTP/1.1\r\nHost: a\r\n\r",),
        "no_empty_line_in_lf": (b"GET / HTTP/1.1\nHost: a\n",),
        "half_an_empty_line_first": (b"\r",),
        "second_request": (get() + b"GET / HT", GET),
        "body_not_begun": (post(b"Content-Length: 5"),),
        "body_one_byte_short": (post(b"Content-Length: 6") + HELLO,),
        "chunks_not_begun": (chunked(b""),),
        "half_a_size": (chunked(b"5"),),
        "half_a_line_ending_behind_a_size": (chunked(b"5\r"),),
        "half_the_data": (chunked(b"5\r\nhel"),),
        "no_line_ending_behind_the_data": (chunked(b"5\r\nhello"),),
        "half_a_line_ending_behind_the_data": (chunked(b"5\r\nhello\r"),),
        "no_last_chunk": (chunked(b"5\r\nhello\r\n"),),
        "no_empty_line_behind_the_chunks": (chunked(b"5\r\nhello\r\n0\r\n"),),
        "half_an_empty_line_behind_the_chunks": (chunked(b"5\r\nhello\r\n0\r\n\r"),),
        "no_empty_line_behind_the_trailer": (chunked(b"0\r\nA: b\r\n"),),
        "body_of_the_second_request": (sized(HELLO) + post(b"Content-Length: 5") + b"he", POSTED),
        "continue_is_expected": (post(b"Expect: 100-continue", b"Content-Length: 5"),),
    }.items()
}

# ---- bounds


def request_line(length: int) -> bytes:
    """A request line of so many bytes."""
    line = b"GET /%b HTTP/1.1"
    return line % (b"a" * (length - len(line) + 2))


def field(length: int) -> bytes:
    """A field line of so many bytes."""
    return b"X: " + b"y" * (length - 3)


def head(length: int) -> bytes:
    """A head of so many bytes."""
    left = length - len(get())
    fields = []
    while left:
        size = min(left, 8000)
        size -= 100 if 0 < left - size < 100 else 0
        fields.append(field(size - 2))
        left -= size
    return get(*fields)


LIMITS: Table = {
    "request_line_at_the_limit": served(
        get(first=request_line(8190)), echo("GET", "/" + "a" * (8190 - 14))
    ),
    "request_line_beyond": refused(get(first=request_line(8191)), 414),
    "request_line_far_beyond": refused(get(first=request_line(20000)), 414),
    "request_line_that_never_ends": begun(b"GET /" + b"a" * 9000, 414),
    "request_line_of_one_word": begun(b"A" * 9000, 414),
    "request_line_beyond_and_malformed": refused(b"A" * 9000 + b"\r\n\r\n", 414),
    "request_line_beyond_with_lf": refused(request_line(8191) + b"\nHost: a\n\n", 414),
    "request_line_beyond_on_the_second_request": refused(
        get() + get(first=request_line(8191)), 414, GET
    ),
    "field_at_the_limit": served(get(field(8190))),
    "field_beyond": refused(get(field(8191)), 431),
    "field_far_beyond": refused(get(field(20000)), 431),
    "field_name_beyond": refused(get(b"X" * 8191 + b": y"), 431),
    "field_blanks_beyond": refused(get(b"X:" + b" " * 8191 + b"y"), 431),
    "field_that_never_ends": begun(get()[:-2] + b"X: " + b"y" * 9000, 431),
    "field_beyond_and_malformed": refused(get(b"X" * 8191), 431),
    "field_beyond_on_the_second_request": refused(get() + get(field(8191)), 431, GET),
    "hundred_fields": served(get(*[b"X: y"] * 99)),
    "hundred_and_one_fields": refused(get(*[b"X: y"] * 100), 431),
    "hundred_and_one_fields_with_underscores": refused(get(*[b"X_Y: z"] * 100), 431),
    "hundred_and_one_fields_without_end": begun(get(*[b"X: y"] * 100)[:-2], 431),
    "thousand_fields": refused(get(*[b"X: y"] * 1000), 431),
    "head_at_the_limit": served(head(32768)),
    "head_beyond": refused(head(32769), 431),
    "head_far_beyond": refused(head(60000), 431),
    "head_that_never_ends": begun(head(40000)[:-2], 431),
    "fault_before_a_bound": refused(b"GET / HTTP/1.1\r\n: y\r\n" + field(9000) + b"\r\n\r\n"),
    "bound_before_a_fault": refused(b"GET / HTTP/1.1\r\n" + field(9000) + b"\r\n: y\r\n\r\n", 431),
}

NOT_HTTP: Table = {
    name: begun(data)
    for name, data in {
        "tls_client_hello": bytes.fromhex("16030100c8010000c40303") + bytes(190),
        "tls_first_byte": b"\x16",
        "tls_alert": bytes.fromhex("15030100020230"),
        "ssl_2_hello": bytes.fromhex("802e0100020015000000100100800200800300800400800500800600"),
        "nul": b"\0",
        "del": b"\x7f",
        "obs_text": b"\xff\xfe",
        "byte_order_mark": b"\xef\xbb\xbf" + get(),
        "blank": b" " + get(),
        "tab": b"\t" + get(),
        "brace": b'{"a": 1}',
        "less": b"<html>",
        "quote": b'"GET" / HTTP/1.1\r\n',
        "slash": b"/ HTTP/1.1\r\n",
        "colon": b": y\r\n",
        "parenthesis": b"(",
        "http_2_preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "http_2_preface_and_settings": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
        "http_2_preface_first_line": b"PRI * HTTP/2.0\r\n",
        "proxy_line": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + get(),
        "proxy_signature": b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12) + get(),
        "http_0_9": b"GET /\r\n",
        "ssh": b"SSH-2.0-OpenSSH_9.2\r\n",
        "smtp": b"EHLO a.example\r\n",
        "redis": b"*1\r\n$4\r\nPING\r\n",
        "rtsp": b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n",
        "sip": b"OPTIONS sip:a@b SIP/2.0\r\n\r\n",
        "response": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    }.items()
}
NOT_HTTP["tls_behind_a_request"] = ends("close", get() + b"\x16\x03\x01\0\xc8", GET, "400")

RULES: dict[str, Table] = {
    "body_limit": BODY_SIZE,
    "both_framings": BOTH_FRAMINGS,
    "chunk": CHUNK,
    "chunk_extension": CHUNK_EXTENSION,
    "chunk_framing": CHUNK_FRAMING,
    "chunk_size": CHUNK_SIZE,
    "connect": CONNECT,
    "connection": CONNECTION,
    "content_length": CONTENT_LENGTH,
    "empty_line_first": EMPTY_LINE_FIRST,
    "expect": EXPECT,
    "field_name": FIELD_NAME,
    "field_value": FIELD_VALUE,
    "host": HOST,
    "http_1_0": HTTP_1_0,
    "limits": LIMITS,
    "line_endings": LINE_ENDINGS,
    "methods": METHODS,
    "no_body": NO_BODY,
    "not_http": NOT_HTTP,
    "obs_fold": OBS_FOLD,
    "pipeline": PIPELINE,
    "request_line": REQUEST_LINE,
    "target": TARGET,
    "trailer": TRAILER,
    "transfer_encoding": TRANSFER_ENCODING,
    "underscore": UNDERSCORE,
    "version": VERSION,
    "waits": WAITS,
}


def files() -> dict[str, bytes]:
    """The content of every file of the corpus, by its path below this directory."""
    content: dict[str, bytes] = {}
    for rule, table in RULES.items():
        for name, case in table.items():
            content[f"{rule}/{name}.http"] = case.data
            content[f"{rule}/{name}.expect"] = "".join(f"{line}\n" for line in case.lines).encode()
    return content


def found() -> dict[str, bytes]:
    """As `files`, from what is on the disk."""
    return {
        path.relative_to(HERE).as_posix(): path.read_bytes()
        for suffix in ("http", "expect")
        for path in HERE.glob(f"*/*.{suffix}")
    }


def main() -> None:
    """Write the corpus anew; what no table names any more goes away."""
    for rule in {Path(name).parent for name in found()}:
        shutil.rmtree(HERE / rule)
    for name, content in files().items():
        path = HERE / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    print(f"{len(files()) // 2} cases")


if __name__ == "__main__":
    main()
