"""A worker may die at any instant: each one is tried.

Two workers in one process, one client. At the n-th instant (before or
after a store into the ledger, a system call that reads, writes, sends or
receives a connection) one of them is gone, as kill -9 does it; whatever n is,
the connection has one owner, no answer is given twice or by the wrong worker,
and the client is answered or told that it will not be.
"""

import contextlib
import gc
import os
import socket
import unittest
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import attrs
from twisted.web.server import Site

from stickyd.ipc import fd_queue as inbox
from stickyd.ipc.fd_queue import make_inbox, waits_in
from stickyd.ipc.fd_sender import InboxSender
from stickyd.ipc.frame import Frame, Kind
from stickyd.master.supervisor.connection_limit import ConnectionLimit
from stickyd.master.supervisor.guardian import Guardian
from stickyd.shm.connection_table import ConnectionTable
from stickyd.shm.copies import descriptor_of
from stickyd.shm.worker_stats import WorkerStats
from stickyd.stats import MasterCounters
from stickyd.worker import lanes
from stickyd.worker.apps.loaders.web import WebApp
from stickyd.worker.connection.lingering import LingeringConnection
from stickyd.worker.worker import Resources, Worker
from tests.support.cores import NATIVE, python_core
from tests.support.daemon import workers_in
from tests.support.numbered_answers import ANSWER, CLIENTS, SETTINGS, Echo
from tests.support.stepping import SteppingReactor

SLOTS = (1, 2)
WAY = (1, 2, 2, 1)
"""The slots of the client's requests: it stays, moves, comes back."""


class Killed(BaseException):
    """SIGKILL: nothing of the process runs any more."""


class Fuse:
    """Counts the instants of one slot's workers, and ends the first one at one of them.

    :param instants: that of the first one, that of the next one, and so on.
    :ivar running: the slot whose worker runs now, 0 for the master.
    """

    def __init__(self, slot: int, *instants: int) -> None:
        self.slot = slot
        self.instants = [*instants]
        self.ticks = 0
        self.running = 0
        # Whose each descriptor of a connection is.
        self.holders: dict[int, int] = {}

    @property
    def blown(self) -> bool:
        return not self.instants

    def tick(self) -> None:
        if self.running == self.slot and self.instants:
            self.ticks += 1
            if self.ticks == self.instants[0]:
                self.ticks = 0
                del self.instants[0]
                raise Killed

    def gave(self, slot: int) -> None:
        """For the engine: the receiver is in this process, too."""

    def took(self, descriptor: int) -> None:
        """For the engine."""
        if descriptor >= 0:
            self.holders[descriptor] = self.running

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def ticking(*arguments: Any) -> Any:
            self.tick()
            result = call(*arguments)
            self.tick()
            return result

        return ticking


class Cells:
    """Cells of the ledger: an instant before and after each store."""

    def __init__(self, cells: memoryview, fuse: Fuse) -> None:
        self._cells = cells
        self._fuse = fuse

    def __getitem__(self, at: int) -> int:
        return self._cells[at]

    def __setitem__(self, at: int, value: int) -> None:
        self._fuse.tick()
        self._cells[at] = value
        self._fuse.tick()

    def release(self) -> None:
        self._cells.release()


@attrs.define(eq=False)
class Slot:
    """What the guardian asks of a slot."""

    number: int
    sender: socket.socket
    receiver: socket.socket
    outbox: InboxSender

    def is_waited_in(self) -> bool:
        return bool(self.outbox.waiting()) or waits_in(self.receiver)


class World:
    """A master without listeners, two workers, a client."""

    def __init__(self, fuse: Fuse) -> None:
        self.fuse = fuse
        self.master = SteppingReactor()
        self.reactors: dict[int, SteppingReactor] = {}
        self.workers: dict[int, Worker] = {}
        self.owners: dict[int, int] = {}
        self.counters = MasterCounters()
        self.places = ConnectionLimit(1)
        self.slots = {}
        for number in SLOTS:
            sender, receiver = make_inbox()
            outbox = InboxSender(self.master, sender)
            self.slots[number] = Slot(number, sender, receiver, outbox)
        self.guardian = Guardian(
            self.master,
            ConnectionTable.create(4),
            self.slots.values(),  # type: ignore[arg-type]
            self.places,
            self.counters,
            1e9,
        )
        for number in SLOTS:
            self.start(number)

    def start(self, slot: int) -> None:
        owner = self.owners[slot] = self.guardian.next_owner()
        ledger = ConnectionTable(os.dup(self.guardian.table.descriptor), owner)
        # An engine looks at the memory itself, and says each instant.
        native = lanes.CORE.engines is not None
        for name in () if native else ("_words", "_ended"):
            setattr(ledger, name, Cells(getattr(ledger, name), self.fuse))
        reactor = self.reactors[slot] = SteppingReactor()
        reactor.advance(self.master.seconds())
        tally = WorkerStats()
        self.places.watch(tally)
        worker = self.workers[slot] = Worker(
            reactor,
            SETTINGS,
            WebApp(Site(Echo(slot), reactor=reactor)),
            Resources(
                slot,
                self.slots[slot].receiver.dup(),
                {each.number: each.sender.dup() for each in self.slots.values()},
                tally,
                connections=ledger,
            ),
        )
        worker.start()

    def connect(self, tcp: bool) -> None:
        if tcp:
            with socket.create_server(("127.0.0.1", 0)) as listening:
                self.client = socket.create_connection(listening.getsockname())
                self.client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                ours, _ = listening.accept()
        else:
            self.client, ours = socket.socketpair()
        self.client.settimeout(5)
        self.inode = os.fstat(ours.fileno()).st_ino
        assert self.places.take()
        entry = self.guardian.allot(1, ours.fileno(), 0)
        frame = Frame(Kind.PLACED, 1, None, None, entry=entry)

        def done(sent: bool) -> None:
            assert sent
            self.guardian.guard(entry, ours.detach(), frame.encode())

        self.ask(0)
        self.slots[WAY[0]].outbox.put(frame.encode(), ours.fileno(), 1e9, done)

    def ask(self, number: int) -> None:
        whose = CLIENTS[WAY[number]][0]
        head = (
            f"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {whose}\r\nX-Number: {number}\r\n\r\n"
        )
        # The end of a connection that is over is seen when it is read.
        with contextlib.suppress(ConnectionError):
            self.client.sendall(head.encode())

    def received(self, *arguments: Any) -> Any:
        """As `inbox._receive`; notes whose the descriptor is."""
        taken = RECEIVE(*arguments)
        if taken is not None:
            self.fuse.took(taken[1])
        return taken

    def run(self) -> None:
        """Everything that happens by itself, and two sweeps more."""
        for _ in range(4):
            moved = True
            while moved:
                moved = False
                for slot in SLOTS:
                    try:
                        self.fuse.running = slot
                        while self.reactors[slot].step():
                            moved = True
                    except Killed:
                        moved = True
                        self.worker_died(slot)
                    finally:
                        self.fuse.running = 0
            for reactor in (self.master, *self.reactors.values()):
                reactor.advance(0.25)
            self.guardian.sweep()
            self.check_one_owner()

    def worker_died(self, slot: int) -> None:
        self.fuse.running = 0
        worker = self.workers[slot]
        self.end(worker)
        for descriptor, holder in self.fuse.holders.items():
            if holder == slot and self.is_connection(descriptor):
                os.close(descriptor)
        heirs: list[Any] = [self.slots[slot]]
        self.guardian.worker_died(self.owners[slot], heirs)
        self.places.settle(worker.context.accounting.stats)
        self.start(slot)

    def is_connection(self, descriptor: int) -> bool:
        copies = list(map(descriptor_of, self.guardian._copies.values()))
        if descriptor in copies:
            return False
        try:
            return os.fstat(descriptor).st_ino == self.inode
        except OSError:
            return False

    def end(self, worker: Worker) -> None:
        """As the kernel does for what is no connection."""
        for channel in worker.context.connections:
            # Python would close what it holds when it is collected.
            channel.transport.detach()
        for member in worker.context.connections.sweeper.members:
            if isinstance(member, LingeringConnection):
                member._socket.detach()
        worker.context.poller.close()
        worker.adoption._inbox._receiver.close()
        for outbox in worker.context.routing.senders._senders.values():
            outbox._sender.close()
        assert worker.adoption._table is not None
        worker.adoption._table.close()

    def check_one_owner(self) -> None:
        channels = [
            channel for worker in self.workers.values() for channel in worker.context.connections
        ]
        assert len(channels) <= 1, channels

    def close(self) -> None:
        self.client.close()
        self.run()
        assert not any(worker.context.connections for worker in self.workers.values())
        assert not len(self.guardian), "a copy is left"
        assert not self.places.open(), "a place is left"
        for worker in self.workers.values():
            self.end(worker)
            worker.context.accounting.stats.close()
        self.guardian.close()
        for slot in self.slots.values():
            slot.sender.close()
            slot.receiver.close()


RECEIVE = inbox._receive


class Worlds(unittest.TestCase):
    """Makes worlds whose workers have no engine, or one if `core` says so."""

    core: Callable[[], Any] = staticmethod(python_core)

    def world(self, slot: int, *instants: int) -> "contextlib.AbstractContextManager[World]":
        return self.world_of(Fuse(slot, *instants))

    @contextlib.contextmanager
    def world_of(self, fuse: Fuse) -> Iterator[World]:
        with self.core(), mock.patch.object(lanes, "PROBE", fuse):
            world = World(fuse)
        with (
            mock.patch.object(inbox, "try_put", fuse.around(inbox.try_put)),
            mock.patch.object(inbox, "_receive", fuse.around(world.received)),
            mock.patch.object(os, "read", fuse.around(os.read)),
            mock.patch.object(os, "write", fuse.around(os.write)),
            mock.patch.object(lanes, "PROBE", fuse),
            self.core(),
        ):
            try:
                yield world
            finally:
                world.close()


class Instants(Worlds):
    def live(self, tcp: bool, slot: int, *instants: int) -> tuple[bool, int, World]:
        """Whether the workers have died, and how many requests have been answered."""
        with self.world(slot, *instants) as world:
            world.connect(tcp)
            got = b""
            for number in range(len(WAY)):
                if number:
                    world.ask(number)
                world.run()
                try:
                    while len(ANSWER.findall(got)) <= number:
                        data = world.client.recv(65536)
                        if not data:
                            break
                        got += data
                except TimeoutError:
                    self.fail(f"request {number} is neither answered nor refused")
                except ConnectionError:
                    break
                if len(ANSWER.findall(got)) <= number:
                    break
            answers = ANSWER.findall(got)
            due = [(b"%d" % s, b"%d" % n, CLIENTS[s][0].encode()) for n, s in enumerate(WAY)]
            self.assertEqual(answers, due[: len(answers)])
            self.assertEqual(len(workers_in(got)), len(answers))
            return world.fuse.blown, len(answers), world

    def test_over_tcp(self) -> None:
        self.check_every_instant(tcp=True)

    def test_over_a_unix_socket(self) -> None:
        """The kernel counts no bytes: what the worker noted must do."""
        self.check_every_instant(tcp=False)

    def check_every_instant(self, tcp: bool) -> None:
        # What other tests have left is not to go meanwhile.
        gc.collect()
        before = len(os.listdir("/proc/self/fd"))
        for slot in SLOTS:
            instant, blown, whole, rescued, released = 0, True, 0, 0, 0
            while blown:
                instant += 1
                with self.subTest(slot=slot, instant=instant):
                    blown, answered, world = self.live(tcp, slot, instant)
                    whole += blown and answered == len(WAY)
                    rescued += world.counters.rescued
                    released += world.counters.released
                    if not world.counters.released:
                        # Nobody ended it, so it has gone all its way.
                        self.assertEqual(answered, len(WAY))
            self.assertGreater(instant, 20)
            self.assertGreater(min(whole, rescued, released), 0)
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    def test_the_next_worker_dies_as_it_takes_the_connection(self) -> None:
        """Out of the inbox, and not noted yet: lost. Noted, with nothing read: put back again."""
        for slot in SLOTS:
            instant, left, lost, again = 0, 0, 0, 0
            # Until the first one lives to the end.
            while left < 2:
                instant += 1
                for then in (2, 4):
                    with self.subTest(slot=slot, instant=instant, then=then):
                        _, answered, world = self.live(True, slot, instant, then)
                        left = len(world.fuse.instants)
                        if not world.counters.released:
                            self.assertEqual(answered, len(WAY))
                        counters = world.counters
                        lost += then == 2 and counters.rescued and counters.released
                        again += then == 4 and counters.rescued == 2 and not counters.released
            self.assertGreater(min(lost, again), 0)


@unittest.skipIf(NATIVE is None, "the compiled core is not built")
class InstantsOfTheEngine(Instants):
    """The same in the compiled engine, at each of its stores and system calls."""

    core = staticmethod(contextlib.nullcontext)
