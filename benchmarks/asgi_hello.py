"""ASGI hello: what a request costs in a worker beside bare uvicorn.

    python -m benchmarks.asgi_hello [--rounds 5] [--seconds 4]

One worker each, kept-alive connections, uvloop and httptools in both, and no
access log, which stickyd does not have (uvicorn with its log is a row of its
own). Machine, cores and figures are as in `benchmarks.alb_mix`.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.alb_mix import Contestant, _answers, _spawn, load
from tests.daemon import free_port, wait_for

APP = "stickyd_asgi_apps:hello"


def uvicorn(name: str, *options: str) -> Contestant:
    """uvicorn itself."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", APP, "--port", str(port), *options]
    return Contestant(name, port, [_spawn(*command)])


def stickyd(name: str, *options: str) -> Contestant:
    """stickyd with one worker."""
    port = free_port()
    run = [sys.executable, "-m", "stickyd.cli", "run", "--workers", "1", "--asgi", APP]
    listen = ["--listen", f"tcp:{port}:interface=127.0.0.1"]
    return Contestant(name, port, [_spawn(*run, *listen, *options)])


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    arguments = parser.parse_args()
    contestants = [
        uvicorn("uvicorn --no-access-log", "--no-access-log"),
        stickyd("stickyd, connection scope"),
        stickyd("stickyd, request scope", "--affinity-scope", "request"),
        uvicorn("uvicorn with its access log"),
        uvicorn("uvicorn --loop asyncio", "--no-access-log", "--loop", "asyncio"),
    ]
    costs: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as directory:
        script = Path(directory, "plain.lua")
        script.write_text("")
        try:
            for contestant in contestants:
                wait_for(lambda c=contestant: _answers(c.port), 30, contestant.name)
                load(contestant, str(script), 1)
            for _ in range(arguments.rounds):
                for contestant in contestants:
                    _, cost = load(contestant, str(script), arguments.seconds)
                    costs.setdefault(contestant.name, []).append(cost)
        finally:
            for contestant in contestants:
                contestant.stop()
    bare = statistics.median(costs[contestants[0].name])
    print(f"{'ASGI hello':30} {'CPU us/request':>16} {'spread':>14} {'to bare':>8}")
    for name, figures in costs.items():
        spread = f"{min(figures):.0f}-{max(figures):.0f}"
        middle = statistics.median(figures)
        print(f"{name:30} {middle:16.1f} {spread:>14} {middle / bare:8.2f}")


if __name__ == "__main__":
    main()
