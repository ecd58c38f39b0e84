"""Scenarios in which workers die: kill -9, a worker that hangs, a slot that cannot start."""

import contextlib
import os
import re
import signal
import statistics
import time
from collections.abc import Iterator, Mapping
from random import Random

from tests.slow.life.load import Load, random_names
from tests.slow.life.losses import Death, Fate, Notes, judged
from tests.slow.life.run import PATIENCE, Arguments, Results, Run, cpu_seconds, daemon_for_load
from tests.slow.life.wrk import Wrk
from tests.support.daemon import wait_for

_SILENT = re.compile(r"worker \d+ \(pid (\d+)\) has been silent")


@contextlib.contextmanager
def with_losses(
    results: Results, scope: str, arguments: Arguments, *options: str
) -> Iterator[tuple[Run, dict[int, Death]]]:
    """Four workers under load, by clients that come back after a loss.

    The body notes the pids that it killed, or had killed, as `judged` wants them.
    """
    # A slot is not given up: where requests belong stays the same.
    more = ("--slot-failover", "0", "--notes", *options)
    with daemon_for_load(results, scope, arguments, *more, workers=4) as run:
        before = run.daemon.settled_descriptors()
        killed: dict[int, Death] = {}
        load = Load(run.daemon.port, run.policy(4), scope, reconnect=True, seed=arguments.seed)
        wrk = Wrk(run.daemon.port, arguments.delay, arguments.seed)
        try:
            load.start()
            yield run, killed
            wait_for(lambda: len(run.daemon.pids()) == 4, PATIENCE, "every worker ready")
            load.finish()
            told = wrk.stop()
        finally:
            wrk.kill()
        run.check(told.non_2xx == told.connect == told.timeout == 0, str(told))
        check_losses(run, load, killed, "off" not in arguments.options)
        run.check_places()
        run.check_descriptors(before)


def check_losses(run: Run, load: Load, killed: Mapping[int, Death], guardian: bool) -> None:
    """Only what a killed worker had in its hands may be lost."""
    counts = load.counts
    run.check(
        not load.failures,
        f"own client: {counts['answered']} answered, {counts['bodies']} with bodies,"
        f" {counts['slots checked']} with slot checked; wrong {len(load.failures)}",
    )
    run.results.list(load.failures)
    fates, lines = judged(load.losses, Notes.read(run.life), killed)
    # With a guardian idle connections live on.
    never = {Fate.ON_ITS_WAY, Fate.IDLE} if guardian else {Fate.ON_ITS_WAY}
    for fate in Fate:
        text = f"lost, {fate.value}: {fates[fate]}"
        if fate in never:
            run.check(not fates[fate], text)
        else:
            run.say(text)
    run.results.list(lines)


def kill(results: Results, scope: str, arguments: Arguments) -> None:
    """kill -9 of a random ready worker every second."""
    rounds = arguments.rounds or 120
    chance = Random(arguments.seed)
    with with_losses(results, scope, arguments) as (run, killed):
        while len(killed) < rounds:
            # On a busy machine the master may not have noticed the last one's end yet.
            alive = wait_for(
                lambda: set(run.daemon.pids().values()) - killed.keys(), PATIENCE, "a ready worker"
            )
            pid = chance.choice(sorted(alive))
            killed[pid] = Death.by_kill(pid)
            # The pace of the scenario.
            time.sleep(1.0)
        wait_for(
            lambda: run.count_said("is ready (pid") >= 4 + rounds, PATIENCE, "every replacement"
        )
        replaced = run.count_said("ended and is replaced")
        run.check(
            replaced == rounds, f"{rounds} killed in {run.elapsed():.0f} s, {replaced} replaced"
        )


def stop(results: Results, scope: str, arguments: Arguments) -> None:
    """kill -STOP of a worker: silence is detected, and what waits in the inbox is served."""
    rounds = arguments.rounds or 5
    chance = Random(arguments.seed)
    with with_losses(results, scope, arguments, "--timeout", "2") as (run, killed):
        stopped: set[int] = set()
        detected, replaced = [], []
        for _ in range(rounds):
            run.mark()
            ready = wait_for(run.daemon.pids, PATIENCE, "a ready worker")
            slot, pid = chance.choice(list(ready.items()))
            started = time.monotonic()
            os.kill(pid, signal.SIGSTOP)
            stopped.add(pid)
            run.said(f"worker {slot} (pid {pid}) has been silent")
            detected.append(time.monotonic() - started)
            run.said(f"worker {slot} is ready")
            replaced.append(time.monotonic() - started)
        silent = {int(m[1]) for line in run.daemon.log if (m := _SILENT.search(line))}
        killed |= dict.fromkeys(silent, Death())
        run.check(
            stopped <= silent,
            f"{rounds} stopped; detected after {max(detected):.1f} s at most,"
            f" replaced after {max(replaced):.1f} s at most",
        )
        if silent - stopped:
            run.say(f"killed as silent though nobody stopped them: {len(silent - stopped)}")


def crashloop(results: Results, scope: str, arguments: Arguments, seconds: float = 15) -> None:
    """The app of slot 1 cannot start: the others do not feel it."""
    rounds = arguments.rounds or 3
    options = ("--slot-failover", "3", "--notes")
    with daemon_for_load(results, scope, arguments, *options, workers=3) as run:
        table = run.policy(3).table
        names = random_names(Random(arguments.seed), 2000)
        of_first = [name for name in names if table.slot_of(name.encode()) == 1]
        others = [name for name in names if table.slot_of(name.encode()) != 1]
        port = run.daemon.port
        load = Load(port, run.policy(3), scope, kept=24, idle=0, names=others, plain=True)
        # Clients of slot 1 come back after the kill; where they belong changes meanwhile.
        few = {"kept": 4, "idle": 0, "short": 2, "reconnect": True, "plain": True}
        first = Load(port, None, scope, names=of_first, **few)
        load.start()
        first.start()
        healthy, crashing = [], []
        killed: dict[int, Death] = {}
        cpu = failed = lines = 0.0
        for _ in range(rounds):
            healthy.append(_phase(seconds))
            (run.life / "fails-1").touch()
            pid = run.daemon.pids()[1]
            own, children = cpu_seconds(run.daemon.process.pid)
            run.mark()
            killed[pid] = Death.by_kill(pid)
            began = len(run.daemon.log)
            crashing.append(_phase(seconds))
            lines += len(run.daemon.log) - began
            now = cpu_seconds(run.daemon.process.pid)
            cpu += now[0] - own
            failed += now[1] - children
            (run.life / "fails-1").unlink()
            run.said("worker 1 is ready")
            wait_for(lambda: run.daemon.report()["table"]["slots"] == [1, 2, 3], PATIENCE)
        load.finish()
        first.finish()
        total = rounds * seconds
        run.check_nothing_failed(load)
        run.say("above: clients of the other slots; below: those of slot 1, which was killed")
        check_losses(run, first, killed, "off" not in arguments.options)
        _say_latency(run, load, healthy, crashing)
        starts = run.count_said("told to fail")
        run.say(
            f"CPU in {total:.0f} s of crash loop: master {100 * cpu / total:.1f} %,"
            f" the worker killed and {starts} failed starts {100 * failed / total:.1f} %"
        )
        rate = 60 * lines / total
        run.check(rate < 120, f"log: {rate:.0f} lines a minute while slot 1 crashes")


def _phase(seconds: float) -> tuple[float, float]:
    """Let time pass under load; from when to when."""
    began = time.monotonic()
    time.sleep(seconds)
    return began, time.monotonic()


def _say_latency(
    run: Run, load: Load, healthy: list[tuple[float, float]], crashing: list[tuple[float, float]]
) -> None:
    """Median over the phases of each one's p50 and p99, in ms, and how they compare."""

    def over(phases: list[tuple[float, float]], percent: int) -> float:
        each = []
        for began, ended in phases:
            taken = [seconds for at, seconds in load.latencies if began <= at <= ended]
            each.append(statistics.quantiles(taken, n=100)[percent - 1])
        return 1000 * statistics.median(each)

    for percent in (50, 99):
        well, ill = over(healthy, percent), over(crashing, percent)
        run.say(
            f"p{percent} of the other slots: {well:.2f} ms healthy, {ill:.2f} ms while slot 1"
            f" crashes, ratio {ill / well:.2f}"
        )
