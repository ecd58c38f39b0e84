"""P8: what a request costs with 2 to 64 slots.

All clients of the load are at home in slots 1 and 2, whatever the number of slots: the others
are an idle pile, and the work is the same but for the table, the processes and their heartbeats.
Request scope in both loads: each request is placed, and in the mix half of them move.
"""

import time
from collections.abc import Mapping, Sequence

import attrs

from benchmarks import contestants as who
from benchmarks.contest import Contestant, Figures, Ground, interleaved, progress, start
from benchmarks.correctness import answers, check, clients_of
from benchmarks.load import CONNECTIONS, Load, Wrk
from benchmarks.plan import Plan
from benchmarks.result import Result, Target

SIZES = (2, 4, 8, 16, 32, 64)
PYTHON_SIZES = (2, 16)
"""Without the compiled core; few, because their workers are in addition to the others'."""

CLIENTS = 64
FLAT = 1.1
IDLE_SECONDS = 3


def name_of(slots: int, native: bool = True) -> str:
    """Of the contestant."""
    return f"{slots} slots" if native else f"{slots} slots, Python core"


NAMES: dict[str, tuple[int, bool]] = {
    name_of(slots, native): (slots, native)
    for native, sizes in ((True, SIZES), (False, PYTHON_SIZES))
    for slots in sizes
}
"""Slots of each contestant, and whether it has the compiled core."""


def run(ground: Ground, plan: Plan) -> list[Result]:
    """All sizes, interleaved, under P1's load and then under P2's."""
    chosen = {name: each for name, each in NAMES.items() if plan.wants(name)}
    sizes = {name: slots for name, (slots, _) in chosen.items()}
    makers = {
        name: who.stickyd("request", slots, native=native)
        for name, (slots, native) in chosen.items()
    }
    started = start(ground, makers, lambda port: answers(port, Load(mixed=True)))
    idle = idling(started)
    return [_under(ground, plan, started, sizes, idle, mixed) for mixed in (False, True)]


def idling(started: Sequence[Contestant]) -> dict[str, float]:
    """CPU milliseconds a second of each while nobody asks anything: heartbeats, mostly."""
    progress("idling")
    before = {contestant.name: contestant.cpu() for contestant in started}
    time.sleep(IDLE_SECONDS)  # it is idling that is measured
    return {
        contestant.name: (contestant.cpu() - before[contestant.name]) / IDLE_SECONDS * 1e3
        for contestant in started
    }


def _under(
    ground: Ground,
    plan: Plan,
    started: Sequence[Contestant],
    sizes: Mapping[str, int],
    idle: Mapping[str, float],
    mixed: bool,
) -> Result:
    checks = {}
    measures = {}
    for contestant in started:
        slots = sizes[contestant.name]
        load = load_for(slots, mixed)
        measures[contestant.name] = Wrk(ground, load, plan.seconds)
        progress(f"reading the answers of {contestant.name}")
        checks[contestant.name] = attrs.asdict(check(contestant.port, load, workers=slots))
        Wrk(ground, load, 1)(contestant)

    def measure(contestant: Contestant) -> Figures:
        return {**measures[contestant.name](contestant), "idle": idle[contestant.name]}

    figures = interleaved(started, measure, plan.rounds)
    kind = "P2's mix" if mixed else "P1's connections"
    return Result(
        "p8-mix" if mixed else "p8",
        f"P8: {kind}, clients of two slots, the other slots idle; request scope",
        "cost",
        ("rate", "idle"),
        name_of(SIZES[0]),
        figures,
        plan.seconds,
        [Target(name_of(slots), name_of(SIZES[0]), at_most=FLAT) for slots in SIZES[1:]],
        checks,
        list(sizes),
    )


def load_for(slots: int, mixed: bool) -> Load:
    """Half of the clients of slot 1, half of slot 2, in turn or by connection."""
    each = (CLIENTS if mixed else CONNECTIONS) // 2
    pairs = zip(clients_of(slots, {1}, each), clients_of(slots, {2}, each), strict=True)
    return Load(mixed, clients=tuple(client for pair in pairs for client in pair))
