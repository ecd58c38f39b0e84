"""Cases of connections: what follows a request, pipelines, limits, other protocols."""

from tests.corpus.case import (
    BEHIND,
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
    get,
    post,
    refused,
    served,
    sized,
)


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
