"""The part of the ``--control`` report about slots and workers."""

from typing import Any

from twisted.internet import defer

from stickyd.master.supervisor.slots import Slots
from stickyd.shm.scoreboard import Scoreboard
from stickyd.stats import add_up

PATIENCE = 1.0
"""Seconds that a worker has to report its counters; after that the last known ones are used."""

Report = dict[str, Any]


async def report_on(slots: Slots, gone: Report, board: Scoreboard | None) -> Report:
    """Slot states and counters, JSON-ready.

    :param gone: counters of workers that have ended.
    :param board: has the loads; None if no decision depends on loads.
    """
    numbers = [slot.number for slot in slots]
    loads = board.loads(numbers) if board is not None else {}
    workers = [(slot, worker) for slot in slots for worker in slot.workers()]
    asked = await defer.DeferredList([worker.report(PATIENCE) for _, worker in workers])
    reports = [(slot, report) for (slot, _), (_, report) in zip(workers, asked, strict=True)]
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
                "counters": add_up([report for at, report in reports if at is slot]),
            }
            for slot in slots
        ],
        "workers": add_up([gone, *(report for _, report in reports)]),
    }
