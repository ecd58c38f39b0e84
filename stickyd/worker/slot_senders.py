"""The ways from a worker into the inboxes of the slots."""

import socket
from collections.abc import Callable
from typing import Any

from stickyd.ipc.fd_sender import Departing, InboxSender
from stickyd.net.epoll import CONNECTION
from stickyd.net.own_descriptors import OwnDescriptors
from stickyd.shm.scoreboard_row import ScoreboardRow

Done = Callable[[bool], None]


class SlotSenders:
    """Puts connections into inboxes.

    :param slot: our own.
    :param patience: seconds a connection may wait for room.
    :param row: counts what is put where; None if slots have no bound.
    :param own: keeps the sending ends.
    :ivar after: slots whose workers take connections when we have ended; none on the daemon's end.
    """

    def __init__(
        self,
        reactor: Any,
        slot: int,
        senders: dict[int, socket.socket],
        patience: float,
        row: ScoreboardRow | None,
        own: OwnDescriptors,
    ) -> None:
        self._reactor = reactor
        self._slot = slot
        self._patience = patience
        self._row = row
        self._own = own
        self._senders = {number: self._into(number, end) for number, end in senders.items()}
        self._successors: list[InboxSender] = []
        self.after: list[int] = []

    def _into(self, slot: int, end: socket.socket) -> InboxSender:
        """The way into a slot's inbox."""
        self._own.keep(f"the sending end of the inbox of slot {slot}", end.fileno())
        return self._sender(slot, end)

    def _sender(self, slot: int, end: socket.socket) -> InboxSender:
        counter = self._row.counter(slot) if self._row is not None else None
        sender = InboxSender(self._reactor, end, counter)
        sender.on_error = self._failed
        return sender

    def _failed(self, error: OSError) -> None:
        self._own.failed(error, CONNECTION)

    def own(self) -> InboxSender:
        """The way into our own slot's inbox."""
        return self._senders[self._slot]

    def successor(self, end: socket.socket) -> InboxSender:
        """The way to the worker that comes after us in our slot, while we drain."""
        self._own.keep("the sending end of the next worker's inbox", end.fileno())
        sender = self._sender(self._slot, end)
        self._successors.append(sender)
        return sender

    def give_up(self) -> None:
        """Let nobody wait for room any longer: we end."""
        for sender in (*self._senders.values(), *self._successors):
            sender.give_up()

    def put(
        self, slot: int, message: bytes, descriptor: int, done: Done, who: Departing | None
    ) -> None:
        """Put a connection into a slot's inbox; ``done`` and ``who`` as for `InboxSender.put`."""
        self._senders[slot].put(message, descriptor, self._patience, done, who)

    def put_after(
        self, connection: int, message: bytes, descriptor: int, done: Done, who: Departing | None
    ) -> None:
        """Put it where it goes when we end."""
        slot = self.after[connection % len(self.after)]
        self.put(slot, message, descriptor, done, who)

    def put_by(
        self,
        sender: InboxSender,
        message: bytes,
        descriptor: int,
        done: Done,
        who: Departing | None,
    ) -> None:
        """Give it to our slot's other worker, by the way that leads there."""
        sender.put(message, descriptor, self._patience, done, who)

    def take_table(
        self, slots: list[int], added: dict[int, socket.socket], done: Callable[[], None]
    ) -> None:
        """Other slots take part.

        ``done`` is called when nobody waits here for room in the inbox of a
        slot that takes part no more; its sending end stays, for it may come back.
        """
        for number, sender in added.items():
            before = self._senders.get(number)
            self._senders[number] = self._into(number, sender)
            if before is not None:
                # A slot of that number was there before, with an inbox of its own.
                before.close()
        gone = [way for number, way in self._senders.items() if number not in slots]
        left = len(gone)

        def one_empty() -> None:
            nonlocal left
            left -= 1
            if not left:
                done()

        for way in gone:
            way.when_empty(one_empty)
        if not gone:
            done()
