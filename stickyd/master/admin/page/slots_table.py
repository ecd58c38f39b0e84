"""The table of the slots: a column for each, and one for all. Pure."""

from collections.abc import Callable

from stickyd.master.admin.page import texts
from stickyd.master.admin.page.sample import Change
from stickyd.master.admin.page.view import BAD, GOOD, PLAIN, WARN, Cell, Group, Row, Table, clean
from stickyd.master.facts import SlotFacts, WorkerFacts
from stickyd.stats import WorkerCounters

TONES = {"ready": GOOD, "starting": WARN, "retiring": WARN, "dead": BAD}
"""By state of a slot."""


def slots_table(change: Change) -> Table:
    """The table."""
    facts = change.now.facts
    return Table(
        "slots",
        "Slots",
        "Each slot has one worker that serves it. A key always leads to the same slot.",
        "",
        [*(f"Slot {slot.number}" for slot in facts.slots), "All slots"],
        [
            Group("Now", _now(change)),
            Group("Requests, by the source that decided", _by_source(change)),
            Group("Since the daemon started", _since(change)),
            Group("Workers", _workers(change)),
        ],
    )


def _row(
    change: Change, key: str, label: str, cell: Callable[[SlotFacts], Cell], every: Cell
) -> Row:
    return Row(key, label, [*(cell(slot) for slot in change.now.facts.slots), every])


def _barred(values: list[float | None], text: Callable[[float | None], str]) -> list[Cell]:
    """Cells with bars, the largest of which is full."""
    most = max((value for value in values if value), default=0)
    return [
        Cell(text(value), PLAIN, round(value * 100 / most) if most and value is not None else 0)
        for value in values
    ]


def _now(change: Change) -> list[Row]:
    facts = change.now.facts
    slots = facts.slots
    open_now = [facts.totals.get(slot.number, WorkerCounters()).open for slot in slots]
    upgraded = [facts.totals.get(slot.number, WorkerCounters()).upgraded for slot in slots]
    rates = [change.rate("requests", slot.number) for slot in slots]
    rows = [
        _row(
            change,
            "state",
            "State",
            lambda slot: Cell(slot.state, TONES.get(slot.state, PLAIN)),
            Cell(f"{sum(slot.ready for slot in slots)} of {len(slots)} ready"),
        ),
        Row(
            "rate",
            "Requests a second",
            [*_barred(rates, texts.rate), Cell(texts.rate(change.rate("requests")))],
        ),
        Row(
            "open",
            "Open connections",
            [
                *_barred([float(number) for number in open_now], lambda n: texts.count(n or 0)),
                Cell(texts.count(sum(open_now))),
            ],
        ),
        _row(
            change,
            "idle",
            "Idle connections",
            lambda slot: _idle(slot.workers),
            _idle([worker for slot in slots for worker in slot.workers]),
        ),
        Row("websockets", "WebSockets", [Cell(texts.count(n)) for n in (*upgraded, sum(upgraded))]),
        _moves(change, "out", "Moves out a second", "moved"),
        _moves(change, "in", "Moves in a second", "arrived"),
        _row(
            change,
            "answer",
            "Mean time of an answer",
            lambda slot: Cell(texts.milliseconds(_mean(change, slot.number))),
            Cell(texts.milliseconds(_mean(change))),
        ),
        _row(
            change,
            "waiting",
            "Waiting for the inbox",
            lambda slot: Cell(texts.count(slot.waiting), WARN if slot.waiting else PLAIN),
            Cell(texts.count(sum(slot.waiting for slot in slots))),
        ),
    ]
    if any(slot.load is not None for slot in slots):
        rows.append(
            _row(
                change,
                "load",
                "Load",
                lambda slot: Cell(texts.count(slot.load or 0)),
                Cell(texts.count(sum(slot.load or 0 for slot in slots))),
            )
        )
    return rows


def _moves(change: Change, key: str, label: str, counter: str) -> Row:
    return _row(
        change,
        key,
        label,
        lambda slot: Cell(texts.rate(change.rate(counter, slot.number))),
        Cell(texts.rate(change.rate(counter))),
    )


def _idle(workers: list[WorkerFacts]) -> Cell:
    known = [worker.idle for worker in workers if worker.idle is not None]
    return Cell(texts.count(sum(known)) if known or not workers else texts.NONE)


def _mean(change: Change, *slot: int) -> float | None:
    answers = change.grown("answers", *slot)
    return change.grown("answer seconds", *slot) / answers if answers > 0 else None


def _counter(change: Change, key: str, label: str, *counter: str, tone: str = PLAIN) -> Row:
    def cell(*slot: int) -> Cell:
        number = change.count(*counter, *slot)
        return Cell(texts.count(number), tone if number else PLAIN)

    return _row(change, key, label, lambda slot: cell(slot.number), cell())


def _by_source(change: Change) -> list[Row]:
    sources = list(dict.fromkeys(change.now.facts.sources))
    # Those of the chain always, others once they have occurred.
    shown = [s for s in sources if s not in ("none", "other") or change.count("by source", s)]
    return [
        _counter(
            change,
            f"source:{clean(source)}",
            clean(source) if source != "none" else "none (no key)",
            "by source",
            source,
        )
        for source in shown
    ]


def _since(change: Change) -> list[Row]:
    return [
        _counter(change, "requests", "Requests", "requests"),
        _counter(change, "handed_off", "Connections from the master", "handed off"),
        _counter(change, "moved", "Connections moved to other slots", "moved"),
        _counter(change, "arrived", "Connections from other slots", "arrived"),
        _counter(change, "misrouted", "Requests misrouted", "misrouted", tone=WARN),
        _counter(change, "refused", "Requests refused", "worker refused"),
        _counter(change, "lost", "Connections lost with an answer pending", "lost"),
        _counter(change, "pinned", "WebSockets opened", "pinned"),
        _counter(change, "handed", "WebSockets handed over", "handed"),
    ]


def _workers(change: Change) -> list[Row]:
    facts = change.now.facts
    pids = {slot.number: [each.pid for each in slot.workers] for slot in facts.slots}
    everyone = [facts.master_pid, *(pid for each in pids.values() for pid in each)]
    cpu = [_cpu(change, pids[slot.number]) for slot in facts.slots]
    return [
        *(_in_state(change, state) for state in ("ready", "starting", "retiring")),
        _row(
            change,
            "memory",
            "Memory",
            lambda slot: Cell(texts.size(memory(change, pids[slot.number]))),
            Cell(f"{texts.size(memory(change, everyone))}\nwith the master"),
        ),
        Row(
            "cpu",
            "CPU",
            [
                *(Cell(texts.percent(each), PLAIN, min(round(each or 0), 100)) for each in cpu),
                Cell(f"{texts.percent(_cpu(change, everyone))}\nwith the master"),
            ],
        ),
    ]


def memory(change: Change, pids: list[int]) -> int:
    """Bytes that processes have."""
    uses = change.now.uses
    return sum(uses[pid].memory for pid in pids if pid in uses)


def _cpu(change: Change, pids: list[int]) -> float | None:
    used = [each for pid in pids if (each := change.cpu(pid)) is not None]
    return sum(used) if used else None


def _in_state(change: Change, state: str) -> Row:
    def cell(slot: SlotFacts) -> Cell:
        lines = []
        for worker in slot.workers:
            if worker.state == state:
                about = [f"pid {worker.pid}"]
                if worker.generation:
                    about.append(f"generation {worker.generation}")
                use = change.now.uses.get(worker.pid)
                if use is not None:
                    about.append(texts.age(use.age))
                lines.append("\n".join(about))
        tone = PLAIN if state == "ready" or not lines else WARN
        return Cell("\n".join(lines) or texts.NONE, tone)

    number = sum(
        worker.state == state for slot in change.now.facts.slots for worker in slot.workers
    )
    return _row(change, state, state.capitalize(), cell, Cell(texts.count(number)))
