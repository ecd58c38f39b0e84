"""What many connections and many clients cost beside few: ``python -m benchmarks.many``.

Two daemons of four workers in request scope, one core for both: the small one has 10,000 idle
connections and is asked by 1,000 clients, the large one 100,000 and 1,000,000; fewer where
RLIMIT_NOFILE cannot be raised so far. Each idle connection has had one answer; sources are spread
over 127.0.0.0/8. Memory is the difference of the PSS of master and workers. Then 32 kept-alive
connections ask, each time for another client (wrk, closed loop), until all clients have been seen
once, or --patience is over; then the two daemons are measured in turn.
Exit status 1: a connection of the large one takes more than BYTES_MOST, or an answer was wrong.
"""

import argparse
import contextlib
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

import attrs

from benchmarks.contest import (
    Contestant,
    Ground,
    Unavailable,
    keep_to_load_core,
    memory,
    pinned,
    progress,
    start,
    tool,
)
from benchmarks.contestants import TWISTED
from stickyd.net.fd_budget import room_under
from tests.support.daemon import Reader, free_port

BYTES_MOST = 700
"""P7's bound on what a connection takes of master and workers."""

WORKERS = 4
CONNECTIONS = 32
EACH_ADDRESS = 2_500
BATCH = 250
"""Connections that are opened before their answers are read."""

STRIDE = 611_953
"""Prime: the clients come in an order without neighbours, each once before any comes again."""

SCRIPT = """
local n = %d
request = function()
  n = n + 1
  local c = (n * %d) %% %d
  local client = string.format("10.%%d.%%d.%%d", c / 65536, c / 256 %% 256, c %% 256)
  wrk.headers["X-Forwarded-For"] = client
  return wrk.format("GET", wrk.path)
end
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('{"requests": %%d, "p50": %%f, "p99": %%f, "failed": %%d}\\n',
    summary.requests, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


@attrs.frozen
class Case:
    """How many idle connections, and how many clients in the mix."""

    name: str
    idle: int
    clients: int


@attrs.frozen
class Weight:
    """Bytes of the master, and of all workers."""

    master: int
    workers: int

    def less(self, other: "Weight") -> "Weight":
        """What has been added since."""
        return Weight(self.master - other.master, self.workers - other.workers)


@attrs.define
class Run:
    """A case, its daemon and what it has told.

    :ivar idle: bytes that each idle connection has added.
    :ivar met: bytes that all clients of the mix have added.
    :ivar asked: requests of the mix so far.
    """

    case: Case
    daemon: Contestant
    socks: list[socket.socket] = attrs.field(factory=list)
    idle: tuple[float, float] = (0.0, 0.0)
    met: Weight = Weight(0, 0)
    asked: int = 0
    failed: int = 0
    cost: list[float] = attrs.field(factory=list)
    p50: list[float] = attrs.field(factory=list)
    p99: list[float] = attrs.field(factory=list)

    def weigh(self) -> Weight:
        """Memory of now."""
        master, *workers = self.daemon.tree()
        return Weight(memory(master), sum(map(memory, workers)))


def stickyd(ground: Ground, case: Case) -> Contestant:
    """A daemon with room for all connections, none of which times out."""
    port = free_port()
    command = [sys.executable, "-m", "stickyd", "run", "--class", TWISTED, "--seed", "1"]
    command += ["--workers", str(WORKERS), "--affinity-scope", "request"]
    command += ["--forwarded-allow-ips", "127.0.0.0/8", "--keep-alive", "86400"]
    command += ["--max-connections", str(case.idle + 2 * CONNECTIONS)]
    command += ["--listen", f"tcp:{port}:interface=127.0.0.1"]
    process = ground.spawn(*command)
    return Contestant(case.name, port, [process], lambda: " is ready: " in ground.log(process))


def affordable(idle: int) -> int:
    """How many idle connections the large daemon, and we, may have; raises the limit if it may."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    needed = (idle + 4_000) * 5 // 4
    if 0 <= hard < needed:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed, needed))
            hard = needed
    limit = hard if hard >= 0 else needed
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    # Our own ends are those of both daemons.
    room = min(room_under(limit, WORKERS) - 2 * CONNECTIONS, (limit - 500) * 10 // 11)
    if room >= idle:
        return idle
    few = max(100, room // 1000 * 1000)
    print(f"many: RLIMIT_NOFILE of {limit} has room for {few:,} connections only", file=sys.stderr)
    return few


def client_of(number: int) -> str:
    """Who asks on an idle connection: another client on each."""
    return f"11.{number >> 16}.{number >> 8 & 255}.{number & 255}"


def fill(run: Run, count: int) -> None:
    """Open connections, each with one answer."""
    for first in range(0, count, BATCH):
        progress(f"{run.case.name}: {first:,} connections")
        batch = [(_connect(run.daemon.port, n), n) for n in range(first, min(first + BATCH, count))]
        run.socks += [sock for sock, _ in batch]
        for sock, number in batch:
            whose = client_of(number)
            sock.sendall(f"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {whose}\r\n\r\n".encode())
        for sock, _ in batch:
            run.failed += Reader(sock).response().status != 200


def _connect(port: int, number: int) -> socket.socket:
    sock = socket.socket()
    address = number // EACH_ADDRESS
    sock.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT (ip(7))
    sock.settimeout(60)
    sock.bind((f"127.1.{address // 200}.{address % 200 + 1}", 0))
    sock.connect(("127.0.0.1", port))
    return sock


def ask(ground: Ground, run: Run, seconds: int) -> None:
    """One turn of the mix; its figures are added to those of the run."""
    script = ground.directory / "many.lua"
    script.write_text(SCRIPT % (run.asked, STRIDE, run.case.clients))
    before = run.daemon.cpu()
    command = [tool("wrk"), "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "60"]
    printed = subprocess.run(
        [*pinned(ground.load_core), *command, "-s", script, f"http://127.0.0.1:{run.daemon.port}/"],
        capture_output=True,
        text=True,
        check=True,
        timeout=seconds + 120,
    ).stdout
    told = json.loads(printed.splitlines()[-1])
    run.asked += told["requests"]
    run.failed += told["failed"]
    run.cost.append((run.daemon.cpu() - before) / max(1, told["requests"]) * 1e6)
    run.p50.append(told["p50"] / 1000)
    run.p99.append(told["p99"] / 1000)


def prepare(ground: Ground, run: Run, patience: float) -> None:
    """Idle connections, and all clients once; what both take."""
    # Warm: what a process allocates once is not the connections'.
    ask(ground, run, 3)
    run.asked = 0
    before = run.weigh()
    fill(run, run.case.idle)
    # Ends of the connections that warmed up are swept.
    time.sleep(1)
    added = run.weigh().less(before)
    run.idle = (added.master / run.case.idle, added.workers / run.case.idle)
    before, until = run.weigh(), time.monotonic() + patience
    while run.asked < run.case.clients and time.monotonic() < until:
        progress(f"{run.case.name}: {run.asked:,} clients have asked")
        ask(ground, run, 10 if run.case.clients > 10_000 else 1)
    run.met = run.weigh().less(before)
    run.cost.clear()
    run.p50.clear()
    run.p99.clear()


def table(runs: Sequence[Run]) -> str:
    """The page's rows."""

    def spread(values: Sequence[float], digits: int) -> str:
        low, middle, high = min(values), statistics.median(values), max(values)
        return f"{middle:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"

    rows: list[tuple[str, list[str]]] = [
        ("idle connections", [f"{run.case.idle:,}" for run in runs]),
        (
            "distinct clients that have asked",
            [f"{min(run.asked, run.case.clients):,}" for run in runs],
        ),
        ("bytes an idle connection: master", [f"{run.idle[0]:.0f}" for run in runs]),
        ("bytes an idle connection: workers", [f"{run.idle[1]:.0f}" for run in runs]),
        ("MiB added by the clients: master", [f"{run.met.master / 2**20:.1f}" for run in runs]),
        ("MiB added by the clients: workers", [f"{run.met.workers / 2**20:.1f}" for run in runs]),
        ("CPU µs a request", [spread(run.cost, 1) for run in runs]),
        ("p50, ms", [spread(run.p50, 2) for run in runs]),
        ("p99, ms", [spread(run.p99, 2) for run in runs]),
        ("failed", [f"{run.failed:,}" for run in runs]),
    ]
    lines = [
        "| | " + " | ".join(run.case.name for run in runs) + " |",
        "|---" * (len(runs) + 1) + "|",
    ]
    lines += [f"| {what} | " + " | ".join(values) + " |" for what, values in rows]
    return "\n".join(lines)


def main() -> int:
    """Run from the command line; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--idle", type=int, default=100_000, help="connections of the large case")
    parser.add_argument("--clients", type=int, default=1_000_000, help="of the large case")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="of a measurement")
    parser.add_argument("--patience", type=float, default=600.0, help="for all clients to ask, s")
    given = parser.parse_args()
    idle = affordable(given.idle)
    cases = (
        Case("small", max(1, idle // 10), max(1, given.clients // 1000)),
        Case("large", idle, given.clients),
    )
    try:
        keep_to_load_core()
        with Ground() as ground:
            makers = {case.name: lambda g, c=case: stickyd(g, c) for case in cases}
            started = start(ground, makers, lambda port: True)
            runs = [Run(case, daemon) for case, daemon in zip(cases, started, strict=True)]
            for run in runs:
                prepare(ground, run, given.patience)
            for number in range(given.rounds):
                for run in runs:
                    progress(f"round {number + 1} of {given.rounds}: {run.case.name}")
                    ask(ground, run, given.seconds)
            progress("")
            held = sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in runs[-1].daemon.tree())
            print(table(runs))
            for run in runs:
                for sock in run.socks:
                    sock.close()
    except Unavailable as error:
        print(f"many: {error}", file=sys.stderr)
        return 2
    if held < idle:
        print(f"many: connections have been closed, {held} descriptors are left", file=sys.stderr)
        return 1
    return 1 if sum(runs[-1].idle) > BYTES_MOST or any(run.failed for run in runs) else 0


if __name__ == "__main__":
    sys.exit(main())
