"""The slots: a number, an inbox that outlives its workers, and the worker of the moment."""

import enum
import socket
from collections.abc import Iterator
from typing import Any

from stickyd.handoff.inbox import InboxSender, make_inbox


class State(enum.Enum):
    """What a slot's worker is doing."""

    STARTING = "starting"
    READY = "ready"
    RETIRING = "retiring"
    DEAD = "dead"


class Slot:
    """One slot. The master keeps both ends of its inbox for as long as the slot exists."""

    def __init__(self, reactor: Any, number: int) -> None:
        self.number = number
        self.sender, self.receiver = make_inbox()
        self.outbox = InboxSender(reactor, self.sender)
        self.state = State.DEAD
        self.pid: int | None = None
        self.spawned = 0

    def close(self) -> None:
        """Give up the inbox; connections still in it are closed by the kernel."""
        self.outbox.give_up()
        self.sender.close()
        self.receiver.close()


class Slots:
    """The slots of a daemon, by number from 1."""

    def __init__(self, reactor: Any, count: int) -> None:
        self._slots = {number: Slot(reactor, number) for number in range(1, count + 1)}

    def __getitem__(self, number: int) -> Slot:
        return self._slots[number]

    def __iter__(self) -> Iterator[Slot]:
        return iter(self._slots.values())

    def senders(self) -> dict[int, socket.socket]:
        """The sending end of every inbox, by slot."""
        return {slot.number: slot.sender for slot in self}

    def close(self) -> None:
        """Give up every inbox."""
        for slot in self:
            slot.close()
