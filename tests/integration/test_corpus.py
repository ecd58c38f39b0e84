"""The corpus through the readers and through a daemon, whole and cut in every way.

``STICKYD_SLOW=1`` cuts in more ways, which takes some minutes.
"""

import select
import socket
import time
import unittest
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from stickyd.cli.options import Options
from tests.corpus.case import BODY_LIMIT
from tests.corpus.make_corpus import files, found
from tests.corpus.reading import MANY, Case, Reading, at_random, difference, lines, load
from tests.support.daemon import Daemon, Reader, read_all, request, wait_for
from tests.support.extent import SLOW, slow

CONNECTIONS = 16
PAUSE = 0.0005
PAUSES_MOST = 400
STILL_OPEN = 0.02
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
PROBE = b"GET /probe HTTP/1.1\r\nHost: probe\r\n\r\n"
BODY_OPTION = "limit-request-body"

Pieces = list[bytes]


def by_bytes(data: bytes) -> Pieces:
    return [data[at : at + 1] for at in range(len(data))]


class Files(unittest.TestCase):
    def test_the_files_are_what_the_script_writes(self) -> None:
        written, there = files(), found()
        self.assertEqual(sorted(written), sorted(there))
        for name, content in written.items():
            self.assertEqual(content, there[name], name)

    def test_there_are_enough(self) -> None:
        self.assertGreaterEqual(len(load()), 400)

    def test_no_two_cases_are_the_same(self) -> None:
        first: dict[bytes, str] = {}
        same = [
            f"{case.name} is {first[case.data]}"
            for case in load()
            if first.setdefault(case.data, case.name) != case.name
        ]
        self.assertFalse(same, "\n".join(same))


class Readers(unittest.TestCase):
    """Head and body readers, without a connection."""

    def check(self, ways) -> None:
        wrong = []
        for case in load():
            for pieces in ways(case):
                reading = Reading()
                for piece in pieces:
                    reading.feed(piece)
                found = difference(case, reading.answers(), reading.end())
                if found:
                    wrong.append(f"{found} in pieces of {[len(piece) for piece in pieces][:20]}")
                    break
        self.assertFalse(wrong, "\n".join(wrong))

    def test_whole(self) -> None:
        self.check(lambda case: [[case.data]])

    def test_byte_by_byte(self) -> None:
        self.check(lambda case: [by_bytes(case.data)])

    def test_by_lines(self) -> None:
        self.check(lambda case: [lines(case.data)])

    def test_split_at_random(self) -> None:
        self.check(lambda case: at_random(case.data, MANY if SLOW else 2, case.name))


def ways_through_a_daemon(case: Case) -> Iterable[Pieces]:
    yield [case.data]
    if SLOW:
        yield by_bytes(case.data)
        yield lines(case.data)
    yield from at_random(case.data, MANY if SLOW else 1, f"daemon {case.name}")


class ThroughADaemon(unittest.TestCase):
    """The same answers from workers behind a master, on new connections and on moved ones."""

    app = ("--class", "stickyd_echo_app:Echo")
    left_out: tuple[str, ...] = ()

    def setUp(self) -> None:
        bounded = BODY_OPTION in Options()
        options = [f"--{BODY_OPTION}", str(BODY_LIMIT)] if bounded else []
        cases = [case for case in load() if bounded or not case.name.startswith("body_limit/")]
        self.cases = [case for case in cases if case.name not in self.left_out]
        self.daemon = Daemon(
            *self.app,
            *("--affinity-scope", "request", "--head-timeout", "60", "--keep-alive", "60"),
            *options,
        )
        self.daemon.__enter__()
        self.addCleanup(self.daemon.__exit__, None, None, None)
        self.clients = self.one_client_for_each_worker()

    def one_client_for_each_worker(self) -> dict[int, str]:
        clients: dict[int, str] = {}
        for number in range(1, 200):
            client = f"10.7.0.{number}"
            with self.daemon.connect() as sock:
                sock.sendall(request(client))
                clients.setdefault(int(Reader(sock).response().headers["x-slot"]), client)
            if len(clients) == 2:
                return clients
        raise AssertionError(f"no clients for two workers: {clients}")

    def check(self, ways: Iterator[tuple[Case, Pieces, bool]]) -> None:
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            results = [pool.submit(self.one, *way) for way in ways]
            wrong = [found for found in (result.result() for result in results) if found]
        self.assertFalse(wrong, f"{len(wrong)} of {len(results)}\n" + "\n".join(wrong[:50]))

    def one(self, case: Case, pieces: Pieces, moved: bool) -> str | None:
        """Send one case over a connection of its own; what was wrong, or None."""
        answers: list[str] = []
        try:
            with self.daemon.connect() as sock:
                reader = Reader(sock)
                if moved:
                    self.move(sock, reader)
                self.send(sock, pieces)
                end = self.read(sock, reader, case, answers)
        except (OSError, EOFError, AssertionError, ValueError) as error:
            end = f"{type(error).__name__}: {error}"
        found = difference(case, answers, end)
        if found is None:
            return None
        way = "moved" if moved else "new"
        return f"{found} ({way}, in pieces of {[len(piece) for piece in pieces][:20]})"

    def move(self, sock: socket.socket, reader: Reader) -> None:
        for slot in sorted(self.clients):
            sock.sendall(request(self.clients[slot]))
            response = reader.response()
            assert response.status == 200, response.status
            assert int(response.headers["x-slot"]) == slot, response.headers

    def send(self, sock: socket.socket, pieces: Pieces) -> None:
        """Send piece by piece; a pause lets the other side see them apart."""
        pause = PAUSE if len(pieces) <= PAUSES_MOST else 0
        for piece in pieces:
            try:
                sock.sendall(piece)
            except (BrokenPipeError, ConnectionResetError):
                # Refused long ago and closed; the answer is there to be read.
                return
            if pause and len(pieces) > 1:
                time.sleep(pause)

    def read(self, sock: socket.socket, reader: Reader, case: Case, answers: list[str]) -> str:
        """Read the answers that are expected, and find out what becomes of the connection."""
        for expected in case.answers:
            words = expected.split(" ")
            method = words[1] if len(words) > 1 else "GET"
            response = reader.response(method)
            while response.status < 200:
                response = reader.response(method)
            answers.append(told(response, expected))
        if case.end == "close":
            return "close" if reader.at_end() else "more than was expected"
        if case.end == "open":
            sock.sendall(PROBE)
            response = reader.response()
            probed = response.headers.get("x-echo", "").startswith("GET /probe 0 ")
            return "open" if response.status == 200 and probed else f"probe: {response.status}"
        return self.still_waits(sock, reader)

    def still_waits(self, sock: socket.socket, reader: Reader) -> str:
        rest = reader._held
        if select.select([sock], [], [], STILL_OPEN)[0]:
            rest += sock.recv(65536, socket.MSG_DONTWAIT) or b"the end"
        sock.shutdown(socket.SHUT_WR)
        rest += read_all(sock)
        return "waits" if not rest.replace(CONTINUE, b"") else f"more: {rest[:80]!r}"

    def test_new_connections(self) -> None:
        self.check((case, way, False) for case in self.cases for way in ways_through_a_daemon(case))
        self.check_daemon()

    def test_moved_connections(self) -> None:
        before = self.moves()
        self.check((case, way, True) for case in self.cases for way in ways_through_a_daemon(case))
        self.assertGreaterEqual(self.moves() - before, len(self.cases))
        self.check_daemon()

    def moves(self) -> int:
        return sum(self.daemon.report()["workers"]["moved"].values())

    def check_daemon(self) -> None:
        self.assertIsNone(self.daemon.process.poll())

        def none_open() -> bool:
            report = self.daemon.report()
            return report["workers"]["open"] == 0 and report["master"]["open"] == 0

        wait_for(none_open, what="no open connection")
        self.assertEqual(sorted(self.daemon.pids()), [1, 2])
        self.assertNotIn("Traceback", "\n".join(self.daemon.log))


class ThroughADaemonToAsgi(ThroughADaemon):
    """What is accepted is decided in one place, so apps of another kind get the same."""

    app = ("--asgi", "stickyd_echo_app:asgi_echo")
    # Its scope cannot tell an empty query from none.
    left_out = ("target/empty_query",)
    test_moved_connections = slow(ThroughADaemon.test_moved_connections)


def told(response, expected: str) -> str:
    """An answer in the words of the corpus."""
    echo = response.headers.get("x-echo")
    if echo is not None:
        return f"{response.status} {echo} {response.headers['x-seen']}"
    if expected.startswith("200 OPTIONS * "):
        # twisted.web answers for the server as a whole, without asking an app.
        return expected if response.status == 200 else str(response.status)
    return str(response.status)
