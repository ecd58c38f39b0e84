"""Cases of field lines, Host, names with underscores (RFC 9110 and 9112, section 5)."""

from tests.corpus.case import (
    GET,
    HELLO,
    POSTED,
    Case,
    Table,
    bad_fields,
    bad_hosts,
    echo,
    get,
    post,
    refused,
    served,
)

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
