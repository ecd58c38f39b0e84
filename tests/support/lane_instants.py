"""The master's lane and two workers in one process, and the instants of the lane.

Used by `tests.unit.core.test_lane_instants`.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import attrs

from stickyd.core.native import Core
from stickyd.shm.copies import descriptor_of
from stickyd.worker.connection.channel import Channel
from stickyd.worker.connection.lingering import LingeringConnection
from tests.support.core_agreement import BUILT
from tests.support.lane_sides import Side, request
from tests.support.numbered_answers import CLIENTS
from tests.unit.worker.test_guardian_instants import SLOTS, Fuse, Killed, World


class Instant:
    """Counts the instants of the lane; at one of them something else happens.

    :ivar then: what happens.
    :ivar done: whether it has.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.ticks = 0
        self.done = False
        self.then: Callable[[], None] = lambda: None

    def tick(self) -> None:
        self.ticks += 1
        if self.ticks == self.number:
            self.done = True
            self.then()


def probed(instant: Instant) -> Core:
    """The compiled core, with a lane that tells its instants."""
    real = BUILT.lanes
    assert real is not None
    built = SimpleNamespace(
        Route=real.Route,
        MasterLane=lambda *given: real.MasterLane(*given, probe=instant),
        drop_ended=lambda *given: real.drop_ended(*given, instant),
        MORE_MAY_WAIT=real.MORE_MAY_WAIT,
        UNUSUAL=real.UNUSUAL,
        FAILED=real.FAILED,
    )
    return attrs.evolve(BUILT, lanes=built)  # type: ignore[arg-type]


class Daemon(World):
    """The master of a `Side`, and two workers.

    :ivar answers: what the clients have been sent.
    """

    def __init__(self, side: Side, fuse: Fuse) -> None:
        assert side.guardian is not None
        self.side = side
        self.fuse = fuse
        self.master = side.reactor
        self.guardian = side.guardian
        self.places, self.counters = side.places, side.counters
        self.slots = {slot.number: slot for slot in side.slots}  # type: ignore[misc]
        self.reactors = {}
        self.workers = {}
        self.owners = {}
        self.alive = True
        self.dead: list[int] = []
        self.inodes: set[int] = set()
        self.answers = [b"", b""]
        for number in SLOTS:
            self.start(number)

    @property
    def lane(self) -> Any:
        return self.side.listener.lane._lane  # type: ignore[union-attr]

    def connect_both(self, last: bool) -> None:
        """A client of each slot, with its first request.

        :param last: they say that it is their last.
        """
        for slot in SLOTS:
            head = request(CLIENTS[slot][0])[:-2] + b"X-Number: 0\r\n"
            self.side.connect(head + (b"Connection: close\r\n" if last else b"") + b"\r\n")

    def ask_again(self, number: int) -> None:
        """Each client asks for what belongs to the other slot."""
        for client, slot in zip(self.side.clients, reversed(SLOTS), strict=True):
            head = request(CLIENTS[slot][0])[:-2] + b"X-Number: %d\r\n\r\n" % number
            with contextlib.suppress(ConnectionError):
                client.sendall(head)

    # ---- who has a descriptor

    def note_inodes(self) -> None:
        if self.alive:
            for descriptor in set(map(descriptor_of, self.lane.copies.values())) | {
                self.lane.descriptor
            }:
                # Those of copies of an earlier call may be closed.
                with contextlib.suppress(OSError):
                    self.inodes.add(os.fstat(descriptor).st_ino)

    def masters(self) -> set[int]:
        """Descriptors of connections that the master has noted, or is about to."""
        if not self.alive:
            return set()
        copies = (*self.guardian._copies.values(), *self.lane.copies.values())
        return set(map(descriptor_of, copies)) | {self.lane.descriptor}

    def workers_have(self) -> Iterator[int]:
        """Descriptors of connections that workers have."""
        for slot, worker in self.workers.items():
            if slot in self.dead:
                continue
            for channel in worker.context.connections:
                yield channel.transport.fileno()
            for member in worker.context.connections.sweeper.members:
                if isinstance(member, LingeringConnection):
                    yield member._socket.fileno()
                elif not isinstance(member, Channel) and member.fd >= 0:
                    # A lane, which perhaps only waits for the client's end.
                    yield member.fd

    def is_connection(self, descriptor: int) -> bool:
        if descriptor in self.masters():
            return False
        try:
            return os.fstat(descriptor).st_ino in self.inodes
        except OSError:
            return False

    # ---- what happens

    def workers_run(self) -> None:
        """The workers do all there is to do; the master learns of their ends later."""
        self.note_inodes()
        moved = True
        while moved:
            moved = False
            for slot in SLOTS:
                if slot in self.dead:
                    continue
                try:
                    self.fuse.running = slot
                    while self.reactors[slot].step():
                        moved = True
                except Killed:
                    moved = True
                    self.fuse.running = 0
                    self.kernel_ends(slot)
                finally:
                    self.fuse.running = 0

    def kernel_ends(self, slot: int) -> None:
        self.dead.append(slot)
        self.end(self.workers[slot])
        for descriptor, holder in self.fuse.holders.items():
            if holder == slot and self.is_connection(descriptor):
                os.close(descriptor)

    def learn(self) -> None:
        """The master learns of the ends of workers, and starts others."""
        for slot in self.dead:
            heirs: list[Any] = [self.slots[slot]]
            self.guardian.worker_died(self.owners[slot], heirs)
            self.places.settle(self.workers[slot].context.accounting.stats)
            self.start(slot)
        self.dead.clear()

    def go_on(self) -> None:
        """Everything that happens by itself, and two sweeps more."""
        for _ in range(4):
            self.learn()
            self.master.settle()
            self.workers_run()
            for reactor in (self.master, *self.reactors.values()):
                reactor.advance(0.25)
            self.guardian.sweep()
        self.learn()

    def master_dies(self) -> None:
        """As the kernel does for what the master has; no copy, no sweep, no new worker."""
        self.note_inodes()
        self.alive = False
        workers_have = set(self.workers_have())
        for descriptor in map(int, os.listdir("/proc/self/fd")):
            if descriptor not in workers_have and self.is_connection(descriptor):
                os.close(descriptor)
        self.guardian._copies.clear()
        self.master.readers.clear()
        self.side.socket.close()

    def read(self) -> list[bool]:
        """Take what has come to each client; whether its connection has ended."""
        ended = []
        for number, client in enumerate(self.side.clients):
            client.setblocking(False)
            try:
                while data := client.recv(65536):
                    self.answers[number] += data
                ended.append(True)
            except BlockingIOError:
                ended.append(False)
            except ConnectionError:
                ended.append(True)
        return ended

    def owners_of_each(self) -> dict[int, int]:
        """How many workers have each connection."""
        found: dict[int, int] = {}
        for worker in self.workers.values():
            for channel in worker.context.connections:
                number = channel.frame.connection
                found[number] = found.get(number, 0) + 1
        return found

    def end_workers(self) -> None:
        left = set(self.workers_have())
        for slot, worker in self.workers.items():
            if slot not in self.dead:
                self.end(worker)
            worker.context.accounting.stats.close()
        for descriptor in left:
            os.close(descriptor)
