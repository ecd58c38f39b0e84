"""Makes the view of two samples. Pure."""

import time
from collections.abc import Sequence

from stickyd.master.admin.metrics import TERM_BY_HAND
from stickyd.master.admin.page import texts
from stickyd.master.admin.page.sample import MATRIX_MOST, Change
from stickyd.master.admin.page.slots_table import TONES, memory, slots_table
from stickyd.master.admin.page.view import (
    BAD,
    GOOD,
    PLAIN,
    WARN,
    Cell,
    Event,
    Figure,
    Flow,
    Group,
    Notice,
    Row,
    Table,
    View,
    clean,
)

PAIRS_MOST = 40
"""Entries of that list."""


def view_of(change: Change, events: Sequence[Event], assets: str) -> View:
    """The view.

    :param assets: digest of the page's files.
    """
    facts, now = change.now.facts, change.now
    tone = WARN if now.not_ready else GOOD
    if now.not_ready.startswith("slots"):
        tone = BAD
    status = f"Not ready: {clean(now.not_ready)}" if now.not_ready else "Ready"
    return View(
        assets=assets,
        time=clock(now.time),
        status=f"{status}, generation {facts.generation}",
        tone=tone,
        about=f"stickyd {clean(facts.version)}, pid {facts.master_pid}, {clean(facts.core)} core,"
        f" affinity scope {clean(facts.scope)}, slot table {facts.table_version}",
        figures=_figures(change),
        notices=_notices(change),
        tables=[slots_table(change), _moves(change), _refusals(change), _restarts(change)],
        events=list(events),
        flow=_flow(change),
    )


def clock(seconds: float) -> str:
    """The time of the day, UTC."""
    return time.strftime("%H:%M:%S", time.gmtime(seconds))


def _figures(change: Change) -> list[Figure]:
    facts = change.now.facts
    requests, moved = change.rate("requests"), change.rate("moved")
    upgraded = sum(counters.upgraded for counters in facts.totals.values())
    master = [facts.master_pid]
    return [
        Figure(
            "rate",
            "Requests a second",
            texts.rate(requests),
            f"{texts.count(change.count('requests'))} in all",
            requests or 0.0,
        ),
        Figure(
            "open",
            "Open connections",
            texts.count(facts.open),
            f"of {texts.count(facts.most)} at most",
            float(facts.open),
        ),
        Figure(
            "moves",
            "Moves a second",
            texts.rate(moved),
            f"{texts.count(change.count('moved'))} in all",
            moved or 0.0,
        ),
        Figure(
            "idle",
            "Idle connections",
            texts.NONE if facts.idle is None else texts.count(facts.idle),
            "not known: --guardian off" if facts.idle is None else "wait for a request",
        ),
        Figure("websockets", "WebSockets", texts.count(upgraded), "open now"),
        Figure("generation", "Generation", texts.count(facts.generation), _loading(change)),
        Figure(
            "accepted",
            "Accepted",
            texts.count(change.count("accepted")),
            f"{texts.count(facts.heads)} wait for the first head",
        ),
        Figure(
            "master",
            "Master",
            texts.percent(change.cpu(facts.master_pid)),
            f"of a CPU, {texts.size(memory(change, master))}",
        ),
    ]


def _loading(change: Change) -> str:
    facts = change.now.facts
    workers = [worker for slot in facts.slots for worker in slot.workers]
    if any(worker.generation > facts.generation for worker in workers):
        return f"generation {facts.generation + 1} is starting"
    old = sum(
        worker.state == "retiring" or 0 < worker.generation < facts.generation for worker in workers
    )
    if old:
        return f"{texts.several(old, 'worker')} of before still there"
    ready = sum(worker.state == "ready" for worker in workers)
    return f"{texts.several(ready, 'worker')} of it"


def _notices(change: Change) -> list[Notice]:
    now, notices = change.now, []
    if now.not_ready:
        notices.append(
            Notice(WARN, f"New clients are not to be sent here: {clean(now.not_ready)}.")
        )
    misrouted = change.count("misrouted")
    if misrouted:
        notices.append(
            Notice(
                WARN,
                f"{texts.several(misrouted, 'request')} reached a worker that the key does not"
                " name: something in front of stickyd shares connections between clients."
                " This option ends it:",
                "--affinity-scope request",
            )
        )
    shed = change.count("shed")
    if shed:
        notices.append(
            Notice(
                WARN,
                f"{texts.several(shed, 'connection')} found no room and got 503. The limit is"
                f" {texts.count(now.facts.most)}:",
                "--max-connections",
            )
        )
    dropped = change.count("log dropped")
    if dropped:
        lines = texts.several(dropped, "line")
        notices.append(Notice(WARN, f"{lines} of the logs found no room and were dropped."))
    return notices


def _moves(change: Change) -> Table:
    numbers = [slot.number for slot in change.now.facts.slots]
    if len(change.now.facts.totals) > MATRIX_MOST:
        return _pairs(change)
    rows = [
        Row(
            f"from:{a}",
            f"From slot {a}",
            [Cell(texts.NONE) if a == b else _grown(change, "move", a, b) for b in numbers],
        )
        for a in numbers
    ]
    columns = [f"To slot {number}" for number in numbers]
    caption = "Connections that workers sent to other slots: in all, and in the last second."
    return Table("moves", "Moves", caption, "", columns, [Group("", rows)])


def _pairs(change: Change) -> Table:
    pairs = [key for key in change.now.counts if key[0] == "move"]
    pairs.sort(key=lambda key: (-change.count(*key), key[1:]))
    rows = [
        Row(f"pair:{a}:{b}", f"From slot {a} to slot {b}", [_count(change, "move", a, b)])
        for _, a, b in pairs[:PAIRS_MOST]
    ]
    caption = (
        "Connections that workers sent to other slots: of each slot the most frequent way,"
        f" of these the {PAIRS_MOST} most frequent."
    )
    return Table("moves", "Moves", caption, "", ["Connections"], [Group("", rows)])


def _count(change: Change, *key: str | int) -> Cell:
    return Cell(texts.count(change.count(*key)))


def _grown(change: Change, *key: str | int) -> Cell:
    """A counter, and how much it has grown."""
    grown = change.grown(*key)
    text = texts.count(change.count(*key))
    return Cell(f"{text}\n+{texts.count(grown)}", "new") if grown > 0 else Cell(text)


def _refusals(change: Change) -> Table:
    keys = sorted((key for key in change.now.counts if key[0] == "refused"), key=str)
    rows = [
        Row(
            f"refused:{process}:{status}",
            f"{clean(str(status))}, by {process}",
            [_grown(change, "refused", process, status)],
        )
        for _, process, status in keys
    ]
    return _list("refusals", "Refusals", "Requests refused, by status.", "Requests", rows)


def _restarts(change: Change) -> Table:
    reasons = [str(key[1]) for key in change.now.counts if key[0] == "restarts"]
    rows = [
        Row(
            f"restart:{clean(reason)}",
            "SIGTERM" if reason == TERM_BY_HAND else clean(reason),
            [_grown(change, "restarts", reason)],
        )
        for reason in sorted({"crash", "reload", *reasons})
    ]
    caption = "Workers that took the place of another, by reason."
    return _list("restarts", "Restarts", caption, "Workers", rows)


def _list(key: str, title: str, caption: str, column: str, rows: list[Row]) -> Table:
    rows = rows or [Row("none", "none", [Cell("0")])]
    return Table(key, title, caption, "", [column], [Group("", rows)])


def _flow(change: Change) -> Flow:
    facts = change.now.facts
    if len(facts.slots) < 2 or len(facts.totals) > MATRIX_MOST:
        return Flow([], [])
    slots = []
    for slot in facts.slots:
        counters = facts.totals.get(slot.number)
        tone = TONES.get(slot.state, PLAIN)
        slots.append((slot.number, counters.open if counters is not None else 0, tone))
    moves = [
        (int(key[1]), int(key[2]), int(grown))
        for key in change.now.counts
        if key[0] == "move" and (grown := change.grown(*key)) > 0
    ]
    return Flow(slots, sorted(moves))
