"""What ``status`` and ``top`` show of the figures, as lines. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from stickyd.cli.status.figures import Figures, Process, Slot
from stickyd.cli.status.layout import EXTRA, Column, Line, Segment, entry, table
from stickyd.cli.status.rates import Rates
from stickyd.cli.status.units import count, counted, cpu_time, duration, percent, rate, size

WIDTH = 80
"""Of what is not for a terminal, and of the columns that are always shown where they fit."""

_STATES = {"starting": "busy", "retiring": "busy", "dead": "bad"}


class _Row(NamedTuple):
    """A process, and the slot if the row has the slot's own figures."""

    process: Process | None
    slot: Slot | None
    label: str
    rates: Rates


Cell = Callable[[_Row], str]


Columns = Sequence[tuple[Column, Cell]]
Parts = tuple[list[Line], list[Line], list[Line]]


def _of(get: Callable[[Process], str]) -> Cell:
    return lambda row: get(row.process) if row.process is not None else ""


def _slots(get: Callable[[Slot, Rates], str]) -> Cell:
    return lambda row: get(row.slot, row.rates) if row.slot is not None else ""


def _requests_rate(slot: Slot, now: Rates) -> str:
    return rate(now.slots[slot.number][0]) if slot.number in now.slots else "-"


def _moves_rate(slot: Slot, now: Rates) -> str:
    return rate(now.slots[slot.number][1]) if slot.number in now.slots else "-"


_SLOT: tuple[Column, Cell] = (Column("slot"), lambda row: row.label)
_PID = (Column("pid", 6), _of(lambda p: str(p.pid)))
_GENERATION = (Column("gen", 8), _of(lambda p: str(p.generation or "-")))
_OPEN = (Column("open"), _of(lambda p: str(p.open)))
_IDLE = (Column("idle", 5), _of(lambda p: count(p.idle)))
_WEBSOCKETS = (Column("ws", 4), _of(lambda p: str(p.upgraded)))
_REQUESTS = (Column("requests", 2), _slots(lambda s, _: str(s.requests)))
_LOAD = (Column("load", 9), _slots(lambda s, _: count(s.load)))
_MEMORY = (Column("mem", 3), _of(lambda p: size(p.memory)))
_CPU = (Column("cpu", 7), _of(lambda p: cpu_time(p.cpu)))
_AGE = (Column("age", 10), _of(lambda p: duration(p.age)))
# In wide terminals only.
_MOVED = (Column("moved", 21), _slots(lambda s, _: str(s.moved)))
_ARRIVED = (Column("arrived", 22), _slots(lambda s, _: str(s.arrived)))
_WAITING = (Column("waiting", 23), _slots(lambda s, _: str(s.waiting)))
_ALL_REQUESTS = (Column("requests", 20), _REQUESTS[1])


def _share(row: _Row) -> str:
    process = row.process
    return percent(row.rates.cpu.get(process.pid)) if process is not None else ""


def _state(row: _Row) -> Segment:
    if row.process is not None:
        return Segment(row.process.state, _STATES.get(row.process.state, ""))
    return Segment(row.slot.state, _STATES.get(row.slot.state, "")) if row.slot else Segment("")


_STATE: tuple[Column, Cell] = (Column("state", 1, left=True), lambda row: _state(row).text)
_STATUS = (
    *(_SLOT, _PID, _GENERATION, _STATE, _OPEN, _IDLE, _WEBSOCKETS, _REQUESTS, _LOAD, _MEMORY),
    *(_CPU, _AGE, _MOVED, _ARRIVED, _WAITING),
)
_TOP = (
    *(_SLOT, _PID, _GENERATION, _STATE, _OPEN, _IDLE, _WEBSOCKETS),
    (Column("req/s", 1), _slots(_requests_rate)),
    (Column("moves/s", 2), _slots(_moves_rate)),
    *(_LOAD, _MEMORY),
    (Column("cpu", 3), _share),
    *(_AGE, _ALL_REQUESTS, _MOVED, _ARRIVED, _WAITING),
)


def status_lines(figures: Figures, width: int | None) -> Iterator[Line]:
    """The lines of ``status``.

    :param width: of the terminal; None without one: then columns are as wide as they must be.
    """
    columns: Columns = _STATUS
    if width is None:
        columns = [(column._replace(rank=0), get) for column, get in _STATUS if column.rank < EXTRA]
    room = width or WIDTH
    yield from heading(figures)
    yield ()
    yield from slot_lines(figures, Rates(), columns, room)
    yield ()
    yield from entries(figures, room)


def top_lines(figures: Figures, now: Rates, width: int) -> Parts:
    """What is above the table of ``top``, the table with its headings, and what is below."""
    above = [*heading(figures), *_rates(figures, now)]
    return above, list(slot_lines(figures, now, _TOP, width)), list(entries(figures, width))


def heading(figures: Figures) -> Iterator[Line]:
    """Version and readiness; why it is not ready; connections."""
    ready = Segment("ready", "good") if figures.ready else Segment("NOT READY", "bad")
    told = [f"generation {figures.generation}", f"{figures.scope} scope"]
    told.append(f"up {duration(figures.process.age)}")
    yield (Segment(f"stickyd {figures.version}  ", "name"), ready, Segment(f"  {'  '.join(told)}"))
    if not figures.ready:
        yield (Segment(figures.not_ready or "no reason given", "bad"),)
    idle = f", {figures.idle} idle" if figures.idle is not None else ""
    yield (Segment(f"{counted(figures.open, 'connection')}{idle}, at most {figures.most}"),)


def _rates(figures: Figures, now: Rates) -> Iterator[Line]:
    share = percent(now.cpu.get(figures.process.pid))
    text = f"{rate(now.requests)} requests/s, {rate(now.moved)} moves/s, {share} CPU of the master"
    yield (Segment(text),)


def slot_lines(figures: Figures, now: Rates, columns: Columns, width: int) -> Iterator[Line]:
    """A row for each worker process; the first of a slot has the slot's own figures, too."""
    if all(slot.load is None for slot in figures.slots):
        columns = [each for each in columns if each[0].heading != "load"]
    rows = [
        [_state(row) if column.heading == "state" else Segment(get(row)) for column, get in columns]
        for row in _rows(figures, now)
    ]
    rows.append(_sums(figures, now, [column.heading for column, _ in columns]))
    yield from table([column for column, _ in columns], rows, width)


def _rows(figures: Figures, now: Rates) -> Iterator[_Row]:
    yield _Row(figures.process._replace(state=""), None, "master", now)
    for slot in figures.slots:
        label = str(slot.number)
        if not slot.workers:
            yield _Row(None, slot, label, now)
        for number, process in enumerate(slot.workers):
            yield _Row(process, None if number else slot, "" if number else label, now)


def _sums(figures: Figures, now: Rates, columns: Sequence[str]) -> list[Segment]:
    every = [figures.process, *(each for slot in figures.slots for each in slot.workers)]
    shares = [now.cpu[each.pid] for each in every if each.pid in now.cpu]
    cpu = percent(sum(shares) if now.known else None)
    if "req/s" not in columns:
        cpu = cpu_time(sum(each.cpu or 0.0 for each in every))
    sums = {
        "slot": "all",
        "open": str(figures.open),
        "idle": count(figures.idle),
        "ws": str(figures.upgraded),
        "requests": str(figures.requests),
        "req/s": rate(now.requests),
        "moves/s": rate(now.moved),
        "mem": size(sum(each.memory or 0 for each in every)),
        "cpu": cpu,
        "moved": str(figures.moved),
    }
    return [Segment(sums.get(name, ""), "name") for name in columns]


def entries(figures: Figures, width: int) -> Iterator[Line]:
    """What is counted for the whole daemon since its start."""
    moves = f"{counted(figures.moved, 'connection')} to another slot"
    yield from entry("moves", moves, width)
    misroutes, style = "0 requests", ""
    if figures.misrouted:
        requests = counted(figures.misrouted, "request")
        misroutes = f"{requests} served by another slot than that of the key"
        misroutes += "; --affinity-scope request ends them"
        style = "bad"
    yield from entry("misroutes", misroutes, width, style)
    yield from entry("refusals", _listed(figures.refused), width)
    yield from entry("restarts", _listed(figures.restarts), width)
    for name, number, noun, text in (
        ("shed", figures.shed, "connection", "refused because a limit was reached"),
        ("lost", figures.lost, "connection", "ended while a response was pending"),
        ("log", figures.dropped, "line", "dropped because the log could not be written"),
    ):
        if number:
            yield from entry(name, f"{counted(number, noun)} {text}", width, "bad")


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name}: {number}" for name, number in counts.items()) or "none"


def fitted(parts: Parts, height: int, offset: int) -> tuple[list[Line], int]:
    """The parts of `top_lines` in at most ``height`` lines, and the offset that is shown.

    The entries below are left out before rows of the table are; these can be scrolled.

    :param offset: how many rows of the table are scrolled away.
    """
    above, (headings, *rows), below = parts
    room = height - len(above) - 2
    if room < 1:
        return [*above, headings][: max(height, 0)], 0
    if below and room - len(below) - 1 >= min(len(rows), 4):
        room -= len(below) + 1
        below = [(), *below]
    else:
        below = []
    if len(rows) > room and room > 1:
        # One line says what is not shown.
        room -= 1
        offset = max(min(offset, len(rows) - room), 0)
        left = f"rows {offset + 1} to {offset + room} of {len(rows)}; up and down scroll"
        rows = [*rows[offset : offset + room], (Segment(left, "busy"),)]
    else:
        rows, offset = rows[:room], 0
    return [*above, (), headings, *rows, *below], offset
