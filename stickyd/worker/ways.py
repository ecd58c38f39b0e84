"""The ways from a worker into the inboxes of the slots."""

import socket
from collections.abc import Callable
from typing import Any

from stickyd.balance import Balance
from stickyd.handoff.outbox import Departing, InboxSender

Done = Callable[[bool], None]


class Ways:
    """Puts connections into inboxes.

    :param slot: our own.
    :param patience: seconds a connection may wait for room.
    :ivar balance: counts what is put where; None if slots have no bound.
    :ivar after: slots whose workers take connections when we have ended; none on the daemon's end.
    """

    def __init__(
        self, reactor: Any, slot: int, senders: dict[int, socket.socket], patience: float
    ) -> None:
        self._reactor = reactor
        self._slot = slot
        self._patience = patience
        self._senders = {number: InboxSender(reactor, sender) for number, sender in senders.items()}
        self.balance: Balance | None = None
        self.after: list[int] = []

    def own(self) -> InboxSender:
        """The way into our own slot's inbox."""
        return self._senders[self._slot]

    def put(
        self, slot: int, message: bytes, descriptor: int, done: Done, who: Departing | None
    ) -> None:
        """Put a connection into a slot's inbox; ``done`` and ``who`` as for `InboxSender.put`."""
        if self.balance is not None:
            done = self.balance.putting(slot, done)
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
        if self.balance is not None:
            done = self.balance.putting(self._slot, done)
        sender.put(message, descriptor, self._patience, done, who)

    def take_table(
        self, slots: list[int], added: dict[int, socket.socket], done: Callable[[], None]
    ) -> None:
        """Other slots take part.

        ``done`` is called when nobody waits here for room in the inbox of a
        slot that takes part no more; its sending end stays, for it may come back.
        """
        for number, sender in added.items():
            if number in self._senders:
                # A slot of that number was there before, with an inbox of its own.
                self._senders[number].close()
            self._senders[number] = InboxSender(self._reactor, sender)
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
