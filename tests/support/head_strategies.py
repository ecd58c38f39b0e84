"""Hypothesis strategies for request heads and for limits."""

from hypothesis import strategies as st

from stickyd.http1.limits import Limits
from tests.support.heads import LIMITS

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
