"""A normal load at a fixed rate, every latency recorded.

    python -m tests.slow.steady_load PORT SECONDS [--rate 300]

Not wrk: it sends the next request when it has the last answer, so that a stall
of the server costs it one slow sample and silences it for the rest ("coordinated
omission"). Here every request has the time at which it is due, and waiting for
an earlier answer on its connection counts.

Every request is another client's, of those 64, so half of them move their connection;
each answer must come from its client's own worker of two, seed 1.

Prints ``started``, then one JSON document: `Outcome`.
"""

import argparse
import collections
import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

import attrs

from stickyd.settings import Settings
from tests.support.daemon import ROOT, request

CONNECTIONS = 16
CLIENTS = [f"10.1.{n}.{n * 7 % 251}" for n in range(64)]
LATE = 0.001
PATIENCE = 10.0
"""Seconds after the end in which answers still count; none may take longer."""


@attrs.frozen
class Outcome:
    """Latencies in seconds; answers that were wrong or did not come; requests that this
    program itself sent a millisecond too late or later, which is no latency.
    """

    latencies: list[float]
    wrong: int
    late: int

    def p99(self) -> float:
        """The latency that 99 of 100 requests do not exceed, in seconds."""
        return sorted(self.latencies)[len(self.latencies) * 99 // 100]


class Connection:
    """A kept-alive connection with at most one request on its way."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.due: collections.deque[float] = collections.deque()
        self.client = ""
        self.waited = False
        self.since = 0.0
        self.busy = False
        self.held = b""

    def fileno(self) -> int:
        """For select."""
        return self.socket.fileno()

    def ask(self, now: float, client: str) -> float:
        """Send the request that is due; how late we are without the server's doing, in seconds."""
        due = self.due.popleft()
        # That we woke up late is no latency of the server; that it kept us waiting is.
        self.since = due if self.waited else now
        self.client = client
        self.busy = True
        self.socket.sendall(request(client, "/hello"))
        return 0.0 if self.waited else now - due

    def answer(self) -> bytes | None:
        """The answer's body once it is whole."""
        data = self.socket.recv(65536)
        if not data:
            raise EOFError("the server closed a connection of the normal load")
        self.held += data
        head, end, body = self.held.partition(b"\r\n\r\n")
        if not end:
            return None
        if not head.startswith(b"HTTP/1.1 200 "):
            raise ValueError(f"not 200: {head[:100]!r}")
        length = int(head.lower().partition(b"content-length:")[2].split()[0])
        if len(body) < length:
            return None
        self.held = b""
        self.busy = False
        return body


def run(port: int, seconds: float, rate: float) -> Outcome:
    """The load, for ``seconds`` at ``rate`` requests a second."""
    table = Settings(workers=2).policy().table
    due_from = {
        client: b"From worker %d for %b " % (table.slot_of(client.encode()), client.encode())
        for client in CLIENTS
    }
    connections = [Connection(port) for _ in range(CONNECTIONS)]
    total, given, answered = int(seconds * rate), 0, 0
    latencies: list[float] = []
    wrong = late = 0
    print("started", flush=True)
    start = time.perf_counter()
    until = start + seconds + PATIENCE
    while answered < total:
        now = time.perf_counter()
        if now > until:
            wrong += total - answered
            break
        while given < total and start + given / rate <= now:
            connection = connections[given % CONNECTIONS]
            connection.waited = connection.busy or bool(connection.due)
            connection.due.append(start + given / rate)
            if not connection.busy:
                late += connection.ask(now, CLIENTS[given * 37 % len(CLIENTS)]) > LATE
            given += 1
        pause = start + given / rate - time.perf_counter() if given < total else 1.0
        for connection in select.select(connections, [], [], max(0.0, pause))[0]:
            body = connection.answer()
            if body is None:
                continue
            now = time.perf_counter()
            latencies.append(now - connection.since)
            wrong += body != due_from[connection.client]
            answered += 1
            if connection.due:
                connection.waited = True
                connection.ask(now, CLIENTS[answered * 37 % len(CLIENTS)])
    for connection in connections:
        connection.socket.close()
    return Outcome(latencies, wrong, late)


class Running:
    """The load in a process of its own: this one measures other things meanwhile."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def wait_for_start(self) -> None:
        """Until its connections are there and the first request goes out."""
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "started\n"

    def outcome(self) -> Outcome:
        """What it found, once it has ended."""
        output, _ = self.process.communicate()
        if self.process.returncode:
            raise RuntimeError("the normal load failed; its error is above")
        return Outcome(**json.loads(output.splitlines()[-1]))


@contextlib.contextmanager
def steady_load(port: int, seconds: float, prefix: Sequence[str] = ()) -> Iterator[Running]:
    """The load while the context lasts; ``prefix`` goes before its command."""
    module = [sys.executable, "-m", "tests.slow.steady_load", str(port), str(seconds)]
    with subprocess.Popen([*prefix, *module], stdout=subprocess.PIPE, text=True, cwd=ROOT) as load:
        try:
            yield Running(load)
        finally:
            load.kill()


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--rate", type=float, default=300.0)
    arguments = parser.parse_args()
    # It shares the cores with attackers and must not measure its own waiting for one.
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    print(json.dumps(attrs.asdict(run(arguments.port, arguments.seconds, arguments.rate))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
