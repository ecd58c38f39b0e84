"""The ownership machine, its loads compared with what the system calls have put and taken."""

import os
import socket
from unittest import mock

import attrs
from hypothesis import settings
from hypothesis.stateful import invariant

from stickyd.ipc import fd_queue as inbox
from stickyd.ipc import fd_sender as outbox
from stickyd.worker import lanes
from stickyd.worker.connection.next_step import IN_USE
from tests.support.extent import SLOW
from tests.support.numbered_answers import POLICY, SETTINGS
from tests.support.ownership import RUN, Ownership


class InKernel:
    """How many connections are in each inbox, by the system calls that put them in and took them
    out: what the board is compared with, counted beside it.
    """

    def __init__(self, ends: dict[int, tuple[socket.socket, socket.socket]]) -> None:
        self.counts = dict.fromkeys(ends, 0)
        # Whoever has a copy of an end has another descriptor of the same inode.
        self._slots = {os.fstat(end.fileno()).st_ino: slot for slot in ends for end in ends[slot]}
        self._put, self._receive = inbox.try_put, inbox._receive
        self._patches = [
            mock.patch.object(outbox, "try_put", self.try_put),
            mock.patch.object(inbox, "_receive", self.receive),
        ]
        for patch in self._patches:
            patch.start()

    def _slot(self, end: socket.socket) -> int:
        return self._slots[os.fstat(end.fileno()).st_ino]

    def try_put(self, sender: socket.socket, message: bytes, descriptor: int) -> bool:
        sent = self._put(sender, message, descriptor)
        self.counts[self._slot(sender)] += sent
        return sent

    def receive(self, receiver: socket.socket, buffer: bytearray) -> tuple[int, int] | None:
        received = self._receive(receiver, buffer)
        self.counts[self._slot(receiver)] -= received is not None
        return received

    def probe(self, slot: int) -> "Engine":
        """Counts what the engine of a worker puts in and takes out."""
        return Engine(self, slot)

    def stop(self) -> None:
        for patch in self._patches:
            patch.stop()


@attrs.frozen
class Engine:
    """Sees the system calls of the engine of one slot's worker, which are not Python's."""

    kernel: InKernel
    slot: int

    def tick(self) -> None:
        """Nothing is killed."""

    def took(self, descriptor: int) -> None:
        self.kernel.counts[self.slot] -= descriptor >= 0

    def gave(self, slot: int) -> None:
        self.kernel.counts[slot] += 1


class Counted(Ownership):
    """The same with a bound that no load reaches: nothing is displaced, everything is counted."""

    in_kernel: InKernel | None = None
    settings = attrs.evolve(SETTINGS, routing=attrs.evolve(SETTINGS.routing, balance_factor=10_000))

    def __init__(self) -> None:
        self.in_kernel: InKernel | None = None
        super().__init__()
        self.drift = dict.fromkeys(self.inboxes, 0)

    def start_worker(self, slot: int) -> None:
        if slot in self.workers:
            # What waits for room in another inbox dies with its sender, but has been counted.
            for target, box in self.workers[slot].context.routing.senders._senders.items():
                self.drift[target] += box.waiting()
        with mock.patch.object(lanes, "PROBE", self.kernel.probe(slot)):
            super().start_worker(slot)

    @property
    def kernel(self) -> InKernel:
        """What the inboxes hold, counted from the first worker on."""
        if self.in_kernel is None:
            self.in_kernel = InKernel(self.inboxes)
        return self.in_kernel

    def waiting(self, slot: int) -> int:
        """Connections of all processes that wait for room in an inbox."""
        boxes = [worker.context.routing.senders._senders[slot] for worker in self.workers.values()]
        return sum(box.waiting() for box in (self.master[slot], *boxes))

    @invariant()
    def loads_are_what_is_there(self) -> None:
        loads = self.board.loads(POLICY.table.slots)
        for slot, worker in self.workers.items():
            busy = sum(each.state in IN_USE for each in worker.context.connections)
            there = self.kernel.counts[slot] + self.waiting(slot) + busy
            assert loads[slot] == there + self.drift[slot], (slot, loads, there, self.drift)

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            self.kernel.stop()

    def check_the_end(self) -> None:
        super().check_the_end()
        assert not any(self.kernel.counts.values())
        left = {slot: put - taken for slot, (put, taken) in self.flows().items()}
        assert left == self.drift
        for _ in range(2):
            for worker in self.workers.values():
                worker.settle()
        assert all(put == taken for put, taken in self.flows().values()), self.flows()
        assert not any(self.board.loads(POLICY.table.slots).values())
        assert not sum(
            worker.context.accounting.counters.displaced for worker in self.workers.values()
        )

    def flows(self) -> dict[int, tuple[int, int]]:
        return {slot: self.board.flow(slot) for slot in self.workers}


class GuardedCounted(Counted):
    """What goes back to an inbox is counted as well."""

    guarded = True


Counted.TestCase.settings = settings(RUN, max_examples=150 if SLOW else 30)
CountedTest = Counted.TestCase

GuardedCounted.TestCase.settings = settings(RUN, max_examples=100 if SLOW else 20)
GuardedCountedTest = GuardedCounted.TestCase
