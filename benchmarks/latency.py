"""The latency that 99 of 100 requests do not exceed, at half of what bare twisted.web can do.

wrk sends the next request when it has the last answer, so a stall costs it one sample. Here
requests have times at which they are due (`openloop.c`), the same for everyone.
"""

import json
import subprocess

import attrs

from benchmarks import contestants as who
from benchmarks.contest import Contestant, Figures, Ground, Maker, interleaved, pinned, start
from benchmarks.correctness import answers
from benchmarks.load import CONNECTIONS, Load, Wrk
from benchmarks.plan import Plan
from benchmarks.result import Result, Target

MINE, STOCK = "stickyd", "twisted.web, bare"
LOAD = Load(mixed=False)
MAKERS: dict[str, Maker] = {
    MINE: who.stickyd("connection", 2),
    "stickyd, request scope": who.stickyd("request", 2),
    STOCK: who.stock,
    "nginx + twisted.web": who.nginx(2),
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

    def __call__(self, contestant: Contestant) -> Figures:
        """One turn: median and p99 in microseconds."""
        before = contestant.cpu()
        command = [self.program, str(contestant.port), f"{self.rate:.1f}", str(self.seconds)]
        done = subprocess.run(
            [*pinned(self.core), *command, str(CONNECTIONS)],
            capture_output=True,
            text=True,
            timeout=self.seconds + 60,
        )
        if done.returncode:
            raise ValueError(f"{contestant.name}: {done.stderr.strip()}")
        told = json.loads(done.stdout)
        asked = max(1, told["asked"])
        return {
            "p50": told["p50"],
            "p99": told["p99"],
            "rate": told["answered"] / self.seconds,
            "cost": (contestant.cpu() - before) / asked * 1e6,
            "late": told["late"] / asked,
            "failed": float(told["wrong"] + told["asked"] - told["answered"]),
        }


def run(ground: Ground, plan: Plan) -> list[Result]:
    """Find bare twisted.web's limit, then measure everyone at half of it."""
    program = who.compiled(ground, "openloop")
    makers = {name: maker for name, maker in MAKERS.items() if plan.wants(name) or name == STOCK}
    started = start(ground, makers, lambda port: answers(port, LOAD))
    full = Wrk(ground, LOAD, max(2, plan.seconds // 2))
    limits = {contestant.name: full(contestant)["rate"] for contestant in started}
    rate = limits[STOCK] / 2
    measure = OpenLoop(program, ground.load_core, rate, plan.seconds)
    figures = interleaved(started, measure, plan.rounds)
    for contestant in started:
        ground.stop(contestant.processes)
    late = [each["late"] for rounds in figures.values() for each in rounds]
    note = f"{rate:.0f} requests/s for everyone, exponential gaps, {CONNECTIONS} connections."
    if max(late) > LATE_MOST:
        note += f" The load itself was late with up to {max(late):.1%} of a round's requests."
    title = "p99: kept-alive connections, one client each, at half of bare twisted.web's limit"
    targets = [Target(MINE, STOCK, at_most=1)]
    shown = ("p50", "cost")
    return [Result("p99", title, "p99", shown, MINE, figures, plan.seconds, targets, note=note)]
