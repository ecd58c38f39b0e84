"""The compiled lane of the master."""

from collections.abc import Iterator
from typing import Protocol

from stickyd.core._native import Placer
from stickyd.http1.limits import Limits
from stickyd.net.address import Address

BUILT_FROM: str

NOTHING_WAITS: int
MORE_MAY_WAIT: int
UNUSUAL: int
FAILED: int

class Outbox(Protocol):
    def waiting(self) -> int: ...

class Probe(Protocol):
    def tick(self) -> None: ...

class Route:
    def __init__(
        self,
        placer: Placer,
        version: int,
        slots: list[int],
        inboxes: list[int],
        outboxes: list[Outbox],
        reasons: list[str],
    ) -> None: ...

class MasterLane:
    accepted: int
    placed: list[tuple[int, str, int]]
    copies: dict[int, bytes]
    descriptor: int
    peer: tuple[str, int] | None
    error: int
    def __init__(
        self,
        index: int,
        own: tuple[bytes, int] | None,
        limits: Limits,
        table: tuple[memoryview, memoryview, list[int]] | None,
        brim: int,
        probe: Probe | None = None,
    ) -> None: ...
    def accept(self, listening: int, route: Route, most: int, numbers: Iterator[int]) -> int: ...

def drop_ended(
    words: memoryview,
    ids: memoryview,
    unused: list[int],
    ended: memoryview,
    copies: dict[int, bytes],
    probe: Probe | None = None,
) -> int: ...
def read_frame(
    message: bytes,
) -> (
    tuple[int, int, Address | None, Address | None, int, int, int, int, bytes, int, int] | None
): ...
def write_frame(
    kind: int,
    connection: int,
    peer: tuple[bytes, int] | None,
    local: tuple[bytes, int] | None,
    listener: int,
    head_left: int,
    table: int,
    hops: int,
    entry: int,
    source: int,
    put_at: int,
) -> bytes: ...
