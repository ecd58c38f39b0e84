"""A client that attacks by ids: ``python -m tests.slow.many_ids``.

So many ids that nobody has made, cookies of another seed, cookies by the hundred in one request,
and an app that is made to hand out another id with every answer. Afterwards master and workers have
little more memory than before, the table of learned ids is no fuller than its bound, no request was
misrouted, and clients with valid ids are served where they were. CPU time a request is printed for
each kind.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from stickyd.routing.signed_keys import make, secret_of
from tests.support.browsers import Connection
from tests.support.daemon import Daemon, Reader

CHAIN = "learn(hdr(X-Id)),learn(cookie(sessionid)),insert(S),src"
BOUND = 10_000
BATCH = 32
CLIENTS = 20
GROWTH_MOST = 32 << 20
"""Bytes that a process may grow by: a table that is full, and memory that Python keeps."""


def memory(pid: int) -> int:
    """Resident bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def cpu(pids: list[int]) -> float:
    """Seconds of processor time."""
    total = 0
    for pid in pids:
        times = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
        total += int(times[11]) + int(times[12])
    return total / os.sysconf("SC_CLK_TCK")


def heads(path: str, lines: Callable[[int], str]) -> Callable[[int], bytes]:
    """The request of a number."""
    return lambda number: f"GET {path} HTTP/1.1\r\nHost: x\r\n{lines(number)}\r\n\r\n".encode()


def foreign(number: int) -> str:
    """A cookie that another seed has signed."""
    return make(number % 4 + 1, number.to_bytes(12, "big"), secret_of(2))


def many(number: int) -> str:
    """Cookies of both names."""
    return "Cookie: " + "; ".join([f"S={foreign(number)}"] * 100 + ["sessionid=a"] * 100)


MANY = "200 cookies each"
KINDS = {
    "nothing": heads("/", lambda number: "X-A: 1"),
    "ids that nobody made": heads("/", lambda number: f"X-Id: {number:032x}"),
    "cookies of another seed": heads("/", lambda number: f"Cookie: S={foreign(number)}"),
    MANY: heads("/", many),
    "ids handed out": heads("/echo", lambda number: f"X-Id: {number:032x}"),
}


def send(daemon: Daemon, request: Callable[[int], bytes], count: int) -> None:
    """So many requests on one connection, in batches."""
    with daemon.connect() as sock:
        reader = Reader(sock)
        for first in range(0, count, BATCH):
            sock.sendall(b"".join(request(first + at) for at in range(BATCH)))
            for _ in range(BATCH):
                status = reader.response().status
                assert status == 200, f"status {status}"


def stayed(daemon: Daemon, jars: list[tuple[int, str]]) -> int:
    """Clients that are not served where they were."""
    wrong = 0
    for slot, line in jars:
        with Connection(daemon.port) as connection:
            wrong += connection.ask("/", line).slot != slot
    return wrong


def run(count: int) -> list[str]:
    """What is wrong."""
    wrong = []
    options = ("--class", "stickyd_ids_app:root", "--affinity-scope", "request", "--seed", "1")
    options += ("--affinity", CHAIN, "--learn-most", str(BOUND))
    with Daemon(*options, workers=4) as daemon:
        jars = []
        for _ in range(CLIENTS):
            with Connection(daemon.port) as connection:
                answer = connection.ask("/")
                cookie = answer.cookies[0].partition(";")[0]
                jars.append((answer.slot, f"Cookie: {cookie}"))
        pids = [daemon.process.pid, *daemon.pids().values()]
        # What a worker takes once, whatever is asked.
        send(daemon, KINDS["nothing"], 4096)
        before = {pid: memory(pid) for pid in pids}
        for name, request in KINDS.items():
            used, began = cpu(pids), time.monotonic()
            asked = count // 10 if name == MANY else count
            send(daemon, request, asked)
            micros = (cpu(pids) - used) / asked * 1e6
            grown = max(memory(pid) - before[pid] for pid in pids)
            print(
                f"{name:26}{asked:>10,} requests{micros:8.1f} CPU µs each,"
                f" {grown / 2**20:.1f} MiB grown, {time.monotonic() - began:.0f} s",
                flush=True,
            )
            if grown > GROWTH_MOST:
                wrong.append(f"{name}: a process has grown by {grown >> 20} MiB")
        report = daemon.report()
        table, workers = report["learned"], report["workers"]
        print(f"table: {table}; misrouted {workers['misrouted']}, lost {workers['lost']}")
        if not 0 < table["used"] <= table["entries"] <= BOUND:
            wrong.append(f"the table is out of bounds: {table}")
        if workers["misrouted"] or workers["lost"]:
            wrong.append(f"misrouted {workers['misrouted']}, lost {workers['lost']}")
        if moved := stayed(daemon, jars):
            wrong.append(f"{moved} of {CLIENTS} clients with a valid cookie are served elsewhere")
    return wrong


def main() -> int:
    """Run, and say what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.slow.many_ids", description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000, help="requests of each kind")
    wrong = run(parser.parse_args().count // (10 * BATCH) * 10 * BATCH)
    for each in wrong:
        print(f"many_ids: {each}", file=sys.stderr)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
