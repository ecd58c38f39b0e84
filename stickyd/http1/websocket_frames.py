"""Where the frames of a WebSocket client end, and how long its messages get. Pure.

Only the lengths are read (RFC 6455, 5.2 and 5.4): payloads stay masked, and whether a frame is
valid is judged by the library that the app speaks through, which gets every byte.
"""

FRAMES_MOST = 16
"""Frames of one unit: fragments are fed some at a time, since each costs as much as a message."""

_HEAD_MOST = 14
"""Bytes of the longest frame header: 2, an extended length of 8, a masking key of 4."""

_CONTINUATION, _TEXT, _BINARY = range(3)


class MessageTooBig(Exception):
    """A message is longer than allowed; it is answered with close code 1009 (RFC 6455, 7.4.1)."""


class FrameMeter:
    """Cuts the bytes of one connection into units: a message, a control frame, or part of one.

    :param most: bytes of a message's payload, without masks and frame headers; None for no bound.
    """

    __slots__ = ("_ends", "_head", "_left", "_most", "_open", "_size")

    def __init__(self, most: int | None) -> None:
        self._most = most
        # Of a frame header: what has arrived, if that is not all.
        self._head = b""
        # Payload bytes of the current frame that have not arrived.
        self._left = 0
        # The current frame is the last of a message, or a control frame.
        self._ends = False
        # A message has begun whose last frame has not.
        self._open = False
        # Of the current message, in the frames whose headers have arrived.
        self._size = 0

    @property
    def between(self) -> bool:
        """Whether the units so far end with a message, or with a control frame behind one."""
        return not (self._left or self._head or self._open)

    def unit(self, data: bytes, at: int) -> int:
        """Where the unit that begins at ``at`` ends: at most at the end of ``data``.

        ``data`` is what the client sent, without gaps from one call to the next.

        :raise MessageTooBig: the frame header that is read next, or has been, says so.
        """
        frames = 0
        while at < len(data):
            if not self._left:
                header = self._head + data[at : at + _HEAD_MOST - len(self._head)]
                size = _header_size(header)
                if len(header) < size:
                    self._head = header
                    return len(data)
                at += size - len(self._head)
                self._head = b""
                self._begin(header[:size])
                frames += 1
            end = min(at + self._left, len(data))
            self._left -= end - at
            at = end
            if not self._left and (self._ends or frames >= FRAMES_MOST):
                break
        return at

    def _begin(self, header: bytes) -> None:
        """A frame begins."""
        opcode = header[0] & 15
        length = _payload_size(header)
        self._left = length
        last = header[0] >= 0x80
        self._ends = last or opcode > _BINARY
        if opcode > _BINARY:
            return
        self._open = not last
        size = length if opcode != _CONTINUATION else self._size + length
        self._size = 0 if last else size
        # A frame without a mask, or with a length of 64 bits, is an error of another kind.
        valid = header[1] & 0x80 and not length >> 63
        if self._most is not None and size > self._most and valid:
            raise MessageTooBig


def _header_size(header: bytes) -> int:
    """Bytes of the frame header that begins so; at least 2."""
    if len(header) < 2:
        return 2
    short = header[1] & 127
    return 2 + (8 if short == 127 else 2 if short == 126 else 0) + (4 if header[1] & 128 else 0)


def _payload_size(header: bytes) -> int:
    short = header[1] & 127
    if short < 126:
        return short
    return int.from_bytes(header[2 : 4 if short == 126 else 10], "big")
