"""P8: what a request costs with 2 to 64 slots.

All clients of the load are at home in slots 1 and 2, whatever the number of slots: the others
are an idle pile, and the work is the same but for the table, the processes and their heartbeats.
Request scope in both loads: each request is placed, and in the mix half of them move.
"""

import attrs

from benchmarks import contestants as who
from benchmarks.contest import Ground, interleaved, progress, start
from benchmarks.correctness import answers, check, clients_of
from benchmarks.load import CONNECTIONS, Load, Wrk
from benchmarks.plan import Plan
from benchmarks.result import Result, Target

SIZES = (2, 4, 8, 16, 32, 64)
CLIENTS = 64
FLAT = 1.1


def name_of(slots: int) -> str:
    """Of the contestant."""
    return f"{slots} slots"


def run(ground: Ground, plan: Plan, mixed: bool) -> Result:
    """All sizes, interleaved, under P1's load or P2's."""
    sizes = {name_of(slots): slots for slots in SIZES if plan.wants(name_of(slots))}
    loads = {name: load_for(slots, mixed) for name, slots in sizes.items()}
    makers = {name: who.stickyd("request", slots) for name, slots in sizes.items()}
    started = start(ground, makers, lambda port: answers(port, Load(mixed)))
    measures = {name: Wrk(ground, load, plan.seconds) for name, load in loads.items()}
    checks = {}
    for contestant in started:
        progress(f"reading the answers of {contestant.name}")
        load, slots = loads[contestant.name], sizes[contestant.name]
        checks[contestant.name] = attrs.asdict(check(contestant.port, load, workers=slots))
        attrs.evolve(measures[contestant.name], seconds=1)(contestant)
    figures = interleaved(started, lambda each: measures[each.name](each), plan.rounds)
    for contestant in started:
        ground.stop(contestant.processes)
    targets = [Target(name_of(slots), name_of(SIZES[0]), at_most=FLAT) for slots in SIZES[1:]]
    kind = "P2's mix" if mixed else "P1's connections"
    return Result(
        "p8-mix" if mixed else "p8",
        f"P8: {kind}, clients of two slots, the other slots idle; request scope",
        "cost",
        ("rate",),
        name_of(SIZES[0]),
        figures,
        plan.seconds,
        targets,
        checks,
        list(sizes),
    )


def load_for(slots: int, mixed: bool) -> Load:
    """Half of the clients of slot 1, half of slot 2, in turn or by connection."""
    each = (CLIENTS if mixed else CONNECTIONS) // 2
    pairs = zip(clients_of(slots, {1}, each), clients_of(slots, {2}, each), strict=True)
    return Load(mixed, clients=tuple(client for pair in pairs for client in pair))
