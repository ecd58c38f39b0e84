"""Clients that are slow, silent or no HTTP clients: each is answered or closed in its time."""

import os
import select
import socket
import time
import unittest
from pathlib import Path

from tests.support.daemon import Daemon, Reader, read_all, request, workers_in
from tests.support.extent import slow

HEAD_TIMEOUT = 2.0
LATE = 8.0
"""Seconds of scheduling and sweeping we allow on top, on a machine that has much else to do."""


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Absent(unittest.TestCase):
    def test_a_client_that_has_finished_sending_is_not_served_for_ever(self) -> None:
        options = ("--class", "stickyd_test_apps:Page", "--half-close-timeout", "0.5")
        with Daemon(*options) as daemon:
            with daemon.connect() as sock:
                sock.sendall(request("10.10.10.10", "/late?s=0.1"))
                sock.shutdown(socket.SHUT_WR)
                reader = Reader(sock)
                self.assertEqual(reader.response().body, b"From worker 1 late ")
                self.assertTrue(reader.at_end())
            self.assertEqual(daemon.report()["workers"]["lost"], 0)
            with daemon.connect() as sock:
                sock.sendall(request("10.10.10.10", "/late?s=20"))
                sock.shutdown(socket.SHUT_WR)
                start = time.monotonic()
                self.assertRaises(ConnectionResetError, sock.recv, 1)
                took = time.monotonic() - start
                self.assertGreater(took, 0.4)
                self.assertLess(took, 0.5 + LATE)
            # The app has heard of it.
            self.assertEqual(daemon.report()["workers"]["lost"], 1)
            with daemon.connect() as sock:
                # Those that may still send are waited for.
                sock.sendall(request("10.10.10.10", "/late?s=1.2"))
                self.assertEqual(Reader(sock).response().body, b"From worker 1 late ")


class SlowClients(unittest.TestCase):
    def timed(self, sock: socket.socket) -> tuple[bytes, float]:
        start = time.monotonic()
        return read_all(sock), time.monotonic() - start

    def test_each_kind(self) -> None:
        with Daemon("--head-timeout", str(HEAD_TIMEOUT)) as daemon:
            with daemon.connect() as silent:
                # Browsers open connections in advance, and take what comes for an answer.
                answer, took = self.timed(silent)
                self.assertEqual(answer, b"")
                self.assertGreater(took, HEAD_TIMEOUT - LATE)
                self.assertLess(took, HEAD_TIMEOUT + LATE)
            with daemon.connect() as partial:
                partial.sendall(b"GET / HTTP/1.1\r\nHost:")
                answer, took = self.timed(partial)
                self.assertTrue(answer.startswith(b"HTTP/1.1 408 "), answer)
                self.assertLess(took, HEAD_TIMEOUT + LATE)
            with daemon.connect() as half:
                half.sendall(b"GET / HTTP/1.1\r\nHost:")
                half.shutdown(socket.SHUT_WR)
                # At the end of its time it would be a 408.
                self.assertEqual(read_all(half), b"")
            with daemon.connect() as endless:
                answer = self.send_for_ever(endless, b"GET / HTTP/1.1\r\nHost: x\r\n", b"A: b\r\n")
                self.assertTrue(answer.startswith(b"HTTP/1.1 431 "), answer)
            with daemon.connect() as endless:
                answer = self.send_for_ever(endless, b"GET /", b"a")
                self.assertTrue(answer.startswith(b"HTTP/1.1 414 "), answer)
            with daemon.connect() as tls:
                tls.sendall(bytes.fromhex("16030100c8010000c40303") + bytes(180))
                answer = read_all(tls)
                self.assertTrue(answer.startswith(b"HTTP/1.1 400 "), answer)
            with daemon.connect() as http2:
                http2.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
                answer = read_all(http2)
                self.assertTrue(answer.startswith(b"HTTP/1.1 400 "), answer)
            master = daemon.report()["master"]
            self.assertEqual(master["refused"], {"400": 2, "408": 1, "414": 1, "431": 1})
            self.assertEqual((master["silent"], master["vanished"]), (1, 1))
            self.assertEqual(daemon.report()["connections"]["open"], 0)

    def send_for_ever(self, sock: socket.socket, first: bytes, again: bytes) -> bytes:
        """Send until the server answers."""
        sock.sendall(first)
        while not select.select([sock], [], [], 0)[0]:
            sock.sendall(again * 100)
        return sock.recv(65536)

    @slow
    def test_two_hundred_of_them_cost_nothing_and_good_clients_notice_nothing(self) -> None:
        with Daemon("--head-timeout", "30") as daemon:
            message = request("10.10.10.10")
            crowd = [daemon.connect() for _ in range(200)]
            try:
                for at, sock in enumerate(crowd):
                    if at % 4:
                        sock.sendall(message[: at % len(message) or 1])
                pid = daemon.process.pid
                with daemon.connect() as good:
                    reader = Reader(good)
                    cpu, start = cpu_seconds(pid), time.monotonic()
                    slowest = 0.0
                    seconds = 4
                    for second in range(seconds):
                        # One more byte a second from each, where it has one left to send.
                        for at, sock in enumerate(crowd):
                            sent = at % len(message) + second
                            if at % 4 and sent + 1 < len(message):
                                sock.sendall(message[sent : sent + 1])
                        until = start + second + 1
                        while time.monotonic() < until:
                            asked = time.monotonic()
                            good.sendall(request("10.10.12.11"))
                            reader.response()
                            slowest = max(slowest, time.monotonic() - asked)
                            # A good client that asks now and then; more would be a load test.
                            time.sleep(0.02)
                    used = (cpu_seconds(pid) - cpu) / (time.monotonic() - start)
                self.assertLess(used, 0.02, "the master's share of a core")
                self.assertLess(slowest, 2.0)
                # New ones come in through the process that the crowd is in.
                self.assertEqual(workers_in(daemon.exchange(request("10.10.12.11"))), [2])
            finally:
                for sock in crowd:
                    sock.close()
