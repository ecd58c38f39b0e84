"""The daemon at one moment, in numbers that can be compared with those of another moment. Pure."""

from collections.abc import Mapping

import attrs

from stickyd.master.facts import Facts
from stickyd.process import Used

Key = tuple[str | int, ...]
"""The name of a counter, and what it counts by: a slot, a source, a status."""

LEAST_SECONDS = 0.2
"""Rates over a shorter time are noise."""

MATRIX_MOST = 12
"""Slots up to which moves are a square of from and to; with more, a list."""

_BY_SLOT = ("adopted", "arrived", "misrouted", "lost", "pinned", "handed", "shed", "eased")


@attrs.frozen
class Sample:
    """One moment.

    :ivar seconds: of a clock that only goes on.
    :ivar time: of the day, seconds since the epoch.
    :ivar counts: counters, removed slots included.
    :ivar not_ready: why not every slot can serve; empty if every one can.
    :ivar uses: what processes have used, by pid.
    """

    seconds: float
    time: float
    facts: Facts
    counts: Mapping[Key, float]
    not_ready: str
    uses: Mapping[int, Used]


@attrs.frozen
class Change:
    """From one sample to the next.

    :param before: None if there is none.
    """

    before: Sample | None
    now: Sample

    @property
    def seconds(self) -> float:
        """The time between them; 0 if there is too little to tell rates."""
        if self.before is None:
            return 0.0
        seconds = self.now.seconds - self.before.seconds
        return seconds if seconds >= LEAST_SECONDS else 0.0

    def count(self, *key: str | int) -> float:
        """A counter now."""
        return self.now.counts.get(key, 0)

    def grown(self, *key: str | int) -> float:
        """How much a counter has grown."""
        if self.before is None:
            return 0
        return self.now.counts.get(key, 0) - self.before.counts.get(key, 0)

    def rate(self, *key: str | int) -> float | None:
        """Its growth in a second; None if that is not known."""
        seconds = self.seconds
        return max(self.grown(*key), 0) / seconds if seconds else None

    def cpu(self, pid: int) -> float | None:
        """Percent of one CPU that a process used; None if that is not known."""
        if self.before is None or not self.seconds:
            return None
        old, new = self.before.uses.get(pid), self.now.uses.get(pid)
        if old is None or new is None:
            return None
        return max(new.cpu - old.cpu, 0.0) / self.seconds * 100


def counts_of(facts: Facts) -> dict[Key, float]:
    """The counters, by what they count; the sum over the slots has no slot in its key."""
    counts: dict[Key, float] = {}

    def add(number: float, *key: str | int) -> None:
        if number:
            counts[key] = counts.get(key, 0) + number

    for slot, counters in facts.totals.items():
        for name in _BY_SLOT:
            number = getattr(counters, name)
            add(number, name, slot)
            add(number, name)
        for source, number in zip(facts.sources, counters.requests_by.values(), strict=True):
            add(number, "requests", slot)
            add(number, "requests")
            add(number, "by source", source, slot)
            add(number, "by source", source)
        moved = counters.moved.values()
        add(sum(moved), "moved", slot)
        add(sum(moved), "moved")
        if len(facts.totals) <= MATRIX_MOST:
            for to, number in enumerate(moved):
                add(number, "move", slot, to)
        else:
            # Of the pairs of many slots only some are shown.
            add(max(moved), "move", slot, moved.index(max(moved)))
        for status, number in counters.refused.as_json().items():
            add(number, "refused", "a worker", status)
            add(number, "worker refused", slot)
            add(number, "worker refused")
        for key in ((slot,), ()):
            add(sum(counters.durations.values()), "answers", *key)
            add(counters.duration_sum, "answer seconds", *key)
        add(counters.log_dropped, "log dropped")
    master = facts.master
    for refused, number in master.refused.items():
        add(number, "refused", "the master", str(refused))
    for slot, by in master.handed_off.items():
        for number in by.values():
            add(number, "handed off", slot)
            add(number, "handed off")
    for reason, number in master.restarts.items():
        add(number, "restarts", reason)
        add(number, "all restarts")
    add(master.accepted, "accepted")
    add(master.shed, "shed")
    add(master.log_dropped, "log dropped")
    add(master.upgrades, "upgrades")
    return counts
