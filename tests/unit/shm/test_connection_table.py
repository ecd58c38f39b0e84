"""The connection table, and the action for connections whose worker has ended."""

import itertools
import json
import os
import socket
import struct
import unittest
from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock

from stickyd.ipc.exec_state import close_on_exec
from stickyd.ipc.fd_queue import make_inbox, take_one
from stickyd.ipc.fd_sender import InboxSender
from stickyd.ipc.frame import Frame, Kind, decode
from stickyd.master.supervisor.connection_limit import ConnectionLimit
from stickyd.master.supervisor.guardian import Guardian
from stickyd.master.supervisor.orphan_policy import (
    CLOSE_WAIT,
    ESTABLISHED,
    OrphanAction,
    orphan_action,
)
from stickyd.net.tcp_info import UNKNOWN, TcpInfo, read_tcp_info
from stickyd.shm.connection_states import BUSY, FREE, IDLE, IN_TRANSIT
from stickyd.shm.connection_table import (
    MOST,
    OWNERS,
    TAKEN,
    ConnectionTable,
    owner_of,
    state_of,
    taken_of,
    word,
)
from stickyd.stats import MasterCounters
from tests.support.daemon import wait_for

OPEN, DONE = ESTABLISHED, CLOSE_WAIT
RETURN, RELEASE, LEAVE = OrphanAction.RETURN, OrphanAction.RELEASE, OrphanAction.LEAVE

TABLE = [
    # state, taken, kernel: state, received, unread      verdict
    (IN_TRANSIT, 10, TcpInfo(OPEN, 10, 0), LEAVE),
    (IN_TRANSIT, 10, TcpInfo(7, 10, 0), LEAVE),
    (IN_TRANSIT, 10, None, LEAVE),
    (BUSY, 10, TcpInfo(OPEN, 10, 0), RELEASE),
    (BUSY, 10, None, RELEASE),
    (FREE, 0, TcpInfo(OPEN, 0, 0), RELEASE),
    (IDLE, 10, None, RETURN),
    (IDLE, 10, TcpInfo(OPEN, 10, 0), RETURN),
    # The next request, or a part of it, waits in the kernel.
    (IDLE, 10, TcpInfo(OPEN, 15, 5), RETURN),
    # The worker has read 5 bytes, or 1, that it did not note.
    (IDLE, 10, TcpInfo(OPEN, 15, 0), RELEASE),
    (IDLE, 10, TcpInfo(OPEN, 11, 0), RELEASE),
    (IDLE, 10, TcpInfo(OPEN, 15, 4), RELEASE),
    # The client has finished sending: its FIN counts as a byte received.
    (IDLE, 10, TcpInfo(DONE, 16, 5), RETURN),
    (IDLE, 10, TcpInfo(DONE, 11, 0), RELEASE),
    (IDLE, 10, TcpInfo(DONE, 16, 4), RELEASE),
    # Shut down by the worker (FIN-WAIT), reset, or not to be asked.
    (IDLE, 10, TcpInfo(4, 10, 0), RELEASE),
    (IDLE, 10, TcpInfo(5, 10, 0), RELEASE),
    (IDLE, 10, TcpInfo(7, 10, 0), RELEASE),
    (IDLE, 0, UNKNOWN, RELEASE),
    # The count of bytes goes round.
    (IDLE, 3, TcpInfo(OPEN, 2**40 + 3, 0), RETURN),
    (IDLE, TAKEN, TcpInfo(OPEN, 2**40 + 4, 5), RETURN),
    (IDLE, 3, TcpInfo(OPEN, 2**40 + 4, 0), RELEASE),
]


class VerdictTest(unittest.TestCase):
    def test_table(self) -> None:
        for state, taken, kernel, expected in TABLE:
            with self.subTest(state=state, taken=taken, kernel=kernel):
                self.assertIs(orphan_action(state, taken, kernel), expected)

    def test_only_what_idles_is_ever_returned(self) -> None:
        kernels = [None, *itertools.starmap(TcpInfo, itertools.product(range(13), (0, 1), (0, 1)))]
        for state, kernel in itertools.product((FREE, IN_TRANSIT, BUSY), kernels):
            self.assertIsNot(orphan_action(state, 0, kernel), RETURN)


class Words(unittest.TestCase):
    @settings(max_examples=200, deadline=None, derandomize=True)
    @given(
        st.sampled_from((FREE, IN_TRANSIT, IDLE, BUSY)),
        st.integers(0, OWNERS - 1),
        st.integers(0, 2**50),
    )
    def test_round_trip(self, state: int, owner: int, taken: int) -> None:
        packed = word(state, owner, taken)
        self.assertLess(packed, 2**64)
        self.assertEqual(
            (state_of(packed), owner_of(packed), taken_of(packed)), (state, owner, taken % 2**40)
        )


class LedgerTest(unittest.TestCase):
    def setUp(self) -> None:
        self.before = len(os.listdir("/proc/self/fd"))
        self.master = ConnectionTable.create(3)
        # Another view of the same memory, as a worker has it.
        self.worker = ConnectionTable(os.dup(self.master.descriptor), 7)
        self.other = ConnectionTable(os.dup(self.master.descriptor), 8)

    def tearDown(self) -> None:
        for each in (self.worker, self.other, self.master):
            each.close()
        self.assertEqual(len(os.listdir("/proc/self/fd")), self.before)

    def seen(self, number: int) -> tuple[int, int, int]:
        now = self.master.word(number)
        return state_of(now), owner_of(now), taken_of(now)

    def test_the_life_of_an_entry(self) -> None:
        number = self.master.allot(99, 40)
        self.assertEqual(self.seen(number), (IN_TRANSIT, 0, 40))
        entry = self.worker.take(number, 99, True)
        self.assertEqual(self.seen(number)[:2], (BUSY, 7))
        entry.reading()
        entry.read(60)
        self.assertEqual(self.seen(number)[:2], (BUSY, 7))
        entry.settle()
        self.assertEqual(self.seen(number), (IDLE, 7, 100))
        # Nothing was there to be read.
        entry.reading()
        self.assertEqual(self.seen(number)[:2], (BUSY, 7))
        entry.read(0)
        self.assertEqual(self.seen(number), (IDLE, 7, 100))
        # No room in the inbox; then there is.
        entry.departs()
        self.assertEqual(self.seen(number), (IN_TRANSIT, 7, 100))
        entry.stays()
        self.assertEqual(self.seen(number), (IDLE, 7, 100))
        entry.reading()
        entry.read(5)
        entry.departs()
        entry.stays()
        self.assertEqual(self.seen(number)[:2], (BUSY, 7))
        entry.departs()
        other = self.other.take(number, 99, True)
        other.settle()
        self.assertEqual(self.seen(number), (IDLE, 8, 105))
        self.assertEqual(self.master.ended(), [])
        other.end()
        self.assertEqual(self.master.ended(), [number])
        self.master.free(number)
        self.assertEqual((self.master.ended(), self.seen(number)), ([], (FREE, 0, 0)))

    def test_taken_without_bytes_it_idles(self) -> None:
        """Nothing would be lost with a worker that has read nothing."""
        number = self.master.allot(99, 40)
        entry = self.worker.take(number, 99, False)
        self.assertEqual(self.seen(number), (IDLE, 7, 40))
        entry.reading()
        self.assertEqual(self.seen(number)[:2], (BUSY, 7))
        entry.read(0)
        self.assertEqual(self.seen(number), (IDLE, 7, 40))
        entry.departs()
        entry.stays()
        self.assertEqual(self.seen(number), (IDLE, 7, 40))
        entry.reading()
        entry.read(1)
        self.assertEqual(self.seen(number)[:2], (BUSY, 7))

    def test_entries_are_used_again_and_there_are_no_more(self) -> None:
        numbers = [self.master.allot(n, 0) for n in range(1, 5)]
        self.assertEqual(numbers, [1, 2, 3, 0])
        self.master.free(2)
        self.assertEqual([self.master.allot(5, 0), self.master.allot(6, 0)], [2, 0])
        self.assertEqual(len(self.master.words()), 4)

    def test_an_entry_of_another_connection_is_left_alone(self) -> None:
        """As it is after a master's program that knew other entries has been replaced."""
        number = self.master.allot(99, 40)
        before = self.master.words()
        for wrong in ((number, 98), (0, 99), (2, 0), (4, 99), (2**32 - 1, 99)):
            entry = self.worker.take(*wrong, True)
            entry.reading()
            entry.settle()
            entry.departs()
            entry.end()
            self.assertEqual(self.master.words()[1:], before[1:], wrong)
            self.assertEqual(self.master.ended(), [], wrong)

    def test_taken_up_again(self) -> None:
        for connection in (11, 12, 13):
            self.master.allot(connection, connection)
        self.master.free(2)
        again = ConnectionTable.again(os.dup(self.master.descriptor))
        try:
            self.assertEqual(again.words(), self.master.words())
            self.assertEqual([again.allot(14, 0), again.allot(15, 0)], [2, 0])
        finally:
            again.close()

    def test_it_is_never_too_large(self) -> None:
        large = ConnectionTable.create(2**31)
        try:
            self.assertEqual(os.fstat(large.descriptor).st_size, (MOST + 1) * 17)
            with self.assertRaises(OSError):
                os.ftruncate(large.descriptor, 1)
        finally:
            large.close()


class Resumed(unittest.TestCase):
    def test_copies_outlive_the_program(self) -> None:
        before = len(os.listdir("/proc/self/fd"))
        guardian = self.guardian(ConnectionTable.create(4))
        guardian.next_owner()
        ours, theirs = socket.socketpair()
        frame = Frame(Kind.PLACED, 5, ("203.0.113.7", 1), ("192.0.2.1", 80), table=3, unread=b"x")
        frame = frame._replace(entry=guardian.allot(5, ours.fileno(), 1))
        guardian.guard(frame.entry, ours.detach(), frame.encode())
        worker = ConnectionTable(os.dup(guardian.table.descriptor), 1)
        entry = worker.take(frame.entry, 5, True)
        entry.settle()
        packed = json.loads(json.dumps(guardian.pack()))
        self.assertTrue(os.get_inheritable(packed["ledger"]))
        # Program and objects are gone; descriptors are not.
        ours.detach()
        after = self.guardian(ConnectionTable.again(close_on_exec(packed["ledger"])))
        after.resume(packed)
        self.assertEqual((len(after), after.next_owner()), (1, 2))
        self.assertFalse(os.get_inheritable(packed["copies"][0][0]))
        sender, receiver = make_inbox()
        heir: Any = SimpleNamespace(number=1, outbox=InboxSender(Clock(), sender))
        after.worker_died(1, [heir])
        message, descriptor = take_one(receiver)
        returned = frame._replace(kind=Kind.RETURNED, unread=b"")
        self.assertEqual(decode(message), returned)
        worker.take(frame.entry, 5, True).end()
        os.close(descriptor)
        after.sweep()
        self.assertEqual(theirs.recv(1), b"")
        for each in (worker, after, sender, receiver, theirs):
            each.close()
        # Here the program of before has not really gone: it still maps its ledger.
        self.assertEqual(len(os.listdir("/proc/self/fd")), before + 1)

    def guardian(self, ledger: ConnectionTable) -> Guardian:
        return Guardian(Clock(), ledger, [], ConnectionLimit(9), MasterCounters(), 1.0)


class AskKernel(unittest.TestCase):
    def setUp(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.client = socket.create_connection(listening.getsockname())
            self.ours, _ = listening.accept()
        self.addCleanup(self.client.close)
        self.addCleanup(self.ours.close)

    def knows(self, *expected: int) -> None:
        wait_for(lambda: read_tcp_info(self.ours.fileno()) == TcpInfo(*expected), 5, str(expected))

    def test_what_has_come_and_what_of_it_is_unread(self) -> None:
        self.knows(ESTABLISHED, 0, 0)
        self.client.sendall(b"0123456789")
        self.knows(ESTABLISHED, 10, 10)
        self.ours.recv(4)
        self.knows(ESTABLISHED, 10, 6)
        self.client.shutdown(socket.SHUT_WR)
        self.knows(CLOSE_WAIT, 11, 6)
        self.ours.recv(100)
        self.knows(CLOSE_WAIT, 11, 0)

    def test_a_reset(self) -> None:
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.client.close()
        wait_for(lambda: read_tcp_info(self.ours.fileno()).state == 7, 5, "closed")

    def test_no_tcp(self) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            self.assertIsNone(read_tcp_info(ours.fileno()))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            self.assertEqual(read_tcp_info(other.fileno()), UNKNOWN)
