"""Scenarios in which nothing may fail: reload, worn workers, scale, upgrade."""

import signal
import time

from tests.slow.life.run import PATIENCE, Arguments, Results, Run, daemon_for_load, under_load
from tests.slow.life.run import upgrades as upgrades_of
from tests.support.daemon import wait_for

MOST_SLOTS = 6


def reload(results: Results, scope: str, arguments: Arguments) -> None:
    """Reloads one after another, each as soon as the generation before it serves."""
    rounds = arguments.rounds or 100
    with under_load(results, scope, arguments, workers=2) as (run, _):
        for generation in range(2, rounds + 2):
            run.signal(signal.SIGHUP)
            run.said(f"reload: generation {generation} serves")
        took = run.elapsed()
        now = run.daemon.report()["generation"]
        run.check(now == rounds + 1, f"{rounds} reloads in {took:.0f} s, generation {now} serves")


def worn(results: Results, scope: str, arguments: Arguments) -> None:
    """Workers that retire after some requests."""
    rounds = arguments.rounds or 100
    options = ("--max-requests", "400", "--max-requests-jitter", "200")
    with under_load(results, scope, arguments, *options, workers=2) as (run, _):
        ready = "is ready (pid"
        first = run.count_said(ready)
        wait_for(
            lambda: run.count_said(ready) >= first + rounds,
            PATIENCE + 20 * rounds,
            f"{rounds} retirements",
        )
        run.check(first == 2, f"{rounds} workers retired after 400 to 600 requests")
        run.say(f"in {run.elapsed():.0f} s")


def scale(results: Results, scope: str, arguments: Arguments) -> None:
    """From two slots to six and back, several times."""
    rounds = arguments.rounds or 5
    # Workers keep the sending end of a slot that has gone, for it may come back.
    loaded = under_load(results, scope, arguments, workers=2, check_workers=False)
    with loaded as (run, load):
        version = 1
        for _ in range(rounds):
            steps = [(n, signal.SIGTTIN) for n in range(3, MOST_SLOTS + 1)]
            steps += [(n, signal.SIGTTOU) for n in range(MOST_SLOTS - 1, 1, -1)]
            for slots, number in steps:
                load.policy = None
                run.signal(number)
                run.said(f"{slots} slots")
                version += 1
                load.policy = run.policy(slots, version)
                # Time to be loaded in this state: what is checked is what happens meanwhile.
                time.sleep(0.5)
        table = run.daemon.report()["table"]
        run.check(
            table == {"version": version, "slots": [1, 2]},
            f"{rounds} times from 2 to {MOST_SLOTS} slots and back in {run.elapsed():.0f} s:"
            f" {table}",
        )


def upgrade(results: Results, scope: str, arguments: Arguments) -> None:
    """The master replaces its own program."""
    rounds = arguments.rounds or 20
    with daemon_for_load(results, scope, arguments, workers=2) as run:
        if upgrades_of(run.daemon.report()) is None:
            results.say("skipped: this daemon counts no 'upgrades'")
            return
    with under_load(results, scope, arguments, workers=2) as (run, _):
        master = run.daemon.process.pid
        for number in range(1, rounds + 1):
            run.signal(signal.SIGUSR2)
            wait_for(lambda number=number: _upgraded(run, number), PATIENCE, "the upgrade")
        run.check(
            run.daemon.process.poll() is None and run.daemon.report()["master"]["pid"] == master,
            f"{rounds} upgrades in {run.elapsed():.0f} s, the master's pid stays",
        )


def _upgraded(run: Run, number: int) -> bool:
    try:
        return upgrades_of(run.daemon.report()) == number
    except (OSError, ValueError):
        # The control socket is the one thing that may be away for the moment.
        return False
