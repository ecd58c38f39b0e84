"""Sends the requests: the four rows, then the random mix."""

import contextlib
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random

import attrs

from stickyd.cli.verify.connection import Connection, Server
from stickyd.cli.verify.errors import Ended, Failure, Nameless, Unreachable
from stickyd.cli.verify.response import Answer, WorkerName
from stickyd.cli.verify.scenarios import ENDINGS, ROWS, Question, Step, random_clients, random_mix
from stickyd.cli.verify.verdict import Mix, Row


class Asker:
    """Sends one kind of request to one server, over as many connections as needed.

    ``closed`` counts the connections that the server closed though the client
    would have sent more.
    """

    def __init__(self, server: Server, question: Question, name: WorkerName) -> None:
        self._server = server
        self._question = question
        self._name = name
        self.closed = 0
        # Until a row is answered only without one: the next could cost the whole timeout again.
        self._half_close = True

    def rows(self, ending: str) -> tuple[Row, ...]:
        """S1 to S4 in one line ending.

        :raise Failure: if with CRLF the very first row is not answered: then nothing will be.
        """
        rows: list[Row] = []
        for name, clients in ROWS.items():
            if ending == "LF" and rows and rows[0].problem:
                # Each could cost the whole timeout again.
                rows.append(Row(name, ending, (), "not tried, as S1 was not"))
                continue
            try:
                rows.append(self._row(name, clients, ending))
            except Failure as failure:
                if ending == "CRLF" and not rows:
                    raise
                rows.append(Row(name, ending, (), str(failure)))
        return tuple(rows)

    def _row(self, name: str, clients: Sequence[str], ending: str) -> Row:
        if self._server.tls:
            # TLS cannot say "no more from me" in a way that servers still answer.
            return self._attempt(name, clients, ending, half_close=False)
        if not self._half_close:
            return self._without_half_close(name, clients, ending)
        try:
            return self._attempt(name, clients, ending, half_close=True)
        except Unreachable:
            raise
        except Failure as first:
            # Many servers and proxies take a half-close for a client that left: some close,
            # some answer with a status of their own, some forget the connection.
            try:
                row = self._without_half_close(name, clients, ending)
            except Failure as second:
                if str(first) == str(second):
                    raise
                raise type(second)(f"{second} (half-closed: {first})") from None
            self._half_close = False
            return row

    def _without_half_close(self, name: str, clients: Sequence[str], ending: str) -> Row:
        row = self._attempt(name, clients, ending, half_close=False)
        return attrs.evolve(row, note="; ".join(filter(None, ["without half-close", row.note])))

    def _attempt(self, name: str, clients: Sequence[str], ending: str, half_close: bool) -> Row:
        seen: list[str] = []
        connections = 0
        while len(seen) < len(clients):
            connections += 1
            seen += self._together(clients[len(seen) :], ending, half_close)
        note = f"the server closes: {connections} connections" if connections > 1 else ""
        return Row(name, ending, tuple(seen), note=note)

    def _together(self, clients: Sequence[str], ending: str, half_close: bool) -> list[str]:
        """Requests sent at once on one connection; as many answers as come, at least one."""
        line = ENDINGS[ending]
        seen: list[str] = []
        with contextlib.closing(self._server.connect()) as connection:
            requests = b"".join(self._question.request(client, line) for client in clients)
            connection.send(requests, half_close)
            while len(seen) < len(clients) and not connection.closed:
                try:
                    answer = connection.answer()
                except Ended:
                    if half_close or not seen:
                        raise
                    break
                if ending == "LF" and answer.status == 400:
                    raise Nameless("answered 400")
                seen.append(self._worker(answer))
        self.closed += len(seen) < len(clients)
        return seen

    def _worker(self, answer: Answer) -> str:
        name = self._name.find(answer)
        if name is None:
            raise Nameless(
                f"no worker name in the answer (status {answer.status}; looked for {self._name})"
            )
        return name

    def connect(self) -> Connection:
        """A fresh connection; the caller closes it.

        :raise Unreachable: if there is none.
        """
        return self._server.connect()

    def ask(self, connection: Connection, client: str) -> str:
        """The worker that answers a client's request on a connection.

        :raise Failure: if there is no answer, or it names no worker.
        """
        connection.send(self._question.request(client))
        answer = connection.answer()
        self.closed += answer.closes
        return self._worker(answer)

    def home(self, client: str) -> str:
        """The worker that a client reaches on a fresh connection of its own.

        :raise Failure: if there is no answer, or it names no worker.
        """
        with contextlib.closing(self._server.connect()) as connection:
            return self.ask(connection, client)

    def mix(
        self,
        requests: int,
        clients: int,
        connections: int,
        seed: int,
        told: Callable[[int], None] = lambda done: None,
    ) -> Mix:
        """Learn every client's home, then mix the clients. Ends early at the first failure.

        :param told: is told how many requests have been answered, two for each client first.
        """
        random = Random(seed)
        names = random_clients(clients, random)
        mixing = _Mixing(self, names, told)
        problem = ""
        try:
            mixing.learn()
            for step in random_mix(requests, clients, connections, random):
                mixing.take(step)
        except Failure as failure:
            problem = str(failure)
        finally:
            mixing.close()
        return attrs.evolve(mixing.measured(), problem=problem)


class _Mixing:
    """The mix under way: what is known of homes, and the connections that are open."""

    def __init__(self, asker: Asker, clients: Sequence[str], told: Callable[[int], None]) -> None:
        self._asker = asker
        self._clients = clients
        self._told = told
        self._homes: list[tuple[str, str]] = []
        self._open: dict[int, tuple[Connection, int]] = {}
        self._seen: Counter[str] = Counter()
        self._asked = self._misrouted = self._tested = 0

    def learn(self) -> None:
        """Twice in a row for each client, so that taking turns between workers shows."""
        for client in self._clients:
            homes = self._asker.home(client), self._asker.home(client)
            self._homes.append(homes)
            self._seen.update(homes)
            self._told(2 * len(self._homes))

    def take(self, step: Step) -> None:
        """One request, and its judgement."""
        home = self._homes[step.client][0]
        tested, worker = False, None
        if kept := self._open.pop(step.connection, None):
            connection, last = kept
            try:
                worker = self._on(connection, step)
                tested = self._homes[last][0] != home
            except Ended:
                # A server may end an idle connection at any time; that is no failure.
                self._asker.closed += 1
        if worker is None:
            worker = self._on(self._asker.connect(), step)
        self._seen[worker] += 1
        self._asked += 1
        self._misrouted += worker != home
        self._tested += tested
        self._told(2 * len(self._homes) + self._asked)

    def _on(self, connection: Connection, step: Step) -> str:
        with contextlib.ExitStack() as stack:
            stack.callback(connection.close)
            worker = self._asker.ask(connection, self._clients[step.client])
            if not connection.closed:
                stack.pop_all()
                self._open[step.connection] = connection, step.client
        return worker

    def measured(self) -> Mix:
        """The counts so far."""
        return Mix(tuple(self._homes), self._asked, self._misrouted, self._tested, self._seen)

    def close(self) -> None:
        """Close what is open."""
        for connection, _ in self._open.values():
            connection.close()
