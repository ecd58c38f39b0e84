"""Counters by slot, over all the workers that the slot has had: they never go back."""

from collections.abc import Iterable
from typing import Any

from stickyd.stats import WorkerCounters


class CounterTotals:
    """Counters of the workers that have ended, by slot."""

    def __init__(self) -> None:
        self._ended: dict[int, WorkerCounters] = {}

    def fold(self, slot: int, counters: WorkerCounters) -> None:
        """A worker of the slot has ended: keep what it has counted."""
        kept = self._ended.setdefault(slot, WorkerCounters())
        kept.add(counters)
        # What it had open has ended with it.
        kept.open = kept.upgraded = 0

    def with_living(
        self, workers: Iterable[tuple[int, WorkerCounters]]
    ) -> dict[int, WorkerCounters]:
        """The totals by slot, removed slots included.

        :param workers: the slot and the counters of each worker that has not ended.
        """
        totals: dict[int, WorkerCounters] = {}
        for slot, counters in (*self._ended.items(), *workers):
            totals.setdefault(slot, WorkerCounters()).add(counters)
        return totals

    # ---- the master's program is replaced

    def pack(self) -> dict[str, Any]:
        """The cells that are not 0, by slot."""
        return {
            str(slot): {str(at): n for at, n in enumerate(counters.cells.tolist()) if n}
            for slot, counters in self._ended.items()
        }

    def resume(self, packed: dict[str, Any]) -> None:
        """Continue with what `pack` of the previous program returned."""
        for slot, cells in packed.items():
            counters = self._ended[int(slot)] = WorkerCounters()
            for at, number in cells.items():
                counters.cells[int(at)] = number


def sum_of(counters: Iterable[WorkerCounters]) -> WorkerCounters:
    """The sum over several workers or slots."""
    total = WorkerCounters()
    for each in counters:
        total.add(each)
    return total
