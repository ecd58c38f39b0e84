"""The master may die, or anybody else act, at any instant of its lane: each one is tried.

The instants are those around each system call that moves a connection, and around each store into
the connection table. Two workers and the master in one process, two clients whose heads have
arrived before the master accepts them in one batch.
"""

import contextlib
import os
import socket
import struct
import unittest
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from unittest import mock

from stickyd.ipc import fd_queue as inbox
from stickyd.ipc.frame import entry_of
from stickyd.net.address import Address
from stickyd.settings import RoutingSettings, Settings, Timeouts
from stickyd.shm.connection_states import IN_TRANSIT
from stickyd.shm.connection_table import ConnectionTable, state_of
from stickyd.worker import lanes
from tests.support.core_agreement import BUILT
from tests.support.cores import python_core
from tests.support.daemon import workers_in
from tests.support.lane_instants import Daemon, Instant, probed
from tests.support.lane_sides import Side, request
from tests.support.numbered_answers import ANSWER, CLIENTS
from tests.unit.worker.test_guardian_instants import SLOTS, Fuse, Killed

SETTINGS = Settings(
    workers=len(SLOTS),
    routing=RoutingSettings(scope="request", affinity="xff"),
    timeouts=Timeouts(inbox=1e9),
)
RESET = struct.pack("ii", 1, 0)
"""For SO_LINGER (socket(7)): close(2) sends a reset."""


@unittest.skipIf(BUILT.lanes is None, "the compiled core is not built")
class Instants(unittest.TestCase):
    core: Callable[[], Any] = staticmethod(contextlib.nullcontext)

    @contextlib.contextmanager
    def daemon(self, instant: Instant, fuse: Fuse, last: bool) -> Iterator[Daemon]:
        side = Side(self, probed(instant), SETTINGS, "127.0.0.1", 8, False)
        with self.core(), mock.patch.object(lanes, "PROBE", fuse):
            daemon = Daemon(side, fuse)
            with (
                mock.patch.object(inbox, "_receive", fuse.around(daemon.received)),
                mock.patch.object(inbox, "try_put", fuse.around(inbox.try_put)),
            ):
                try:
                    daemon.connect_both(last)
                    yield daemon
                finally:
                    daemon.end_workers()
        side.close()

    def check_answers(self, daemon: Daemon, ended: list[bool], asked: int) -> list[int]:
        """No answer twice, none by the wrong worker; how many each client has."""
        counts = []
        for index, slot in enumerate(SLOTS):
            got = daemon.answers[index]
            answers = ANSWER.findall(got)
            ways = [slot, *[SLOTS[1 - index]] * (asked - 1)]
            due = [(b"%d" % s, b"%d" % n, CLIENTS[s][0].encode()) for n, s in enumerate(ways)]
            self.assertEqual(answers, due[: len(answers)])
            self.assertEqual(len(workers_in(got)), len(answers))
            if not ended[index]:
                self.assertEqual(len(answers), asked, "neither answered nor closed")
            counts.append(len(answers))
        return counts

    def test_the_master_dies(self) -> None:
        """What is in an inbox is served; what is not, the kernel closes."""
        before = len(os.listdir("/proc/self/fd"))
        for last in (False, True):
            number, done, answered = 0, True, [0]
            while done:
                number += 1
                instant, fuse = Instant(number), Fuse(0, 1)
                with (
                    self.subTest(last=last, instant=number),
                    self.daemon(instant, fuse, last) as daemon,
                ):
                    instant.then = self.kill
                    try:
                        daemon.side.arrives(daemon.side.clients[0])
                        daemon.workers_run()
                        if last:
                            # Their ends are complete, and swept.
                            daemon.read()
                            for client in daemon.side.clients:
                                client.shutdown(socket.SHUT_WR)
                            daemon.workers_run()
                            daemon.guardian.sweep()
                            self.assertEqual(len(daemon.guardian), 0)
                    except Killed:
                        daemon.master_dies()
                    daemon.workers_run()
                    counts = self.check_answers(daemon, daemon.read(), 1)
                    self.assertLessEqual(max(daemon.owners_of_each().values(), default=0), 1)
                    if not last:
                        self.assertEqual(sum(daemon.owners_of_each().values()), sum(counts))
                    answered.append(sum(counts))
                done = instant.done
            # One after the other, each from its sendmsg(2) on.
            self.assertEqual(answered, sorted(answered))
            self.assertEqual(set(answered), {0, 1, 2})
            self.assertGreater(number, 12 + 8 * last)
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    def kill(self) -> None:
        raise Killed

    def test_workers_are_faster_than_the_master(self) -> None:
        """They take, answer and end connections that it is still noting."""
        for last in (False, True):
            for number in self.each_instant():
                with self.subTest(last=last, instant=number):
                    counts, _ = self.interleave(number, Fuse(0, 1), last)
                    self.assertEqual(counts, [1, 1] if last else [2, 2])

    def test_a_worker_dies_meanwhile(self) -> None:
        for slot in SLOTS:
            rescued = released = 0
            for number in self.each_instant():
                blown, then = True, 0
                while blown:
                    then += 1
                    fuse = Fuse(slot, then)
                    with self.subTest(slot=slot, instant=number, then=then):
                        counts, daemon = self.interleave(number, fuse, False)
                        if not daemon.counters.released:
                            self.assertEqual(counts, [2, 2])
                        rescued += daemon.counters.rescued
                        released += daemon.counters.released
                    blown = fuse.blown
                    # The rest of a worker's life is that of test_guardian_instants.
                    if then >= 8:
                        break
            self.assertGreater(min(rescued, released), 0)

    def each_instant(self) -> Iterator[int]:
        """The instants of the lane until both connections are placed."""
        instant = Instant(0)
        with self.daemon(instant, Fuse(0, 1), False) as daemon:
            daemon.side.arrives(daemon.side.clients[0])
        self.assertGreater(instant.ticks, 10)
        yield from range(1, instant.ticks + 1)

    def interleave(self, number: int, fuse: Fuse, last: bool) -> tuple[list[int], Daemon]:
        """The workers run at one instant of the lane, then everything goes on."""
        instant = Instant(number)
        with self.daemon(instant, fuse, last) as daemon:
            instant.then = daemon.workers_run
            daemon.side.arrives(daemon.side.clients[0])
            self.assertTrue(instant.done)
            daemon.go_on()
            asked = 1
            if not last:
                daemon.read()
                daemon.ask_again(1)
                asked = 2
                daemon.go_on()
            counts = self.check_answers(daemon, daemon.read(), asked)
            self.assertLessEqual(max(daemon.owners_of_each().values(), default=0), 1)
            self.check_table(daemon.side, daemon.counters.released)
            for client in daemon.side.clients:
                client.close()
            daemon.go_on()
            self.check_table(daemon.side, daemon.counters.released)
            self.assertEqual((len(daemon.guardian), daemon.places.open()), (0, 0))
        return counts, daemon

    def test_a_send_fails_and_the_client_is_gone(self) -> None:
        """Whom Python gets has been accepted and nothing else; at the end nothing is left."""
        before = len(os.listdir("/proc/self/fd"))
        for full in (False, True):
            given = set()
            for number in self.each_instant():
                with self.subTest(full=full, instant=number):
                    instant = Instant(number)
                    side = Side(self, probed(instant), SETTINGS, "127.0.0.1", 8, False)
                    instant.then = partial(self.nobody_takes_it, side, full)
                    for slot in SLOTS:
                        side.connect(request(CLIENTS[slot][0]))
                    seen: list[socket.socket] = []
                    take_in = side.listener.take_in

                    def taken_in(sock: socket.socket, peer: Address | None) -> None:
                        self.check_table(side)  # noqa: B023
                        seen.append(sock)  # noqa: B023
                        take_in(sock, peer)  # noqa: B023

                    side.listener.take_in = taken_in  # type: ignore[method-assign]
                    side.arrives(side.clients[0])
                    side.reactor.advance(1.0)
                    self.check_table(side)
                    given.add(len(seen))
                    for slot in side.slots:
                        slot.receiver.shutdown(socket.SHUT_RDWR)
                    for _ in range(4):
                        side.reactor.advance(1.0)
                        side.reactor.settle()
                    self.check_table(side)
                    assert side.guardian is not None
                    self.assertEqual(side.places.open(), len(side.guardian))
                    side.close()
            self.assertEqual(given, {0, 1, 2})
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    def nobody_takes_it(self, side: Side, full: bool) -> None:
        for client in side.clients:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            client.close()
        for slot in side.slots:
            if full:
                slot.sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4608)
                with contextlib.suppress(BlockingIOError):
                    while True:
                        slot.sender.send(b"0", socket.MSG_DONTWAIT)
            else:
                slot.receiver.shutdown(socket.SHUT_RDWR)

    def check_table(self, side: Side, lost: int = 0) -> None:
        """No entry is in use but those of copies and of who waits for room in an inbox.

        :param lost: how many at most a worker has taken out of its inbox, and died before it
            could write: their entries are not used again.
        """
        assert side.guardian is not None
        due = set(side.guardian._copies)
        due.update(entry_of(each.message) for slot in side.slots for each in slot.outbox._waiting)
        # As the next program of the master would see it.
        table = ConnectionTable.again(os.dup(side.guardian.table.descriptor))
        try:
            used = set(range(1, table._high)) - set(table._free)
            self.assertLessEqual(due, used)
            self.assertLessEqual(len(used - due), lost)
            self.assertEqual({state_of(table.word(n)) for n in used - due} - {IN_TRANSIT}, set())
            self.assertEqual({n for n in range(table._size) if table._ids[n]}, used)
            self.assertEqual(table.ended(), [])
        finally:
            table.close()


@unittest.skipIf(BUILT.lanes is None, "the compiled core is not built")
class InstantsBesidePythonWorkers(Instants):
    core = staticmethod(python_core)

    def test_a_send_fails_and_the_client_is_gone(self) -> None:
        """No worker takes part."""

    def test_the_master_dies(self) -> None:
        """Both cores take a message out of an inbox alike: once is enough."""
