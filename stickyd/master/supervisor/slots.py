"""The slots: a number, an inbox that outlives its workers, and the workers of the moment."""

import enum
import socket
from collections.abc import Iterator
from typing import Any

import attrs

from stickyd.ipc.fd_queue import make_inbox
from stickyd.ipc.fd_sender import InboxSender
from stickyd.master.supervisor.worker_process import WorkerProcess
from stickyd.shm.scoreboard import Scoreboard


class State(enum.Enum):
    """What a slot has."""

    STARTING = "starting"
    READY = "ready"
    RETIRING = "retiring"
    DEAD = "dead"


@attrs.define(eq=False)
class Slot:
    """One slot. The master keeps both ends of its inbox for as long as the slot exists.

    :ivar serving: the worker that takes new connections.
    :ivar coming: one that is loading the app, to serve in its place.
    :ivar leaving: those that finish what they have.
    :ivar early_deaths: how often in a row a worker ended before it was ready.
    :ivar draining: the one of ``leaving`` that goes on with the keys it knows.
    :ivar private: where that one passes what is new to it, for the serving worker to read.
    :ivar empty_since: since when nobody serves, in the reactor's seconds.
    :ivar going: it is on its way in or out; nobody else changes its staff.
    """

    number: int
    sender: socket.socket
    receiver: socket.socket
    outbox: InboxSender
    serving: WorkerProcess | None = None
    coming: WorkerProcess | None = None
    leaving: list[WorkerProcess] = attrs.field(factory=list)
    draining: WorkerProcess | None = None
    private: socket.socket | None = None
    spawned: int = 0
    early_deaths: int = 0
    empty_since: float | None = None
    going: bool = False

    @property
    def state(self) -> State:
        """What the slot has, in one word."""
        if self.serving is not None:
            return State.READY
        if self.coming is not None:
            return State.STARTING
        return State.RETIRING if self.leaving else State.DEAD

    @property
    def pid(self) -> int | None:
        """Of the worker that serves, or will."""
        worker = self.serving or self.coming
        return worker.pid if worker is not None else None

    def workers(self) -> list[WorkerProcess]:
        """Every process of the slot."""
        return [w for w in (self.serving, self.coming, *self.leaving) if w is not None]

    def forget(self, worker: WorkerProcess) -> None:
        """A process has ended."""
        if worker is self.serving:
            self.serving = None
        if worker is self.coming:
            self.coming = None
        if worker is self.draining:
            self.end_of_draining()
        if worker in self.leaving:
            self.leaving.remove(worker)

    def end_of_draining(self) -> None:
        """Nobody goes on with the keys of before: the inbox is the serving worker's alone."""
        self.draining = None
        if self.serving is not None:
            self.serving.succeed()
        if self.private is not None:
            self.private.close()
            self.private = None

    def close(self) -> None:
        """Give up the inbox; connections still in it are closed by the kernel."""
        self.outbox.give_up()
        if self.private is not None:
            self.private.close()
        self.sender.close()
        self.receiver.close()


class Slots:
    """The slots of a daemon, by number from 1, and which of them take part.

    :param board: counts what the master puts into each inbox; None if slots have no bound.
    :ivar version: counts the changes of the set that takes part.
    :ivar out: slots that do not: on their way in or out, or without a worker for too long.
    """

    def __init__(self, reactor: Any, count: int, board: Scoreboard | None = None) -> None:
        self._reactor = reactor
        self._board = board
        self._slots: dict[int, Slot] = {}
        self.version = 1
        self.out: set[int] = set()
        for _ in range(count):
            self.add()

    def __getitem__(self, number: int) -> Slot:
        return self._slots[number]

    def __iter__(self) -> Iterator[Slot]:
        return iter(list(self._slots.values()))

    def __len__(self) -> int:
        return len(self._slots)

    def add(self) -> Slot:
        """One slot more, behind the last."""
        number = max(self._slots, default=0) + 1
        sender, receiver = make_inbox()
        return self.put(number, sender, receiver)

    def put(self, number: int, sender: socket.socket, receiver: socket.socket) -> Slot:
        """A slot whose inbox exists already."""
        counter = self._board.row(0).counter(number) if self._board is not None else None
        slot = Slot(number, sender, receiver, InboxSender(self._reactor, sender, counter))
        self._slots[number] = slot
        return slot

    def remove(self, slot: Slot) -> None:
        """A slot that nobody puts anything into any more."""
        del self._slots[slot.number]
        self.out.discard(slot.number)
        slot.close()
        if self._board is not None:
            self._board.removed(slot.number)

    def last(self) -> Slot:
        """The slot with the highest number."""
        return self._slots[max(self._slots)]

    def taking_part(self) -> list[int]:
        """The numbers of the slot table."""
        return [number for number in self._slots if number not in self.out]

    def heirs(self, slot: Slot) -> list[Slot]:
        """Who takes the connections of a worker of ``slot`` when it is gone."""
        taking = self.taking_part()
        if slot.number in taking and not slot.going:
            return [slot]
        return [self._slots[number] for number in taking]

    def senders(self) -> dict[int, socket.socket]:
        """The sending end of every inbox, by slot."""
        return {slot.number: slot.sender for slot in self}

    def workers(self) -> list[WorkerProcess]:
        """Every process of every slot."""
        return [worker for slot in self for worker in slot.workers()]

    def close(self) -> None:
        """Give up every inbox."""
        for slot in self:
            slot.close()
