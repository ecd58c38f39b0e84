"""A client that never sends anything twice and forgives nothing.

Kept-alive connections of which half are idle most of the time, and a few that
are new for every request. Random clients, GETs and POSTs, pipelined now and
then, cut in two now and then.
"""

import heapq
import itertools
import selectors
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import attrs

from stickyd.routing.policy import Policy
from tests.slow.life.asking import Answer, AnswerReader, Asked, compose, judge

PATIENCE = 90.0
"""Seconds an answer may take: the machine may be busy, and that is not the daemon's fault."""

PAUSES = {"busy": (0.02, 0.15), "idle": (2.0, 12.0), "short": (0.05, 0.4)}
"""Seconds between an answer and the next request, by kind of connection."""


@attrs.frozen
class Loss:
    """A connection that ended or failed, and what was in flight on it.

    :ivar opened: when, as are ``answered`` and ``ended``, by time.monotonic_ns: ports are used
        again.
    :ivar answered: when the last answer had been read; 0 if there was none.
    """

    connection: int
    kind: str
    port: int
    opened: int
    answered: int
    ended: int
    how: str
    due: tuple[Asked, ...]
    unsent: bool

    def __str__(self) -> str:
        due = ", ".join(f"{a.number} {a.what}" for a in self.due) or "nothing"
        more = " (not sent whole)" if self.unsent else ""
        return f"connection {self.connection} ({self.kind}) {self.how}; in flight: {due}{more}"


class Connection:
    """One connection, from connect to its end."""

    def __init__(self, number: int, kind: str, port: int, names: Sequence[str]) -> None:
        self.number = number
        self.kind = kind
        self.names = names
        self.opened = time.monotonic_ns()
        self.answered = 0
        self.sock = socket.create_connection(("127.0.0.1", port), 60)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setblocking(False)
        self.port = self.sock.getsockname()[1]
        self.due: deque[Asked] = deque()
        self.unsent = b""
        self.rest = b""
        self.answers = AnswerReader()
        self.final = False


class Load(threading.Thread):
    """Runs until `finish`; then every connection that was kept must answer once more.

    :param policy: where requests belong; assign None while the slots change,
        and the new one when they have.
    :param scope: in connection scope each kept connection has one client.
    :param reconnect: take up a new connection for one that is lost.
    :ivar failures: what must not be, in words.
    :ivar losses: connections that ended before we closed them.
    :ivar latencies: (when, seconds) of plain requests on busy connections.
    """

    def __init__(
        self,
        port: int,
        policy: Policy | None,
        scope: str,
        *,
        kept: int = 64,
        idle: int = 32,
        short: int = 8,
        reconnect: bool = False,
        names: Sequence[str] | None = None,
        plain: bool = False,
        seed: int = 1,
    ) -> None:
        super().__init__(daemon=True)
        self.policy = policy
        self.failures: list[str] = []
        self.losses: list[Loss] = []
        self.latencies: list[tuple[float, float]] = []
        self.counts: Counter[str] = Counter()
        self.ports: dict[int, int] = {}
        self._port = port
        self._scope = scope
        self._reconnect = reconnect
        self._plain = plain
        self._chance = Random(seed)
        self._names = names or random_names(self._chance, 5000)
        self._numbers = itertools.count(1)
        self._selector = selectors.DefaultSelector()
        self._later: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._ties = itertools.count()
        self._ending = False
        self._crashed: BaseException | None = None
        kinds = ["idle"] * idle + ["busy"] * (kept - idle) + ["short"] * short
        for number, kind in enumerate(kinds, 1):
            self._open(number, kind)
        self._ports_before = dict(self.ports)

    # ---- for the scenario

    def finish(self) -> None:
        """Stop asking; returns when every answer is there."""
        self._ending = True
        self.join(3 * PATIENCE)
        if self.is_alive() or self._crashed is not None:
            raise AssertionError(f"the load did not end: {self._crashed!r}") from self._crashed

    def same_ports(self) -> bool:
        """Whether every kept connection is the one it was."""
        return self.ports == self._ports_before

    # ---- the thread

    def run(self) -> None:
        """Until `finish`."""
        try:
            self._run()
        except BaseException as error:
            self._crashed = error
        finally:
            for key in list(self._selector.get_map().values()):
                key.fileobj.close()  # type: ignore[union-attr]
            self._selector.close()

    def _run(self) -> None:
        look = time.monotonic()
        while True:
            now = time.monotonic()
            while self._later and self._later[0][0] <= now:
                _, _, call, arguments = heapq.heappop(self._later)
                call(*arguments)
            for key, events in self._selector.select(0.01):
                connection = key.data
                if events & selectors.EVENT_READ:
                    self._read(connection)
                if events & selectors.EVENT_WRITE and connection.sock.fileno() >= 0:
                    self._send(connection)
            if now - look > 0.5:
                look = now
                self._give_up_waiting(now)
            if self._ending and self._ended():
                return

    def _connections(self) -> list[Connection]:
        return [key.data for key in list(self._selector.get_map().values())]

    def _give_up_waiting(self, now: float) -> None:
        for connection in self._connections():
            if connection.due and now - connection.due[0].at > PATIENCE:
                self._lost(connection, f"no answer in {PATIENCE:.0f} s")

    def _ended(self) -> bool:
        """Let everyone ask once more; whether all have been answered."""
        left = 0
        for connection in self._connections():
            if connection.due:
                left += 1
            elif connection.kind == "short" or connection.final:
                if connection.kind != "short":
                    self.ports[connection.number] = connection.sock.getsockname()[1]
                self._close(connection)
            else:
                connection.final = True
                self._ask(connection)
                left += 1
        return not left

    def _at(self, seconds: tuple[float, float], call: Callable[..., None], *arguments: Any) -> None:
        when = time.monotonic() + self._chance.uniform(*seconds)
        heapq.heappush(self._later, (when, next(self._ties), call, arguments))

    # ---- connections

    def _open(self, number: int, kind: str) -> None:
        if self._ending:
            return
        names = self._names
        if self._scope == "connection" and kind != "short":
            names = [names[number % len(names)]]
        try:
            connection = Connection(number, kind, self._port, names)
        except OSError as error:
            self.failures.append(f"connection {number} ({kind}) cannot connect: {error}")
            self._at((0.5, 1.0), self._open, number, kind)
            return
        if kind != "short":
            self.ports[number] = connection.port
        self._selector.register(connection.sock, selectors.EVENT_READ, connection)
        # Soon: the time for a first head runs.
        self._at((0.0, 1.0 if kind != "short" else 0.01), self._ask, connection)

    def _close(self, connection: Connection) -> None:
        self._selector.unregister(connection.sock)
        connection.sock.close()

    def _lost(self, connection: Connection, how: str) -> None:
        unsent = bool(connection.unsent or connection.rest)
        self.ports.pop(connection.number, None)
        number, kind = connection.number, connection.kind
        port, now = connection.port, time.monotonic_ns()
        times = (connection.opened, connection.answered, now)
        self.losses.append(Loss(number, kind, port, *times, how, (*connection.due,), unsent))
        if not self._reconnect:
            self.failures.append(str(self.losses[-1]))
        self._close(connection)
        if self._reconnect or kind == "short":
            self._open(number, kind)

    # ---- asking

    def _ask(self, connection: Connection) -> None:
        if connection.sock.fileno() < 0 or connection.due:
            return
        if self._ending and not connection.final:
            return
        chance = self._chance
        alone = connection.final or self._plain or connection.kind == "short"
        deep = 1 if alone or chance.random() < 0.9 else chance.randint(2, 6)
        parts = []
        for _ in range(deep):
            name, now = chance.choice(connection.names), time.monotonic()
            simple = connection.final or self._plain
            asked, data = compose(chance, next(self._numbers), name, self.policy, now, simple)
            connection.due.append(asked)
            parts.append(data)
        whole = b"".join(parts)
        cut = len(whole)
        if not connection.final and not self._plain and chance.random() < 0.15:
            cut = chance.randrange(1, len(whole))
        connection.unsent, connection.rest = whole[:cut], whole[cut:]
        if connection.rest:
            self._at((0.005, 0.3), self._send_rest, connection)
        self._send(connection)

    def _send_rest(self, connection: Connection) -> None:
        if connection.sock.fileno() >= 0:
            connection.unsent += connection.rest
            connection.rest = b""
            self._send(connection)

    def _send(self, connection: Connection) -> None:
        try:
            sent = connection.sock.send(connection.unsent) if connection.unsent else 0
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._lost(connection, f"ended while we sent: {error.strerror}")
            return
        connection.unsent = connection.unsent[sent:]
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if connection.unsent else 0)
        self._selector.modify(connection.sock, events, connection)

    # ---- answers

    def _read(self, connection: Connection) -> None:
        try:
            data = connection.sock.recv(262144)
        except BlockingIOError:
            return
        except OSError as error:
            self._lost(connection, f"ended: {error.strerror}")
            return
        if not data:
            self._lost(connection, "ended: EOF")
            return
        try:
            answers = connection.answers.feed(data)
        except (ValueError, KeyError) as error:
            self.failures.append(f"connection {connection.number}: no response: {error!r}")
            self._close(connection)
            return
        for answer in answers:
            self._answered(connection, answer)
        if answers and not connection.due and connection.sock.fileno() >= 0:
            self._next(connection)

    def _answered(self, connection: Connection, answer: Answer) -> None:
        if not connection.due:
            self.failures.append(f"connection {connection.number}: an answer nobody asked for")
            return
        asked = connection.due.popleft()
        connection.answered = time.monotonic_ns()
        self.counts["answered"] += 1
        self.counts["bodies"] += "POST" in asked.what
        self.counts["slots checked"] += asked.slot is not None and asked.policy is self.policy
        wrong = judge(asked, answer, connection.port, self.policy)
        if wrong:
            self.failures.append(
                f"connection {connection.number} ({connection.kind}), request {asked.number}"
                f" {asked.what}: {wrong}"
            )
        if asked.plain and connection.kind == "busy":
            now = time.monotonic()
            self.latencies.append((now, now - asked.at))

    def _next(self, connection: Connection) -> None:
        if connection.kind == "short":
            self._close(connection)
            self._at(PAUSES["short"], self._open, connection.number, "short")
        else:
            self._at(PAUSES[connection.kind], self._ask, connection)


def random_names(chance: Random, count: int) -> list[str]:
    """Addresses of clients."""
    return [".".join(str(chance.randrange(256)) for _ in range(4)) for _ in range(count)]
