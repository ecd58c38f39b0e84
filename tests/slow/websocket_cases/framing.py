"""Groups 1 to 5 and 10: framing, pings, reserved bits, opcodes, fragmentation."""

from collections.abc import Iterator, Sequence

from tests.slow.websocket_cases.frames import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    close,
    fragments,
    frame,
    pieces,
    text,
)
from tests.slow.websocket_cases.judging import Case, answered, failed
from tests.slow.websocket_cases.wire import Event, Until

HELLO: Event = ("text", b"Hello, world!")
BYTES = bytes([0x00, 0xFF, 0xFE, 0xFD, 0xFC, 0xFB, 0x00, 0xFF])


def cases() -> Iterator[Case]:
    yield from _framing()
    yield from _pings()
    yield from _reserved_bits()
    yield from _opcodes()
    yield from _fragments()
    yield from _order_of_fragments()
    yield from _fragments_and_pings()
    message = b"*" * 65536
    yield answered(
        "10.1.1",
        "64 KiB in frames of 1300 bytes",
        fragments(TEXT, pieces(message, 1300)),
        [("text", message)],
    )


def _framing() -> Iterator[Case]:
    sizes = [(0, 0), (125, 0), (126, 0), (127, 0), (128, 0), (65535, 0), (65536, 0), (65536, 997)]
    for group, opcode, kind, byte in ((1, TEXT, "text", b"*"), (2, BINARY, "binary", b"\xfe")):
        for n, (size, chop) in enumerate(sizes, 1):
            data = byte * size
            what = f"{kind} of {size} bytes" + f" in writes of {chop}" * bool(chop)
            yield answered(f"1.{group}.{n}", what, [frame(opcode, data)], [(kind, data)], chop)


def _pings() -> Iterator[Case]:
    big = b"\xfe" * 125
    for n, (payload, chop) in enumerate(
        ((b"", 0), (HELLO[1], 0), (BYTES, 0), (big, 0)),
        1,
    ):
        what = f"ping with {len(payload)} bytes"
        yield answered(f"2.{n}", what, [frame(PING, payload)], [("pong", payload)], chop)
    # A control frame of more than 125 bytes (5.5).
    yield failed("2.5", "ping with 126 bytes", [frame(PING, big + b"\xfe")])
    yield answered("2.6", "ping byte by byte", [frame(PING, big)], [("pong", big)], 1)
    yield answered("2.7", "pong nobody asked for, empty", [frame(PONG)], [])
    yield answered("2.8", "pong nobody asked for", [frame(PONG, b"unasked")], [])
    said = [frame(PONG, b"unasked"), frame(PING, b"asked")]
    yield answered("2.9", "pong nobody asked for, then a ping", said, [("pong", b"asked")])
    ten = [b"payload-%d" % n for n in range(10)]
    pongs = [("pong", payload) for payload in ten]
    for number, chop in (("2.10", 0), ("2.11", 1)):
        said = [b"".join(frame(PING, payload) for payload in ten)]
        yield answered(number, f"ten pings{' byte by byte' * chop}", said, pongs, chop)


def _reserved_bits() -> Iterator[Case]:
    words = HELLO[1]
    yield failed("3.1", "RSV 1 in a text", [frame(TEXT, words, rsv=1)])
    said = [text(words), frame(TEXT, words, rsv=2), frame(PING)]
    yield failed("3.2", "a text, then RSV 2, then a ping", [b"".join(said)], [HELLO])
    said = [text(words), frame(TEXT, words, rsv=3), frame(PING)]
    yield failed("3.3", "the same with RSV 3, frame by frame", said, [HELLO])
    said = [text(words), frame(TEXT, words, rsv=4), frame(PING)]
    yield failed("3.4", "the same with RSV 4, byte by byte", said, [HELLO], chop=1)
    yield failed("3.5", "RSV 5 in a binary", [frame(BINARY, BYTES, rsv=5)])
    yield failed("3.6", "RSV 6 in a ping", [frame(PING, words, rsv=6)])
    yield failed("3.7", "RSV 7 in a Close frame", [frame(CLOSE, close()[-2:], rsv=7)])


def _opcodes() -> Iterator[Case]:
    words = HELLO[1]
    for kind, first in ((1, 3), (2, 11)):
        number = f"4.{kind}."
        what = f"opcode {first}"
        yield failed(number + "1", what, [frame(first)])
        what = f"opcode {first + 1} with payload"
        yield failed(number + "2", what, [frame(first + 1, b"reserved")])
        for n, (payload, chop) in enumerate(((b"", 0), (words, 0), (words, 1)), 3):
            opcode = first + n - 1
            said = [b"".join([text(words), frame(opcode, payload), frame(PING)])]
            what = f"a text, then opcode {opcode}, then a ping{', byte by byte' * chop}"
            yield failed(f"{number}{n}", what, said, [HELLO], chop=chop)


def _three_ways(
    first: int, what: str, said: Sequence[bytes], expected: Sequence[Event]
) -> Iterator[Case]:
    """At once, frame by frame, byte by byte."""
    yield answered(f"5.{first}", what, [b"".join(said)], expected)
    yield answered(f"5.{first + 1}", f"{what}, frame by frame", said, expected)
    yield answered(f"5.{first + 2}", f"{what}, byte by byte", said, expected, 1)


def _fragments() -> Iterator[Case]:
    for n, opcode in ((1, PING), (2, PONG)):
        said = fragments(opcode, [b"frag", b"ment"])
        yield failed(f"5.{n}", f"a fragmented control frame ({opcode})", said)
    one, two = fragments(TEXT, [b"Hello, ", b"world!"])
    yield from _three_ways(3, "a text in two fragments", [one, two], [HELLO])
    pinged = [one, frame(PING, b"between"), two]
    expected = [("pong", b"between"), HELLO]
    yield from _three_ways(6, "a ping between two fragments", pinged, expected)


def _order_of_fragments() -> Iterator[Case]:
    lone, words = b"nothing goes on", HELLO[1]
    for first, fin in ((9, True), (12, False)):
        what = f"a continuation of nothing, FIN {int(fin)}, then a text"
        said = [frame(CONT, lone, fin=fin), text(words)]
        yield failed(f"5.{first}", what, [b"".join(said)])
        yield failed(f"5.{first + 1}", f"{what}, frame by frame", said)
        yield failed(f"5.{first + 2}", f"{what}, byte by byte", said, chop=1)
    whole = fragments(TEXT, [b"Hello, ", b"world!"])
    said = [b"".join([*whole, frame(CONT, lone, fin=False), text(words)])]
    yield failed("5.15", "a text in fragments, a continuation of nothing, a text", said, [HELLO])
    for number, fin in (("5.16", False), ("5.17", True)):
        said = [frame(CONT, lone, fin=fin), *whole] * 2
        what = f"twice: a continuation of nothing, FIN {int(fin)}, a text in fragments"
        yield failed(number, what, said)
    said = [frame(TEXT, b"Hello, ", fin=False), text(b"world!")]
    yield failed("5.18", "a text within a fragmented text", said)


def _fragments_and_pings() -> Iterator[Case]:
    parts = [b"fragment%d" % n for n in range(1, 6)]
    whole = ("text", b"".join(parts))
    frames = fragments(TEXT, parts)
    first, second = frame(PING, b"ping 1"), frame(PING, b"ping 2")
    expected = [("pong", b"ping 1"), ("pong", b"ping 2"), whole]
    for number, by_frame in (("5.19", False), ("5.20", True)):
        before = [frames[0], frames[1], first]
        behind = [frames[2], frames[3], second, frames[4]]
        if not by_frame:
            before, behind = [b"".join(before)], [b"".join(behind)]
        # The server has come to the first ping before it is sent the rest.
        said = [*before, Until(1), *behind]
        what = f"five fragments, pings between{', frame by frame' * by_frame}"
        yield answered(number, what, said, expected)
