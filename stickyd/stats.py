"""The counters, named as in the report of ``--control``; docs/counters.md explains each."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from typing import Any


class MasterCounters:
    """The master's counters since its start.

    ``refused`` counts by the status of the response; ``proxy`` are connections closed
    without one: from a peer that may not send a PROXY header, or without a valid header.
    ``restarts`` counts workers that took the place of another, by the reason.
    """

    def __init__(self) -> None:
        self.accepted = 0
        self.handed_off: dict[int, Counter[str]] = {}
        self.refused: Counter[int | str] = Counter()
        self.vanished = 0
        self.silent = 0
        self.upgrades = 0
        self.shed = 0
        self.rescued = 0
        self.released = 0
        self.displaced = 0
        self.forgotten = 0
        self.log_dropped = 0
        self.restarts: Counter[str] = Counter()

    def hand_off(self, slot: int, reason: str, count: int = 1) -> None:
        """Count connections that were put into the inbox of ``slot`` because of ``reason``."""
        by = self.handed_off.get(slot)
        if by is None:
            by = self.handed_off[slot] = Counter()
        by[reason] += count

    def resume(self, packed: dict[str, Any]) -> None:
        """Continue from what `as_json` of the previous program returned."""
        self.accepted = packed["accepted"]
        self.handed_off = {int(slot): Counter(by) for slot, by in packed["handed_off"].items()}
        self.refused = Counter(
            {int(name) if name.isdigit() else name: n for name, n in packed["refused"].items()}
        )
        self.vanished = packed["vanished"]
        self.silent = packed.get("silent", 0)
        self.upgrades = packed["upgrades"]
        self.shed = packed["shed"]
        self.rescued = packed["rescued"]
        self.released = packed["released"]
        self.displaced = packed["displaced"]
        self.forgotten = packed["forgotten"]
        # Older programs do not have it.
        self.log_dropped = packed.get("log_dropped", 0)
        self.restarts = Counter(packed.get("restarts", {}))

    def as_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "accepted": self.accepted,
            "handed_off": {str(slot): dict(by) for slot, by in sorted(self.handed_off.items())},
            "refused": dict(sorted((str(name), n) for name, n in self.refused.items())),
            "vanished": self.vanished,
            "silent": self.silent,
            "upgrades": self.upgrades,
            "shed": self.shed,
            "rescued": self.rescued,
            "released": self.released,
            "displaced": self.displaced,
            "forgotten": self.forgotten,
            "log_dropped": self.log_dropped,
            "restarts": dict(sorted(self.restarts.items())),
        }


SOURCES = 32
"""Numbers of key sources (`stickyd.routing.source_numbers`)."""
_SLOTS = 513
_STATUSES = 600
DURATION_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the histograms of requests, in seconds; one more cell has the rest."""
QUEUE_BOUNDS = (
    0.0001,
    0.00025,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.1,
    0.25,
    1.0,
    2.5,
    10.0,
)
"""The same of the time in an inbox."""

_SCALARS = (
    "adopted",
    "arrived",
    "passed",
    "returned",
    "misrouted",
    "lost",
    "pinned",
    "inserted",
    "learned",
    "shed",
    "eased",
    "displaced",
    "forgotten",
    "log_dropped",
    "open",
    "upgraded",
    "handed",
)
ADOPTED, ARRIVED = 0, 1
REQUESTS = 32
PLACED = REQUESTS + SOURCES
MOVED = PLACED + SOURCES
REFUSED = MOVED + _SLOTS
# Of each histogram one cell for each bound, one for the rest, one for the sum in microseconds.
QUEUED = REFUSED + _STATUSES
FIRST_BYTES = QUEUED + len(QUEUE_BOUNDS) + 2
DURATIONS = FIRST_BYTES + len(DURATION_BOUNDS) + 2
COUNTER_CELLS = DURATIONS + len(DURATION_BOUNDS) + 2
"""Cells of 64 bits that the counters of a worker take."""


class _Cell:
    """A counter, as an attribute named as in `_SCALARS`."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._at = _SCALARS.index(name)

    def __get__(self, counters: "WorkerCounters", owner: object = None) -> int:
        return counters.cells[self._at]

    def __set__(self, counters: "WorkerCounters", value: int) -> None:
        counters.cells[self._at] = value


class CellRange:
    """Counters by a small number."""

    def __init__(self, cells: "memoryview[int]", first: int, count: int) -> None:
        self._cells = cells[first : first + count]

    def __getitem__(self, number: int) -> int:
        return self._cells[number]

    def __setitem__(self, number: int, value: int) -> None:
        self._cells[number] = value

    def values(self) -> list[int]:
        """All of them."""
        return self._cells.tolist()

    def as_json(self) -> dict[str, int]:
        """Those that are not 0."""
        return {str(number): n for number, n in enumerate(self.values()) if n}

    def release(self) -> None:
        """Release the memory."""
        self._cells.release()


class Histogram:
    """Numbers of durations, each cell those up to one of ``bounds``, and their sum.

    :ivar cells: one for each bound, one for the rest, one for the sum in microseconds.
    :ivar bounds: in seconds.
    """

    def __init__(self, cells: "memoryview[int]", first: int, bounds: Sequence[float]) -> None:
        self.cells = cells[first : first + len(bounds) + 2]
        self.bounds = bounds

    def observe(self, seconds: float) -> None:
        """Count one."""
        self.cells[bisect_left(self.bounds, seconds)] += 1
        self.cells[-1] += int(seconds * 1e6)

    def values(self) -> list[int]:
        """The numbers; the last one is of those above all bounds."""
        return self.cells.tolist()[:-1]

    @property
    def seconds(self) -> float:
        """The sum."""
        return self.cells[-1] / 1e6

    def release(self) -> None:
        """Release the memory."""
        self.cells.release()


class WorkerCounters:
    """A worker's counters since its start, in cells of 64 bits.

    The master reads those in shared memory (`stickyd.shm.worker_stats`), also when the worker
    has been killed. What every request changes is changed in ``cells`` directly.

    :param cells: ``COUNTER_CELLS`` of them, format Q; by default some of its own.
    :ivar requests_by: requests given to the app, by number of the source of their key.
    :ivar placed: requests that the worker has placed, by number of the source.
    :ivar moved: connections sent to another slot, by slot.
    :ivar refused: by status.
    :ivar queued: connections by their time in the inbox.
    :ivar first_bytes: requests by the time from their end to the first byte of the answer.
    :ivar durations: the same to the end of the answer.
    """

    adopted = _Cell()
    arrived = _Cell()
    passed = _Cell()
    returned = _Cell()
    misrouted = _Cell()
    lost = _Cell()
    pinned = _Cell()
    inserted = _Cell()
    learned = _Cell()
    shed = _Cell()
    eased = _Cell()
    displaced = _Cell()
    forgotten = _Cell()
    log_dropped = _Cell()
    open = _Cell()
    upgraded = _Cell()
    handed = _Cell()

    def __init__(self, cells: "memoryview[int] | None" = None) -> None:
        if cells is None:
            cells = memoryview(bytearray(8 * COUNTER_CELLS)).cast("Q")
        self.cells = cells
        self.requests_by = CellRange(cells, REQUESTS, SOURCES)
        self.placed = CellRange(cells, PLACED, SOURCES)
        self.moved = CellRange(cells, MOVED, _SLOTS)
        self.refused = CellRange(cells, REFUSED, _STATUSES)
        self.queued = Histogram(cells, QUEUED, QUEUE_BOUNDS)
        self.first_bytes = Histogram(cells, FIRST_BYTES, DURATION_BOUNDS)
        self.durations = Histogram(cells, DURATIONS, DURATION_BOUNDS)

    @property
    def requests(self) -> int:
        """Requests given to the app."""
        return sum(self.requests_by.values())

    def release(self) -> None:
        """Release the memory; the counters cannot be used after this."""
        for each in (self.requests_by, self.placed, self.moved, self.refused):
            each.release()
        for times in (self.queued, self.first_bytes, self.durations):
            times.release()
        self.cells.release()

    def add(self, others: "WorkerCounters") -> None:
        """Add those of another worker."""
        cells = self.cells
        for at, number in enumerate(others.cells.tolist()):
            if number:
                cells[at] += number

    def as_json(self, names: Sequence[str] = ()) -> dict[str, Any]:
        """JSON-ready.

        :param names: of the numbers of sources.
        """
        return {
            "adopted": self.adopted,
            "requests": self.requests,
            "placed": {
                names[int(at)] if names else at: n for at, n in self.placed.as_json().items()
            },
            "moved": self.moved.as_json(),
            "arrived": self.arrived,
            "passed": self.passed,
            "returned": self.returned,
            "misrouted": self.misrouted,
            "refused": self.refused.as_json(),
            "lost": self.lost,
            "pinned": self.pinned,
            "handed": self.handed,
            "inserted": self.inserted,
            "learned": self.learned,
            "shed": self.shed,
            "eased": self.eased,
            "displaced": self.displaced,
            "forgotten": self.forgotten,
            "log_dropped": self.log_dropped,
            "open": self.open,
        }
