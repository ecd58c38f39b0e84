"""Mutates requests of the corpus: master and workers must read the same from the same bytes.

``python -m tests.slow.fuzz_heads --count 1000000 --seed 1``

Each input is read as the master does (one look at everything; and piece by
piece), and as workers do (the master's bytes in a frame and the rest in other
pieces, with moves between the requests). Number of requests, their heads and
bodies, and the verdict must be the same in every way, and nothing may raise.
Ends with status 1 at the first difference, and a shrunk input that shows it.
"""

import argparse
import multiprocessing
import random
import sys
import time
from collections import Counter
from collections.abc import Callable

from stickyd.http1.error_response import Refusal
from stickyd.http1.head_parser import Head, read_head
from stickyd.http1.limits import Limits
from tests.corpus.reading import Reading, cut, load

PROCESSES = 2
BLOCK = 500
LONGEST = 3000
DEFAULT = Limits(body=400)
# Bounds that mutated requests of the corpus do reach.
TIGHT = Limits(request_line=40, fields=4, field_size=40, head=120, body=20)

TOKENS = [
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\n\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b",",
    b";",
    b"_",
    b"0",
    b"5",
    b"f",
    b"GET",
    b"CONNECT",
    b"OPTIONS",
    b"*",
    b"/",
    b"http://b/",
    b" HTTP/1.1",
    b" HTTP/1.0",
    b" HTTP/2.0",
    b"Host: b",
    b"Content-Length: 5",
    b"Content-Length: 0",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: identity",
    b"Connection: close",
    b"Connection: keep-alive",
    b"Expect: 100-continue",
    b"X_Y: z",
    b"chunked",
    b"close",
    b"hello",
    b"0\r\n\r\n",
    b"5\r\nhello\r\n",
    b"0x",
    b"\xff",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
]

Outcome = tuple[object, ...]
Mutation = Callable[[bytes, random.Random, list[bytes]], bytes]


# ---- mutations


def _span(data: bytes, chance: random.Random, most: int = 12) -> tuple[int, int]:
    start = chance.randrange(len(data) + 1)
    return start, min(len(data), start + chance.randint(1, most))


def flip(data: bytes, chance: random.Random, _: list[bytes]) -> bytes:
    """Another bit."""
    if not data:
        return data
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]


def insert(data: bytes, chance: random.Random, _: list[bytes]) -> bytes:
    """A token where none was."""
    at = chance.randrange(len(data) + 1)
    return data[:at] + chance.choice(TOKENS) + data[at:]


def replace(data: bytes, chance: random.Random, _: list[bytes]) -> bytes:
    """A token in place of some bytes."""
    start, end = _span(data, chance)
    return data[:start] + chance.choice(TOKENS) + data[end:]


def delete(data: bytes, chance: random.Random, _: list[bytes]) -> bytes:
    """Some bytes less."""
    start, end = _span(data, chance)
    return data[:start] + data[end:]


def truncate(data: bytes, chance: random.Random, _: list[bytes]) -> bytes:
    """No end."""
    return data[: chance.randrange(len(data) + 1)]


def repeat_line(data: bytes, chance: random.Random, _: list[bytes]) -> bytes:
    """A line twice, or some lines less."""
    lines = data.split(b"\n")
    at = chance.randrange(len(lines))
    return b"\n".join(lines[:at] + [lines[at]] * chance.choice((0, 2, 2, 5)) + lines[at + 1 :])


def swap_lines(data: bytes, chance: random.Random, _: list[bytes]) -> bytes:
    """Two lines in each other's place."""
    lines = data.split(b"\n")
    one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return b"\n".join(lines)


def swap_words(data: bytes, chance: random.Random, _: list[bytes]) -> bytes:
    """Two words in each other's place."""
    words = data.split(b" ")
    one, other = chance.randrange(len(words)), chance.randrange(len(words))
    words[one], words[other] = words[other], words[one]
    return b" ".join(words)


def line_endings(data: bytes, chance: random.Random, _: list[bytes]) -> bytes:
    """Another line ending at one place, or everywhere."""
    old, new = chance.choice(
        ((b"\r\n", b"\n"), (b"\n", b"\r\n"), (b"\r\n", b"\r"), (b"\r\n", b"\r\r\n"))
    )
    if chance.random() < 0.3:
        return data.replace(old, new)
    parts = data.split(old)
    at = chance.randrange(len(parts))
    return old.join(parts[:at]) + new + old.join(parts[at:])


def splice(data: bytes, chance: random.Random, corpus: list[bytes]) -> bytes:
    """The beginning of this and the end of another."""
    other = chance.choice(corpus)
    return data[: chance.randrange(len(data) + 1)] + other[chance.randrange(len(other) + 1) :]


def follow(data: bytes, chance: random.Random, corpus: list[bytes]) -> bytes:
    """Another behind this."""
    return data + chance.choice(corpus)


MUTATIONS: list[Mutation] = [
    flip,
    insert,
    insert,
    replace,
    delete,
    truncate,
    repeat_line,
    swap_lines,
    swap_words,
    line_endings,
    splice,
    follow,
]


def mutate(corpus: list[bytes], chance: random.Random) -> bytes:
    """A request of the corpus, changed up to four times."""
    data = chance.choice(corpus)
    for _ in range(chance.choice((1, 1, 1, 2, 2, 4))):
        data = chance.choice(MUTATIONS)(data, chance, corpus)
    return data[:LONGEST]


# ---- readings of one input


def by_master(pieces: list[bytes], limits: Limits) -> tuple[Head | Refusal | None, bytes, bytes]:
    """The master's verdict, what it has consumed, and what is left in the socket.

    As `stickyd.master.frontend.listener.Arrival`: one look that consumes nothing; after
    that, if the head is not whole, never more bytes than a head may have.
    """
    unread = b""
    waiting = list(pieces)
    while waiting:
        room = limits.head + 1 - len(unread)
        data = waiting[0][:room]
        verdict = read_head(unread + data, limits, len(unread))
        if isinstance(verdict, Head) and not unread:
            break
        unread += data
        waiting[0] = waiting[0][room:]
        if not waiting[0]:
            waiting.pop(0)
        if verdict is not None:
            break
    else:
        verdict = None
    return verdict, unread, b"".join(waiting)


def by_worker(pieces: list[bytes], limits: Limits, moves: bool = False) -> Reading:
    """A worker's reading; if it moves, another worker takes over wherever one may."""
    reading = Reading(limits)
    for piece in pieces:
        reading.feed(piece)
        if moves and not reading.closed and reading.unread:
            reading.move()
    return reading


def outcome(reading: Reading) -> Outcome:
    """Everything that must not depend on the way the bytes came."""
    heads = tuple((head.method, head.target, head.fields, head) for head in reading.heads)
    bodies = tuple(request.body for request in reading.requests)
    status = reading.refusal.status if reading.refusal is not None else None
    return heads, bodies, status, reading.end()


def disagreement(data: bytes, limits: Limits, one: list[int], other: list[int]) -> str | None:
    """How two readings differ; None if all agree."""
    whole = by_worker([data], limits)
    wanted = outcome(whole)
    for way, moves in ((one, False), (other, True)):
        got = outcome(by_worker(cut(data, way), limits, moves))
        if got != wanted:
            return f"worker, cut at {way}: {got}; whole: {wanted}"
    for way, then in (([], other), (one, other), (other, one)):
        found = _master_differs(cut(data, way), then, limits, whole, wanted)
        if found is not None:
            return f"master, cut at {way}: {found}"
    return None


def _master_differs(
    pieces: list[bytes], then: list[int], limits: Limits, whole: Reading, wanted: Outcome
) -> str | None:
    verdict, unread, rest = by_master(pieces, limits)
    first = whole.heads[0] if whole.heads else None
    if verdict is None:
        return f"waits; worker: {wanted}" if first is not None or whole.refusal else None
    if isinstance(verdict, Refusal):
        status = whole.refusal.status if whole.refusal is not None else None
        same = first is None and status == verdict.status
        return None if same else f"{verdict}; worker: {wanted}"
    if verdict != first:
        return f"{verdict}; worker: {wanted}"
    # The frame's bytes come first and in one piece; the rest comes as it likes.
    places = sorted({min(place, len(rest)) for place in then})
    taken = outcome(by_worker([piece for piece in (unread, *cut(rest, places)) if piece], limits))
    return None if taken == wanted else f"taken up as {taken}; worker: {wanted}"


def fault(data: bytes, limits: Limits, one: list[int], other: list[int]) -> str | None:
    """As `disagreement`; an exception is one too."""
    try:
        return disagreement(data, limits, one, other)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


# ---- shrinking


def shrink(data: bytes, limits: Limits, one: list[int], other: list[int]) -> bytes:
    """The input with everything left out that the fault does not need."""

    def still(candidate: bytes) -> bool:
        every = list(range(len(candidate) + 1))
        ways = [
            ([p for p in one if p <= len(candidate)], [p for p in other if p <= len(candidate)])
        ]
        ways += [(every, every), *(([place], [place]) for place in every)]
        return any(fault(candidate, limits, *way) for way in ways)

    size = len(data) // 2
    while size:
        at = 0
        while at < len(data):
            candidate = data[:at] + data[at + size :]
            if candidate and still(candidate):
                data = candidate
            else:
                at += size
        size //= 2
    return data


# ---- the run

_corpus: list[bytes] = []


def block(arguments: tuple[int, int, int]) -> tuple[Counter[str], str | None]:
    """Check the inputs of one block; how often each verdict came, and the first fault."""
    seed, number, count = arguments
    if not _corpus:
        # Most changes spoil a request, so most begin with a sound one.
        for case in load():
            if len(case.data) <= LONGEST // 2:
                _corpus.extend([case.data] * (1 if case.end == "close" else 5))
    chance = random.Random(f"{seed}:{number}")
    verdicts: Counter[str] = Counter()
    for turn in range(count):
        data = mutate(_corpus, chance)
        limits = TIGHT if chance.random() < 0.3 else DEFAULT
        one, other = (
            sorted(chance.randrange(len(data) + 1) for _ in range(chance.randint(1, 5)))
            for _ in range(2)
        )
        found = fault(data, limits, one, other)
        if found is not None:
            small = shrink(data, limits, one, other)
            return verdicts, (
                f"input {number * BLOCK + turn} of seed {seed}, {limits}\n{data!r}\n"
                f"cut at {one} and at {other}\n{found}\nshrunk:\n{small!r}"
            )
        reading = by_worker([data], limits)
        refused = reading.refusal
        verdicts[str(refused.status) if refused is not None else reading.end()] += 1
        verdicts["requests"] += len(reading.requests)
    return verdicts, None


def main() -> int:
    """Run from the command line; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    started = time.monotonic()
    blocks = [
        (options.seed, number, min(BLOCK, options.count - number * BLOCK))
        for number in range(-(-options.count // BLOCK))
    ]
    verdicts: Counter[str] = Counter()
    # A fork would take the state of the parent's threads along.
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        for seen, found in pool.imap(block, blocks, chunksize=4):
            verdicts += seen
            if found is not None:
                print(f"DIFFERENCE: {found}")
                return 1
    seconds = time.monotonic() - started
    tally = ", ".join(f"{name} {number}" for name, number in sorted(verdicts.items()))
    print(
        f"{options.count} inputs of seed {options.seed} in {seconds:.0f} s, no difference: {tally}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
