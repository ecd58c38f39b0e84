"""Cases of line endings, request lines, methods, versions, targets (RFC 9112, 2 and 3)."""

from tests.corpus.case import (
    GET,
    HELLO,
    LAST,
    POSTED,
    Case,
    Table,
    begun,
    chunked,
    echo,
    ends,
    first_lines,
    get,
    methods,
    refused,
    served,
    sized,
)

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
