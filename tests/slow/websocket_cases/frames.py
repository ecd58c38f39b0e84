"""Frames, as a client sends and reads them (RFC 6455, section 5)."""

import random
import struct
from collections.abc import Iterable, Iterator

import attrs

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
RSV1 = 4
"""Of three reserved bits, the first."""

_random = random.Random(6455)


class Breach(Exception):
    """What a server must not send."""


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0) -> bytes:
    """A masked frame (5.2, 5.3)."""
    size = len(payload)
    first = fin << 7 | rsv << 4 | opcode
    if size < 126:
        head = struct.pack("!BB", first, 0x80 | size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", first, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", first, 0x80 | 127, size)
    mask = _random.randbytes(4)
    return head + mask + masked(mask, payload)


def masked(mask: bytes, payload: bytes) -> bytes:
    """The payload with the mask put over it; over it twice is the payload."""
    size = len(payload)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")


def text(words: str | bytes) -> bytes:
    """A text message in one frame; bytes need not be UTF-8."""
    return frame(TEXT, words.encode() if isinstance(words, str) else words)


def close(code: int | None = 1000, reason: bytes = b"") -> bytes:
    """A Close frame; without a code it is empty (5.5.1)."""
    return frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason)


def fragments(opcode: int, parts: Iterable[bytes], rsv: int = 0) -> list[bytes]:
    """A message in several frames (5.4); ``rsv`` is for the first."""
    whole = list(parts)
    last = len(whole) - 1
    return [
        frame(opcode if n == 0 else CONT, part, fin=n == last, rsv=0 if n else rsv)
        for n, part in enumerate(whole)
    ]


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    """``data`` cut into pieces of ``size`` bytes, at least one."""
    for at in range(0, max(len(data), 1), size):
        yield data[at : at + size]


@attrs.frozen
class Frame:
    """What came from the server."""

    opcode: int
    payload: bytes
    fin: bool
    rsv: int


class FrameReader:
    """Cuts what comes into frames."""

    def __init__(self) -> None:
        self._held = bytearray()

    def add(self, data: bytes) -> None:
        self._held += data

    def frames(self) -> Iterator[Frame]:
        """Those that are whole.

        :raise Breach: if a frame is none that a server may send.
        """
        while (found := self._one()) is not None:
            yield found

    def _one(self) -> Frame | None:
        held = self._held
        if len(held) < 2:
            return None
        fin, rsv, opcode = held[0] >> 7 == 1, held[0] >> 4 & 7, held[0] & 15
        size, at = held[1] & 127, 2
        if held[1] & 128:
            raise Breach("a masked frame (5.1)")
        if opcode not in (CONT, TEXT, BINARY, CLOSE, PING, PONG):
            raise Breach(f"opcode {opcode} (5.2)")
        if opcode >= CLOSE and (size > 125 or not fin):
            raise Breach("a control frame that is long or fragmented (5.5)")
        if size >= 126:
            form, least = ("!H", 126) if size == 126 else ("!Q", 1 << 16)
            at += struct.calcsize(form)
            if len(held) < at:
                return None
            (size,) = struct.unpack_from(form, held, 2)
            if size < least:
                raise Breach("a length that is not the shortest (5.2)")
        if len(held) < at + size:
            return None
        payload = bytes(held[at : at + size])
        del held[: at + size]
        return Frame(opcode, payload, fin, rsv)
