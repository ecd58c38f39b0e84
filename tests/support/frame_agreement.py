"""How far the compiled frame codec and `stickyd.ipc.frame` agree.

Used by `tests.unit.core.test_frame` and `tests.slow.fuzz_core`.
"""

import random
from importlib import import_module
from socket import AF_INET, AF_INET6, inet_pton
from typing import TYPE_CHECKING

from stickyd.ipc.frame import Frame, FrameError, Kind, decode
from stickyd.net.address import Address

if TYPE_CHECKING:
    from stickyd.core import _lane as lane
else:
    lane = import_module("stickyd.core._lane")

_V4 = ["0.0.0.0", "127.0.0.1", "203.0.113.7", "255.255.255.255"]
_V6 = [
    "::",
    "::1",
    "2001:db8::7",
    "fe80::1",
    "::1:ffff:0:1",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
]
_VALUES = [0, 1, 2, 3, 4, 10, 12, 35, 36, 37, 127, 128, 255]
_FIXED = len(Frame(Kind.PLACED, 0, None, None).encode())
_LAYOUT = (0, 1, _FIXED - 2, _FIXED - 1)
"""Where version, kind, family and length of the addresses stand."""


def any_frame(chance: random.Random) -> Frame:
    """A valid frame."""

    def end() -> Address:
        return chance.choice((*_V4, *_V6)), chance.choice((0, 1, 3000, 65535))

    peer, local = (None, None) if chance.random() < 0.2 else (end(), end())
    return Frame(
        # A WebSocket of another worker is left to Python.
        chance.choice([kind for kind in Kind if kind is not Kind.HANDED]),
        chance.getrandbits(64),
        peer,
        local,
        chance.getrandbits(8),
        chance.getrandbits(chance.choice((1, 32))),
        chance.getrandbits(32),
        chance.getrandbits(16),
        chance.randbytes(chance.choice((0, 0, 1, 40))),
        chance.getrandbits(32),
        chance.getrandbits(8),
        chance.getrandbits(32),
    )


def mutate(message: bytes, chance: random.Random) -> bytes:
    """What a hostile sender might put into an inbox."""
    data = bytearray(message)
    for _ in range(chance.choice((1, 1, 2, 3))):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(5):
            case 0:
                del data[at:]
            case 1:
                data[at:at] = chance.randbytes(chance.randint(1, 40))
            case 2:
                del data[at : at + chance.randint(1, 40)]
            case 3 if len(data) > max(_LAYOUT):
                data[chance.choice(_LAYOUT)] = chance.choice(_VALUES)
            case _ if at < len(data):
                data[at] ^= 1 << chance.randrange(8)
    return bytes(data)


def read_difference(message: bytes) -> str | None:
    """How the two read a message differently; None if they do not."""
    try:
        expected: Frame | None = decode(message)
        if expected is not None and (expected.kind is Kind.HANDED or expected.tls):
            expected = None
    except FrameError:
        expected = None
    got = lane.read_frame(message)
    if got == expected:
        return None
    return f"{message.hex()}: {got}; Python: {expected}"


def write_difference(frame: Frame) -> str | None:
    """How the two write a frame differently; None if they do not."""
    expected = frame.encode()
    got = lane.write_frame(
        frame.kind,
        frame.connection,
        _packed(frame.peer),
        _packed(frame.local),
        frame.listener,
        frame.head_left,
        frame.table,
        frame.hops,
        frame.entry,
        frame.source,
        frame.put_at,
    )
    if got + frame.unread == expected:
        return None
    return f"{frame}: {got.hex()}; Python: {expected.hex()}"


def _packed(end: Address | None) -> tuple[bytes, int] | None:
    if end is None:
        return None
    return inet_pton(AF_INET6 if ":" in end[0] else AF_INET, end[0]), end[1]
