"""P7: what an idle connection costs in memory.

Each round starts fresh processes, warms them up, notes their memory (PSS of the whole tree), and
notes it again when so many connections have had one answer each and idle. What the kernel keeps
for a socket is the same for everyone and not in it.
"""

import contextlib
import os
import resource
import socket
import sys

from benchmarks import contestants as who
from benchmarks.contest import Contestant, Figures, Ground, Maker, memory, progress, start
from benchmarks.correctness import worker_of
from benchmarks.load import thread_client
from benchmarks.plan import Plan
from benchmarks.result import Result, Rounds, Target
from tests.support.daemon import Reader

CONNECTIONS = 10_000
EACH_ADDRESS = 2_500
SPARE = 2_500
"""Descriptors that a process has beside connections; stickyd keeps an eighth of the limit."""

MINE, PYTHON, STOCK = "stickyd", "stickyd, Python core", "twisted.web, bare"
BYTES_MOST = 700
"""What an idle connection should take, at most."""

MAKERS: dict[str, Maker] = {
    MINE: who.stickyd("connection", 1),
    PYTHON: who.stickyd("connection", 1, native=False),
    "stickyd, request scope": who.stickyd("request", 1),
    STOCK: who.stock,
}


def run(ground: Ground, plan: Plan) -> list[Result]:
    """Each round, each contestant: start, fill, weigh, stop."""
    connections = affordable()
    makers = {name: maker for name, maker in MAKERS.items() if plan.wants(name)}
    figures: Rounds = {name: [] for name in makers}
    for number in range(plan.rounds):
        for name, maker in makers.items():
            progress(f"round {number + 1} of {plan.rounds}: {name}")
            for contestant in start(ground, {name: maker}, _answers):
                try:
                    figures[name].append(weigh(contestant, connections))
                finally:
                    ground.stop(contestant.processes)
    progress("")
    title = f"P7: memory with {connections:,} idle connections; 1 worker"
    targets = [Target(MINE, at_most=BYTES_MOST)]
    return [Result("p7", title, "memory", (), MINE, figures, 0, targets)]


def affordable() -> int:
    """How many connections we, and any server, may have open; the limit is raised if it can be."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    needed = CONNECTIONS + SPARE
    if 0 <= hard < needed:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed, needed))
            hard = needed
    soft = hard if hard >= 0 else needed
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft >= needed:
        return CONNECTIONS
    few = max(100, (soft * 4 // 5 - 100) // 100 * 100)
    print(f"p7: RLIMIT_NOFILE of {soft} has room for {few} connections only", file=sys.stderr)
    return few


def weigh(contestant: Contestant, connections: int) -> Figures:
    """Bytes that each of so many idle connections adds."""
    opened: list[socket.socket] = []
    try:
        for number in range(200):
            _ask(contestant.port, number).close()
        before = sum(map(memory, contestant.tree()))
        for number in range(connections):
            opened.append(_ask(contestant.port, number))
        after = sum(map(memory, contestant.tree()))
        held = sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in contestant.tree())
        if held < connections:
            raise ValueError(f"{contestant.name} has {held} descriptors: it has closed connections")
    finally:
        for sock in opened:
            sock.close()
    return {"memory": (after - before) / connections}


def _ask(port: int, number: int) -> socket.socket:
    sock = socket.socket()
    try:
        # One address has 28,232 ports, and some of them may still be in TIME_WAIT.
        sock.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT (ip(7))
        sock.settimeout(20)
        sock.bind((f"127.0.1.{number // EACH_ADDRESS + 1}", 0))
        sock.connect(("127.0.0.1", port))
        client = thread_client(number % 200 + 1)
        sock.sendall(f"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {client}\r\n\r\n".encode())
        response = Reader(sock).response()
        if worker_of(response.status, response.body, False) is None and response.status != 200:
            raise ValueError(f"connection {number} was answered with {response.status}")
    except BaseException:
        sock.close()
        raise
    return sock


def _answers(port: int) -> bool:
    try:
        _ask(port, 0).close()
    except OSError:
        return False
    return True
