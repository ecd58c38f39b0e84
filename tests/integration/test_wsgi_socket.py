"""WSGI apps that take their connection out of the environment, for WebSocket."""

import os
import re
import signal
import socket
import unittest

from websockets.sync.client import ClientConnection

from tests.integration.test_handover import OFFER, ONE
from tests.integration.test_lifecycle import reload
from tests.slow.websocket_cases.frames import FrameReader, text
from tests.support import shared
from tests.support.daemon import Daemon, Reader, read_all, request, wait_for
from tests.support.extent import slow
from tests.support.lasting import code_of, over

APP = ("--wsgi", "stickyd_wsgi_socket_app:app")


class Echo(shared.Shared):
    options = (
        *(*APP, "--threads", "1", "--ws-threads", "2", "--send-timeout", "1"),
        *("--worker-header", "--access-logfile", "-", "--affinity", "insert(S),src"),
    )
    workers = 1

    def ended(self) -> None:
        self.sock.close()
        wait_for(lambda: self.daemon.report()["workers"]["open"] == 0, what="the end")
        report = self.daemon.report()["workers"]
        self.assertEqual(report["lost"], 0)

    def check_echo(self, websocket: ClientConnection) -> None:
        self.assertEqual(websocket.recv(30), "worker 1")
        for message in ("ü", os.urandom(1 << 20), b""):
            websocket.send(message)
            self.assertEqual(websocket.recv(30), message)

    def test_echo(self) -> None:
        for path in ("/ws", "/lazy", "/raises", "/stops"):
            with self.subTest(path), over(self.daemon, ONE, path) as websocket:
                response = websocket.response
                assert response is not None
                # What the daemon adds to every answer.
                self.assertEqual(response.headers["X-Stickyd-Worker"], "1")
                self.assertTrue(response.headers["Set-Cookie"].startswith("S="))
                self.check_echo(websocket)
                self.check_open(1)
                websocket.close(4001)
                self.assertEqual(websocket.close_code, 4001)
        (line, *_) = self.daemon.said('"GET /lazy HTTP/1.1" 101 ')
        found = re.search(r'" 101 (\d+)', line)
        assert found is not None
        self.assertGreater(int(found[1]), 1 << 20)
        self.ended()

    def test_what_comes_right_behind_the_handshake(self) -> None:
        self.sock.sendall(request(ONE, "/hello") + request(ONE, "/ws")[:-2] + OFFER + text("a"))
        self.assertEqual(self.reader.response().status, 200)
        self.assertEqual(self.reader.response().status, 101)
        self.sock.sendall(text("b"))
        self.sock.shutdown(socket.SHUT_WR)
        frames = FrameReader()
        frames.add(self.reader._held + read_all(self.sock))
        self.assertEqual([each.payload for each in frames.frames()], [b"worker 1", b"a", b"b"])
        self.ended()

    def test_each_takes_a_thread_of_its_own(self) -> None:
        with over(self.daemon, ONE) as first:
            with over(self.daemon, ONE) as second:
                self.check_echo(first)
                self.check_echo(second)
                # The one thread for requests is free.
                self.assertEqual(self.ask(request(ONE, "/hello")).status, 200)
                refused = self.ask(request(ONE, "/ws")[:-2] + OFFER)
                self.assertEqual((refused.status, refused.headers["retry-after"]), (503, "1"))
                self.check_open(3)
            self.check_open(2)
            with over(self.daemon, ONE) as third:
                self.check_echo(third)
        self.ended()

    def check_open(self, count: int) -> None:
        """So many connections of the worker, the idle one of the test among them."""
        wait_for(lambda: self.daemon.report()["workers"]["open"] == count, what=f"{count} open")

    def test_an_app_that_does_not_take_it(self) -> None:
        """An offer is answered as any other request, and so is the next one."""
        for _ in range(5):
            answer = self.ask(request(ONE, "/hello")[:-2] + OFFER)
            self.assertEqual((answer.status, answer.body.split()[3]), (200, b"True"))
        answer = self.ask(request(ONE, "/hello"))
        self.assertEqual(answer.body.split()[3], b"False")
        self.ended()

    def test_clients_that_go_or_take_nothing(self) -> None:
        with over(self.daemon, ONE) as websocket:
            websocket.recv(30)
            websocket.socket.shutdown(socket.SHUT_RDWR)
            self.check_open(0)
        with self.daemon.connect() as sock:
            sock.sendall(request(ONE, "/flood")[:-2] + OFFER)
            self.check_open(1)
            self.check_open(0)
        failed = self.ask(request(ONE, "/hello")).body
        self.assertIn(b"['TimeoutError']", failed)
        self.ended()

    def test_an_app_that_closes_it_and_goes_on(self) -> None:
        with over(self.daemon, ONE, "/lingers") as websocket:
            self.assertEqual(code_of(websocket), 4000)
        # Its app goes on for so long.
        self.assertEqual(self.ask(request(ONE, "/release")).status, 200)
        self.ended()

    def test_an_app_that_fails(self) -> None:
        with self.daemon.connect() as sock:
            sock.sendall(request(ONE, "/fails")[:-2] + OFFER)
            self.assertTrue(read_all(sock).endswith(b"\r\n\r\n"))
        self.expect_error("an app's fault")
        self.ended()


class Ends(unittest.TestCase):
    """What is left when a worker ends is closed with 1012, as any WebSocket."""

    def test_every_way(self) -> None:
        options = (*APP, "--graceful-timeout", "3", "--guardian", "off")
        with Daemon(*options, workers=1) as daemon:
            with over(daemon, ONE) as old:
                self.assertEqual(old.recv(30), "worker 1")
                reload(daemon)
                # It stays with the old worker, for so long.
                old.send("still here")
                self.assertEqual(old.recv(30), "still here")
                self.assertEqual(code_of(old), 1012)
            with over(daemon, ONE, "/lazy") as websocket:
                websocket.recv(30)
                daemon.process.send_signal(signal.SIGTERM)
                self.assertEqual(code_of(websocket), 1012)
            daemon.wait()

    @slow
    def test_a_thread_that_reads_on(self) -> None:
        """It has the descriptor no longer than a client may linger."""
        with Daemon(*APP, "--guardian", "off", workers=1) as daemon, daemon.connect() as sock:
            pid, before = daemon.pids()[1], daemon.settled_descriptors()
            sock.sendall(request(ONE, "/leaves")[:-2] + OFFER)
            self.assertTrue(read_all(sock).endswith(b"\r\n\r\n"))
            wait_for(lambda: daemon.descriptors()[pid] == before[pid], what="the end of the thread")

    def test_none(self) -> None:
        with Daemon(*APP, "--ws-threads", "0", workers=1) as daemon, daemon.connect() as sock:
            sock.sendall(request(ONE, "/hello")[:-2] + OFFER)
            self.assertEqual(Reader(sock).response().body.split()[3], b"False")
