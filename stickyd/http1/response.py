"""What the head of a response may say, for apps of every kind (RFC 9110, RFC 9112).

A response that one client could read otherwise than another is not sent: `response_head` raises
`BadResponse`. What only repeats how the message is framed is put right, since framing is the
server's: Content-Length where there is no content, Transfer-Encoding to a client of HTTP/1.0.
"""

import re
from collections.abc import Iterable, Sequence

from stickyd.http1.head_parser import Head
from stickyd.http1.memo import Memo
from stickyd.http1.token import TCHAR_BYTES, TOKEN

Fields = Iterable[tuple[bytes, Sequence[bytes]]]
"""Names, each with the values of its lines."""

NO_CONTENT = -1
"""In the place of a length: the response ends with its head, whatever else it says."""

_FINAL = re.compile(rb"[2-5][0-9][0-9]|101")
_WITHOUT_CONTENT = frozenset({b"101", b"204", b"205", b"304"})
# What reason phrases and values are made of: no control character but the tab.
_TEXT = rb"[\t\x20-\x7e\x80-\xff]*"
_IS_TEXT = re.compile(_TEXT)
_LENGTH = re.compile(rb"[0-9]{1,18}")

# What a field is to us.
_PLAIN, _CONTENT_LENGTH, _TRANSFER_ENCODING, _CONNECTION, _UPGRADE = range(5)
_OURS = {
    b"content-length": _CONTENT_LENGTH,
    b"transfer-encoding": _TRANSFER_ENCODING,
    b"connection": _CONNECTION,
    b"upgrade": _UPGRADE,
}

_REMEMBERED_MOST = 1024
_REMEMBERED_LONGEST = 128
# What has been judged: apps say the same again and again.
_kinds: Memo[bytes, int] = Memo(_REMEMBERED_MOST)
_lines: Memo[tuple[bytes, bytes], bytes] = Memo(_REMEMBERED_MOST)
_status_lines: Memo[tuple[bytes, bytes, bytes], bytes] = Memo(_REMEMBERED_MOST)
_lengths: Memo[bytes, tuple[int, bytes]] = Memo(_REMEMBERED_MOST)
_plain_heads: Memo[bytes, None] = Memo(_REMEMBERED_MOST)
_PLAIN_LONGEST = 512


class BadResponse(ValueError):
    """A response of an app breaks HTTP; the text says where."""

    def __init__(self, why: str) -> None:
        super().__init__(f"the response breaks HTTP: {why}")
        self.why = why


def response_head(
    asked: Head,
    version: bytes,
    code: bytes,
    reason: bytes,
    fields: Fields,
    last: bool,
    extra: bytes = b"",
) -> tuple[bytes, int | None, bool]:
    """The head of a final response as it goes to the client.

    :param asked: the head of the request.
    :param version: as in the status line.
    :param code: the status, in digits.
    :param last: no request may follow on the connection.
    :param extra: a line that is added.
    :return: the bytes; those of the content that may follow (None: as many as come, by chunks or
        to the end of the connection; or `NO_CONTENT`); whether the connection has to end.
    :raise BadResponse: for whatever could be read in two ways, or breaks the grammar.
    """
    lines = [_status_lines.get((version, code, reason)) or _status_line(version, code, reason)]
    known = _lines.get
    length: int | None = None
    length_line = b""
    coded = upgraded = False
    options = b""
    for name, values in fields:
        for value in values:
            line = known((name, value))
            if line is not None:
                lines.append(line)
                continue
            kind = _kinds.get(name)
            if kind is None:
                kind = _kind(name)
            if kind == _CONTENT_LENGTH:
                if length is not None:
                    raise BadResponse("more than one Content-Length")
                length, length_line = _lengths.get(value) or _length(value)
            elif kind == _TRANSFER_ENCODING:
                if coded or value.strip(b" \t").lower() != b"chunked":
                    raise BadResponse(f"a transfer coding other than chunked: {value!r}")
                coded = True
            elif kind == _CONNECTION:
                options += b"," + value.lower()
            else:
                upgraded = upgraded or kind == _UPGRADE
                lines.append(_line(name, value, kind))
    if coded and length is not None:
        raise BadResponse("both Content-Length and Transfer-Encoding")
    if options and _has(b"close", options):
        last = True
    content: int | None = None
    end = b"\r\n"
    if code in _WITHOUT_CONTENT:
        content = NO_CONTENT
        if code == b"205":
            lines.append(b"Content-Length: 0\r\n")
    elif length is not None:
        lines.append(length_line)
        content = NO_CONTENT if asked.method == b"HEAD" else length
    elif asked.method == b"HEAD":
        content = NO_CONTENT
    elif coded and asked.minor:
        # To HTTP/1.1 only (RFC 9112, 6.1).
        end = b"Transfer-Encoding: chunked\r\n\r\n"
    else:
        # Only the end of the connection can end this response (RFC 9112, 6.3).
        last = True
    if extra:
        lines.append(extra)
    if code == b"101":
        if not (asked.wants_upgrade and upgraded and _has(b"upgrade", options)):
            raise BadResponse("101 without Upgrade, or to a client that has not asked for it")
        lines.append(b"Connection: Upgrade\r\n")
        last = True
    elif last:
        lines.append(b"Connection: close\r\n")
    elif asked.connection and b"keep-alive" in asked.connection:
        lines.append(b"Connection: keep-alive\r\n")
    lines.append(end)
    return b"".join(lines), content, last


def check_field(name: bytes, value: bytes) -> None:
    """See that a field is one (RFC 9110, 5.1 and 5.5), where its line is somebody else's to write.

    :raise BadResponse: if the name is no token, or the value holds a control character.
    """
    _line(name, value, _kind(name))


def _line(name: bytes, value: bytes, kind: int) -> bytes:
    if not _IS_TEXT.fullmatch(value):
        raise BadResponse(f"control character in the value of {name!r}")
    line = b"%b: %b\r\n" % (name, value)
    if len(line) <= _REMEMBERED_LONGEST and kind == _PLAIN:
        _lines.remember((name, value), line)
    return line


def _kind(name: bytes) -> int:
    if not TOKEN.fullmatch(name):
        raise BadResponse(f"{name!r} is not the name of a field")
    kind = _OURS.get(name.lower(), _PLAIN)
    if len(name) <= _REMEMBERED_LONGEST:
        _kinds.remember(name, kind)
    return kind


def _status_line(version: bytes, code: bytes, reason: bytes) -> bytes:
    """The first line (RFC 9112, 4); 1xx but 101 are no final responses (RFC 9110, 15.2)."""
    if not _FINAL.fullmatch(code):
        raise BadResponse(f"{code.decode('ascii', 'replace')} is not the status of a response")
    if not isinstance(reason, bytes) or not _IS_TEXT.fullmatch(reason):
        raise BadResponse(f"{reason!r} is not a reason phrase")
    line = b"%b %b %b\r\n" % (version, code, reason)
    if len(line) <= _REMEMBERED_LONGEST:
        _status_lines.remember((version, code, reason), line)
    return line


def _has(option: bytes, options: bytes) -> bool:
    return option in map(bytes.strip, options.split(b","))


def _length(value: bytes) -> tuple[int, bytes]:
    """A Content-Length (RFC 9110, 8.6): bytes, and its line."""
    digits = value.strip(b" \t")
    if not _LENGTH.fullmatch(digits):
        raise BadResponse(f"{value!r} is not a Content-Length")
    length = int(digits)
    read = length, b"Content-Length: %d\r\n" % length
    if len(value) <= _REMEMBERED_LONGEST:
        _lengths.remember(value, read)
    return read


# ---- heads that are written already

_LINE = rb"(?!(?i:content-length|transfer-encoding):)[" + TCHAR_BYTES + rb"]+: " + _TEXT + rb"\r\n"
_PLAIN_HEAD = re.compile(
    rb"HTTP/1\.1 (?!204|205|304)[2-5][0-9][0-9] " + _TEXT + rb"\r\n(?:" + _LINE + rb")*"
    rb"(?:content-length: [0-9]{1,18}|transfer-encoding: chunked)\r\n(?:" + _LINE + rb")*\r\n"
)


def rewritten(
    asked: Head, data: bytes, last: bool, extra: bytes = b""
) -> tuple[bytes, int | None, bool]:
    """As `response_head`, for a head that another library has written, and what follows it.

    That library has seen to it that no name and no value ends its line: it cannot be told here.
    """
    if asked.minor and (data in _plain_heads or _is_plain(data)):
        # A short way to the same verdict, for what most responses look like.
        return data.replace(b"\r\n", b"\r\n" + extra, 1) if extra else data, None, last
    head, _, content = data.partition(b"\r\n\r\n")
    first = head.partition(b"\r\n")[0]
    version, code, reason = (*first.split(b" ", 2), b"", b"")[:3]
    fields = fields_of(data)
    head, left, last = response_head(asked, version, code, reason, fields, last, extra)
    return head if left == NO_CONTENT else head + content, left, last


def fields_of(data: bytes) -> list[tuple[bytes, list[bytes]]]:
    """The fields of a head that another library has written, and what follows it."""
    fields = []
    for line in data.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        fields.append((name, [value.strip(b" \t")]))
    return fields


def _is_plain(head: bytes) -> bool:
    if _PLAIN_HEAD.fullmatch(head) is None:
        return False
    if len(head) <= _PLAIN_LONGEST:
        _plain_heads.remember(head, None)
    return True
