"""How many connections there may be, and what becomes of those beyond."""

import contextlib
import io
import os
import resource
import signal
import socket
import struct
import sys
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

from stickyd.cli.options import Options
from stickyd.master.supervisor.connection_limit import ConnectionLimit
from stickyd.net.fd_budget import room_under, shed_under
from stickyd.shm.worker_stats import WorkerStats
from stickyd.worker.worker import IDLE_LEAST
from tests.integration.test_slow_clients import cpu_seconds
from tests.support.daemon import Daemon, Reader, Response, request, wait_for
from tests.support.extent import slow

ONE, TWO = "10.10.10.10", "10.10.12.11"
"""Clients of worker 1 and worker 2, at seed 1 and two workers."""

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
PAGE = ("--class", "stickyd_test_apps:Page")


def limited(limit: int) -> list[str]:
    """The command of a daemon that may have ``limit`` descriptors."""
    daemon = [sys.executable, "-W", "error", "-m", "stickyd", "run"]
    return ["sh", "-c", f'ulimit -n {limit} && exec "$@"', "sh", *daemon]


def ask(sock: socket.socket, client: str = ONE, path: str = "/hello") -> Response:
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        # One that is shed is answered before it asks.
        sock.sendall(request(client, path))
    return Reader(sock).response()


class Steady:
    """A client that never idles, so that it is not closed in favour of others.

    It has always begun its next request.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._begun = b""

    def ask(self, client: str = ONE, path: str = "/hello") -> Response:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._sock.sendall(request(client, path)[len(self._begun) :])
        response = Reader(self._sock).response()
        if response.status == 200:
            self._begun = b"G"
            self._sock.sendall(self._begun)
        return response

    def close(self) -> None:
        self._sock.close()


class InMemory(unittest.TestCase):
    """The count itself."""

    def test_places_are_counted_wherever_a_connection_ends(self) -> None:
        places = ConnectionLimit(3)
        first = WorkerStats.shared()
        second = WorkerStats()
        # The worker's end of the memory.
        written = WorkerStats(os.dup(first.descriptor))
        places.watch(first)
        places.watch(second)
        self.assertEqual([places.take() for _ in range(4)], [True, True, True, False])
        places.give_back()
        self.assertEqual((places.open(), places.take(), places.take()), (2, True, False))
        # A connection that moves keeps its place.
        written.came()
        written.moved()
        second.came()
        self.assertFalse(places.take())
        second.ended()
        self.assertEqual((places.open(), places.take(), places.take()), (2, True, False))
        # One worker is gone with two that it had, and one that had moved on before.
        for _ in range(2):
            written.came()
        places.settle(first)
        self.assertEqual((places.open(), places.take()), (1, True))
        written.close()

    def test_what_fits_under_a_limit(self) -> None:
        for limit in (64, 100, 1024, 20000, 2**30):
            for workers in (1, 4, 64):
                with self.subTest(limit=limit, workers=workers):
                    room, shed = room_under(limit, workers), shed_under(limit)
                    # The master: both ends of the inbox, control channel, memory and two
                    # pipes for each worker, and as many again for a moment at a start.
                    self.assertLessEqual(room + shed + 6 * workers + 6 + 16, limit)
        self.assertEqual(room_under(1024, 4), 832)

    def test_wrong_options(self) -> None:
        for limit, options, said in (
            (1000, ["--max-connections", "0"], "0 is not within 1 to"),
            (1000, ["--max-connections", "x"], "'x' is not a whole number"),
            (
                100,
                ["--workers", "2", "--max-connections", "41"],
                "41 is more than the 40 that an RLIMIT_NOFILE of 100 has room for with 2 workers",
            ),
            (60, ["--workers", "4"], "RLIMIT_NOFILE of 60 has no room for connections"),
        ):
            with self.subTest(options=options), mock.patch("resource.getrlimit") as asked:
                asked.return_value = (limit // 2, limit)
                with contextlib.redirect_stderr(io.StringIO()) as stderr:
                    self.assertRaises(SystemExit, Options().parseOptions, options)
                self.assertIn(said, stderr.getvalue())
                self.assertEqual(stderr.getvalue().count("\n"), 1)


class Crowd(unittest.TestCase):
    def setUp(self) -> None:
        self.crowd = contextlib.ExitStack()
        self.addCleanup(self.crowd.close)

    def connect(self, daemon: Daemon) -> socket.socket:
        return self.crowd.enter_context(daemon.connect())

    def steady(self, daemon: Daemon) -> Steady:
        return Steady(self.connect(daemon))

    def assertShed(self, sock: socket.socket, client: str = ONE) -> None:
        """Told so, politely, and to the end."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            sock.sendall(request(client, "/hello"))
        reader = Reader(sock)
        response = reader.response()
        self.assertEqual(response.status, 503)
        self.assertEqual(response.body, b"503 Service Unavailable: too many connections\n")
        self.assertEqual(response.headers["connection"], "close")
        self.assertEqual(response.headers["retry-after"], "1")
        self.assertTrue(reader.at_end())

    def wait_open(self, daemon: Daemon, number: int) -> None:
        wait_for(lambda: daemon.report()["connections"]["open"] == number, what=f"{number} open")

    def check_bound(self, scope: str) -> None:
        options = ("--max-connections", "5", "--affinity-scope", scope, "--head-timeout", "30")
        with Daemon(*PAGE, *options) as daemon:
            before = daemon.settled_descriptors()
            one, two = self.steady(daemon), self.steady(daemon)
            busy, partial, bad = (self.connect(daemon) for _ in range(3))
            self.assertEqual(one.ask(ONE).worker, 1)
            self.assertEqual(two.ask(TWO).worker, 2)
            busy.sendall(request(ONE, "/late?s=30"))
            # Closing it resets it, which nobody takes for a half-close.
            busy.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            partial.sendall(b"GET / HTTP/1.1\r\n")
            # Its refusal lingers, since the client does not close and is not silent.
            bad.sendall(b"nonsense\r\n\r\n")
            self.assertEqual(Reader(bad).response().status, 400)
            report = daemon.report()
            # At the limit idle connections are being closed.
            del report["connections"]["idle"]
            self.assertEqual(report["connections"], {"open": 5, "most": 5, "guarded": 3})
            for number in range(10):
                bad.sendall(b"more")
                with daemon.connect() as late:
                    self.assertShed(late)
                # Where a connection goes makes no difference.
                self.assertEqual(one.ask((ONE, TWO)[number % 2]).status, 200)
            report = daemon.report()
            self.assertEqual(report["master"]["shed"], 10)
            self.assertEqual(report["workers"]["shed"], 0)
            self.assertEqual(report["master"]["accepted"], 15)
            if scope == "request":
                self.assertEqual(sum(report["workers"]["moved"].values()), 9)
            for number, sock in enumerate((bad, one, partial, busy)):
                sock.close()
                self.wait_open(daemon, 4)
                self.assertEqual(self.steady(daemon).ask().status, 200)
                with daemon.connect() as late:
                    self.assertShed(late)
                self.assertEqual(daemon.report()["master"]["shed"], 11 + number)
            self.crowd.close()
            self.wait_open(daemon, 0)
            wait_for(lambda: daemon.settled_descriptors() == before, what="no descriptor more")

    @slow
    def test_bound_in_connection_scope(self) -> None:
        self.check_bound("connection")

    def test_bound_in_request_scope(self) -> None:
        self.check_bound("request")

    def test_a_crowd_under_a_low_limit(self) -> None:
        limit, most = 100, 40
        options = ("--affinity-scope", "request", "--head-timeout", "30")
        with Daemon(*PAGE, *options, command=limited(limit)) as daemon:
            before = daemon.settled_descriptors()
            self.assertEqual(
                daemon.report()["connections"],
                {"open": 0, "idle": 0, "most": most, "guarded": 0},
            )
            statuses = []
            kept = []
            for number in range(5 * most):
                sock = self.connect(daemon)
                client = Steady(sock)
                statuses.append(client.ask(f"10.0.0.{number}").status)
                if statuses[-1] == 200:
                    kept.append(client)
                else:
                    # Like a client that reads its answer and forgets to close.
                    self.assertEqual(sock.recv(1), b"")
            self.assertEqual(statuses, [200] * most + [503] * (4 * most))
            pid, start = daemon.process.pid, time.monotonic()
            cpu = cpu_seconds(pid)
            # Those inside are served as ever, and move as they like.
            while time.monotonic() < start + 1.0:
                for number, client in enumerate(kept):
                    self.assertEqual(client.ask(f"10.0.{number}.9").status, 200)
            used = cpu_seconds(pid) - cpu
            self.assertLess(used, 0.1, "seconds of the master's, which has nothing to do")
            self.assertLessEqual(max(daemon.descriptors().values()), limit)
            report = daemon.report()
            self.assertEqual(report["master"]["shed"], 4 * most)
            self.assertEqual(report["workers"]["lost"], 0)
            self.crowd.close()
            self.wait_open(daemon, 0)
            self.assertEqual(ask(self.connect(daemon)).status, 200)
            self.crowd.close()
            wait_for(lambda: daemon.settled_descriptors() == before, what="no descriptor more")

    def test_those_that_linger_are_bounded_too(self) -> None:
        limit = 100
        with Daemon("--max-connections", "1", command=limited(limit)) as daemon:
            first = self.connect(daemon)
            self.wait_open(daemon, 1)
            before = daemon.settled_descriptors()[daemon.process.pid]
            begun = [self.connect(daemon) for _ in range(50)]
            for sock in begun:
                sock.sendall(b"G")
            wait_for(lambda: daemon.report()["master"]["shed"] == 50)
            open_now = daemon.descriptors()[daemon.process.pid]
            self.assertLessEqual(open_now, before + shed_under(limit) + 1)
            self.assertGreaterEqual(open_now, before + 1)
            for sock in begun:
                self.assertEqual(Reader(sock).response().status, 503)
            self.assertEqual(ask(first).status, 200)

    def test_idle_connections_make_room(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            go = Path(directory) / "go"
            with Daemon(*PAGE, "--max-connections", "4") as daemon:
                old, young = self.connect(daemon), self.connect(daemon)
                busy, partial = self.connect(daemon), self.connect(daemon)
                for sock in (partial, old, young):
                    ask(sock)
                partial.sendall(request(ONE)[:-1])
                busy.sendall(request(ONE, f"/held?until={go}"))
                wait_for(lambda: daemon.report()["workers"]["requests"] == 4)
                time.sleep(IDLE_LEAST)  # what may be closed has idled for so long
                with daemon.connect() as late:
                    self.assertShed(late)
                # The next ones find room, one at a time, and the longest idle goes first.
                self.assertEqual(old.recv(1), b"")
                self.wait_open(daemon, 3)
                young.settimeout(0)
                self.assertRaises(BlockingIOError, young.recv, 1)
                young.settimeout(10)
                self.assertEqual(ask(self.connect(daemon)).status, 200)
                self.assertEqual(daemon.report()["workers"]["eased"], 1)
                self.assertEqual(ask(young).status, 200)
                with daemon.connect() as late:
                    self.assertShed(late)
                # What is being asked or answered is left alone, however long it takes.
                partial.sendall(b"\n")
                self.assertEqual(Reader(partial).response().worker, 1)
                go.touch()
                self.assertEqual(Reader(busy).response().status, 200)

    def test_what_a_killed_worker_had_is_free_again(self) -> None:
        options = ("--max-connections", "4", "--affinity-scope", "request", "--head-timeout", "30")
        with Daemon(*PAGE, *options) as daemon:
            memory = Path(f"/proc/{daemon.process.pid}/maps")
            self.assertEqual(memory.read_text().count("stickyd-worker-stats"), 2)
            old = daemon.pids()[1]
            for _ in range(3):
                self.assertEqual(self.steady(daemon).ask().worker, 1)
            other = self.steady(daemon)
            # This one was there too, and has moved on.
            self.assertEqual(other.ask(ONE).worker, 1)
            self.assertEqual(other.ask(TWO).worker, 2)
            with daemon.connect() as late:
                self.assertShed(late)
            os.kill(old, signal.SIGKILL)
            self.wait_open(daemon, 1)
            for _ in range(3):
                self.assertEqual(self.steady(daemon).ask().worker, 1)
            with daemon.connect() as late:
                self.assertShed(late)
            self.assertEqual(other.ask(TWO).worker, 2)
            self.assertEqual(memory.read_text().count("stickyd-worker-stats"), 2)
            # Requests that have begun have their time, also when the daemon is to end.
            self.crowd.close()

    def test_a_worker_whose_app_takes_every_descriptor(self) -> None:
        options = (*PAGE, "--affinity-scope", "request")
        with Daemon(*options, command=limited(200)) as daemon:
            inside = self.connect(daemon)
            self.assertEqual(ask(inside, ONE, "/hoard?left=10").worker, 1)
            for _ in range(30):
                with daemon.connect() as late:
                    self.assertShed(late)
            # Also one that moves there, which was served elsewhere before.
            moving = self.connect(daemon)
            self.assertEqual(ask(moving, TWO).worker, 2)
            self.assertShed(moving, ONE)
            # Fewer than those kept for lingering: closed at once, after a word.
            self.assertEqual(ask(inside, ONE, "/hoard?left=4").worker, 1)
            for _ in range(30):
                sock = self.connect(daemon)
                self.assertShed(sock)
            report = daemon.report()
            self.assertEqual(report["slots"][0]["counters"]["shed"], 61)
            self.assertEqual(report["workers"]["lost"], 0)
            self.assertEqual(report["master"]["shed"], 0)
            self.assertEqual(ask(inside, ONE, "/hoard?left=0").worker, 1)
            self.assertEqual(ask(self.connect(daemon), ONE).worker, 1)
            daemon.said("few descriptors are left")
            self.crowd.close()
            self.wait_open(daemon, 0)

    def test_a_master_out_of_descriptors_answers_by_its_reserve(self) -> None:
        with Daemon(*PAGE) as daemon:
            pid = daemon.process.pid
            inside = self.connect(daemon)
            self.assertEqual(ask(inside).status, 200)
            taken = daemon.settled_descriptors()[pid]
            usual = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            used = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
            lowest = next(number for number in range(1000) if number not in used)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (lowest, usual[1]))
            start, cpu = time.monotonic(), cpu_seconds(pid)
            for _ in range(10):
                with daemon.connect() as late:
                    self.assertShed(late)
            self.assertEqual(ask(inside).status, 200)
            spent = cpu_seconds(pid) - cpu
            self.assertLess(spent, 0.1 + 0.1 * (time.monotonic() - start))
            resource.prlimit(pid, resource.RLIMIT_NOFILE, usual)
            # A pause may still be on.
            wait_for(lambda: self.served(daemon))
            self.assertGreaterEqual(daemon.report()["master"]["shed"], 10)
            self.assertEqual(len(daemon.said("cannot accept for now")), 1)
            self.crowd.close()
            # One of them was the guardian's copy of the connection.
            wait_for(lambda: daemon.settled_descriptors()[pid] == taken - 1, what="as before")

    def served(self, daemon: Daemon) -> Any:
        with daemon.connect() as sock:
            return ask(sock).status == 200
