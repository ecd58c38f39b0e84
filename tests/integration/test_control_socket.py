"""``--control``: whoever connects gets one whole document, however and whenever it asks."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import unittest
from typing import Any

from twisted.internet import defer
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from stickyd.master.stats_socket import ANSWER_SECONDS, LAST_ANSWERS, StatsSocket
from tests.integration.test_upgrade import upgrades
from tests.support.daemon import Daemon, read_all, wait_for

TRIES = 50


def ask_half_closed(path: str) -> bytes:
    """As ``socat - UNIX:PATH </dev/null``."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(30)
        sock.connect(path)
        sock.shutdown(socket.SHUT_WR)
        return read_all(sock)


class HalfClosed(unittest.TestCase):
    def test_a_client_that_has_finished_sending_gets_its_answer(self) -> None:
        with Daemon() as daemon:
            answers = [ask_half_closed(daemon.control) for _ in range(TRIES)]
            self.assertEqual([len(json.loads(answer)["slots"]) for answer in answers], TRIES * [2])
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(30)
                sock.connect(daemon.control)
                # Its answer may be complete, and the connection closed, before that.
                with contextlib.suppress(BrokenPipeError):
                    sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
                    sock.shutdown(socket.SHUT_WR)
                self.assertIn("slots", json.loads(read_all(sock)))
            if shutil.which("nc"):
                command = ["nc", "-NU", daemon.control]
                for _ in range(5):
                    asked = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True)
                    self.assertIn("slots", json.loads(asked.stdout))

    def test_clients_that_go_leave_nothing(self) -> None:
        with Daemon() as daemon:
            before = daemon.settled_descriptors()
            for _ in range(TRIES):
                with socket.socket(socket.AF_UNIX) as sock:
                    sock.connect(daemon.control)
            self.assertEqual(daemon.settled_descriptors(), before)


class Replaced(unittest.TestCase):
    def test_it_is_there_while_the_program_is_replaced(self) -> None:
        with Daemon() as daemon:
            inode = os.stat(daemon.control).st_ino
            over = threading.Event()
            documents: list[Any] = []

            def ask() -> None:
                while not over.is_set():
                    try:
                        documents.append(json.loads(ask_half_closed(daemon.control)))
                    except (OSError, ValueError) as error:
                        documents.append(error)

            asking = [threading.Thread(target=ask) for _ in range(3)]
            for thread in asking:
                thread.start()
            try:
                for count in (1, 2):
                    daemon.process.send_signal(signal.SIGUSR2)
                    wait_for(lambda count=count: upgrades(daemon) == count, what="another program")
            finally:
                over.set()
                for thread in asking:
                    thread.join()
            self.assertEqual([d for d in documents if not isinstance(d, dict)], [])
            self.assertEqual({d["master"]["upgrades"] for d in documents}, {0, 1, 2})
            stat = os.stat(daemon.control)
            self.assertEqual((stat.st_ino, stat.st_mode & 0o777), (inode, 0o600))
            self.assertEqual(daemon.stop(), -signal.SIGTERM)
            self.assertEqual(os.listdir(daemon.directory.name), [])


class Transport(StringTransport):
    """Closed and reset are told apart."""

    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True
        super().abortConnection()


class Clients(unittest.TestCase):
    """Bounds on what a client may take, by a clock of the test's own."""

    def setUp(self) -> None:
        self.clock = Clock()
        # What the reactor is asked for as well.
        self.clock.removeReader = lambda reader: None  # type: ignore[attr-defined]
        self.asked: list[defer.Deferred[dict[str, Any]]] = []
        self.control = StatsSocket(self.clock, self.ask)

    def ask(self) -> "defer.Deferred[dict[str, Any]]":
        self.asked.append(defer.Deferred())
        return self.asked[-1]

    def connect(self) -> tuple[Any, Transport]:
        client: Any = self.control.buildProtocol(None)
        client.callLater = self.clock.callLater
        transport = Transport()
        client.makeConnection(transport)
        return client, transport

    def test_one_that_takes_nothing_is_aborted(self) -> None:
        client, transport = self.connect()
        self.clock.advance(ANSWER_SECONDS)
        self.assertTrue(transport.aborted)
        client.connectionLost(Failure(ConnectionDone()))
        self.asked[0].callback({"a": 1})
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_pausing_waits_for_answers_and_not_for_ever(self) -> None:
        client, transport = self.connect()
        paused = defer.ensureDeferred(self.control.pause())
        self.assertFalse(paused.called)
        self.asked[0].callback({"a": 1})
        self.assertEqual(json.loads(transport.value()), {"a": 1})
        self.assertTrue(transport.disconnecting)
        client.connectionLost(Failure(ConnectionDone()))
        self.assertTrue(paused.called)
        client, _ = self.connect()
        paused = defer.ensureDeferred(self.control.pause())
        self.clock.advance(LAST_ANSWERS)
        self.assertTrue(paused.called)
        client.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_report_that_fails_ends_the_connection(self) -> None:
        client, transport = self.connect()
        self.asked[0].errback(Failure(ValueError("no report")))
        self.assertTrue(transport.disconnecting)
        client.connectionLost(Failure(ConnectionDone()))
