"""A strict parser of request heads, used by master and worker (RFC 9112, 2 to 6).

The result does not depend on how the bytes were split: lines are checked in
order, each for its length before its content, so that the response reports the
first error in the order of the bytes.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import NamedTuple

from stickyd.http1.error_response import Refusal
from stickyd.http1.head_lines import (
    ABSOLUTE_FORM,
    HOST,
    TARGET,
    Field,
    Lines,
    Refused,
    bad,
    field_too_long,
    head_too_long,
    line_too_long,
    lowercase,
    lowered,
)
from stickyd.http1.limits import Limits
from stickyd.http1.token import TCHAR_BYTES, TOKEN

CHUNKED = -1
"""The value of `Head.length` when the body is chunked."""

_PLAIN_HEAD = re.compile(
    rb"([" + TCHAR_BYTES + rb"]+) " + TARGET + rb" HTTP/1\.([01])\r\n"
    rb"((?:[" + TCHAR_BYTES + rb"]+:[\t\x20-\x7e\x80-\xff]*\r\n)*)\r\n"
)
_FRAMING = frozenset(
    {b"host", b"connection", b"content-length", b"transfer-encoding", b"expect", b"cookie"}
)
_NO_OPTIONS: frozenset[bytes] = frozenset()
_LENGTH = re.compile(rb"[0-9]{1,18}")

# What a request may begin with: a token (RFC 9110, 5.6.2), or one empty line
# (RFC 9112, 2.2). Anything else, a TLS record say, is answered at once.
_FIRST = frozenset(b for b in range(256) if TOKEN.match(bytes([b]))) | {0x0D, 0x0A}


class Head(NamedTuple):
    """A whole, valid request head.

    ``fields`` holds (name in lower case, value without surrounding blanks) in
    the order of arrival; names with an underscore are left out, since CGI-like
    environments cannot tell them from the same name with a dash. Several lines of
    Cookie are one.
    ``length`` is the body's length in bytes, or `CHUNKED`.
    ``size`` is the number of bytes the head took, its empty line included.
    """

    method: bytes
    target: bytes
    minor: int
    fields: Sequence[Field]
    length: int
    size: int
    keep_alive: bool
    connection: frozenset[bytes]
    expects_continue: bool

    def values(self, name: bytes) -> list[bytes]:
        """The values of every field line called ``name`` (in lower case), in order."""
        return [value for field, value in self.fields if field == name]

    @property
    def version(self) -> bytes:
        """The protocol version as it stands in a status line."""
        return b"HTTP/1.1" if self.minor else b"HTTP/1.0"

    @property
    def wants_upgrade(self) -> bool:
        """Whether the client offers another protocol on this connection (RFC 9110, 7.8)."""
        return b"upgrade" in self.connection and bool(self.values(b"upgrade"))


def read_head(data: bytes, limits: Limits, scanned: int = 0) -> Head | Refusal | None:
    """Read the request head at the start of ``data``.

    :param scanned: how many of the bytes an earlier call has seen; what has
        been seen is not searched again, so that a head arriving byte by byte
        costs a linear number of steps.
    :return: the head; or why it is refused; or None while it may still become
        a head when more bytes arrive.
    """
    if not data:
        return None
    if scanned == 0 and data[0] not in _FIRST:
        return Refusal(400, "not an HTTP request")
    # One empty line before a request line is ignored (RFC 9112, 2.2).
    begin = 2 if data.startswith(b"\r\n") else int(data.startswith(b"\n"))
    end = _end_of_head(data, max(scanned - 2, begin, 1))
    try:
        if end is None:
            _judge_new_lines(data, begin, limits, scanned)
            return None
        head = _read_plain(data, begin, end, limits)
        if head is not None:
            return head
        crlf = _first_line_ends_in_crlf(data)
        lines = Lines(limits, crlf, begin)
        lines.walk(data[begin:end].split(b"\n")[:-1])
        assert lines.request is not None, "a head has at least one line"
        method, target, _, minor = lines.request.groups()
        framing = [field for field in lines.fields if field[0] in _FRAMING]
        return _head(method, target, minor == b"1", lines.fields, framing, end)
    except Refused as refused:
        return refused.refusal


def _read_plain(data: bytes, begin: int, end: int, limits: Limits) -> Head | None:
    """A head in which nothing can be wrong with a line, judged as a whole; None for any other.

    A fast path with the same result: other heads are checked by `Lines`.
    """
    if end - begin > min(limits.request_line, limits.field_size) or end > limits.head:
        return None
    if begin == 1:
        # The empty line in front ended in a bare LF, so every line has to.
        return None
    plain = _PLAIN_HEAD.fullmatch(data, begin, end)
    if plain is None:
        return None
    method, target, minor, block = plain.groups()
    if method == b"CONNECT" or not target.startswith(b"/"):
        return None
    fields: list[Field] = []
    framing: list[Field] = []
    lines = block.split(b"\r\n")
    lines.pop()
    if len(lines) > limits.fields:
        return None
    for line in lines:
        name, _, value = line.partition(b":")
        lower = lowered.get(name)
        if lower is None:
            lower = lowercase(name)
        if b"_" not in lower:
            field = lower, value.strip(b" \t")
            fields.append(field)
            if lower in _FRAMING:
                framing.append(field)
    return _head(method, target, minor == b"1", fields, framing, end)


def _first_line_ends_in_crlf(data: bytes) -> bool:
    newline = data.find(b"\n")
    return newline > 0 and data[newline - 1] == 0x0D


def _end_of_head(data: bytes, start: int) -> int | None:
    """The index behind the empty line that ends the head, whichever line ending it uses."""
    crlf = data.find(b"\n\r\n", start)
    lf = data.find(b"\n\n", start, crlf + 1 if crlf >= 0 else len(data))
    if lf >= 0:
        return lf + 2
    return crlf + 3 if crlf >= 0 else None


def _judge_new_lines(data: bytes, begin: int, limits: Limits, scanned: int) -> None:
    """Check the bytes of an incomplete head from ``scanned`` on.

    Each line is checked once, when it is complete; an incomplete line is checked
    for its length.
    """
    start = max(data.rfind(b"\n", 0, scanned) + 1, begin)
    *whole, unfinished = data[start:].split(b"\n")
    first = start == begin
    if whole:
        crlf = _first_line_ends_in_crlf(data)
        lines = Lines(limits, crlf, start)
        if not first:
            lines.go_on(fields=data.count(b"\n", begin, start) - 1)
        lines.walk(whole)
        first = first and not whole
    # A CR at its end may be the first half of the line ending.
    length = len(unfinished) - unfinished.endswith(b"\r")
    if first and length > limits.request_line:
        raise line_too_long()
    if not first and length > limits.field_size:
        raise field_too_long()
    # The line ending to come counts, so a head is known to be too long one byte early.
    if len(data) >= limits.head:
        raise head_too_long()


def _head(
    method: bytes, target: bytes, is_1_1: bool, fields: list[Field], framing: list[Field], end: int
) -> Head:
    """Put the fields together of which the reader itself takes notice.

    :param framing: those of the fields that are called as one of ``_FRAMING``.
    """
    host: bytes | None = None
    options = _NO_OPTIONS
    lengths: list[bytes] = []
    codings: list[bytes] = []
    expectations: list[bytes] = []
    more_than_one = False
    cookies = 0
    for name, value in framing:
        if name == b"host":
            more_than_one = host is not None
            host = value
        elif name == b"connection":
            more = connection_options(value)
            options = options | more if options else more
        elif name == b"content-length":
            lengths.append(value)
        elif name == b"transfer-encoding":
            codings.append(value)
        elif name == b"cookie":
            cookies += 1
        else:
            expectations.append(value)
    if host is None:
        if is_1_1:
            raise bad("no Host")
    elif more_than_one:
        raise bad("more than one Host")
    elif not HOST.fullmatch(host):
        raise bad("malformed Host")
    if cookies > 1:
        fields = _one_cookie(fields)
    length = _body_length(lengths, codings, is_1_1) if lengths or codings else 0
    expects = False
    if expectations and is_1_1:
        expects = True
        if any(value.lower() != b"100-continue" for value in expectations):
            raise Refused(HTTPStatus.EXPECTATION_FAILED, "unknown expectation")
    keep_alive = is_1_1 or b"keep-alive" in options
    if options and b"close" in options:
        keep_alive = False
    return Head(method, target, int(is_1_1), fields, length, end, keep_alive, options, expects)


def _one_cookie(fields: list[Field]) -> list[Field]:
    """Cookie lines as one, where the first was (RFC 9113, 8.2.3): apps read one, or join by commas.

    HTTP/2 sends a line for each cookie, and not every proxy joins them.
    """
    joined = b"; ".join(value for name, value in fields if name == b"cookie" and value)
    first = next(n for n, field in enumerate(fields) if field[0] == b"cookie")
    before, behind = fields[:first], fields[first:]
    return [*before, (b"cookie", joined), *(f for f in behind if f[0] != b"cookie")]


@lru_cache(maxsize=256)
def connection_options(value: bytes) -> frozenset[bytes]:
    """The options of one Connection line, in lower case."""
    return frozenset(option.strip(b" \t").lower() for option in value.split(b","))


def _body_length(lengths: list[bytes], codings: list[bytes], is_1_1: bool) -> int:
    """The framing of the body (RFC 9112, 6.3), refused wherever two readers could differ."""
    if codings:
        if lengths:
            raise bad("both Content-Length and Transfer-Encoding")
        if not is_1_1:
            raise bad("Transfer-Encoding on HTTP/1.0")
        if len(codings) > 1 or codings[0].lower() != b"chunked":
            raise bad("a transfer coding other than chunked")
        return CHUNKED
    if not lengths:
        return 0
    if len(lengths) > 1:
        raise bad("more than one Content-Length")
    if not _LENGTH.fullmatch(lengths[0]):
        raise bad("malformed Content-Length")
    return int(lengths[0])


def origin_form(head: Head) -> tuple[bytes, bytes | None]:
    """The target as path and query, and the authority if the target named one.

    An authority in the target replaces the Host field (RFC 9112, 3.2.2).
    """
    if head.target[:1] in (b"/", b"*"):
        return head.target, None
    absolute = ABSOLUTE_FORM.fullmatch(head.target)
    assert absolute is not None, "read_head admits no other target"
    rest = absolute[2]
    return rest if rest.startswith(b"/") else b"/" + rest, absolute[1]
