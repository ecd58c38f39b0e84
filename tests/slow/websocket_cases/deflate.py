"""Groups 12 and 13: permessage-deflate (RFC 7692)."""

import random
from collections.abc import Callable, Iterator, Sequence

from tests.slow.websocket_cases.agreed import Agreed
from tests.slow.websocket_cases.frames import (
    BINARY,
    CONT,
    PING,
    RSV1,
    TEXT,
    close,
    fragments,
    frame,
    pieces,
)
from tests.slow.websocket_cases.judging import Case, Judge, answers, fails
from tests.slow.websocket_cases.wire import Event, Said, Until

OFFER = "permessage-deflate"
OFFERS = (
    "; client_no_context_takeover",
    "; server_no_context_takeover",
    "; client_no_context_takeover; server_no_context_takeover",
    "; client_max_window_bits",
    "; client_max_window_bits=9",
    "; server_max_window_bits=9",
    "; server_max_window_bits=15; client_max_window_bits=15",
    "; server_max_window_bits=10; client_max_window_bits=10; server_no_context_takeover",
    "; server_max_window_bits=9, permessage-deflate; client_max_window_bits, permessage-deflate",
    "; unheard_of=1, permessage-deflate",
)
SIZES = (16, 64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 128 << 10)
COUNT = 50
_random = random.Random(7692)
_WORDS = [bytes(_random.choices(b"abcdefghijklmnopqrstuvwxyz ", k=n % 9 + 2)) for n in range(400)]


def words(size: int) -> bytes:
    """Text that compresses as text does."""
    return b" ".join(_random.choices(_WORDS, k=size // 3 + 1))[:size]


def cases() -> Iterator[Case]:
    kinds: tuple[tuple[str, int, str, Callable[[int], bytes]], ...] = (
        ("1", TEXT, "text of words", words),
        ("2", BINARY, "binary of noise", _random.randbytes),
        ("3", TEXT, "text of one letter", lambda size: b"*" * size),
    )
    for kind, opcode, what, make in kinds:
        for n, size in enumerate(SIZES, 1):
            messages = [make(size) for _ in range(COUNT if size <= 16384 else COUNT // 5)]
            yield _echo(
                f"12.{kind}.{n}", f"{len(messages)} times {what}, {size}", opcode, messages, OFFER
            )
    for n, offer in enumerate(OFFERS, 1):
        for m, size in enumerate((64, 4096, 65536), 1):
            messages = [words(size) for _ in range(COUNT // 5)]
            yield _echo(f"13.{n}.{m}", f"offer {offer[2:]}, {size}", TEXT, messages, OFFER + offer)
    yield from _frames()
    yield from _wrong()


def _echo(number: str, what: str, opcode: int, messages: Sequence[bytes], offer: str) -> Case:
    def say(agreed: Agreed) -> Said:
        for message in messages:
            yield _whole(agreed, opcode, message)
        yield Until(len(messages))
        yield close()

    name = "text" if opcode == TEXT else "binary"
    return Case(number, what, say, answers([(name, m) for m in messages]), offer=offer)


def _whole(agreed: Agreed, opcode: int, message: bytes) -> bytes:
    if not agreed.deflate:
        return frame(opcode, message)
    return frame(opcode, agreed.deflated(message), rsv=RSV1)


def _compressed(
    number: str, what: str, say: Callable[[Agreed], Said], expected: Sequence[Event]
) -> Case:
    def say_and_close(agreed: Agreed) -> Said:
        yield from say(agreed)
        yield Until(len(expected))
        yield close()

    return Case(number, what, say_and_close, answers(expected), offer=OFFER)


def _frames() -> Iterator[Case]:
    """How a compressed message may be framed (RFC 7692, 6.1 and 7.2.3)."""
    message = words(5000)
    heard = [("text", message)]

    def in_fragments(agreed: Agreed) -> Said:
        parts = pieces(agreed.deflated(message), 100)
        for one in fragments(TEXT, parts, rsv=RSV1):
            yield one + frame(PING, b"between") if one[0] & 0x4F == 0x41 else one

    yield _compressed(
        "13.11.1", "in fragments, a ping between", in_fragments, [("pong", b"between"), *heard]
    )

    def both(agreed: Agreed) -> Said:
        yield frame(TEXT, message) + _whole(agreed, TEXT, message) + frame(TEXT, message)

    yield _compressed("13.11.2", "compressed and not, in turn", both, heard * 3)

    def empty_end(agreed: Agreed) -> Said:
        yield from fragments(TEXT, [agreed.deflated(message), b""], rsv=RSV1)

    yield _compressed("13.11.3", "the last fragment empty", empty_end, heard)

    def empty(agreed: Agreed) -> Said:
        # RFC 7692, 7.2.3.6: an empty message is one byte of 0x00.
        yield frame(TEXT, b"\x00", rsv=RSV1)

    yield _compressed("13.11.4", "empty", empty, [("text", b"")])

    def stored(agreed: Agreed) -> Said:
        # RFC 7692, 7.2.3.3: a block without compression.
        yield frame(TEXT, bytes.fromhex("000500faff48656c6c6f00"), rsv=RSV1)

    yield _compressed("13.11.5", "a stored block", stored, [("text", b"Hello")])

    def final(agreed: Agreed) -> Said:
        # RFC 7692, 7.2.3.4: a block with BFINAL set.
        yield frame(TEXT, bytes.fromhex("f348cdc9c9070000"), rsv=RSV1)

    yield _compressed("13.11.6", "a block with BFINAL", final, [("text", b"Hello")])


def _wrong() -> Iterator[Case]:
    def wrong(number: str, what: str, said: Callable[[Agreed], Said], judge: Judge) -> Case:
        return Case(number, what, said, judge, offer=OFFER)

    def again(agreed: Agreed) -> Said:
        data = agreed.deflated(words(500))
        yield frame(TEXT, data[:50], fin=False, rsv=RSV1) + frame(CONT, data[50:], rsv=RSV1)

    yield wrong("13.12.1", "RSV1 in a continuation", again, fails((), (1002,)))

    def ping(agreed: Agreed) -> Said:
        yield frame(PING, b"x", rsv=RSV1)

    yield wrong("13.12.2", "RSV1 in a ping", ping, fails((), (1002,)))

    def noise(agreed: Agreed) -> Said:
        yield frame(BINARY, b"\xff" * 100, rsv=RSV1)

    yield wrong("13.12.3", "what cannot be inflated", noise, fails((), (1007, 1002)))

    def no_text(agreed: Agreed) -> Said:
        yield frame(TEXT, agreed.deflated(b"\xed\xa0\x80"), rsv=RSV1)

    yield wrong("13.12.4", "inflated, no UTF-8", no_text, fails((), (1007,)))

    def bomb(agreed: Agreed) -> Said:
        yield frame(BINARY, agreed.deflated(bytes(64 << 20)), rsv=RSV1)

    yield wrong("13.12.5", "64 MiB out of 64 KiB", bomb, fails((), (1009,)))

    def other_bit(agreed: Agreed) -> Said:
        yield frame(TEXT, b"x", rsv=2)

    yield wrong("13.12.6", "RSV2 beside the extension", other_bit, fails((), (1002,)))
