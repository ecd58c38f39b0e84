"""Checks the lines of a request head in order (RFC 9112, 3 and 5)."""

import re
from http import HTTPStatus

from stickyd.http1.error_response import Refusal
from stickyd.http1.limits import Limits
from stickyd.http1.token import TCHAR_BYTES, TOKEN

# Visible ASCII but "#": no form of a target has a fragment (RFC 9112, 3.2).
TARGET = rb"([\x21\x22\x24-\x7e]+)"
_REQUEST_LINE = re.compile(rb"([" + TCHAR_BYTES + rb"]+) " + TARGET + rb" HTTP/([0-9])\.([0-9])")
ABSOLUTE_FORM = re.compile(rb"https?://([^/?@]+)((?:[/?].*)?)", re.IGNORECASE)
HOST = re.compile(
    rb"(?:[A-Za-z0-9\-._~!$&'()*+,;=%]+|\[[0-9A-Fa-f:.]+\]|\[v[0-9A-Fa-f]+\.[A-Za-z0-9\-._~!$&'()*+,;=:]+\])"
    rb"(?::[0-9]*)?|"
)
_VALUE_FORBIDDEN = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")

# Names repeat from request to request: each is checked and lowered once.
lowered: dict[bytes, bytes] = {}
_LOWERED_MOST = 1024

Field = tuple[bytes, bytes]


class Refused(Exception):
    """Raised to end the parsing of a head with an error response."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        self.refusal = Refusal(int(status), why)


def bad(why: str) -> Refused:
    """A 400."""
    return Refused(HTTPStatus.BAD_REQUEST, why)


class Lines:
    """Checks the lines of a head in order.

    :param position: bytes of the head before the first line to come.
    :ivar request: the request line, once it has been checked.
    :ivar fields: name in lower case and value of each field checked so far.
    """

    def __init__(self, limits: Limits, crlf: bool, position: int) -> None:
        self._limits = limits
        self._crlf = crlf
        self._position = position
        self.request: re.Match[bytes] | None = None
        self.fields: list[Field] = []
        self._count = 0
        self._first = True

    def go_on(self, fields: int) -> None:
        """Continue after the request line and ``fields`` fields."""
        self._first = False
        self._count = fields

    def walk(self, lines: list[bytes]) -> None:
        """Check the next lines; each without its LF."""
        limits = self._limits
        crlf = self._crlf
        for raw in lines:
            self._position += len(raw) + 1
            line = raw[:-1] if crlf and raw.endswith(b"\r") else raw
            if self._first:
                if len(line) > limits.request_line:
                    raise line_too_long()
            elif len(line) > limits.field_size:
                raise field_too_long()
            if self._position > limits.head:
                raise head_too_long()
            if crlf and line is raw:
                raise bad("line ends in LF where an earlier one ended in CRLF")
            if self._first:
                self.request = _request_line(line)
                self._first = False
            elif line:
                self._count += 1
                if self._count > limits.fields:
                    raise Refused(
                        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "too many header fields"
                    )
                field = _field(line)
                if b"_" not in field[0]:
                    self.fields.append(field)


def line_too_long() -> Refused:
    """A 414."""
    return Refused(HTTPStatus.REQUEST_URI_TOO_LONG, "request line too long")


def field_too_long() -> Refused:
    """A 431 for one field."""
    return Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "header field too long")


def head_too_long() -> Refused:
    """A 431 for the whole head."""
    return Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "request head too long")


def _request_line(line: bytes) -> re.Match[bytes]:
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise bad("malformed request line")
    method, target, major, minor = match.groups()
    if line == b"PRI * HTTP/2.0":
        raise bad("HTTP/2 is not spoken on this port")
    if major != b"1" or minor not in b"01":
        raise Refused(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "only HTTP/1.0 and HTTP/1.1")
    if method == b"CONNECT":
        raise Refused(HTTPStatus.NOT_IMPLEMENTED, "CONNECT is not implemented")
    if target.startswith(b"/"):
        return match
    if target == b"*":
        if method != b"OPTIONS":
            raise bad("* is a target of OPTIONS only")
    else:
        absolute = ABSOLUTE_FORM.fullmatch(target)
        if absolute is None or not HOST.fullmatch(absolute[1]):
            raise bad("malformed request target")
    return match


def lowercase(name: bytes) -> bytes:
    """A checked name in lower case, remembered."""
    lower = name.lower()
    if len(lowered) < _LOWERED_MOST and len(name) <= 64:
        lowered[name] = lower
    return lower


def _field(line: bytes) -> Field:
    name, colon, value = line.partition(b":")
    lower = lowered.get(name)
    if lower is None:
        if name[:1] in (b" ", b"\t"):
            raise bad("folded header line")
        if not colon or not TOKEN.fullmatch(name):
            raise bad("malformed header name")
        lower = lowercase(name)
    elif not colon:
        raise bad("malformed header name")
    value = value.strip(b" \t")
    if _VALUE_FORBIDDEN.search(value):
        raise bad("control character in a header value")
    return lower, value
