"""The workloads by name, and what each of them compares.

P1 to P4 and P6 are wrk against a set of contestants, with another load or app; P5 is P3's load
with an eye on the master alone. P7, P8 and the latencies have modules of their own.
"""

from collections.abc import Callable, Mapping, Sequence

import attrs

from benchmarks import contestants as who
from benchmarks import latency, memory, slots
from benchmarks.contest import Contestant, Ground, Maker, interleaved, progress, start
from benchmarks.correctness import Check, answers, check
from benchmarks.load import Load, Wrk
from benchmarks.plan import Plan
from benchmarks.result import Result, Target

MINE, STOCK, FLOOR = "stickyd", "twisted.web, bare", "floor in C"
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
    :ivar misroutes: whether the subject may misroute nothing; the others are what they are.
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
            [self.subject],
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
        REQUEST: who.stickyd("request", 2),
        STOCK: who.stock,
        NGINX: who.nginx(2),
        HAPROXY: who.haproxy(2),
        **_all_npm(2),
    },
    {MINE: 2, REQUEST: 2},
    [Target(MINE, NGINX, at_least=3), Target(MINE, STOCK, at_least=2)],
    daily=(MINE, STOCK, NGINX),
)
P2 = Workload(
    "p2",
    "P2, the ALB mix: kept-alive connections, another client with every request; 4 workers",
    Load(mixed=True),
    MINE,
    {
        MINE: who.stickyd("request", 4),
        "stickyd, connection scope": who.stickyd("connection", 4),
        STOCK: who.stock,
        NGINX: who.nginx(4),
        HAPROXY: who.haproxy(4),
        **_all_npm(4),
    },
    {MINE: 4, "stickyd, connection scope": 4},
    [
        Target(MINE, NGINX, at_least=2),
        Target(MINE, HAPROXY, at_least=2),
        Target(MINE, "npm @socket.io/sticky", at_least=6),
    ],
    daily=(MINE, NGINX, HAPROXY),
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
        STOCK: who.stock,
        NGINX: who.nginx(2),
        HAPROXY: who.haproxy(2),
        **_all_npm(2),
        FLOOR: who.floor(2),
    },
    {MINE: 2},
    [
        Target(MINE, NGINX, at_least=1.5),
        *(Target(MINE, name, at_least=5) for name in NPM),
        Target(MINE, FLOOR, at_most=3),
    ],
    daily=(MINE, NGINX, FLOOR),
)
P4 = Workload(
    "p4",
    "P4: answers of 1 MiB; 2 workers",
    Load(mixed=False, path="/big"),
    MINE,
    {
        MINE: who.stickyd("connection", 2),
        STOCK: who.stock,
        NGINX: who.nginx(2),
        HAPROXY: who.haproxy(2),
    },
    {MINE: 2},
    [Target(MINE, NGINX, at_least=3), Target(MINE, HAPROXY, at_least=2.4)],
    checked=96,
)
P5 = Workload(
    "p5",
    "P5: the master alone, a new connection for every request; 2 workers",
    Load(mixed=True, closing=True),
    MINE,
    {MINE: who.stickyd("connection", 2), FLOOR: who.floor(2)},
    {MINE: 2},
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
        REQUEST: who.stickyd_asgi("request", 1),
        "uvicorn, bare": who.uvicorn,
        "daphne, bare": who.daphne,
    },
    {MINE: 1, REQUEST: 1},
    [
        Target(MINE, "uvicorn, bare", at_most=1.05),
        Target(REQUEST, "uvicorn, bare", at_most=1.25),
    ],
    note="uvloop and httptools in uvicorn and stickyd, no access logs.",
)
P6_MIX = Workload(
    "p6-mix",
    "P6: the ALB mix with ASGI; 4 workers",
    Load(mixed=True),
    MINE,
    {MINE: who.stickyd_asgi("request", 4), "nginx + uvicorn": who.nginx_uvicorn(4)},
    {MINE: 4},
    [Target(MINE, "nginx + uvicorn", at_least=1)],
)

Run = Callable[[Ground, Plan], list[Result]]

WORKLOADS: dict[str, list[Run]] = {
    "p1": [P1.run],
    "p2": [P2.run],
    "p3": [P3.run],
    "p4": [P4.run],
    "p5": [P5.run],
    "p6": [P6.run, P6_MIX.run],
    "p7": [memory.run],
    "p8": [slots.run],
    "p99": [latency.run],
}
"""By the name given on the command line."""

DAILY = ("p1", "p2", "p3")
