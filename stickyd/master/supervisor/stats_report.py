"""The part of the ``--control`` report about slots and workers."""

from collections.abc import Sequence
from typing import Any

from twisted.internet import defer

from stickyd.master.supervisor.slots import Slots
from stickyd.shm.counter_totals import CounterTotals, sum_of
from stickyd.shm.scoreboard import Scoreboard
from stickyd.stats import WorkerCounters

PATIENCE = 1.0
"""Seconds that a worker has to update its counters; they are at most so much older otherwise."""

Report = dict[str, Any]


def totals_of(slots: Slots, ended: CounterTotals) -> dict[int, WorkerCounters]:
    """The counters of every slot, of all workers that it has had."""
    return ended.with_living(
        (slot.number, worker.stats.counters) for slot in slots for worker in slot.workers()
    )


async def report_on(
    slots: Slots, ended: CounterTotals, board: Scoreboard | None, sources: Sequence[str]
) -> Report:
    """Slot states and counters, JSON-ready.

    :param ended: counters of the workers that have ended.
    :param sources: the name of each number of a key source.
    :param board: has the loads; None if no decision depends on loads.
    """
    await defer.DeferredList([worker.refresh(PATIENCE) for worker in slots.workers()])
    # From here on nothing waits: a worker that has ended meanwhile is in the totals.
    numbers = [slot.number for slot in slots]
    loads = board.loads(numbers) if board is not None else {}
    return {
        "table": {"version": slots.version, "slots": slots.taking_part()},
        "slots": [
            {
                "slot": slot.number,
                "state": slot.state.value,
                "pid": slot.pid,
                "leaving": [worker.pid for worker in slot.retiring],
                "spawned": slot.spawned,
                "load": loads.get(slot.number),
                "waiting": slot.outbox.waiting(),
                "counters": sum_of(w.stats.counters for w in slot.workers()).as_json(sources),
            }
            for slot in slots
        ],
        "workers": sum_of(totals_of(slots, ended).values()).as_json(sources),
    }
