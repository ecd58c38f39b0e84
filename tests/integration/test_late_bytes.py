"""The last answer of a connection reaches its client whatever the client sends behind it."""

import os
import socket
import unittest
from typing import Any

from twisted.web.resource import Resource
from twisted.web.server import Site

from stickyd.ipc.fd_queue import make_inbox, try_put
from stickyd.ipc.frame import Frame, Kind
from stickyd.net.lingering_close import LINGER_MOST, LINGER_SILENCE
from stickyd.settings import Settings
from stickyd.shm.worker_stats import WorkerStats
from stickyd.worker.apps.loaders.web import WebApp
from stickyd.worker.connection.lingering import LingeringConnection
from stickyd.worker.worker import Resources, Worker
from tests.support.daemon import Daemon, Reader, read_all, request, wait_for
from tests.support.stepping import SteppingReactor

LATE = 20
"""Bytes that come one at a time behind the request."""

CLIENT = "10.10.10.10"
EARLY = 6 << 20
OPEN = b"Connection: close\r\n\r\n"


def closing(path: str = "/") -> bytes:
    """A request that ends the connection."""
    return request(CLIENT, path)[:-2] + OPEN


def old(path: str = "/") -> bytes:
    """One of HTTP/1.0, which ends the connection unless it says otherwise."""
    return b"GET %b HTTP/1.0\r\n\r\n" % path.encode()


class Daemons(unittest.TestCase):
    """Over TCP, where the kernel resets a connection whose reader is gone."""

    def check(self, daemon: Daemon, message: bytes) -> None:
        with self.subTest(message=message), daemon.connect() as sock:
            sock.sendall(message)
            # The answer is here; whatever ends the connection has been done, or soon will be.
            sock.recv(1, socket.MSG_PEEK)
            for _ in range(LATE):
                # Raises if the connection has been reset.
                sock.sendall(b"x")
            answer = read_all(sock)
            head, _, body = answer.partition(b"\r\n\r\n")
            self.assertIn(b"From worker 1 ", body)
            self.assertTrue(head.startswith(b"HTTP/1."), head)

    def check_reset(self, daemon: Daemon, message: bytes) -> None:
        """An end in order would be that of a whole answer (RFC 9112, 6.3)."""
        with self.subTest(message=message), daemon.connect() as sock:
            sock.sendall(message)
            self.assertRaises(ConnectionResetError, read_all, sock)

    def check_kind(self, *options: str, paths: tuple[str, ...] = ("/",)) -> None:
        with Daemon(*options, workers=1) as daemon:
            for path in paths:
                if path == "/cut":
                    self.check_reset(daemon, old(path))
                else:
                    self.check(daemon, old(path))
                self.check(daemon, closing(path))
            wait_for(lambda: daemon.report()["connections"]["open"] == 0, what="no connection")

    def test_web(self) -> None:
        pages = ("/hello", "/close", "/drip", "/cut")
        self.check_kind("--class", "stickyd_test_apps:Page", paths=pages)

    def test_without_a_guardian(self) -> None:
        pages = ("/hello", "/close", "/cut")
        self.check_kind("--class", "stickyd_test_apps:Page", "--guardian", "off", paths=pages)

    def test_wsgi(self) -> None:
        self.check_kind("--wsgi", "stickyd_wsgi_apps:app", paths=("/hello",))

    def test_asgi(self) -> None:
        with Daemon("--asgi", "stickyd_asgi_apps:app", workers=1) as daemon:
            self.check(daemon, old("/hello"))
            self.check(daemon, closing("/hello"))
            self.check_early(daemon)

    def test_half_an_answer_is_no_whole_one(self) -> None:
        with Daemon("--asgi", "stickyd_asgi_apps:app", "--send-timeout", "0.5") as daemon:
            with daemon.connect() as sock:
                head = f"POST /early?n={EARLY} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n"
                sock.sendall(head.encode() + b"\r\n")
                wait_for(lambda: daemon.report()["connections"]["open"] == 0, what="the end")
                # It would be an end in order otherwise.
                self.assertRaises(ConnectionResetError, read_all, sock)

    def check_early(self, daemon: Daemon) -> None:
        """An answer to a request whose body is still being sent, by who reads only behind it."""
        with daemon.connect() as sock:
            # As if the client had a little room only.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            head = f"POST /early?n={EARLY} HTTP/1.1\r\nHost: a\r\nContent-Length: {2 * EARLY}\r\n"
            sock.sendall(head.encode() + b"\r\n")
            sock.recv(1, socket.MSG_PEEK)
            sock.sendall(bytes(2 * EARLY))
            self.assertEqual(len(Reader(sock).response().body), EARLY)


class Big(Resource):
    isLeaf = True

    def render_GET(self, asked: Any) -> bytes:
        return b"b" * int(asked.args[b"n"][0])


class Stepped(unittest.TestCase):
    """A worker over a socket pair, and a clock of our own."""

    def setUp(self) -> None:
        self.settings = Settings(workers=1)
        self.reactor = SteppingReactor()
        self.sender, inbox = make_inbox()
        self.tally = WorkerStats()
        self.addCleanup(self.tally.close)
        site = WebApp(Site(Big(), reactor=self.reactor))
        self.worker = Worker(
            self.reactor,
            self.settings,
            site,
            Resources(1, inbox, {1: self.sender}, self.tally),
        )
        self.worker.start()
        self.client, self.theirs = socket.socketpair()
        self.client.setblocking(False)
        for end in (self.sender, inbox, self.client, self.theirs):
            self.addCleanup(end.close)
        self.addCleanup(self.worker.context.poller.close)

    def ask(self, size: int, *, last: bool = True) -> None:
        path = f"/?n={size}"
        self.client.sendall(closing(path) if last else request(CLIENT, path))
        frame = Frame(Kind.PLACED, 1, None, None)
        self.assertTrue(try_put(self.sender, frame.encode(), self.theirs.fileno()))
        self.theirs.close()
        self.reactor.settle()

    def receive(self, size: int = 1 << 30) -> bytes:
        """What there is, up to ``size`` bytes."""
        got = b""
        while len(got) < size:
            try:
                data = self.client.recv(min(65536, size - len(got)))
            except BlockingIOError:
                break
            if not data:
                break
            got += data
            self.reactor.settle()
        return got

    def left(self) -> int:
        """Connections that are not closed."""
        return len(self.worker.context.connections.sweeper.members)

    def pass_time(self, seconds: float) -> None:
        for _ in range(int(seconds * 4)):
            self.reactor.advance(0.25)
            self.reactor.settle()


class Answered(Stepped):
    def test_it_is_closed_when_the_client_closes(self) -> None:
        self.ask(10)
        self.assertEqual(self.left(), 1)
        self.client.close()
        self.reactor.settle()
        self.assertEqual(self.left(), 0)

    def test_a_silent_client_is_not_waited_for(self) -> None:
        self.ask(10)
        self.assertTrue(self.receive().endswith(b"b" * 10))
        self.pass_time(LINGER_SILENCE - 0.5)
        self.assertEqual(self.left(), 1)
        self.pass_time(1)
        self.assertEqual(self.left(), 0)

    def test_one_that_sends_on_is_waited_for_no_longer_than_a_while(self) -> None:
        self.ask(10)
        self.receive()
        for _ in range(int(LINGER_MOST) - 1):
            self.client.send(b"x")
            self.pass_time(1)
            self.assertEqual(self.left(), 1)
        self.client.send(b"x")
        self.pass_time(2)
        self.assertEqual(self.left(), 0)

    def test_an_answer_that_the_kernel_has_is_waited_for(self) -> None:
        size = 100_000
        self.ask(size)
        got = b""
        for _ in range(10):
            # A client of some 30,000 bytes in three seconds, which sends on.
            self.pass_time(LINGER_SILENCE + 1)
            self.client.send(b"x")
            got += self.receive(10_000)
            if len(got) < size:
                self.assertEqual(self.left(), 1)
        got += self.receive()
        self.assertTrue(got.endswith(b"\r\n\r\n" + b"b" * size))
        self.pass_time(LINGER_SILENCE + 1)
        self.assertEqual(self.left(), 0)

    def test_one_is_waited_for_when_an_idle_connection_is_closed(self) -> None:
        self.ask(100_000, last=False)
        self.pass_time(self.settings.timeouts.keep_alive + LINGER_SILENCE)
        self.client.send(b"x")
        self.pass_time(LINGER_SILENCE)
        self.assertTrue(self.receive().endswith(b"\r\n\r\n" + b"b" * 100_000))
        self.pass_time(LINGER_SILENCE + 1)
        self.assertEqual(self.left(), 0)

    def test_an_idle_connection_whose_answer_has_arrived_is_closed_at_once(self) -> None:
        self.ask(10, last=False)
        self.receive()
        self.pass_time(self.settings.timeouts.keep_alive - 1)
        self.assertEqual(self.left(), 1)
        self.pass_time(1.5)
        self.assertEqual(self.left(), 0)

    def test_one_that_is_not_taken_is_given_up(self) -> None:
        self.ask(100_000)
        self.pass_time(self.settings.timeouts.send)
        self.assertEqual(self.left(), 1)
        self.pass_time(2 * LINGER_SILENCE)
        self.assertEqual(self.left(), 0)
        self.assertEqual(self.tally.over(), 1)


class Unsent(Stepped):
    """A descriptor with an answer that the kernel has not taken whole."""

    SIZE = 2 << 20

    def close_gracefully(self) -> None:
        descriptor = os.dup(self.theirs.fileno())
        os.set_blocking(descriptor, False)
        self.worker.context.poller.watch(descriptor, self, 1)  # type: ignore[arg-type]
        self.tally.came()
        LingeringConnection(self.worker.context, descriptor, [b"b" * self.SIZE, b"end"], None)
        self.theirs.close()

    def test_it_is_sent_on(self) -> None:
        self.close_gracefully()
        got = self.receive()
        self.assertEqual((len(got), got[-3:]), (self.SIZE + 3, b"end"))
        self.client.close()
        self.reactor.settle()
        self.assertEqual(self.left(), 0)
        self.assertEqual(self.tally.over(), 1)

    def test_to_who_has_finished_sending_too(self) -> None:
        self.close_gracefully()
        self.client.shutdown(socket.SHUT_WR)
        self.reactor.settle()
        self.assertEqual(self.left(), 1)
        self.assertEqual(len(self.receive()), self.SIZE + 3)
        self.assertEqual(self.left(), 0)

    def test_it_is_cut_when_nothing_is_taken(self) -> None:
        self.close_gracefully()
        self.pass_time(self.settings.timeouts.send + 1)
        self.assertEqual(self.left(), 0)
        self.assertEqual(self.tally.over(), 1)

    def test_the_client_is_gone(self) -> None:
        self.close_gracefully()
        self.client.close()
        self.reactor.settle()
        self.assertEqual(self.left(), 0)
        self.assertEqual(self.tally.over(), 1)
