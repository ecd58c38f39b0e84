"""Many requests, pipelined at random depths over few kept-alive connections."""

import random
import re
import selectors
import socket
from typing import Any, Protocol

from tests.support.daemon import Daemon

CONNECTIONS = 64
DEEP = 8


class Asker(Protocol):
    """What is asked, and whether an answer is right.

    :ivar answer: matches one whole answer.
    """

    answer: re.Pattern[bytes]

    def request(self, number: int) -> tuple[bytes, Any]:
        """A request, and what `judge` needs to know of it."""

    def judge(self, due: Any, match: re.Match[bytes]) -> str | None:
        """What is wrong with an answer; None if nothing is."""


class Connection:
    """One kept-alive connection and what it still waits for."""

    def __init__(self, daemon: Daemon, share: int) -> None:
        self.sock = daemon.connect()
        self.sock.setblocking(False)
        self.left = share
        self.due: list[Any] = []
        self.unsent = b""
        self.held = b""
        self.half_close = False
        self.done = False


class Crowd:
    """The connections. Half of them are half-closed behind their last request.

    :ivar answered: answers that have come.
    :ivar wrong: what was wrong.
    """

    def __init__(self, daemon: Daemon, asker: Asker, requests: int, chance: random.Random) -> None:
        self._asker = asker
        self._chance = chance
        self._number = 0
        self.answered = 0
        self.wrong: list[str] = []
        self._selector = selectors.DefaultSelector()
        self._open = [
            Connection(daemon, requests // CONNECTIONS + (at < requests % CONNECTIONS))
            for at in range(CONNECTIONS)
        ]
        for at, connection in enumerate(self._open):
            connection.half_close = bool(at % 2)
            self._selector.register(connection.sock, selectors.EVENT_READ, connection)

    def close(self) -> None:
        """Close all connections."""
        for connection in self._open:
            connection.sock.close()
        self._selector.close()

    def run(self) -> None:
        """Until every answer is there."""
        for connection in self._open:
            self._fill(connection)
        waiting = sum(not connection.done for connection in self._open)
        while waiting:
            ready = self._selector.select(60)
            if not ready:
                raise SystemExit(f"no answer for 60 s; {self.answered} answered")
            for key, events in ready:
                connection = key.data
                if events & selectors.EVENT_WRITE:
                    self._send(connection)
                if events & selectors.EVENT_READ:
                    self._read(connection)
                if not connection.due and not connection.left and not connection.done:
                    connection.done = True
                    self._selector.unregister(connection.sock)
                    waiting -= 1

    def _fill(self, connection: Connection) -> None:
        """Keep a random number of requests in the pipe."""
        deep = self._chance.randint(1, DEEP)
        parts = []
        while connection.left and len(connection.due) < deep:
            request, due = self._asker.request(self._number)
            connection.due.append(due)
            parts.append(request)
            self._number += 1
            connection.left -= 1
        connection.unsent += b"".join(parts)
        self._send(connection)

    def _send(self, connection: Connection) -> None:
        """Send what the kernel takes; half-close behind the last request."""
        if connection.unsent:
            try:
                sent = connection.sock.send(connection.unsent)
            except BlockingIOError:
                sent = 0
            connection.unsent = connection.unsent[sent:]
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if connection.unsent else 0)
        self._selector.modify(connection.sock, events, connection)
        if not connection.unsent and not connection.left and connection.half_close:
            connection.half_close = False
            connection.sock.shutdown(socket.SHUT_WR)

    def _read(self, connection: Connection) -> None:
        """Check every answer that is whole."""
        data = connection.sock.recv(65536)
        if not data:
            if connection.due:
                raise SystemExit(f"a connection ended with {len(connection.due)} answers due")
            return
        connection.held += data
        end = 0
        for match in self._asker.answer.finditer(connection.held):
            end = match.end()
            if not connection.due:
                raise SystemExit(f"an answer nobody asked for: {match[0][:300]!r}")
            self.answered += 1
            fault = self._asker.judge(connection.due.pop(0), match)
            if fault is not None:
                self.wrong.append(fault)
        connection.held = connection.held[end:]
        if len(connection.due) <= DEEP // 2:
            self._fill(connection)
