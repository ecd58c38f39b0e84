"""Request bodies: by length, or chunked (RFC 9112, 6 and 7.1).

A reader accepts bytes and returns those that are body; it keeps its state
between calls. Chunk framing is CRLF only.
"""

import re

import attrs

from stickyd.http1.error_response import Refusal
from stickyd.http1.head_parser import CHUNKED
from stickyd.http1.limits import Limits
from stickyd.http1.token import TCHAR_BYTES

_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})((?:;[\x21-\x7e\x80-\xff\t ]*)?)")
_TRAILER_LINE = re.compile(rb"[" + TCHAR_BYTES + rb"]+:[\t\x20-\x7e\x80-\xff]*")
_SIZE_LINE_MOST = 1024
_SIZE_LINE_TOO_LONG = Refusal(400, "chunk size line too long")
_TRAILER_TOO_LONG = Refusal(431, "trailer too long")
_TRAILER_MOST = 8192


@attrs.frozen
class BodyPart:
    """What one call of a reader found.

    ``data`` is decoded body; ``rest`` is the bytes after the body, None until the
    body has ended.
    """

    data: bytes
    rest: bytes | None


class LengthReader:
    """A body of a known number of bytes."""

    def __init__(self, length: int) -> None:
        self._left = length

    def read(self, data: bytes) -> BodyPart | Refusal:
        """Take the next bytes of the connection."""
        if len(data) < self._left:
            self._left -= len(data)
            return BodyPart(data, None)
        body, rest = data[: self._left], data[self._left :]
        self._left = 0
        return BodyPart(body, rest)


class ChunkedReader:
    """A chunked body; trailer fields are checked and dropped.

    :param most: bytes of body before it is refused with 413, 0 for no bound.
    """

    def __init__(self, most: int = 0) -> None:
        self._most = most
        self._total = 0
        self._left = 0
        self._held = b""
        self._step = self._size_line
        self._trailers = 0

    def read(self, data: bytes) -> BodyPart | Refusal:
        """Take the next bytes of the connection."""
        self._held += data
        parts: list[bytes] = []
        while True:
            part = self._step()
            if part is None:
                return BodyPart(b"".join(parts), None)
            if isinstance(part, Refusal):
                return part
            parts.append(part)
            if self._step == self._ended:
                rest, self._held = self._held, b""
                return BodyPart(b"".join(parts), rest)

    # Each step returns the body bytes it found, None to wait for more bytes,
    # or a refusal; and says which step comes next.

    def _line(self, most: int, too_long: Refusal) -> bytes | Refusal | None:
        """The next line without its CRLF; the line is taken off what is held."""
        at = self._held.find(b"\n")
        length = at - 1 if at >= 0 else len(self._held) - self._held.endswith(b"\r")
        if length > most:
            return too_long
        if at < 0:
            return None
        if self._held[at - 1 : at] != b"\r":
            return Refusal(400, "chunk framing line without CRLF")
        line, self._held = self._held[: at - 1], self._held[at + 1 :]
        return line

    def _size_line(self) -> bytes | Refusal | None:
        line = self._line(_SIZE_LINE_MOST, _SIZE_LINE_TOO_LONG)
        if line is None or isinstance(line, Refusal):
            return line
        match = _SIZE_LINE.fullmatch(line)
        if match is None:
            return Refusal(400, "malformed chunk size")
        self._left = int(match[1], 16)
        self._total += self._left
        if self._most and self._total > self._most:
            return Refusal(413, "request body too large")
        self._step = self._data if self._left else self._trailer
        return b""

    def _data(self) -> bytes | None:
        if not self._held:
            return None
        part, self._held = self._held[: self._left], self._held[self._left :]
        self._left -= len(part)
        if not self._left:
            self._step = self._after_data
        return part

    def _after_data(self) -> bytes | Refusal | None:
        if not b"\r\n".startswith(self._held[:2]):
            return Refusal(400, "chunk longer than its size")
        if len(self._held) < 2:
            return None
        self._held = self._held[2:]
        self._step = self._size_line
        return b""

    def _trailer(self) -> bytes | Refusal | None:
        line = self._line(_TRAILER_MOST, _TRAILER_TOO_LONG)
        if line is None or isinstance(line, Refusal):
            return line
        if not line:
            self._step = self._ended
            return b""
        self._trailers += len(line) + 2
        if self._trailers > _TRAILER_MOST:
            return _TRAILER_TOO_LONG
        if not _TRAILER_LINE.fullmatch(line):
            return Refusal(400, "malformed trailer field")
        return b""

    def _ended(self) -> None:
        """The body has ended."""


def body_reader(length: int, limits: Limits) -> LengthReader | ChunkedReader | Refusal:
    """A reader for the body whose head said ``length`` (bytes, or `CHUNKED`)."""
    if length == CHUNKED:
        return ChunkedReader(limits.body)
    if limits.body and length > limits.body:
        return Refusal(413, "request body too large")
    return LengthReader(length)
