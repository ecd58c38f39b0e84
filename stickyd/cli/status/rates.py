"""What happens in a second, from two reports. Pure."""

from typing import NamedTuple

from stickyd.cli.status.figures import Figures


class Rates(NamedTuple):
    """Each by second; shares of a CPU by pid.

    :ivar slots: requests and moves, by slot.
    :ivar known: there was a report before.
    """

    requests: float | None = None
    moved: float | None = None
    slots: dict[int, tuple[float, float]] = {}
    cpu: dict[int, float] = {}
    known: bool = False


def rates(before: Figures | None, now: Figures, seconds: float) -> Rates:
    """What happened between two reports.

    A daemon that has been started anew since has none: its counters went back.

    :param seconds: between them.
    """
    if (
        before is None
        or seconds <= 0
        or now.requests < before.requests
        or now.moved < before.moved
        or now.process.pid != before.process.pid
    ):
        return Rates()
    slots = {slot.number: slot for slot in before.slots}
    by_slot = {}
    for slot in now.slots:
        old = slots.get(slot.number)
        # A slot that has been added anew goes on counting.
        requests, moved = (old.requests, old.moved) if old else (slot.requests, slot.moved)
        by_slot[slot.number] = (
            max(slot.requests - requests, 0) / seconds,
            max(slot.moved - moved, 0) / seconds,
        )
    spent = _cpu(before)
    return Rates(
        requests=(now.requests - before.requests) / seconds,
        moved=(now.moved - before.moved) / seconds,
        slots=by_slot,
        cpu={
            pid: max(cpu - spent[pid], 0.0) / seconds
            for pid, cpu in _cpu(now).items()
            if pid in spent
        },
        known=True,
    )


def _cpu(figures: Figures) -> dict[int, float]:
    """Seconds of CPU time by pid."""
    processes = [figures.process, *(each for slot in figures.slots for each in slot.workers)]
    return {each.pid: each.cpu for each in processes if each.cpu is not None}
