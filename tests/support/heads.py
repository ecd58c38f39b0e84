"""Request heads for tests: built, and read as they arrive."""

from collections.abc import Iterable

from stickyd.http1.error_response import Refusal
from stickyd.http1.head_parser import Head, read_head
from stickyd.http1.limits import Limits

LIMITS = Limits()

Verdict = Head | Refusal | None


def arriving(data: bytes, ends: Iterable[int], limits: Limits = LIMITS) -> Verdict:
    """The first verdict while ``data`` arrives in pieces that end at ``ends``."""
    scanned = 0
    for end in ends:
        verdict = read_head(data[:end], limits, scanned)
        if verdict is not None:
            return verdict
        scanned = end
    return None


def byte_by_byte(data: bytes, limits: Limits = LIMITS) -> Verdict:
    return arriving(data, range(1, len(data) + 1), limits)


def essence(verdict: Verdict) -> Head | int | None:
    """What must not depend on the split: the whole head, or the status of a refusal."""
    return verdict.status if isinstance(verdict, Refusal) else verdict


def get(*fields: bytes, first: bytes = b"GET / HTTP/1.1", host: bool = True) -> bytes:
    """A head of these lines, in CRLF, with a Host unless told otherwise."""
    lines = [first, *([b"Host: a.example"] if host else []), *fields, b"", b""]
    return b"\r\n".join(lines)


def post(*fields: bytes, minor: int = 1) -> bytes:
    return get(*fields, first=b"POST / HTTP/1.%d" % minor)


SERVED = 200
"""In the tables: the head is valid. What the head says is asked elsewhere."""
