"""What has happened, read from the difference of two samples. Pure."""

from collections import deque
from collections.abc import Iterator

from stickyd.master.admin.page import texts
from stickyd.master.admin.page.build import clock
from stickyd.master.admin.page.sample import Change, Sample
from stickyd.master.admin.page.view import BAD, GOOD, PLAIN, WARN, Event, clean

EVENTS_MOST = 40
"""Events that are kept."""

_DOES = {"ready": "serves", "starting": "loads the app", "retiring": "retires"}


class History:
    """The last events, the newest first."""

    def __init__(self) -> None:
        self.events: deque[Event] = deque(maxlen=EVENTS_MOST)
        self._number = 0

    def add(self, change: Change) -> None:
        """Add what has happened between two samples."""
        if change.before is None:
            return
        time = clock(change.now.time)
        for text, tone in _happened(change.before, change):
            self._number += 1
            self.events.appendleft(Event(self._number, time, text, tone))


def _happened(before: Sample, change: Change) -> Iterator[tuple[str, str]]:
    now, old = change.now, before.facts
    yield from _workers(before, now)
    for key in sorted((k for k in now.counts if k[0] == "restarts"), key=str):
        grown = change.grown(*key)
        if grown > 0:
            tone = BAD if key[1] in ("crash", "timeout") else PLAIN
            yield f"{texts.several(grown, 'worker')} replaced: {clean(str(key[1]))}", tone
    if now.facts.generation != old.generation:
        yield f"generation {now.facts.generation} serves", GOOD
    if now.facts.table_version != old.table_version:
        yield f"slot table {now.facts.table_version}: {_table(now)}", PLAIN
    if change.grown("misrouted") > 0 and not before.counts.get(("misrouted",)):
        yield "a request reached a worker that its key does not name", WARN
    if change.grown("upgrades") > 0:
        yield "the master has replaced its program", PLAIN
    if now.not_ready != before.not_ready:
        yield (f"not ready: {clean(now.not_ready)}", WARN) if now.not_ready else ("ready", GOOD)


def _table(now: Sample) -> str:
    return texts.several(len(now.facts.slots), "slot")


def _workers(before: Sample, now: Sample) -> Iterator[tuple[str, str]]:
    old, new = _states(before), _states(now)
    for pid, (slot, state, generation) in new.items():
        if old.get(pid, (0, ""))[1] != state:
            of = f", generation {generation}" if generation else ""
            tone = GOOD if state == "ready" else PLAIN
            yield f"slot {slot}: worker {pid} {_DOES[state]}{of}", tone
    served = {slot for slot, state, _ in new.values() if state == "ready"}
    for pid, (slot, _, _) in old.items():
        if pid not in new:
            tone = PLAIN if slot in served else BAD
            yield f"slot {slot}: worker {pid} has ended", tone


def _states(sample: Sample) -> dict[int, tuple[int, str, int]]:
    return {
        worker.pid: (slot.number, worker.state, worker.generation)
        for slot in sample.facts.slots
        for worker in slot.workers
    }
