"""Many requests of many clients over few kept-alive connections: none may go astray.

    python -m tests.slow.million [--requests 1000000]

64 connections, 50,000 clients, pipelined up to 8 deep, 4 workers of which one
is slow; every answer is checked for worker, client and order. Half of the
connections are half-closed behind their last request.
"""

import argparse
import random
import re
import selectors
import socket
import sys
import time

from stickyd.routing.rendezvous import SlotTable
from tests.support.daemon import Daemon, wait_for

CONNECTIONS = 64
CLIENTS = 50_000
DEEP = 8
WORKERS = 4
SLOW_SLOT = 3
ANSWER = re.compile(rb"X-Echo: (\d+)\r\n.*?\r\n\r\nFrom worker (\d+) for (\S+) ", re.DOTALL)


class Connection:
    """One kept-alive connection and what it still waits for."""

    def __init__(self, daemon: Daemon, share: int) -> None:
        self.sock = daemon.connect()
        self.sock.setblocking(False)
        self.left = share
        self.due: list[tuple[int, bytes, int]] = []
        self.unsent = b""
        self.held = b""
        self.half_close = False
        self.done = False


class Run:
    """The clients' side of the whole run."""

    def __init__(self, daemon: Daemon, requests: int, seed: int) -> None:
        self.chance = random.Random(seed)
        table = SlotTable(1, range(1, WORKERS + 1))
        self.clients = []
        while len(self.clients) < CLIENTS:
            name = ".".join(str(self.chance.randrange(256)) for _ in range(4)).encode()
            self.clients.append((name, table.slot_of(name)))
        self.number = 0
        self.answered = 0
        self.wrong: list[str] = []
        self.selector = selectors.DefaultSelector()
        self.open = [
            Connection(daemon, requests // CONNECTIONS + (at < requests % CONNECTIONS))
            for at in range(CONNECTIONS)
        ]
        for at, connection in enumerate(self.open):
            connection.half_close = bool(at % 2)
            self.selector.register(connection.sock, selectors.EVENT_READ, connection)

    def run(self) -> None:
        """Until every answer is there."""
        for connection in self.open:
            self.fill(connection)
        waiting = CONNECTIONS
        while waiting:
            ready = self.selector.select(60)
            if not ready:
                raise SystemExit(f"no answer for 60 s; {self.answered} answered")
            for key, events in ready:
                connection = key.data
                if events & selectors.EVENT_WRITE:
                    self.send(connection)
                if events & selectors.EVENT_READ:
                    self.read(connection)
                if not connection.due and not connection.left and not connection.done:
                    connection.done = True
                    self.selector.unregister(connection.sock)
                    waiting -= 1

    def fill(self, connection: Connection) -> None:
        """Keep a random number of requests in the pipe."""
        deep = self.chance.randint(1, DEEP)
        parts = []
        while connection.left and len(connection.due) < deep:
            name, slot = self.chance.choice(self.clients)
            slow = slot == SLOW_SLOT and self.number % 199 == 0
            path = b"/slow?s=0.005" if slow else b"/hello"
            connection.due.append((self.number, name, slot))
            parts.append(
                b"GET %b HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: %b\r\nX-Number: %d\r\n\r\n"
                % (path, name, self.number)
            )
            self.number += 1
            connection.left -= 1
        connection.unsent += b"".join(parts)
        self.send(connection)

    def send(self, connection: Connection) -> None:
        """Send what the kernel takes; half-close behind the last request."""
        if connection.unsent:
            try:
                sent = connection.sock.send(connection.unsent)
            except BlockingIOError:
                sent = 0
            connection.unsent = connection.unsent[sent:]
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if connection.unsent else 0)
        self.selector.modify(connection.sock, events, connection)
        if not connection.unsent and not connection.left and connection.half_close:
            connection.half_close = False
            connection.sock.shutdown(socket.SHUT_WR)

    def read(self, connection: Connection) -> None:
        """Check every answer that is whole."""
        data = connection.sock.recv(65536)
        if not data:
            if connection.due:
                raise SystemExit(f"a connection ended with {len(connection.due)} answers due")
            return
        connection.held += data
        end = 0
        for match in ANSWER.finditer(connection.held):
            end = match.end()
            if not connection.due:
                raise SystemExit(f"an answer nobody asked for: {match[0][:300]!r}")
            number, name, slot = connection.due.pop(0)
            self.answered += 1
            if (int(match[1]), match[3], int(match[2])) != (number, name, slot):
                self.wrong.append(f"due {number} {name!r} at {slot}, got {match[0][-80:]!r}")
        connection.held = connection.held[end:]
        if len(connection.due) <= DEEP // 2:
            self.fill(connection)


def main() -> int:
    """Run; exit status 1 if anything went astray."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    options = ("--class", "stickyd_test_apps:Numbered", "--affinity-scope", "request")
    with Daemon(*options, workers=WORKERS) as daemon:
        before = daemon.settled_descriptors()
        started = time.monotonic()
        run = Run(daemon, arguments.requests, arguments.seed)
        run.run()
        took = time.monotonic() - started
        for connection in run.open:
            connection.sock.close()
        wait_for(lambda: daemon.report()["workers"]["open"] == 0, what="no open connection")
        report = daemon.report()["workers"]
        after = daemon.settled_descriptors()
    lost = arguments.requests - run.answered
    print(f"{run.answered} answers in {took:.0f} s ({run.answered / took:.0f} a second)")
    print(f"at the wrong worker or out of order: {len(run.wrong)}, lost: {lost}")
    print(f"moved: {sum(report['moved'].values())}, arrived: {report['arrived']}")
    print(f"misrouted: {report['misrouted']}, refused: {report['refused'] or 'none'}")
    print(f"descriptors before {list(before.values())}, after {list(after.values())}")
    for line in run.wrong[:10]:
        print(line)
    right = not run.wrong and not lost and before == after and not report["refused"]
    right = right and report["requests"] == arguments.requests
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
