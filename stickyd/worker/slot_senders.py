"""The sending ends of the slots' inboxes, as one worker uses them."""

import socket
from collections.abc import Callable
from typing import Any

from stickyd.ipc.fd_sender import Departing, InboxSender
from stickyd.net.epoll import CONNECTION
from stickyd.net.own_descriptors import OwnDescriptors
from stickyd.worker.slot_load import SlotLoad

Done = Callable[[bool], None]


class SlotSenders:
    """Puts connections into inboxes.

    :param slot: this worker's.
    :param senders: the sending ends, by slot.
    :param timeout: seconds a connection may wait for room.
    :param load: counts what is put into each inbox.
    :param own: checks the sending ends.
    :ivar heirs: slots that take this worker's connections when it retires; none if they close.
    """

    def __init__(
        self,
        reactor: Any,
        slot: int,
        senders: dict[int, socket.socket],
        timeout: float,
        load: SlotLoad,
        own: OwnDescriptors,
    ) -> None:
        self._reactor = reactor
        self._slot = slot
        self._timeout = timeout
        self._load = load
        self._own = own
        self._senders = {number: self._into(number, end) for number, end in senders.items()}
        self._successors: list[InboxSender] = []
        self.heirs: list[int] = []

    def _into(self, slot: int, end: socket.socket) -> InboxSender:
        """The sender for a slot's inbox."""
        self._own.keep(f"the sending end of the inbox of slot {slot}", end.fileno())
        return self._sender(slot, end)

    def _sender(self, slot: int, end: socket.socket) -> InboxSender:
        sender = InboxSender(self._reactor, end, self._load.counter(slot))
        sender.on_error = self._failed
        return sender

    def _failed(self, error: OSError) -> None:
        self._own.failed(error, CONNECTION)

    @property
    def by_slot(self) -> dict[int, InboxSender]:
        """The sender of each slot."""
        return self._senders

    def own(self) -> InboxSender:
        """The sender for this worker's own slot."""
        return self._senders[self._slot]

    def successor(self, end: socket.socket) -> InboxSender:
        """A sender for the private inbox of the successor, while this worker drains."""
        self._own.keep("the sending end of the next worker's inbox", end.fileno())
        sender = self._sender(self._slot, end)
        self._successors.append(sender)
        return sender

    def cancel_waiting(self) -> None:
        """Fail every connection that waits for room: the worker ends."""
        for sender in (*self._senders.values(), *self._successors):
            sender.cancel_waiting()

    def put(
        self, slot: int, message: bytes, descriptor: int, done: Done, who: Departing | None
    ) -> None:
        """Put a connection into a slot's inbox; parameters as for `InboxSender.put`."""
        self._senders[slot].put(message, descriptor, self._timeout, done, who)

    def put_to_heir(
        self, connection: int, message: bytes, descriptor: int, done: Done, who: Departing | None
    ) -> None:
        """Put a connection into the inbox of one of the heirs."""
        slot = self.heirs[connection % len(self.heirs)]
        self.put(slot, message, descriptor, done, who)

    def put_with(
        self,
        sender: InboxSender,
        message: bytes,
        descriptor: int,
        done: Done,
        who: Departing | None,
    ) -> None:
        """Put a connection into the inbox of a sender, the slot's other worker's."""
        sender.put(message, descriptor, self._timeout, done, who)

    def update_slots(
        self, slots: list[int], added: dict[int, socket.socket], done: Callable[[], None]
    ) -> None:
        """The set of slots has changed.

        :param slots: those that take part now.
        :param added: sending ends that are new.
        :param done: called when no connection waits here for room in the inbox of a slot that
            has been removed; its sending end is kept, since the slot may be added again.
        """
        for number, end in added.items():
            old = self._senders.get(number)
            self._senders[number] = self._into(number, end)
            if old is not None:
                # Of an earlier slot of that number, which had an inbox of its own.
                old.close()
        removed = [each for number, each in self._senders.items() if number not in slots]
        left = len(removed)

        def one_empty() -> None:
            nonlocal left
            left -= 1
            if not left:
                done()

        for sender in removed:
            sender.when_empty(one_empty)
        if not removed:
            done()
