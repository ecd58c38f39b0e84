"""The part of the ``--control`` report about slots and workers."""

from collections.abc import Mapping
from typing import Any

from twisted.internet import defer

from stickyd.master.supervisor.context import MasterContext
from stickyd.master.supervisor.slots import Slot, Slots
from stickyd.master.supervisor.worker_process import WorkerProcess
from stickyd.process import used_by
from stickyd.shm.counter_totals import CounterTotals, sum_of
from stickyd.stats import WorkerCounters

PATIENCE = 1.0
"""Seconds that a worker has to update its counters; they are at most so much older otherwise."""

Report = dict[str, Any]


def totals_of(slots: Slots, ended: CounterTotals) -> dict[int, WorkerCounters]:
    """The counters of every slot, of all workers that it has had."""
    return ended.with_living(
        (slot.number, worker.stats.counters) for slot in slots for worker in slot.workers()
    )


def refresh(slots: Slots) -> "defer.Deferred[Any]":
    """Fires when the workers have updated their counters, or after `PATIENCE`."""
    return defer.DeferredList([worker.refresh(PATIENCE) for worker in slots.workers()])


def report_on(
    context: MasterContext,
    ended: CounterTotals,
    generation: int,
    idle: Mapping[int, int] | None,
) -> Report:
    """Slot states and counters, JSON-ready.

    :param ended: counters of the workers that have ended.
    :param generation: of the app's code.
    :param idle: as of `MasterContext.idle`.
    """
    slots, sources = context.slots, context.sources
    loads = context.loads()
    totals = totals_of(slots, ended)
    none = WorkerCounters()
    return {
        "generation": generation,
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
                "workers": [_about(slot, each, idle) for each in slot.workers() if each.pid],
                "counters": sum_of(w.stats.counters for w in slot.workers()).as_json(sources),
                "totals": totals.get(slot.number, none).as_json(sources),
            }
            for slot in slots
        ],
        "workers": sum_of(totals.values()).as_json(sources),
    }


def _about(slot: Slot, worker: WorkerProcess, idle: Mapping[int, int] | None) -> Report:
    """One worker process.

    :param idle: idle connections by owner; None if they are not guarded.
    """
    used = used_by(worker.pid)
    counters = worker.stats.counters
    return {
        "pid": worker.pid,
        "state": slot.state_of(worker).value,
        "generation": worker.generation,
        "requests": counters.requests,
        "open": counters.open,
        "upgraded": counters.upgraded,
        "idle": idle.get(worker.owner, 0) if idle is not None else None,
        "memory": used.memory if used is not None else None,
        "cpu": used.cpu if used is not None else None,
        "age": used.age if used is not None else None,
    }
