"""WebSockets of ASGI and twisted.web apps: pinned to their worker, and ended with a word."""

import json
import os
import signal
import socket
import time
import unittest
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.slow.websocket_cases.frames import BINARY, PING, frame
from tests.support import shared
from tests.support.daemon import Daemon, Reader, at_rest, request, wait_for

ONE, TWO = "10.10.10.10", "10.10.12.11"
OFFER = request(TWO, "/ws")[:-2] + (
    b"Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
ASGI = ("--asgi", "stickyd_asgi_apps:app")
WEB = ("--class", "stickyd_websocket_app.root")


def over(sock: socket.socket, client: str, path: str = "/ws", **how: Any) -> ClientConnection:
    """A WebSocket over a connection that is there already."""
    headers = {"X-Forwarded-For": client, **how.pop("headers", {})}
    return connect(f"ws://test{path}", sock=sock, additional_headers=headers, proxy=None, **how)


class Asgi(shared.Shared):
    options = (*ASGI, "--affinity-scope", "request", "--worker-header")

    def gone(self) -> list[int]:
        return json.loads(self.elsewhere("/gone"))["websocket"]

    def test_the_connection_moves_with_the_handshake_and_stays_with_the_socket(self) -> None:
        moved = sum(self.daemon.report()["workers"]["moved"].values())
        pinned = self.daemon.report()["workers"]["pinned"]
        self.assertEqual(self.ask(request(ONE)).body, b"From worker 1 for 10.10.10.10 ")
        secure = {"X-Forwarded-Proto": "https"}
        with over(self.sock, TWO, subprotocols=["chat"], headers=secure) as websocket:
            told = json.loads(websocket.recv())
            self.assertEqual(told, {"client": [TWO, 0], "scheme": "wss", "slot": "2"})
            self.assertEqual(websocket.subprotocol, "chat")
            self.assertEqual(websocket.response.headers["x-stickyd-worker"], "2")
            websocket.send("hello")
            self.assertEqual(websocket.recv(), "2: hello")
            large = os.urandom(1 << 19)
            for _ in range(3):
                websocket.send(large)
            for _ in range(3):
                self.assertEqual(websocket.recv(), large)
            report = self.daemon.report()["workers"]
            self.assertEqual(report["pinned"], pinned + 1)
            self.assertEqual(sum(report["moved"].values()), moved + 1)

    def test_the_scheme_that_a_proxy_names(self) -> None:
        for proto, scheme in (("wss", "wss"), ("https", "wss"), ("ws", "ws"), ("http", "ws")):
            with self.subTest(proto), self.daemon.connect() as sock:
                with over(sock, TWO, headers={"X-Forwarded-Proto": proto}) as websocket:
                    self.assertEqual(json.loads(websocket.recv())["scheme"], scheme)

    def test_a_client_slower_than_the_app(self) -> None:
        with over(self.sock, TWO, compression=None) as websocket:
            websocket.recv()
            websocket.send("flood 400")
            # The first message waits while the others pile up in front of it.
            told = at_rest(lambda: json.loads(self.elsewhere("/flood")))
            self.assertLess(told, 400)
            sizes = [len(websocket.recv()) for _ in range(400)]
            self.assertEqual(sizes, [65536] * 400)

    def elsewhere(self, path: str) -> bytes:
        with self.daemon.connect() as sock:
            sock.sendall(request(TWO, path))
            return Reader(sock).response().body

    def test_frames_right_behind_the_handshake(self) -> None:
        self.sock.sendall(OFFER + b"\x81\x82\0\0\0\0hi" + b"\x81\x85\0\0\0\0there")
        got = b""
        while not got.endswith(b"2: there"):
            got += self.sock.recv(65536)
        self.assertTrue(got.startswith(b"HTTP/1.1 101 "))
        self.assertLess(got.index(b"2: hi"), got.index(b"2: there"))

    def test_who_closes_is_told_why(self) -> None:
        before = self.gone()
        lost = self.daemon.report()["workers"]["lost"]
        with over(self.sock, TWO) as websocket:
            websocket.recv()
            websocket.close(4002, "enough")
        wait_for(lambda: self.gone() == [*before, 4002], what="the client's code")
        with self.daemon.connect() as sock, over(sock, TWO) as websocket:
            websocket.recv()
            websocket.send("close")
            with self.assertRaises(ConnectionClosed) as closed:
                websocket.recv()
            self.assertEqual((closed.exception.rcvd.code, closed.exception.rcvd.reason)[0], 4001)
        wait_for(lambda: self.gone() == [*before, 4002, 4001])
        with self.daemon.connect() as sock:
            sock.sendall(OFFER)
            sock.recv(1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        wait_for(lambda: len(self.gone()) == len(before) + 3, what="a client that vanishes")
        self.assertEqual(self.daemon.report()["workers"]["lost"], lost)

    def test_what_is_refused(self) -> None:
        with self.assertRaises(InvalidStatus) as refused, over(self.sock, TWO, "/no"):
            self.fail("it is open")
        self.assertEqual(refused.exception.response.status_code, 403)
        self.assertEqual(refused.exception.response.headers["x-stickyd-worker"], "2")
        with self.daemon.connect() as sock, self.assertRaises(InvalidStatus) as refused:
            with over(sock, TWO, "/boom"):
                self.fail("it is open")
        self.assertEqual(refused.exception.response.status_code, 500)
        self.expect_error("an app's fault with a socket")
        offer = request(ONE)[:-2] + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        with self.daemon.connect() as sock:
            reader = Reader(sock)
            # What is not spoken here is passed over (RFC 9110, 7.8).
            for data in (offer, offer.replace(b"websocket", b"h2c")):
                sock.sendall(data)
                self.assertEqual(reader.response().status, 200)
            sock.sendall(OFFER.replace(b": 13", b": 12"))
            self.assertEqual(reader.response().status, 400)
            self.assertTrue(reader.at_end())


class Web(shared.Shared):
    options = (*WEB, "--affinity-scope", "request")

    def test_the_connection_moves_with_the_handshake_and_stays_with_the_socket(self) -> None:
        self.assertEqual(self.ask(request(ONE)).body, b"From worker 1 for 10.10.10.10 ")
        with over(self.sock, TWO) as websocket:
            self.assertEqual(websocket.recv(), f"2 {TWO}")
            websocket.send("hello")
            self.assertEqual(websocket.recv(), "2: hello")
            large = os.urandom(1 << 19)
            websocket.send(large)
            self.assertEqual(websocket.recv(), large)
            self.assertEqual(self.daemon.report()["workers"]["pinned"], 1)
            websocket.close(4002)
        with self.daemon.connect() as sock:
            reader = Reader(sock)

            def ended() -> bytes:
                sock.sendall(request(TWO, "/ended"))
                return reader.response().body

            wait_for(lambda: ended() == b"1", what="the app hears of it")
        self.assertEqual(self.daemon.report()["workers"]["lost"], 0)


LIMITS = ("--ws-max-size", "1000", "--send-timeout", "1")
FLOODS = (frame(BINARY, bytes(1000)) * 100, frame(PING, bytes(125)) * 1000)


class WebLimits(shared.Shared):
    """Bounds that hold for every kind of app; more of them in test_websocket_limits."""

    options = (*WEB, *LIMITS)
    workers = 1

    def test_a_message_that_is_too_big(self) -> None:
        # A client that has not sent all of it must hear of it, too.
        for message in (bytes(1001), [bytes(500), bytes(501)], "ü" * 501, bytes(10**7)):
            with self.daemon.connect() as sock, over(sock, ONE, compression=None) as websocket:
                websocket.recv()
                websocket.send(bytes(1000))
                self.assertEqual(websocket.recv(), bytes(1000))
                with self.assertRaises(ConnectionClosed) as closed:
                    websocket.send(message)
                    websocket.recv()
                self.assertEqual(closed.exception.rcvd.code, 1009)

    def test_a_client_that_takes_nothing(self) -> None:
        """The worker stops reading, which the client sees, and ends the connection in time."""
        for data in FLOODS:
            with self.subTest(size=len(data)), self.daemon.connect() as sock:
                sock.sendall(OFFER)
                sock.recv(1)
                sent = 0
                with self.assertRaises((ConnectionResetError, BrokenPipeError)):
                    while sent < 400_000_000:
                        sent += sock.send(data)
                self.assertLess(sent, 100_000_000)
        self.sock.close()
        wait_for(lambda: self.daemon.report()["workers"]["open"] == 0, what="the worker's end")


class AsgiLimits(WebLimits):
    options = (*ASGI, *LIMITS)

    def test_what_is_unpacked_counts(self) -> None:
        with self.daemon.connect() as sock, over(sock, ONE) as websocket:
            websocket.recv()
            with self.assertRaises(ConnectionClosed) as closed:
                websocket.send(bytes(10**6))
                websocket.recv()
            self.assertEqual(closed.exception.rcvd.code, 1009)


class Retire(unittest.TestCase):
    def check(self, daemon: Daemon, process: int) -> None:
        with daemon.connect() as sock, over(sock, ONE) as websocket:
            websocket.recv()
            started = time.monotonic()
            os.kill(process, signal.SIGTERM)
            if process != daemon.process.pid:
                # The grace is the client's: until it is over the socket works.
                websocket.send("still here")
                self.assertEqual(websocket.recv(), "1: still here")
            with self.assertRaises(ConnectionClosed) as closed:
                websocket.recv(10)
            self.assertEqual(closed.exception.rcvd.code, 1012)
            if process != daemon.process.pid:
                self.assertGreater(time.monotonic() - started, 1.9)

    def test_asgi(self) -> None:
        with Daemon(*ASGI, "--graceful-timeout", "2", workers=1) as daemon:
            pid = daemon.pids()[1]
            self.check(daemon, pid)
            wait_for(lambda: daemon.pids().get(1, pid) != pid, what="a replacement")
            self.check(daemon, daemon.process.pid)
            daemon.wait()

    def test_web(self) -> None:
        with Daemon(*WEB, "--graceful-timeout", "2", workers=1) as daemon:
            pid = daemon.pids()[1]
            self.check(daemon, pid)
            wait_for(lambda: daemon.pids().get(1, pid) != pid, what="a replacement")
            self.check(daemon, daemon.process.pid)
            daemon.wait()
