"""Facts whose names are all hostile, and samples for tests."""

from collections.abc import Mapping

from stickyd.master.admin.page.sample import Key, Sample, counts_of
from stickyd.master.facts import Facts, SlotFacts, WorkerFacts
from stickyd.process import Used
from stickyd.routing.source_numbers import names_of
from stickyd.stats import REQUESTS, MasterCounters, WorkerCounters

MARKUP = '"><img src=x onerror=alert(1)>'
SCRIPT = "</script><script>alert(1)</script>"
BYTES = "\x00\x1b[31m\x85\ud800‮"


def hostile_facts(pid: int = 1) -> Facts:
    """A daemon with one slot."""
    counters = WorkerCounters()
    counters.cells[REQUESTS + 1] = 5
    counters.cells[REQUESTS + 2] = 6
    counters.misrouted = 3
    master = MasterCounters()
    master.refused[MARKUP] = 2
    master.restarts[SCRIPT + BYTES] = 1
    return Facts(
        version=MARKUP,
        core=SCRIPT,
        generation=1,
        table_version=1,
        master_pid=pid,
        master=master,
        totals={1: counters},
        sources=names_of([MARKUP, BYTES]),
        slots=[SlotFacts(1, None, 0, 1, MARKUP, [WorkerFacts(99, SCRIPT, 1)])],
        heads=0,
        open=1,
        most=2,
        idle=None,
        certificates={MARKUP: 1.0},
        scope=MARKUP,
    )


def sample(
    facts: Facts,
    seconds: float = 0.0,
    not_ready: str = "",
    uses: Mapping[int, Used] | None = None,
    counts: Mapping[Key, float] | None = None,
) -> Sample:
    """A sample of these facts."""
    counted = counts_of(facts) if counts is None else counts
    return Sample(seconds, 1e9 + seconds, facts, counted, not_ready, uses or {})
