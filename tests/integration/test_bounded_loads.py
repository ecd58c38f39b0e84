"""``--hash-balance-factor``: a real daemon, slow requests, and clients that all hash to one worker.

The master is the only process that places here unless a test says otherwise, and it counts what it
places at once; so the bound is exact.
"""

import contextlib
import io
import math
import os
import re
import signal
import socket
import unittest
from collections import Counter
from itertools import pairwise
from pathlib import Path

from stickyd.cli.options import Options
from stickyd.settings import Settings
from tests.support.daemon import Daemon, Reader, request, wait_for
from tests.support.extent import slow

WORKERS = 3
CROWD = 18
NONE = [0] * WORKERS
TABLE = Settings(workers=WORKERS).policy().table
ANSWER = re.compile(rb"From worker (\d+)")
BOUND = math.ceil(CROWD * 150 / (100 * WORKERS))


def clients_of(slot: int, count: int) -> list[str]:
    """Clients whose first choice is one slot."""
    addresses = (f"10.1.{n // 250}.{n % 250}" for n in range(10_000))
    mine = (a for a in addresses if TABLE.slot_of(a.encode()) == slot)
    return [a for a, _ in zip(mine, range(count), strict=False)]


*HOT, STRANGER = clients_of(1, CROWD + 1)


class WithDaemon(unittest.TestCase):
    def daemon(self, scope: str, *options: str) -> Daemon:
        chosen = ("--affinity-scope", scope, "--class", "stickyd_test_apps:Page")
        return self.enterContext(Daemon(*chosen, *options, workers=WORKERS))

    def connect(self, daemon: Daemon) -> tuple[socket.socket, Reader]:
        sock = self.enterContext(daemon.connect())
        return sock, Reader(sock)

    def ask(
        self, daemon: Daemon, client: str, path: str = "/hello"
    ) -> tuple[socket.socket, Reader]:
        """A connection that has just asked."""
        sock, reader = self.connect(daemon)
        sock.sendall(request(client, path))
        return sock, reader

    def gate(self, daemon: Daemon, name: str) -> tuple[Path, str]:
        """A file, and the path of what is answered once it exists."""
        file = Path(daemon.directory.name, name)
        return file, f"/held?until={file}"

    def busy(self, daemon: Daemon, count: int) -> None:
        """Wait until so many requests have been given to the app."""
        wait_for(lambda: daemon.report()["workers"]["requests"] == count, what=f"{count} requests")

    def worker_of(self, daemon: Daemon, client: str) -> int:
        sock, reader = self.ask(daemon, client)
        with sock:
            return worker(reader)


def worker(reader: Reader) -> int:
    """The worker that gave the next answer."""
    found = ANSWER.match(reader.response().body)
    assert found
    return int(found[1])


def loads(daemon: Daemon) -> list[int]:
    return [slot["load"] for slot in daemon.report()["slots"]]


class Crowd(WithDaemon):
    """A hot set of clients at once, each of them again later, and the death of workers."""

    def check(self, scope: str) -> Daemon:
        daemon = self.daemon(scope, "--hash-balance-factor", "150")
        gate, path = self.gate(daemon, "first")
        asked = [self.ask(daemon, client, path) for client in HOT]
        self.busy(daemon, CROWD)
        carried = loads(daemon)
        self.assertEqual(sum(carried), CROWD)
        self.assertLessEqual(max(carried), BOUND)
        # The first choice is used as far as the bound lets it.
        self.assertEqual(carried[0], BOUND)
        gate.touch()
        homes = dict(zip(HOT, (worker(reader) for _, reader in asked), strict=True))
        self.assertEqual(sorted(Counter(homes.values()).items()), list(enumerate(carried, 1)))
        self.assertEqual(daemon.report()["master"]["displaced"], CROWD - BOUND)
        wait_for(lambda: loads(daemon) == NONE, what="no load")
        # Loads are even: on the same connection and on new ones everybody is at home.
        for client, (sock, reader) in zip(HOT, asked, strict=True):
            sock.sendall(request(client, "/hello"))
            self.assertEqual(worker(reader), homes[client])
        for client in reversed(HOT):
            self.assertEqual(self.worker_of(daemon, client), homes[client])
        report = daemon.report()
        self.assertEqual(report["master"]["displaced"], CROWD - BOUND)
        for name in ("moved", "misrouted", "displaced", "forgotten", "lost"):
            self.assertFalse(report["workers"][name], name)
        self.check_deaths(daemon, homes, carried)
        return daemon

    def check_deaths(self, daemon: Daemon, homes: dict[str, int], carried: list[int]) -> None:
        gate, path = self.gate(daemon, "second")
        asked = [self.ask(daemon, client, path) for client in HOT]
        wait_for(lambda: loads(daemon) == carried, what="everybody at home")
        self.busy(daemon, 4 * CROWD)
        pids = daemon.pids()
        for slot in (1, 3):
            os.kill(pids[slot], signal.SIGKILL)
        left = [0, carried[1], 0]
        wait_for(lambda: loads(daemon) == left, what=f"loads {left} of {carried}")
        gate.touch()
        for client, (_, reader) in zip(HOT, asked, strict=True):
            if homes[client] == 2:
                self.assertEqual(worker(reader), 2)
            else:
                with self.assertRaises((EOFError, ConnectionResetError)):
                    reader.response()
        wait_for(lambda: loads(daemon) == NONE, what="no load")
        # The board has outlived them: the clients of the dead are known to the replacements.
        for client in HOT:
            self.assertEqual(self.worker_of(daemon, client), homes[client])
        wait_for(lambda: loads(daemon) == NONE, what="no load")

    @slow
    def test_connection_scope(self) -> None:
        daemon = self.check("connection")
        self.check_strangers(daemon)

    def check_strangers(self, daemon: Daemon) -> None:
        """A connection that is not to be moved: who is at home there, and who is not."""
        displaced = next(client for client in HOT if self.worker_of(daemon, client) == 2)
        misrouted = daemon.report()["workers"]["misrouted"]
        sock, reader = self.connect(daemon)
        for client in (displaced, displaced, STRANGER, displaced):
            sock.sendall(request(client, "/hello"))
            self.assertEqual(worker(reader), 2)
        self.assertEqual(daemon.report()["workers"]["misrouted"], misrouted + 1)
        # It has got no home by that.
        self.assertEqual(self.worker_of(daemon, STRANGER), 1)

    def test_request_scope(self) -> None:
        daemon = self.check("request")
        homes = [self.worker_of(daemon, client) for client in HOT]
        before = sum(daemon.report()["workers"]["moved"].values())
        # All of them on one connection: it goes where each one's home is, and no further.
        sock, reader = self.connect(daemon)
        sock.sendall(b"".join(request(client, "/hello") for client in HOT))
        self.assertEqual([worker(reader) for _ in HOT], homes)
        steps = sum(a != b for a, b in pairwise(homes))
        self.assertGreater(steps, 1)
        self.assertEqual(sum(daemon.report()["workers"]["moved"].values()) - before, steps)

    def test_without_the_option_all_are_on_one_worker(self) -> None:
        daemon = self.daemon("connection")
        asked = [self.ask(daemon, client, "/late?s=0.1") for client in HOT]
        self.assertEqual({worker(reader) for _, reader in asked}, {1})
        self.assertEqual(loads(daemon), [None] * WORKERS)
        self.assertEqual(daemon.report()["master"]["displaced"], 0)


class Seam(WithDaemon):
    """Connections that several clients share, as a proxy's do: workers place as well."""

    def test_the_bound_holds_and_nobody_is_bounced(self) -> None:
        daemon = self.daemon("request", "--hash-balance-factor", "150")
        shared = []
        for at in range(CROWD):
            # Idle connections at every worker: each of them places some of the crowd.
            sock, reader = self.ask(daemon, clients_of(at % WORKERS + 1, 40)[-1])
            self.assertEqual(worker(reader), at % WORKERS + 1)
            shared.append((sock, reader))
        gate, path = self.gate(daemon, "gate")
        for at, (client, (sock, _)) in enumerate(zip(HOT, shared, strict=True), 1):
            sock.sendall(request(client, path))
            # One after the other, so that each placer sees what the others have placed.
            self.busy(daemon, CROWD + at)
        carried = loads(daemon)
        self.assertEqual(sum(carried), CROWD)
        self.assertEqual(max(carried), carried[0])
        self.assertEqual(carried[0], BOUND)
        report = daemon.report()
        self.assertEqual(report["workers"]["displaced"], CROWD - BOUND)
        self.assertEqual(report["master"]["displaced"], 0)
        gate.touch()
        homes = [worker(reader) for _, reader in shared]
        moved = sum(home != at % WORKERS + 1 for at, home in enumerate(homes))
        self.assertEqual(sum(report["workers"]["moved"].values()), moved)
        for client, home in zip(HOT, homes, strict=True):
            self.assertEqual(self.worker_of(daemon, client), home)

    def test_load_that_waits_for_a_dead_worker_and_load_that_stays(self) -> None:
        daemon = self.daemon("connection", "--hash-balance-factor", "10000")
        pid = daemon.pids()[1]
        os.kill(pid, signal.SIGSTOP)
        asked = [self.ask(daemon, client) for client in HOT]
        wait_for(lambda: loads(daemon) == [CROWD, 0, 0], what="a load")
        os.kill(pid, signal.SIGKILL)
        self.assertEqual({worker(reader) for _, reader in asked}, {1})
        wait_for(lambda: loads(daemon) == NONE, what="no load")
        # A connection that the app has taken over is load for as long as it lives.
        sock, reader = self.connect(daemon)
        upgrade = b"Connection: Upgrade\r\nUpgrade: echo\r\n\r\n"
        sock.sendall(request(HOT[0], "/upgrade")[:-2] + upgrade)
        self.assertEqual(reader.response().status, 101)
        wait_for(lambda: loads(daemon) == [1, 0, 0], what="a load")
        sock.close()
        wait_for(lambda: loads(daemon) == NONE, what="no load")


class WrongOptions(unittest.TestCase):
    def test_one_line(self) -> None:
        for arguments, said in (
            (["--hash-balance-factor", "100"], "100 is neither 0 nor within 101 to 10000"),
            (["--hash-balance-factor", "10001"], "10001 is neither"),
            (["--hash-balance-factor", "-150"], "-150 is neither"),
            (["--hash-balance-factor", "1.5"], "'1.5' is not a whole number"),
            (["--hash-balance-factor", "150", "--hash", "sticky-session"], "no next choice"),
        ):
            with contextlib.redirect_stderr(io.StringIO()) as stderr:
                with self.assertRaises(SystemExit) as end:
                    Options().parseOptions(arguments)
            self.assertEqual(end.exception.code, 2)
            self.assertTrue(stderr.getvalue().startswith("stickyd: --hash-balance-factor: "))
            self.assertIn(said, stderr.getvalue())
            self.assertEqual(stderr.getvalue().count("\n"), 1)

    def test_accepted(self) -> None:
        for text, percent in (("0", 0), ("101", 101), ("10000", 10_000)):
            options = Options()
            options.parseOptions(["--hash-balance-factor", text])
            self.assertEqual(options.settings.routing.balance_factor, percent)
        options.parseOptions(["--hash-balance-factor", "0", "--hash", "sticky-session"])
