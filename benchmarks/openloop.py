"""Latency and CPU time at rates below the limit: at half of it, and at a tenth.

wrk sends the next request when it has the last answer, so a stall costs it one sample, and a
server under it never idles. Here requests have times at which they are due (`openloop.c`), the
same for everyone. At a tenth of the limit nearly every request wakes the server up: what a
wake-up costs is not shared there.
"""

import json
import subprocess
from collections.abc import Mapping, Sequence

import attrs

from benchmarks import contestants as who
from benchmarks.contest import (
    Contestant,
    Figures,
    Ground,
    Maker,
    interleaved,
    pinned,
    progress,
    start,
)
from benchmarks.correctness import answers, check
from benchmarks.load import CONNECTIONS, Load, Wrk
from benchmarks.plan import Plan
from benchmarks.result import Result, Target

MINE, PYTHON = "stickyd", "stickyd, Python core"
REQUEST, STOCK, NGINX = "stickyd, request scope", "twisted.web, bare", "nginx + twisted.web"
HALF: dict[str, Maker] = {
    MINE: who.stickyd("connection", 2),
    PYTHON: who.stickyd("connection", 2, native=False),
    REQUEST: who.stickyd("request", 2),
    STOCK: who.stock,
    NGINX: who.nginx(2),
}
LOW: dict[str, Maker] = {
    MINE: who.stickyd("request", 4),
    PYTHON: who.stickyd("request", 4, native=False),
    STOCK: who.stock,
    NGINX: who.nginx(4),
    "HAProxy + twisted.web": who.haproxy(4),
}
LATE_MOST = 0.01
"""Share of requests that the load itself may send a millisecond late."""


@attrs.frozen
class OpenLoop:
    """Measures a contestant at a rate, in requests a second."""

    program: str
    core: int
    rate: float
    seconds: int
    mixed: bool = False

    def __call__(self, contestant: Contestant) -> Figures:
        """One turn: median and p99 in microseconds."""
        before = contestant.cpu()
        command = [self.program, str(contestant.port), f"{self.rate:.1f}", str(self.seconds)]
        command += [str(CONNECTIONS), *(["mixed"] if self.mixed else [])]
        done = subprocess.run(
            [*pinned(self.core), *command],
            capture_output=True,
            text=True,
            timeout=self.seconds + 60,
        )
        if done.returncode:
            raise ValueError(f"{contestant.name}: {done.stderr.strip()}")
        return figures_of(json.loads(done.stdout), self.seconds, contestant.cpu() - before)


def figures_of(told: Mapping[str, float], seconds: float, used: float) -> Figures:
    """What `openloop.c` printed, as figures.

    :param used: CPU seconds of the contestant meanwhile.
    """
    asked = max(1, told["asked"])
    return {
        "p50": told["p50"],
        "p99": told["p99"],
        "rate": told["answered"] / seconds,
        "cost": used / asked * 1e6,
        "late": told["late"] / asked,
        "failed": float(told["wrong"] + told["asked"] - told["answered"]),
    }


@attrs.frozen
class Rated:
    """Contestants at a share of what bare twisted.web can do under the same load.

    :ivar workers: of each stickyd, whose misroutes are counted exactly.
    :ivar longer: how many times a round's seconds; little CPU time is measured coarsely.
    """

    name: str
    title: str
    load: Load
    share: float
    makers: Mapping[str, Maker]
    workers: int
    quantity: str
    shown: Sequence[str]
    targets: Sequence[Target] = ()
    longer: int = 1

    def run(self, ground: Ground, plan: Plan) -> list[Result]:
        """Find bare twisted.web's limit, then measure everyone at its share."""
        program = who.compiled(ground, "openloop")
        makers = {
            name: maker for name, maker in self.makers.items() if plan.wants(name) or name == STOCK
        }
        started = start(ground, makers, lambda port: answers(port, self.load))
        checks = {}
        for each in started:
            progress(f"reading the answers of {each.name}")
            workers = self.workers if each.name.startswith(MINE) else 0
            checks[each.name] = attrs.asdict(check(each.port, self.load, workers=workers))
        full = Wrk(ground, self.load, max(2, plan.seconds // 2))
        limits = {contestant.name: full(contestant)["rate"] for contestant in started}
        rate = limits[STOCK] * self.share
        seconds = plan.seconds * self.longer
        measure = OpenLoop(program, ground.load_core, rate, seconds, self.load.mixed)
        figures = interleaved(started, measure, plan.rounds)
        for contestant in started:
            ground.stop(contestant.processes)
        late = max(each["late"] for rounds in figures.values() for each in rounds)
        note = f"{rate:.0f} requests/s for everyone, exponential gaps, {CONNECTIONS} connections."
        if late > LATE_MOST:
            note += f" The load itself was late with up to {late:.1%} of a round's requests."
        exact = [name for name in figures if name.startswith(MINE)]
        return [
            Result(
                self.name,
                self.title,
                self.quantity,
                self.shown,
                MINE,
                figures,
                seconds,
                self.targets,
                checks,
                exact,
                note,
            )
        ]


half_load = Rated(
    "p99",
    "p99: kept-alive connections, one client each, at half of bare twisted.web's limit",
    Load(mixed=False),
    0.5,
    HALF,
    2,
    "p99",
    ("p50", "cost"),
    [Target(MINE, STOCK, at_most=1)],
).run
low_load = Rated(
    "p2-low",
    "P2 at low load: the ALB mix at a tenth of bare twisted.web's limit; 4 workers",
    Load(mixed=True),
    0.1,
    LOW,
    4,
    "cost",
    ("p50", "p99", "rate"),
    longer=2,
).run
