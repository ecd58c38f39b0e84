"""Group 9: large messages, many messages; smaller than elsewhere, to take seconds."""

from collections.abc import Callable, Iterator
from functools import partial

from tests.slow.websocket_cases.agreed import Agreed
from tests.slow.websocket_cases.frames import BINARY, TEXT, close, fragments, frame, pieces
from tests.slow.websocket_cases.judging import Case, answers
from tests.slow.websocket_cases.wire import Event, Said, Until

KIBI, MEBI = 1 << 10, 1 << 20
KINDS = ((1, TEXT, "text", b"*"), (2, BINARY, "binary", b"\xfe"))
SIZES = (64 * KIBI, 256 * KIBI, MEBI, 4 * MEBI, 8 * MEBI, 15 * MEBI)
FRAGMENTS = (64, 256, KIBI, 4 * KIBI, 16 * KIBI, 64 * KIBI, 256 * KIBI, MEBI)
WRITES = (64, 128, 256, 512, KIBI, 2 * KIBI)
MESSAGES = (0, 16, 64, 256, KIBI, 4 * KIBI)
COUNT = 1000


def cases() -> Iterator[Case]:
    for kind, opcode, name, byte in KINDS:
        for n, size in enumerate(SIZES, 1):
            one = partial(frame, opcode, byte * size)
            expected = [(name, byte * size)]
            yield _case(f"9.{kind}.{n}", f"{name} of {size // KIBI} KiB", one, expected)
    for kind, opcode, name, byte in KINDS:
        for n, size in enumerate(FRAGMENTS, 1):
            many = partial(_in_fragments, opcode, byte * MEBI, size)
            what = f"{name} of 1 MiB in fragments of {size}"
            yield _case(f"9.{kind + 2}.{n}", what, many, [(name, byte * MEBI)])
    for kind, opcode, name, byte in KINDS:
        for n, size in enumerate(WRITES, 1):
            one = partial(frame, opcode, byte * MEBI)
            what = f"{name} of 1 MiB in writes of {size}"
            yield _case(f"9.{kind + 4}.{n}", what, one, [(name, byte * MEBI)], size)
    for kind, opcode, name, byte in KINDS:
        for n, size in enumerate(MESSAGES, 1):
            many = partial(_many, opcode, byte * size)
            what = f"{COUNT} times {name} of {size} bytes"
            yield _case(f"9.{kind + 6}.{n}", what, many, [(name, byte * size)] * COUNT)


def _in_fragments(opcode: int, data: bytes, size: int) -> bytes:
    return b"".join(fragments(opcode, pieces(data, size)))


def _many(opcode: int, data: bytes) -> bytes:
    return b"".join(frame(opcode, data) for _ in range(COUNT))


def _case(
    number: str, what: str, make: Callable[[], bytes], expected: list[Event], chop: int = 0
) -> Case:
    """Made when it is said: all of them at once are a lot."""

    def say(_: Agreed) -> Said:
        return [make(), Until(len(expected)), close()]

    return Case(number, what, say, answers(expected), chop)
