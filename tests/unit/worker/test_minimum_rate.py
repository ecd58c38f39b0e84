"""Bodies and answers that go on, but slowly: who is cut, when, and who never is."""

import unittest
from pathlib import Path
from typing import Any

from twisted.web.resource import Resource

from stickyd.net.timeouts import SWEEP_EVERY
from stickyd.settings import Settings, Timeouts
from stickyd.worker.connection.next_step import State
from stickyd.worker.connection.timeout_rules import MinimumRate
from tests.support.daemon import Daemon, request, wait_for
from tests.support.one_connection import OneConnection

TIMEOUT = 10.0
RATE = 100
"""Bytes a second, so that 1,000 bytes must move in each window."""

BLOB = 2_000_000


class Decision(unittest.TestCase):
    """The rule alone: ``moves`` are (at second, bytes so far)."""

    def late_at(self, moves: list[tuple[float, int]], rate: int = RATE) -> float:
        pace = MinimumRate(rate)
        until = 0.0
        for now, moved in moves:
            if until and until <= now:
                break
            until = pace.deadline(State.BODY, now, moved, TIMEOUT)
        return until

    def test_silence(self) -> None:
        self.assertEqual(self.late_at([(5, 0)]), 15)

    def test_a_trickle_extends_nothing(self) -> None:
        self.assertEqual(self.late_at([(5 + n, 99 * n) for n in range(100)]), 15)

    def test_enough_is_enough(self) -> None:
        moves = [(float(n), 112 * n) for n in range(100)]
        self.assertGreater(self.late_at(moves), 99)

    def test_fast_then_silent(self) -> None:
        self.assertEqual(self.late_at([(0, 0), (3, 10**6), (4, 10**6 + 1)]), 13)

    def test_rate_0_is_silence_only(self) -> None:
        self.assertEqual(self.late_at([(9.0 * n, n) for n in range(10)], rate=0), 91)
        self.assertEqual(self.late_at([(0, 7), (5, 7)], rate=0), 10)

    def test_every_wait_has_its_own_window(self) -> None:
        pace = MinimumRate(RATE)
        self.assertEqual(pace.deadline(State.BODY, 0, 0, TIMEOUT), 10)
        self.assertEqual(pace.deadline(State.ANSWER, 4, 0, TIMEOUT), 14)
        self.assertEqual(pace.deadline(State.ANSWER, 6, 0, TIMEOUT), 14)
        pace.stop()
        self.assertEqual(pace.deadline(State.ANSWER, 7, 0, TIMEOUT), 17)


class Blob(Resource):
    """A big page, written at once."""

    isLeaf = True

    def render(self, request: Any) -> bytes:
        return b"x" * BLOB if request.method == b"GET" else b"%d" % len(request.content.read())


class InAWorker(OneConnection):
    """A real channel over loopback TCP, in a time of its own."""

    settings = Settings(workers=1, timeouts=Timeouts(body=TIMEOUT, send=TIMEOUT, min_rate=RATE))

    def resource(self) -> Resource:
        return Blob()

    def test_a_body_that_trickles_is_408_in_its_time(self) -> None:
        self.begin(request("10.0.0.1", "/", "POST", bytes(10**5))[: -(10**5)])
        took = self.pass_time(100, lambda: self.client.sendall(b"b"))
        self.assertGreaterEqual(took, TIMEOUT)
        self.assertLessEqual(took, TIMEOUT + 2 * SWEEP_EVERY)
        self.take(4096)
        self.assertTrue(self.got.startswith(b"HTTP/1.1 408 "), self.got)

    def test_a_slow_body_that_goes_on_is_served(self) -> None:
        self.begin(request("10.0.0.1", "/", "POST", bytes(5000))[:-5000])
        part = bytes(int(2 * RATE * SWEEP_EVERY))
        sent = 0

        def send() -> None:
            nonlocal sent
            if sent < 5000:
                sent += self.client.send(part)

        took = self.pass_time(TIMEOUT * 2.6, send)
        self.assertGreater(took, TIMEOUT * 2.5)
        self.take(4096)
        self.assertTrue(self.got.startswith(b"HTTP/1.1 200 "), self.got)
        self.assertTrue(self.got.endswith(b"\r\n\r\n5000"), self.got)

    def test_an_answer_that_is_taken_in_drops_is_cut_in_its_time(self) -> None:
        self.begin(request("10.0.0.1"))
        took = self.pass_time(100, lambda: self.take(5))
        self.assertGreaterEqual(took, TIMEOUT)
        self.assertLessEqual(took, TIMEOUT + 2 * SWEEP_EVERY)
        with self.assertRaises(ConnectionResetError):
            while self.client.recv(65536):
                pass

    def test_an_answer_that_is_taken_slowly_comes_whole(self) -> None:
        """The last one too, though the worker has nothing else to do with the connection."""
        for last in (b"", b"Connection: close\r\n"):
            with self.subTest(last=last):
                self.doCleanups()
                self.setUp()
                self.begin(request("10.0.0.1")[:-2] + last + b"\r\n")
                # So slow that the kernel has room for more once in several windows.
                took = self.pass_time(TIMEOUT * 5, lambda: self.take(int(8 * RATE * SWEEP_EVERY)))
                self.assertGreaterEqual(took, TIMEOUT * 5)
                while self.take(65536) and len(self.got.partition(b"\r\n\r\n")[2]) < BLOB:
                    pass
                self.assertEqual(self.got.partition(b"\r\n\r\n")[2], b"x" * BLOB)


class Unsent(unittest.TestCase):
    def test_the_kernel_holds_little_for_a_client_that_takes_nothing(self) -> None:
        with Daemon("--class", "stickyd_test_apps:Page") as daemon, daemon.connect() as sock:
            sock.sendall(request("10.0.0.1", "/stream?n=400"))
            ends = (daemon.port, sock.getsockname()[1])
            queued = wait_for(lambda: self.queued(*ends), what="an answer")
            # Until nothing more is added.
            last = -1
            while queued != last:
                last = queued
                wait_for(lambda: daemon.report()["workers"]["open"] == 1)
                queued = self.queued(*ends)
            self.assertLess(queued, 512 * 1024)

    def queued(self, local: int, remote: int) -> int:
        """Bytes in the send queue of the server's end (proc_net_tcp in the kernel's docs)."""
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            # Both: an end that is closed may have had the same port at the other side.
            if [int(end.partition(":")[2], 16) for end in fields[1:3]] == [local, remote]:
                return int(fields[4].partition(":")[0], 16)
        return 0
