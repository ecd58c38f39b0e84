"""An app that closes descriptors which are not its own: the worker ends and is replaced, and nobody
waits for one that only seems to be there.
"""

import contextlib
import errno
import os
import socket
import unittest

from stickyd.net.epoll import READ, Poller
from stickyd.net.own_descriptors import DescriptorLost, OwnDescriptors, open_descriptors
from tests.integration.test_lifecycle import ONE, TWO
from tests.support.daemon import Daemon, Reader, request, wait_for
from tests.support.stepping import SteppingReactor

OPTIONS = ("--affinity-scope", "request", "--hash-balance-factor", "1000", "--timeout", "0")
"""With every kind of descriptor; and nobody else finds out that a worker hangs."""

PATIENCE = 10.0
"""Seconds until a worker that has lost a descriptor is replaced; it takes some two."""

KINDS = {
    "web": ("--class", "stickyd_closing_app:Page"),
    "wsgi": ("--wsgi", "stickyd_closing_app:wsgi"),
    "asgi": ("--asgi", "stickyd_closing_app:asgi"),
}


class CloseCase(unittest.TestCase):
    options: tuple[str, ...]

    def daemon(self, app: str, *options: str) -> Daemon:
        return self.enterContext(Daemon(*KINDS[app], *self.options, *options))

    def tell(self, daemon: Daemon, what: str, method: str = "POST") -> None:
        """Have it closed by worker 1; the answer may be lost."""
        with daemon.connect() as sock, contextlib.suppress(EOFError, OSError):
            sock.settimeout(PATIENCE)
            sock.sendall(request(ONE, f"/{what}", method))
            Reader(sock).response()

    def pid_of(self, daemon: Daemon, client: str) -> int:
        with daemon.connect() as sock:
            sock.settimeout(PATIENCE)
            sock.sendall(request(client))
            return int(Reader(sock).response().body)

    def other_than(self, pid: int, daemon: Daemon) -> bool:
        with contextlib.suppress(EOFError, ConnectionResetError):
            return self.pid_of(daemon, ONE) != pid
        return False

    def check(self, what: str, app: str = "web", method: str = "POST") -> None:
        daemon = self.daemon(app)
        with daemon.connect() as idle:
            reader = Reader(idle)
            pids = []
            for client in (ONE, TWO, ONE):
                idle.sendall(request(client))
                pids.append(int(reader.response().body))
            self.tell(daemon, what, method)
            # Clients that come meanwhile are served by one or the other, or lost with the one that
            # was answering them; nobody waits for ever.
            wait_for(lambda: self.other_than(pids[0], daemon), what=what, seconds=PATIENCE)
            new = daemon.pids()
            self.assertEqual((new[1] != pids[0], new[2]), (True, pids[1]))
            # It idled, so it goes on.
            idle.sendall(request(ONE))
            self.assertEqual(int(reader.response().body), new[1])
        self.assertEqual(len(daemon.said("worker 1 ended and is replaced")), 1)
        report = daemon.report()
        wait_for(lambda: daemon.report()["connections"]["open"] == 0, what="no connection")
        self.assertEqual([slot["spawned"] for slot in report["slots"]], [2, 1])


class ClosingUnbounded(CloseCase):
    """Where a compiled engine may serve the connections."""

    options = ("--affinity-scope", "request", "--timeout", "0")
    replaced: tuple[str, ...] = ("inbox", "epoll", "clients")

    def test_the_inbox(self) -> None:
        self.check("inbox")

    def test_the_epoll_of_the_clients(self) -> None:
        self.check("epoll")

    def test_the_ways_into_inboxes(self) -> None:
        self.check("senders")

    def test_connections_of_clients(self) -> None:
        self.check("clients")

    def test_numbers_that_are_other_files_by_now(self) -> None:
        for what in self.replaced:
            with self.subTest(what):
                self.check(what, method="PUT")

    def test_all(self) -> None:
        for app in KINDS:
            with self.subTest(app):
                self.check("all", app)


class Closing(ClosingUnbounded):
    """With every kind of descriptor, in workers of Python alone."""

    options = OPTIONS
    replaced = ("inbox", "epoll", "senders", "control", "board", "poll")

    def test_the_control_channel(self) -> None:
        self.check("control")

    def test_the_board(self) -> None:
        self.check("board")

    def test_the_reactors(self) -> None:
        self.check("poll")

    def test_while_the_app_is_loaded(self) -> None:
        for app in KINDS:
            with self.subTest(app):
                daemon = Daemon(*KINDS[app], *OPTIONS, "--start-timeout", "0", workers=1)
                daemon._environment["STICKYD_CLOSES"] = "all"
                daemon.start(wait=False)
                self.addCleanup(daemon.directory.cleanup)
                self.assertEqual(daemon.wait(), 1)
                said = [line for line in daemon.log if "has been closed by the app" in line]
                self.assertEqual(len(said), 1, daemon.log)
                says = "a worker ended with exit code 70 before it was ready"
                self.assertTrue([line for line in daemon.log if says in line], daemon.log)

    def test_standard_output_and_its_like(self) -> None:
        """Nothing that is printed must go to a client who has got their number."""
        daemon = self.daemon("web")
        pid = self.pid_of(daemon, ONE)
        self.tell(daemon, "standard")
        with contextlib.ExitStack() as idle:
            for _ in range(5):
                sock = idle.enter_context(daemon.connect())
                sock.sendall(request(ONE))
                self.assertEqual(int(Reader(sock).response().body), pid)
            files = [os.readlink(f"/proc/{pid}/fd/{number}") for number in range(3)]
        self.assertEqual(files, 3 * ["/dev/null"])


class OfOneProcess(unittest.TestCase):
    def setUp(self) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.addCleanup(self.ours.close)
        self.addCleanup(self.theirs.close)
        self.other = open(os.devnull)  # noqa: SIM115, the cleanup closes it
        self.addCleanup(self.other.close)
        self.own = OwnDescriptors()
        self.poller = Poller(SteppingReactor(), self.own)
        self.addCleanup(self.poller.close)
        self.own.keep("the inbox", self.ours.fileno())

    def ready(self, events: int) -> None:
        """Never."""

    abortConnection = ready

    def test_what_is_as_it_was(self) -> None:
        self.own.check()
        self.own.failed(OSError(errno.ECONNRESET, "reset"), "a connection")
        self.own.keep("the inbox", self.theirs.fileno())
        self.ours.close()
        self.own.check()

    def test_what_is_closed_or_another_file(self) -> None:
        number = self.ours.detach()
        os.close(number)
        with self.assertRaisesRegex(DescriptorLost, "the inbox"):
            self.own.check()
        os.dup2(self.other.fileno(), number)
        with self.assertRaisesRegex(DescriptorLost, "the inbox"):
            self.own.failed(OSError(errno.EINVAL, "not what it was"), "a connection")
        os.close(number)

    def test_a_client_that_is_closed_or_another_file_by_now(self) -> None:
        number = self.theirs.detach()
        self.poller.watch(number, self, READ)
        saved = os.dup(number)
        self.addCleanup(os.close, saved)
        os.close(number)
        with self.assertRaisesRegex(DescriptorLost, "a client's connection"):
            self.poller.watch(number, self, READ)
        os.dup2(self.other.fileno(), number)
        with self.assertRaisesRegex(DescriptorLost, "a client's connection"):
            self.poller.forget(number)
        with self.assertRaisesRegex(DescriptorLost, "a client's connection"):
            self.poller.watch(number, self, READ)
        os.close(number)

    def test_the_descriptors_of_this_process(self) -> None:
        found = open_descriptors()
        self.assertLessEqual({self.ours.fileno(), self.theirs.fileno()}, found)
        for descriptor in found:
            os.fstat(descriptor)
