"""``learn(hdr(NAME))`` and ``learn(cookie(NAME))``: ids that apps make without stickyd."""

import os
import random
import signal
import unittest
from itertools import product

from tests.integration.test_insert import KINDS, SCOPES, SEED
from tests.support.browsers import Answer, Connection
from tests.support.daemon import Daemon, wait_for

CHAIN = ("--affinity", "learn(hdr(X-Id)),learn(cookie(sessionid)),xff,src")
CLIENTS = 24


class WithDaemon(unittest.TestCase):
    def setUp(self) -> None:
        self.chance = random.Random(11)

    def daemon(self, kind: str, scope: str, *options: str, workers: int = 4) -> Daemon:
        chosen = ("--affinity-scope", scope, *KINDS[kind], *SEED, *(options or CHAIN))
        return self.enterContext(Daemon(*chosen, workers=workers))

    def connection(self, daemon: Daemon) -> Connection:
        return self.enterContext(Connection(daemon.port))

    def somewhere(self) -> str:
        """An address that the client has not had before."""
        return f"X-Forwarded-For: 198.18.{self.chance.randrange(256)}.{self.chance.randrange(256)}"


def made(answer: Answer) -> tuple[str, str]:
    """Where to use the id that an answer has handed out, and the line that sends it."""
    if "x-id" in answer.headers:
        return "/by-header", f"X-Id: {answer.headers['x-id']}"
    return "/by-cookie", "Cookie: a=1; " + answer.cookies[0].partition(";")[0]


class EveryKind(WithDaemon):
    def check(self, kind: str, scope: str) -> None:
        daemon = self.daemon(kind, scope)
        known = []
        for number in range(CLIENTS):
            path = ("/header", "/cookie", "/stream")[number % 3]
            with Connection(daemon.port) as connection:
                answer = connection.ask(path, self.somewhere())
                if path == "/stream":
                    # The head is out before the body; the id is used while it may still come.
                    known.append((*made(answer), 0))
                else:
                    known.append((*made(answer), answer.slot))
        self.assertEqual({slot for *_, slot in known} - {0}, {1, 2, 3, 4})
        kept = self.connection(daemon) if scope == "request" else None
        for visits in (1, 2, 3):
            self.chance.shuffle(known)
            for path, line, slot in known:
                # From another address each time.
                if kept is not None:
                    answer = kept.ask(path, line, self.somewhere())
                else:
                    with Connection(daemon.port) as connection:
                        answer = connection.ask(path, line, self.somewhere())
                self.assertEqual((answer.status, answer.told["visits"]), (200, visits))
                self.assertIn(slot, (0, answer.slot))
        report = daemon.report()
        self.assertEqual(report["workers"]["learned"], CLIENTS)
        self.assertEqual((report["learned"]["used"], report["learned"]["evicted"]), (CLIENTS, 0))
        daemon.stop()

    def test_no_session_is_lost(self) -> None:
        for kind, scope in product(KINDS, SCOPES):
            with self.subTest(kind=kind, scope=scope):
                self.check(kind, scope)

    def test_what_is_no_id(self) -> None:
        daemon = self.daemon("asgi", "request", workers=2)
        connection = self.connection(daemon)
        for path in ("/forget", "/", "/refuse"):
            connection.ask(path)
        # An id that the app repeats is learned once.
        answer = connection.ask("/header")
        path, line = made(answer)
        for _ in range(3):
            self.assertEqual(connection.ask("/echo", line).headers["x-id"], line[6:])
        self.assertEqual(connection.ask(path, line).told["visits"], 1)
        self.assertEqual(daemon.report()["learned"]["learned"], 1)


class Lives(WithDaemon):
    def test_the_table_outlives_workers_and_programs(self) -> None:
        daemon = self.daemon("web", "request")
        with Connection(daemon.port) as connection:
            answers = [connection.ask("/cookie", self.somewhere()) for _ in range(CLIENTS)]
        known = [(*made(answer), answer.slot) for answer in answers]
        self.assertEqual({slot for *_, slot in known}, {1, 2, 3, 4})

        def check(slots: set[int]) -> None:
            with Connection(daemon.port) as connection:
                for path, line, slot in known:
                    if slot in slots:
                        self.assertEqual(connection.ask(path, line, self.somewhere()).slot, slot)

        before = daemon.pids()
        os.kill(before[2], signal.SIGKILL)
        wait_for(lambda: daemon.pids().get(2, before[2]) != before[2], what="a replacement")
        check({1, 2, 3, 4})
        before = daemon.pids()
        daemon.process.send_signal(signal.SIGHUP)
        wait_for(lambda: not before.items() & daemon.pids().items(), what="a reload")
        check({1, 2, 3, 4})
        daemon.process.send_signal(signal.SIGUSR2)
        wait_for(lambda: daemon.report()["master"]["upgrades"] == 1, what="the upgrade")
        check({1, 2, 3, 4})
        before = daemon.pids()
        daemon.process.send_signal(signal.SIGHUP)
        wait_for(lambda: not before.items() & daemon.pids().items(), what="a reload")
        check({1, 2, 3, 4})
        # The app makes a new one, which is learned by workers of the new program.
        with Connection(daemon.port) as connection:
            answer = connection.ask("/header", self.somewhere())
            path, line = made(answer)
            self.assertEqual(connection.ask(path, line, self.somewhere()).told["visits"], 1)
        daemon.process.send_signal(signal.SIGTTOU)
        wait_for(lambda: daemon.report()["table"]["slots"] == [1, 2, 3], what="a slot less")
        check({1, 2, 3})
        # Those of the slot that went are placed as if they had no id.
        with Connection(daemon.port) as connection:
            for path, line, slot in known:
                if slot == 4:
                    where = self.somewhere()
                    plain = connection.ask("/", where).slot
                    self.assertEqual(connection.ask(path, line, where).slot, plain)
        self.assertEqual(daemon.report()["workers"]["lost"], 0)

    def test_bounds(self) -> None:
        chain = ("--affinity", "learn(hdr(x-id)),src", "--learn-most", "16", "--learn-idle", "60")
        daemon = self.daemon("web", "request", *chain, workers=2)
        connection = self.connection(daemon)
        lines = [made(connection.ask("/header"))[1] for _ in range(40)]
        counts = daemon.report()["learned"]
        self.assertLessEqual(counts["used"], counts["entries"])
        self.assertLessEqual(counts["entries"], 16)
        self.assertEqual(counts["learned"], 40)
        self.assertGreaterEqual(counts["evicted"], 24)
        # The last one is known, wherever it is asked for.
        self.assertEqual(connection.ask("/by-header", lines[-1]).told["visits"], 1)
