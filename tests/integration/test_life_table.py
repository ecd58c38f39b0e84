"""The table of docs/life.md: what clients notice when a signal comes."""

import contextlib
import os
import signal
import unittest
from collections.abc import Callable, Iterator
from functools import partial

from websockets.sync.client import ClientConnection

from tests.integration.test_upgrade import upgrade
from tests.support.daemon import Daemon, Reader, request, wait_for
from tests.support.lasting import Stream, code_of, over, together

APP = ("--asgi", "stickyd_stream_apps:app", "--graceful-timeout", "4")
TWO = "10.10.12.11"
"""A client of slot 2 at seed 1."""

BODY = b"u" * 1000

Event = Callable[[Daemon], object]


def to_master(number: int) -> Event:
    return lambda daemon: daemon.process.send_signal(number)


def to_worker(number: int) -> Event:
    return lambda daemon: os.kill(daemon.pids()[2], number)


class Clients:
    """One of each kind, in the midst of what it does."""

    def __init__(self, daemon: Daemon, stack: contextlib.ExitStack) -> None:
        self._daemon = daemon
        self.plain, self.uploading = (stack.enter_context(daemon.connect()) for _ in range(2))
        self.plain.sendall(request(TWO, "/slow"))
        self.uploading.sendall(request(TWO, "/upload", "POST", BODY)[:-1])
        self.stream = Stream(daemon, "/deaf", TWO)
        stack.enter_context(self.stream.sock)
        self.websocket: ClientConnection = stack.enter_context(over(daemon, TWO))
        wait_for(lambda: daemon.report()["workers"]["adopted"] == 4, what="the connections")
        wait_for(lambda: daemon.report()["workers"]["requests"] == 3, what="the requests")

    def finish(self) -> list[bytes]:
        """What the plain request and the upload get in the end."""
        self.uploading.sendall(BODY[-1:])
        self.go()
        return [Reader(sock).response().body for sock in (self.plain, self.uploading)]

    def go(self) -> None:
        """Let the plain request be answered."""
        open(os.path.join(self._daemon.directory.name, "go"), "w").close()

    def ends(self) -> tuple[int, str, bool]:
        """The close code of the WebSocket, and how the stream ends."""
        code, end = together([partial(code_of, self.websocket), self.stream.end])
        return code, end.how, end.whole


class Table(unittest.TestCase):
    @contextlib.contextmanager
    def clients(self, event: Event) -> Iterator[Clients]:
        daemon = Daemon(*APP)
        daemon._environment["LIFE"] = daemon.directory.name
        with daemon, contextlib.ExitStack() as stack:
            clients = Clients(daemon, stack)
            event(daemon)
            yield clients

    def check_replaced(self, event: Event) -> None:
        """What has begun is completed; what has no end gets one with the worker."""
        with self.clients(event) as clients:
            self.assertEqual(clients.finish(), [b"slow", b"1000"])
            self.assertEqual(clients.ends(), (1012, "RST", False))

    def test_term(self) -> None:
        self.check_replaced(to_master(signal.SIGTERM))

    def test_hup(self) -> None:
        self.check_replaced(to_master(signal.SIGHUP))

    def test_ttou(self) -> None:
        self.check_replaced(to_master(signal.SIGTTOU))

    def test_term_to_a_worker(self) -> None:
        self.check_replaced(to_worker(signal.SIGTERM))

    def test_int(self) -> None:
        with self.clients(to_master(signal.SIGINT)) as clients:
            # Its task would be cancelled at the end of the grace, which uvicorn logs.
            clients.go()
            self.assertEqual(clients.ends(), (1012, "RST", False))

    def test_kill(self) -> None:
        with self.clients(to_worker(signal.SIGKILL)) as clients:
            for sock in (clients.plain, clients.uploading):
                with contextlib.suppress(ConnectionResetError):
                    self.assertEqual(sock.recv(1), b"")
            code, _, whole = clients.ends()
            self.assertEqual((code, whole), (1006, False))

    def check_unharmed(self, event: Event) -> None:
        with self.clients(event) as clients:
            self.assertEqual(clients.finish(), [b"slow", b"1000"])
            clients.websocket.send("still here")
            self.assertEqual([clients.websocket.recv() for _ in range(2)], ["open", "still here"])
            # More than one tick: not only what waits in the kernel.
            ticks = b""
            while ticks.count(b"tick") < 100:
                ticks += clients.stream.sock.recv(4096)

    def test_usr2(self) -> None:
        self.check_unharmed(upgrade)

    def test_ttin(self) -> None:
        def add(daemon: Daemon) -> None:
            daemon.process.send_signal(signal.SIGTTIN)
            wait_for(lambda: daemon.report()["table"]["slots"] == [1, 2, 3], what="a slot")

        self.check_unharmed(add)
