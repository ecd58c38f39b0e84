"""The slots: each has a number, an inbox that outlives its workers, and its workers."""

import socket
from collections.abc import Iterator
from typing import Any

import attrs

from stickyd.ipc.exec_state import Packed, as_bytes, as_text, close_on_exec, keep_on_exec
from stickyd.ipc.fd_queue import adopt_inbox_end, make_inbox, waits_in
from stickyd.ipc.fd_sender import InboxSender
from stickyd.master.supervisor.slot_states import SlotState, state_of
from stickyd.master.supervisor.worker_process import WorkerProcess
from stickyd.shm.scoreboard import Scoreboard


@attrs.frozen(eq=False)
class Draining:
    """A worker that continues with some keys.

    :ivar successor: receiving end of the inbox where it puts connections with other keys.
    """

    worker: WorkerProcess
    successor: socket.socket


@attrs.frozen(eq=False)
class Drained:
    """An inbox from one worker to the next, when the first does not drain any more.

    The master keeps its receiving end to see whether connections wait in it: the guardian would
    take them for lost.

    :ivar writer: puts nothing more into it, except what waits for room.
    :ivar reader: takes out what is in it.
    """

    writer: WorkerProcess
    reader: WorkerProcess
    receiver: socket.socket


@attrs.define(eq=False)
class Slot:
    """One slot. The master keeps both ends of its inbox for as long as the slot exists.

    :ivar serving: the worker that takes new connections.
    :ivar starting: the worker that loads the app, to serve in its place.
    :ivar retiring: workers that finish their connections.
    :ivar draining: those of ``retiring`` that continue with some keys, the oldest first. It reads
        the slot's inbox; each next one, and the serving worker, the inbox of the one before.
    :ivar drained: inboxes of drains that are over, while connections may wait in them.
    :ivar spawned: number of workers started.
    :ivar early_deaths: workers in a row that ended before they were ready.
    :ivar unserved_since: since when no worker serves, in the reactor's seconds.
    :ivar in_change: the slot is being added or removed, and not respawned meanwhile.
    """

    number: int
    sender: socket.socket
    receiver: socket.socket
    outbox: InboxSender
    serving: WorkerProcess | None = attrs.field(default=None, init=False)
    starting: WorkerProcess | None = attrs.field(default=None, init=False)
    retiring: list[WorkerProcess] = attrs.field(factory=list, init=False)
    draining: list[Draining] = attrs.field(factory=list, init=False)
    drained: list[Drained] = attrs.field(factory=list, init=False)
    spawned: int = attrs.field(default=0, init=False)
    early_deaths: int = attrs.field(default=0, init=False)
    unserved_since: float | None = attrs.field(default=None, init=False)
    in_change: bool = attrs.field(default=False, init=False)

    @property
    def state(self) -> SlotState:
        """The state that follows from the workers."""
        return state_of(
            serving=self.serving is not None,
            starting=self.starting is not None,
            retiring=bool(self.retiring),
        )

    @property
    def pid(self) -> int | None:
        """The pid of the worker that serves, or is starting."""
        worker = self.serving or self.starting
        return worker.pid or None if worker is not None else None

    def workers(self) -> list[WorkerProcess]:
        """Every worker process of the slot."""
        return [w for w in (self.serving, self.starting, *self.retiring) if w is not None]

    def state_of(self, worker: WorkerProcess) -> SlotState:
        """What one of the worker processes does."""
        return state_of(
            serving=worker is self.serving,
            starting=worker is self.starting,
            retiring=worker in self.retiring,
        )

    def remove_worker(self, worker: WorkerProcess) -> None:
        """A worker process has ended."""
        if worker is self.serving:
            self.serving = None
        if worker is self.starting:
            self.starting = None
        self.end_draining(worker)
        if worker in self.retiring:
            self.retiring.remove(worker)
        self._close_drained(worker)

    @property
    def private(self) -> socket.socket | None:
        """The inbox of the serving worker while another one drains."""
        return self.draining[-1].successor if self.draining else None

    def end_draining(self, worker: WorkerProcess) -> None:
        """The next worker takes over the inbox from one that drains; no effect for others."""
        at = next((i for i, each in enumerate(self.draining) if each.worker is worker), None)
        if at is None:
            return
        ended = self.draining.pop(at)
        heir = self.draining[at].worker if at < len(self.draining) else self.serving
        if heir is None:
            ended.successor.close()
            return
        heir.link.take_over(self.draining[at - 1].successor if at else None)
        self.drained.append(Drained(worker, heir, ended.successor))

    def _close_drained(self, ended: WorkerProcess | None = None) -> None:
        """Close the inboxes that nobody needs any more.

        :param ended: a worker that has just ended.
        """
        for each in list(self.drained):
            done = each.writer not in self.retiring and not waits_in(each.receiver)
            if each.reader is ended or done:
                self.drained.remove(each)
                each.receiver.close()

    def is_waited_in(self) -> bool:
        """Whether a connection waits in, or for, an inbox of the slot."""
        self._close_drained()
        inboxes = [self.receiver]
        inboxes += [each.successor for each in self.draining]
        inboxes += [each.receiver for each in self.drained]
        return bool(self.outbox.waiting()) or any(waits_in(each) for each in inboxes)

    def close(self) -> None:
        """Close the inbox; the kernel closes the connections still in it."""
        self.outbox.cancel_waiting()
        for each in self.draining:
            each.successor.close()
        for drained in self.drained:
            drained.receiver.close()
        self.sender.close()
        self.receiver.close()

    def pack(self) -> Packed:
        """The slot, the pids of its workers, and the connections that wait for room."""
        return {
            "number": self.number,
            "sender": keep_on_exec(self.sender.fileno()),
            "receiver": keep_on_exec(self.receiver.fileno()),
            "serving": self.serving.pid if self.serving is not None else None,
            "leaving": [worker.pid for worker in self.retiring],
            "draining": [
                {"pid": each.worker.pid, "successor": keep_on_exec(each.successor.fileno())}
                for each in self.draining
            ],
            "drained": [
                {
                    "writer": each.writer.pid,
                    "reader": each.reader.pid,
                    "receiver": keep_on_exec(each.receiver.fileno()),
                }
                for each in self.drained
            ],
            "spawned": self.spawned,
            "early_deaths": self.early_deaths,
            "waiting": [
                {"message": as_text(message), "fd": keep_on_exec(descriptor), "left": left}
                for message, descriptor, left in self.outbox.take_waiting()
            ],
        }


def unpack_message(packed: Packed) -> tuple[bytes, socket.socket, float]:
    """A connection that waits for room: its frame, socket, and seconds it may still wait."""
    sock = socket.socket(fileno=close_on_exec(packed["fd"]))
    sock.setblocking(False)
    return as_bytes(packed["message"]), sock, packed["left"]


class Slots:
    """The slots of a daemon, by number from 1, and which of them are in the slot table.

    :param scoreboard: counts what the master puts into each inbox; None if no decision depends
        on loads.
    :ivar version: of the slot table; each change of its set of slots adds 1.
    :ivar out: slots not in the table: being added or removed, or unserved for too long.
    """

    def __init__(self, reactor: Any, count: int, scoreboard: Scoreboard | None = None) -> None:
        self._reactor = reactor
        self._scoreboard = scoreboard
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
        """Add a slot with the next number."""
        number = max(self._slots, default=0) + 1
        sender, receiver = make_inbox()
        return self._put(number, sender, receiver)

    def _put(self, number: int, sender: socket.socket, receiver: socket.socket) -> Slot:
        board = self._scoreboard
        counter = board.row(0).counter(number) if board is not None else None
        slot = Slot(number, sender, receiver, InboxSender(self._reactor, sender, counter))
        self._slots[number] = slot
        return slot

    def remove(self, slot: Slot) -> None:
        """Remove a slot whose inbox no process puts anything into any more."""
        del self._slots[slot.number]
        self.out.discard(slot.number)
        slot.close()
        if self._scoreboard is not None:
            self._scoreboard.removed(slot.number)

    def last(self) -> Slot:
        """The slot with the highest number."""
        return self._slots[max(self._slots)]

    def taking_part(self) -> list[int]:
        """The numbers of the slot table."""
        return [number for number in self._slots if number not in self.out]

    def heirs(self, slot: Slot) -> list[Slot]:
        """The slots that take the connections of an ended worker of ``slot``."""
        taking = self.taking_part()
        if slot.number in taking and not slot.in_change:
            return [slot]
        return [self._slots[number] for number in taking]

    def senders(self) -> dict[int, socket.socket]:
        """The sending end of every inbox, by slot."""
        return {slot.number: slot.sender for slot in self}

    def workers(self) -> list[WorkerProcess]:
        """Every worker process of every slot."""
        return [worker for slot in self for worker in slot.workers()]

    def close(self) -> None:
        """Close every inbox."""
        for slot in self:
            slot.close()

    # ---- the master's program is replaced

    def pack(self) -> Packed:
        """All slots, and which of them are in the slot table."""
        return {
            "version": self.version,
            "out": sorted(self.out),
            "slots": [slot.pack() for slot in self],
        }

    @classmethod
    def unpack(cls, packed: Packed, reactor: Any, scoreboard: Scoreboard | None) -> "Slots":
        """All slots that the previous program packed, without their workers."""
        slots = cls(reactor, 0, scoreboard)
        slots.version = packed["version"]
        slots.out = set(packed["out"])
        for each in packed["slots"]:
            sender, receiver = adopt_inbox_end(each["sender"]), adopt_inbox_end(each["receiver"])
            slot = slots._put(each["number"], sender, receiver)
            slot.spawned = each["spawned"]
            slot.early_deaths = each["early_deaths"]
        return slots
