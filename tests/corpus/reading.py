"""Cases of the corpus, and the readers put together as a worker puts them together.

`Reading` is a connection without sockets: bytes in, requests and refusals out,
the steps of `stickyd.worker.connection.channel` with everything but the readers left out.
"""

import hashlib
import random
from collections.abc import Iterator
from urllib.parse import quote_from_bytes

import attrs

from stickyd.http1.body_parser import ChunkedReader, LengthReader, body_reader
from stickyd.http1.error_response import Refusal
from stickyd.http1.head_parser import Head, origin_form, read_head
from stickyd.http1.limits import Limits
from tests.corpus.case import BODY_LIMIT
from tests.corpus.make_corpus import found

LIMITS = Limits(body=BODY_LIMIT)
END_OF_ANSWERS = {"open", "waits", "close"}


@attrs.frozen
class Case:
    """One request file: what is sent, the lines of its expectation, and its end."""

    name: str
    data: bytes
    answers: tuple[str, ...]
    end: str


def load() -> list[Case]:
    """Every case on the disk, in the order of their names."""
    content = found()
    cases = []
    for name in sorted(name for name in content if name.endswith(".http")):
        stem = name.removesuffix(".http")
        *answers, end = content[f"{stem}.expect"].decode().splitlines()
        assert end in END_OF_ANSWERS, name
        cases.append(Case(stem, content[name], tuple(answers), end))
    return cases


def difference(case: Case, answers: list[str], end: str) -> str | None:
    """What is not as expected, in a line; None if everything is.

    An answer tells all the fields that the app saw; the expectation names those that matter.
    """
    same = len(answers) == len(case.answers) and end == case.end
    if same and all(map(_meets, case.answers, answers)):
        return None
    return f"{case.name}: expected {[*case.answers, case.end]}, got {[*answers, end]}"


def _meets(expected: str, got: str) -> bool:
    words, seen = expected.split(" "), got.split(" ")
    if words[:5] != seen[:5]:
        return False
    names = {word.partition("=")[0] for word in seen[5:]}
    return all(
        word[1:] not in names if word.startswith("!") else word in seen[5:] for word in words[5:]
    )


# ---- ways to cut

MANY = 50


def lines(data: bytes) -> list[bytes]:
    """Cut behind each LF."""
    return [line + b"\n" for line in data.split(b"\n")[:-1]] + [data.rpartition(b"\n")[2]]


def at_random(data: bytes, ways: int, seed: str) -> Iterator[list[bytes]]:
    """Cut at up to six random places, in so many ways; the same for the same seed."""
    chance = random.Random(seed)
    for _ in range(ways):
        cuts = sorted(chance.randrange(len(data) + 1) for _ in range(chance.randint(1, 6)))
        yield cut(data, cuts)


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    """Cut at these places, which are in order; no piece is empty."""
    pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    return [piece for piece in pieces if piece]


# ---- a connection of the readers alone


@attrs.frozen
class Request:
    """A request that was read whole, with its body."""

    head: Head
    body: bytes

    def answer(self) -> str:
        """What the echo app would tell of it."""
        target, authority = origin_form(self.head)
        path = target.partition(b"?")[0]
        status = path[1:].decode() if path in (b"/204", b"/304") else "200"
        fields: dict[bytes, list[bytes]] = {}
        for name, value in self.head.fields:
            fields.setdefault(name, []).append(value)
        if authority is not None:
            fields[b"host"] = [authority]
        seen = [
            f"{name.decode()}={quote_from_bytes(b','.join(values), safe='')}"
            for name, values in fields.items()
        ]
        digest = hashlib.sha256(self.body).hexdigest()[:16]
        words = [status, self.head.method.decode(), target.decode(), str(len(self.body)), digest]
        return " ".join([*words, *seen])


class Reading:
    """The requests of one connection, and its refusal."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.requests: list[Request] = []
        self.heads: list[Head] = []
        self.refusal: Refusal | None = None
        self.closed = False
        self._limits = limits
        self._buffer = b""
        self._scanned = 0
        self._reader: LengthReader | ChunkedReader | None = None
        self._body: list[bytes] = []

    @property
    def unread(self) -> bytes | None:
        """What would travel with the connection if it moved now; None within a body."""
        return None if self._reader is not None else self._buffer

    def move(self) -> None:
        """As another worker that takes up what was read ahead."""
        assert self._reader is None, "a connection moves between two requests only"
        held, self._buffer, self._scanned = self._buffer, b"", 0
        self.feed(held)

    def feed(self, data: bytes) -> None:
        """The next bytes of the client."""
        if self.closed:
            return
        self._buffer += data
        while not self.closed and self._step():
            pass

    def _step(self) -> bool:
        if self._reader is None:
            head = read_head(self._buffer, self._limits, self._scanned)
            if head is None:
                self._scanned = len(self._buffer)
                return False
            if isinstance(head, Refusal):
                return self._refuse(head)
            self._buffer = self._buffer[head.size :]
            self._scanned = 0
            self.heads.append(head)
            reader = body_reader(head.length, self._limits)
            if isinstance(reader, Refusal):
                return self._refuse(reader)
            if not head.length:
                return self._served()
            self._reader = reader
        held, self._buffer = self._buffer, b""
        part = self._reader.read(held)
        if isinstance(part, Refusal):
            return self._refuse(part)
        self._body.append(part.data)
        if part.rest is None:
            return False
        self._buffer = part.rest
        self._reader = None
        return self._served()

    def _served(self) -> bool:
        request = Request(self.heads[-1], b"".join(self._body))
        self._body = []
        self.requests.append(request)
        self.closed = not request.head.keep_alive
        return True

    def _refuse(self, refusal: Refusal) -> bool:
        self.refusal = refusal
        self.closed = True
        return False

    # ---- in the words of the corpus

    def answers(self) -> list[str]:
        """The answers that the client gets."""
        refused = [str(self.refusal.status)] if self.refusal is not None else []
        return [request.answer() for request in self.requests] + refused

    def end(self) -> str:
        """What becomes of the connection."""
        if self.closed:
            return "close"
        # An empty line before a request counts for nothing (RFC 9112, 2.2).
        return "open" if self.unread in (b"", b"\r\n") else "waits"
