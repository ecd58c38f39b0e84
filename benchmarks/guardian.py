"""What ``--guardian on`` costs a connection and a request: ``python -m benchmarks.guardian``.

Daemons with and without it take turns, so that whatever else the machine does
falls on both. Processor time is that of all processes of the daemon
(/proc/pid/schedstat, nanoseconds); the median of many short rounds, and of the
differences between two that follow each other. What the ledger's own work
takes is timed by itself as well: on a busy machine the differences are no more
than its noise. Memory is Pss of all processes.
"""

import argparse
import os
import resource
import socket
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from timeit import repeat
from typing import Any

from twisted.internet.task import Clock

from stickyd.ipc.frame import Frame, Kind
from stickyd.master.supervisor.connection_limit import ConnectionLimit
from stickyd.master.supervisor.guardian import Guardian
from stickyd.net.lingering_close import end_connection
from stickyd.shm.connection_table import ConnectionTable
from stickyd.stats import MasterCounters
from tests.support.daemon import Daemon, Reader, request, wait_for

CLIENT = "10.10.10.10"
OTHER = "10.10.12.11"
BATCH = 50


def on_processor(pids: list[int]) -> float:
    """Seconds of processor time of some processes, so far."""
    stats = [Path(f"/proc/{pid}/schedstat").read_text() for pid in pids]
    return sum(int(stat.split()[0]) for stat in stats) / 1e9


def memory(daemon: Daemon) -> int:
    """Bytes of all processes, shared pages counted once."""
    rollups = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in daemon.family()]
    return sum(
        int(line.split()[1]) * 1024
        for rollup in rollups
        for line in rollup.splitlines()
        if line.startswith("Pss:")
    )


def a_connection(daemon: Daemon, times: int) -> None:
    """Connect, one request, one answer, and the end, which is the client's."""
    data = request(CLIENT)[:-2] + b"Connection: close\r\n\r\n"
    for _ in range(times):
        with daemon.connect() as sock:
            sock.sendall(data)
            while sock.recv(65536):
                pass


def a_request(daemon: Daemon, times: int) -> None:
    """On connections that are kept, one after the other."""
    with daemon.connect() as sock:
        reader = Reader(sock)
        for _ in range(times):
            sock.sendall(request(CLIENT))
            reader.response()


def a_pipelined_request(daemon: Daemon, times: int) -> None:
    """Of which many come at a time."""
    with daemon.connect() as sock:
        reader = Reader(sock)
        for _ in range(times // BATCH):
            sock.sendall(request(CLIENT) * BATCH)
            for _ in range(BATCH):
                reader.response()


def a_move(daemon: Daemon, times: int) -> None:
    """A request for which the connection moves."""
    with daemon.connect() as sock:
        reader = Reader(sock)
        for number in range(times):
            sock.sendall(request((CLIENT, OTHER)[number % 2]))
            reader.response()


WORK: list[tuple[str, Callable[[Daemon, int], None], int]] = [
    ("a connection with one request", a_connection, 400),
    ("a request", a_request, 1500),
    ("a request, pipelined", a_pipelined_request, 2000),
    ("a request with a move", a_move, 800),
]


def pair(*more: str) -> tuple[Daemon, Daemon]:
    """Without and with a guardian, ready."""
    options = ("--affinity-scope", "request", *more)
    return Daemon(*options, "--guardian", "off"), Daemon(*options)


def costs(rounds: int, scale: float) -> None:
    """Print microseconds."""
    off, on = pair()
    with off, on:
        print(f"{'µs of processor time':32}{'without':>9}{'with':>9}{'difference':>12}")
        for name, work, times in WORK:
            count = int(times * scale)
            took: dict[Daemon, list[float]] = {off: [], on: []}
            for daemon in (off, on) * (rounds + 1):
                family = daemon.family()
                before = on_processor(family)
                work(daemon, count)
                took[daemon].append((on_processor(family) - before) / count * 1e6)
            # The first round warms up.
            low, high = (statistics.median(took[daemon][1:]) for daemon in (off, on))
            gains = [b - a for a, b in zip(took[off][1:], took[on][1:], strict=True)]
            print(f"{name:32}{low:9.1f}{high:9.1f}{statistics.median(gains):12.1f}", flush=True)


def own_work(times: int = 2000, rounds: int = 15) -> None:
    """Print microseconds of what a guarded connection adds, the least of several rounds."""
    ledger = ConnectionTable.create(times)
    slots: Any = []
    guardian = Guardian(Clock(), ledger, slots, ConnectionLimit(1), MasterCounters(), 1.0)
    worker = ConnectionTable(os.dup(ledger.descriptor), 1)
    frame = Frame(Kind.PLACED, 1, ("192.0.2.1", 4711), ("192.0.2.2", 80))

    def connections(copied: bool) -> None:
        for _ in range(times):
            ours, theirs = socket.socketpair()
            descriptor = os.dup(ours.fileno())
            if copied:
                entry = guardian.allot(1, ours.fileno(), 0)
                guardian.guard(entry, ours.detach(), frame._replace(entry=entry).encode())
                noted = worker.take(entry, 1, True)
                end_connection(descriptor, copied=True)
                noted.end()
            else:
                ours.close()
                end_connection(descriptor, copied=False)
            theirs.close()
        guardian.sweep()

    def requests() -> None:
        for _ in range(times):
            entry.reading()
            entry.read(100)
            entry.settle()

    def least(code: Callable[[], None]) -> float:
        return min(repeat(code, number=1, repeat=rounds, timer=time.process_time)) / times * 1e6

    added = least(lambda: connections(True)) - least(lambda: connections(False))
    print(f"{'of that a connection, by itself':32}{'':18}{added:12.1f}")
    entry = worker.take(guardian.allot(1, 0, 0), 1, True)
    print(f"{'of that a request, by itself':32}{'':18}{least(requests):12.1f}")
    worker.close()
    guardian.close()


def crowd(number: int) -> None:
    """Print what connections that idle occupy, and what their worker's death costs."""
    found = []
    for daemon in pair("--max-connections", str(number + 10)):
        with daemon:
            a_request(daemon, 100)
            wait_for(lambda daemon=daemon: not daemon.report()["connections"]["open"])
            before = memory(daemon), daemon.settled_descriptors()[daemon.process.pid]
            socks = [daemon.connect() for _ in range(number)]
            try:
                for sock in socks:
                    sock.sendall(request(CLIENT))
                for sock in socks:
                    Reader(sock).response()
                descriptors = daemon.settled_descriptors()[daemon.process.pid] - before[1]
                found.append(((memory(daemon) - before[0]) / number, descriptors / number))
                if len(found) == 2:
                    after_death(daemon, socks)
            finally:
                for sock in socks:
                    sock.close()
    print(f"{number} that idle" + " " * 12 + f"{'without':>9}{'with':>9}")
    print(f"{'bytes for each':32}{found[0][0]:9.0f}{found[1][0]:9.0f}")
    print(f"{'descriptors of the master':32}{found[0][1]:9.2f}{found[1][1]:9.2f}")


def after_death(daemon: Daemon, socks: list[socket.socket]) -> None:
    """Kill the worker, and see who is still there."""
    before = on_processor([daemon.process.pid])
    os.kill(daemon.pids()[1], 9)
    kept = 0
    for sock in socks:
        sock.sendall(request(CLIENT))
        try:
            kept += Reader(sock).response().status == 200
        except (EOFError, ConnectionError):
            pass
    used = on_processor([daemon.process.pid]) - before
    print(f"kill -9: {kept} of {len(socks)} went on; {used:.2f} s of the master's processor time")


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--scale", type=float, default=1.0, help="of the work of a round")
    parser.add_argument("--idle", type=int, default=5000, help="connections that idle")
    chosen = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    costs(chosen.rounds, chosen.scale)
    own_work()
    sys.stdout.flush()
    crowd(chosen.idle)


if __name__ == "__main__":
    main()
