"""The workloads by name, and what each of them compares.

P1 to P4 and P6 are wrk against a set of contestants, with another load or app; P5 is P3's load,
and the CPU time of the master alone. P7, P8 and the open loop have modules of their own.
"""

from collections.abc import Callable, Mapping, Sequence

import attrs

from benchmarks import contestants as who
from benchmarks import memory, openloop, slots
from benchmarks.contest import Contestant, Ground, Maker, interleaved, progress, start
from benchmarks.correctness import Check, answers, check
from benchmarks.load import Load, Wrk
from benchmarks.plan import Plan
from benchmarks.result import Result, Target

MINE, PYTHON = "stickyd", "stickyd, Python core"
STOCK, FLOOR = "twisted.web, bare", "floor in C"
UVICORN, GRANIAN = "uvicorn, bare", "granian, bare"
REQUEST = "stickyd, request scope"
NGINX, HAPROXY = "nginx + twisted.web", "HAProxy + twisted.web"
NPM: dict[str, Callable[[int], Maker]] = {
    "npm @socket.io/sticky": who.socketio_sticky,
    "npm sticky-session": who.sticky_session,
    "npm socketio-sticky-session": who.socketio_sticky_session,
}


@attrs.frozen
class Workload:
    """One set of contestants under wrk.

    :ivar mine: those that are stickyd, with their workers; their misroutes are counted exactly.
    :ivar daily: the contestants of ``make bench-quick``.
    :ivar misrouting: those of `mine` whose misroutes are expected.
    """

    name: str
    title: str
    load: Load
    subject: str
    makers: Mapping[str, Maker]
    mine: Mapping[str, int]
    targets: Sequence[Target] = ()
    quantity: str = "cost"
    daily: Sequence[str] = ()
    note: str = ""
    checked: int = 1000
    misrouting: Sequence[str] = ()

    def run(self, ground: Ground, plan: Plan) -> list[Result]:
        """Start everyone, read their answers, then measure."""
        makers = {
            name: maker
            for name, maker in self.makers.items()
            if plan.wants(name) and (not plan.quick or name in self.daily)
        }
        started = start(ground, makers, lambda port: answers(port, self.load))
        checks = {each.name: attrs.asdict(self._check(each)) for each in started}
        warm_up = Wrk(ground, self.load, 1)
        for contestant in started:
            progress(f"warming up {contestant.name}")
            warm_up(contestant)
        figures = interleaved(started, Wrk(ground, self.load, plan.seconds), plan.rounds)
        for contestant in started:
            ground.stop(contestant.processes)
        shown = [each for each in ("cost", "master", "rate") if each != self.quantity]
        if self.quantity == "cost":
            shown.remove("master")
        result = Result(
            self.name,
            self.title,
            self.quantity,
            shown,
            self.subject,
            figures,
            plan.seconds,
            self.targets,
            checks,
            [name for name in figures if name in self.mine and name not in self.misrouting],
            self.note,
        )
        return [result]

    def _check(self, contestant: Contestant) -> Check:
        progress(f"reading the answers of {contestant.name}")
        workers = self.mine.get(contestant.name, 0)
        return check(contestant.port, self.load, self.checked, workers)


def _all_npm(workers: int) -> dict[str, Maker]:
    return {name: make(workers) for name, make in NPM.items()}


P1 = Workload(
    "p1",
    "P1: kept-alive connections, one client each; 2 workers",
    Load(mixed=False),
    MINE,
    {
        MINE: who.stickyd("connection", 2),
        PYTHON: who.stickyd("connection", 2, native=False),
        REQUEST: who.stickyd("request", 2),
        STOCK: who.stock,
        NGINX: who.nginx(2),
        HAPROXY: who.haproxy(2),
        **_all_npm(2),
    },
    {MINE: 2, PYTHON: 2, REQUEST: 2},
    [
        Target(MINE, NGINX, at_least=4.5),
        Target(MINE, STOCK, at_least=3),
        Target(MINE, "npm sticky-session", at_most=1),
    ],
    daily=(MINE, PYTHON, STOCK, NGINX),
)
P2 = Workload(
    "p2",
    "P2, the ALB mix: kept-alive connections, another client with every request; 4 workers",
    Load(mixed=True),
    MINE,
    {
        MINE: who.stickyd("request", 4),
        PYTHON: who.stickyd("request", 4, native=False),
        "stickyd, connection scope": who.stickyd("connection", 4),
        STOCK: who.stock,
        NGINX: who.nginx(4),
        HAPROXY: who.haproxy(4),
        **_all_npm(4),
    },
    {MINE: 4, PYTHON: 4, "stickyd, connection scope": 4},
    [
        Target(MINE, NGINX, at_least=4),
        Target(MINE, HAPROXY, at_least=4),
        Target(MINE, "npm @socket.io/sticky", at_least=9),
    ],
    daily=(MINE, PYTHON, NGINX),
    misrouting=("stickyd, connection scope",),
    note="stickyd in request scope; in connection scope it misroutes, as it must. Where one worker"
    " answers everybody, nothing can be misrouted.",
)
P3 = Workload(
    "p3",
    "P3: a new connection for every request; 2 workers",
    Load(mixed=True, closing=True),
    MINE,
    {
        MINE: who.stickyd("connection", 2),
        PYTHON: who.stickyd("connection", 2, native=False),
        STOCK: who.stock,
        NGINX: who.nginx(2),
        HAPROXY: who.haproxy(2),
        **_all_npm(2),
        FLOOR: who.floor(2),
    },
    {MINE: 2, PYTHON: 2},
    [
        Target(MINE, NGINX, at_least=2.5),
        *(Target(MINE, name, at_least=5) for name in NPM),
    ],
    daily=(MINE, PYTHON, NGINX, FLOOR),
)
P4 = Workload(
    "p4",
    "P4: answers of 1 MiB; 2 workers",
    Load(mixed=False, path="/big"),
    MINE,
    {
        MINE: who.stickyd("connection", 2),
        PYTHON: who.stickyd("connection", 2, native=False),
        STOCK: who.stock,
        NGINX: who.nginx(2),
        HAPROXY: who.haproxy(2),
    },
    {MINE: 2, PYTHON: 2},
    [Target(MINE, NGINX, at_least=3.5)],
    checked=96,
)
P5 = Workload(
    "p5",
    "P5: the master alone, a new connection for every request; 2 workers",
    Load(mixed=True, closing=True),
    MINE,
    {
        MINE: who.stickyd("connection", 2),
        PYTHON: who.stickyd("connection", 2, native=False),
        FLOOR: who.floor(2),
    },
    {MINE: 2, PYTHON: 2},
    [Target(MINE, FLOOR, at_most=2)],
    quantity="master",
)
P6 = Workload(
    "p6",
    "P6: ASGI hello, kept-alive connections, one client each; 1 worker",
    Load(mixed=False),
    MINE,
    {
        MINE: who.stickyd_asgi("connection", 1),
        PYTHON: who.stickyd_asgi("connection", 1, native=False),
        REQUEST: who.stickyd_asgi("request", 1),
        UVICORN: who.uvicorn,
        GRANIAN: who.granian,
        "daphne, bare": who.daphne,
    },
    {MINE: 1, PYTHON: 1, REQUEST: 1},
    [
        Target(MINE, UVICORN, at_most=0.65),
        Target(REQUEST, UVICORN, at_most=0.65),
        Target(MINE, GRANIAN, at_least=1),
        Target(REQUEST, GRANIAN, at_least=1),
    ],
    note="uvloop in uvicorn, Granian and stickyd, httptools in uvicorn; no access logs.",
)
P6_MIX = Workload(
    "p6-mix",
    "P6: the ALB mix with ASGI; 4 workers",
    Load(mixed=True),
    MINE,
    {
        MINE: who.stickyd_asgi("request", 4),
        PYTHON: who.stickyd_asgi("request", 4, native=False),
        "nginx + uvicorn": who.nginx_uvicorn(4),
        "nginx + granian": who.nginx_granian(4),
    },
    {MINE: 4, PYTHON: 4},
    [Target(MINE, "nginx + uvicorn", at_least=2.3)],
)

UNDER_WRK = {each.name: each for each in (P1, P2, P3, P4, P5, P6, P6_MIX)}

Run = Callable[[Ground, Plan], list[Result]]

WORKLOADS: dict[str, list[Run]] = {
    "p1": [P1.run],
    "p2": [P2.run],
    "p2-low": [openloop.low_load],
    "p3": [P3.run],
    "p4": [P4.run],
    "p5": [P5.run],
    "p6": [P6.run, P6_MIX.run],
    "p7": [memory.run],
    "p8": [slots.run],
    "p99": [openloop.half_load],
}
"""By the name given on the command line."""

DAILY = ("p1", "p2", "p3")

_TAKING_PART: dict[str, Sequence[str]] = {
    "p1": [*P1.makers],
    "p2": [*P2.makers],
    "p2-low": [*openloop.LOW],
    "p3": [*P3.makers],
    "p4": [*P4.makers],
    "p5": [*P5.makers],
    "p6": [*dict.fromkeys([*P6.makers, *P6_MIX.makers])],
    "p7": [*memory.MAKERS],
    "p8": [*slots.NAMES],
    "p99": [*openloop.HALF],
}

TITLES = {
    "p1": "kept-alive connections, one client each",
    "p2": "kept-alive connections, another client with every request (the ALB mix)",
    "p2-low": "p2 at a tenth of bare twisted.web's limit: CPU time and latency",
    "p3": "a new connection for every request",
    "p4": "responses of 1 MiB",
    "p5": "the master's CPU time for a new connection",
    "p6": "ASGI: as p1, and as p2 (reported as p6-mix)",
    "p7": "memory of idle connections",
    "p8": "CPU time with 2 to 64 slots",
    "p99": "latency at half of bare twisted.web's limit",
}


def contestants_of(name: str) -> Sequence[str]:
    """Who takes part in a workload, by the names that ``--only`` selects from."""
    return _TAKING_PART[name]
