"""Times that a worker measures: of the compiled engine, and the same of Python channels."""

import socket
import time

from twisted.web.resource import Resource

from stickyd.ipc.fd_queue import try_put
from stickyd.ipc.frame import Frame, Kind
from stickyd.ipc.queue_clock import now
from stickyd.settings import LogSettings, Settings
from stickyd.stats import WorkerCounters
from stickyd.worker.connection.transport import RESET_ON_CLOSE
from tests.support.cores import python_core
from tests.support.one_connection import OneConnection
from tests.unit.core.test_engine import HEAD, OfPages, Pages

PAUSE = 0.03


class Lanes(OfPages):
    settings = Settings(workers=1, log=LogSettings(admin="tcp:1"))

    def ask(self, target: bytes, end: bytes) -> None:
        self.client.sendall(HEAD % target)
        self.until(end)

    def until(self, end: bytes) -> None:
        self.got = b""
        for _ in range(1000):
            if self.got.endswith(end):
                return
            self.assertTrue(self.take(100_000), self.got)
        self.fail(f"{self.got!r} does not end with {end!r}")

    @property
    def counters(self) -> WorkerCounters:
        return self.worker.context.accounting.counters

    def counts(self) -> tuple[int, int]:
        """Of first bytes and of answers."""
        counters = self.counters
        return sum(counters.first_bytes.values()), sum(counters.durations.values())

    def test_answers_at_once(self) -> None:
        for number, (target, end) in enumerate(
            ((b"/a", b"of /a"), (b"/some", b"bbb"), (b"/b?c", b"of /b")), 1
        ):
            self.ask(target, end)
            self.assertEqual(self.counts(), (number, number))

    def test_an_answer_later(self) -> None:
        self.client.sendall(HEAD % b"/later")
        self.reactor.settle()
        (request,) = self.pages.later
        self.assertEqual(self.counts(), (0, 0))
        time.sleep(PAUSE)
        request.write(b"first")
        self.until(b"first\r\n")
        self.assertEqual(self.counts(), (1, 0))
        time.sleep(PAUSE)
        request.write(b"second")
        request.finish()
        self.until(b"0\r\n\r\n")
        self.assertEqual(self.counts(), (1, 1))
        self.assertGreaterEqual(self.counters.first_bytes.seconds, PAUSE)
        self.assertGreaterEqual(
            self.counters.durations.seconds, self.counters.first_bytes.seconds + PAUSE
        )
        # The next one on the connection is measured from its own beginning.
        self.ask(b"/a", b"of /a")
        self.assertEqual(self.counts(), (2, 2))
        self.assertGreaterEqual(sum(self.counters.durations.values()[:5]), 1)

    def test_the_channel_goes_on_before_the_first_byte_and_behind_it(self) -> None:
        for written in (False, True):
            self.client.sendall(HEAD % b"/later")
            self.reactor.settle()
            request = self.pages.later.pop()
            before = self.counts()
            if written:
                request.write(b"first")
            # The engine has no such method: a Python channel takes the connection over.
            request.transport.getTcpNoDelay()
            request.write(b"second")
            request.finish()
            self.until(b"0\r\n\r\n")
            self.assertEqual(self.counts(), (before[0] + 1, before[1] + 1))

    def test_a_client_that_leaves(self) -> None:
        self.client.sendall(HEAD % b"/later")
        self.reactor.settle()
        # A reset: a client that has only finished sending still waits for the answer.
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self.client.close()
        self.reactor.settle()
        self.assertEqual(self.counts(), (0, 1))

    def put(self, kind: Kind, put_at: int) -> None:
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        theirs.setblocking(False)
        with theirs:
            try_put(
                self.sender, Frame(kind, 2, None, None, put_at=put_at).encode(), theirs.fileno()
            )
        self.reactor.settle()
        ours.close()
        self.reactor.settle()

    def test_the_inbox(self) -> None:
        # The client's connection has come in a frame without a time.
        self.ask(b"/a", b"of /a")
        self.put(Kind.RETURNED, 0)
        queued = self.counters.queued
        self.assertEqual(sum(queued.values()), 0)
        self.put(Kind.MOVED, (now() - 5_000_000) % 2**32)
        self.put(Kind.PLACED, now())
        self.assertEqual(sum(queued.values()), 2)
        self.assertEqual(queued.values()[-2], 1)
        self.assertTrue(5 <= queued.seconds < 30)

    def test_the_inbox_of_a_websocket(self) -> None:
        """That is handed over, here by a worker that had nothing to say."""
        self.put(Kind.HANDED, (now() - 5_000_000) % 2**32)
        queued = self.counters.queued
        self.assertEqual(sum(queued.values()), 1)
        self.assertTrue(5 <= queued.seconds < 30)

    def test_the_inbox_of_another_slot(self) -> None:
        """The master has taken it out of there, with its request: it has waited since then."""
        self.put(Kind.RETURNED, (now() - 5_000_000) % 2**32)
        queued = self.counters.queued
        self.assertEqual(sum(queued.values()), 1)
        self.assertTrue(5 <= queued.seconds < 30)


class Channels(Lanes):
    """The same of Python channels."""

    core = staticmethod(python_core)


class NobodyReads(OneConnection):
    """Without ``--admin`` nothing is measured."""

    def resource(self) -> Resource:
        return Pages()

    def test_no_times(self) -> None:
        self.client.sendall(HEAD % b"/a")
        self.reactor.settle()
        counters = self.worker.context.accounting.counters
        self.assertEqual(counters.requests, 1)
        for histogram in (counters.queued, counters.first_bytes, counters.durations):
            self.assertEqual(set(histogram.values()), {0})
