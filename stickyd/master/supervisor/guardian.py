"""The guardian: what idles survives its worker (``--guardian on``).

The master keeps its copy of the descriptor of each connection it places. So
when a worker is gone, the connections it had are still open; the ledger tells
which of them idled, and these go into an inbox once more. The others are ended
at once, for nobody would ever answer them.

Because of the copy, closing is not enough to end a connection: a worker shuts
it down first (shutdown(2)), then marks its entry, and the master drops its copy
at the next sweep. The place of a guarded connection (`stickyd.shm.worker_stats`) is given
back with the copy and by nothing else, so that it is right whenever a worker dies.
"""

import os
import resource
import socket
from collections.abc import Callable, Sequence
from typing import Any

import attrs

from stickyd.ipc.fd_queue import waits_in
from stickyd.ipc.frame import as_returned, connection_of, entry_of
from stickyd.master.exec_state import Packed, as_bytes, as_text, keep, taken
from stickyd.master.supervisor.connection_limit import ConnectionLimit
from stickyd.master.supervisor.orphan_policy import OrphanAction, verdict
from stickyd.master.supervisor.slots import Slot, Slots
from stickyd.net.lingering_close import end_connection
from stickyd.net.tcp_info import read_tcp_info
from stickyd.shm.connection_table import (
    FLYING,
    OWNERS,
    ConnectionTable,
    owner_of,
    state_of,
    taken_of,
)
from stickyd.stats import MasterCounters

SWEEP_EVERY = 0.25
"""Seconds between sweeps: how long the copy of a connection may outlive it."""


@attrs.define(eq=False)
class _Flight:
    """A connection that was flying when a worker ended, and may have been lost with it.

    :ivar word: of its entry, which changes when somebody takes it.
    :ivar inboxes: slots whose inboxes have not been seen empty since.
    """

    word: int
    inboxes: set[int]


class Guardian:
    """The master's copies of the connections of all workers.

    :param patience: seconds that a connection may wait for room in an inbox when it is put back.
    """

    def __init__(
        self,
        reactor: Any,
        ledger: ConnectionTable,
        slots: Slots,
        places: ConnectionLimit,
        counters: MasterCounters,
        patience: float,
    ) -> None:
        self.ledger = ledger
        self._reactor = reactor
        self._slots = slots
        self._places = places
        self._counters = counters
        self._patience = patience
        places.look = self.sweep
        # By entry: the descriptor, and the message that puts the connection into an inbox again.
        self._copies: dict[int, tuple[int, bytes]] = {}
        self._flights: dict[int, _Flight] = {}
        self._sweeping: Any = None
        self._owners = 0
        # Whoever uses descriptors up to there leaves those above to what cannot do without.
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._brim = limit - limit // 8

    def __len__(self) -> int:
        return len(self._copies)

    def next_owner(self) -> int:
        """The number by which a new worker signs."""
        self._owners = self._owners % (OWNERS - 1) + 1
        return self._owners

    # ---- connections come

    def allot(self, connection: int, descriptor: int, consumed: int) -> int:
        """An entry for a connection that is about to be placed; 0 if it cannot be guarded.

        :param consumed: bytes that have been taken out of its socket.
        """
        # The kernel gives the lowest number that is free (open(2)): all below are taken.
        if descriptor >= self._brim:
            self.sweep()
            return 0
        number = self.ledger.allot(connection, consumed)
        if not number:
            self.sweep()
            number = self.ledger.allot(connection, consumed)
        return number

    def guard(self, number: int, descriptor: int, message: bytes) -> None:
        """The connection of an entry has been placed by ``message``; the descriptor is our copy."""
        self._copies[number] = (descriptor, as_returned(message))
        if self._sweeping is None:
            self._sweeping = self._reactor.callLater(SWEEP_EVERY, self._sweep_again)

    def give_up(self, number: int) -> None:
        """The connection of an entry is in no inbox and in no worker: end it, if we have it."""
        self._flights.pop(number, None)
        self._release(number)
        if number:
            self.ledger.free(number)

    def _release(self, number: int) -> None:
        """End a connection that nobody has but us."""
        copy = self._copies.pop(number, None)
        if copy is not None:
            self._counters.released += 1
            self._places.give_back()
            end_connection(copy[0], copied=True)

    def stays_in_transit(self, number: int) -> None:
        """The master itself has put the connection of an entry into another inbox."""
        self._flights.pop(number, None)

    # ---- connections end

    def _sweep_again(self) -> None:
        self._sweeping = None
        self.sweep()
        if self._copies:
            self._sweeping = self._reactor.callLater(SWEEP_EVERY, self._sweep_again)

    def sweep(self) -> None:
        """Drop the copies of connections that have ended."""
        for number in self.ledger.ended():
            copy = self._copies.pop(number, None)
            if copy is not None:
                os.close(copy[0])
                self._places.give_back()
            if number:
                self.ledger.free(number)
        if self._flights:
            self._look_after_flights()

    def _look_after_flights(self) -> None:
        """End those that are in no inbox and in no worker.

        What was in an inbox when a worker ended has been taken out of it when
        the inbox has been seen empty; whoever took it has signed soon after.
        """
        empty = {
            slot.number
            for slot in self._slots
            if not slot.outbox.waiting()
            and not waits_in(slot.receiver)
            and not (slot.private is not None and waits_in(slot.private))
        }
        exist = {slot.number for slot in self._slots}
        for number, flight in list(self._flights.items()):
            if number not in self._copies or self.ledger.word(number) != flight.word:
                del self._flights[number]
            elif flight.inboxes:
                flight.inboxes -= empty
                flight.inboxes &= exist
            else:
                del self._flights[number]
                # The entry is not used again: were it not lost after all, its receiver would sign.
                self._release(number)

    # ---- workers end

    def worker_died(self, owner: int, heirs: Sequence[Slot]) -> None:
        """The worker that signs by ``owner`` is gone. Decide about each connection it had.

        :param heirs: slots for what idles; none if it is to be ended.
        """
        self.sweep()
        inboxes = {slot.number for slot in self._slots}
        idle: list[int] = []
        words = self.ledger.words()
        # First those to whose clients an end is owed: it takes a while to look at the others.
        for number in list(self._copies):
            word = words[number]
            said, theirs = verdict(state_of(word), taken_of(word), None), owner_of(word) == owner
            if said is OrphanAction.LEAVE:
                self._flights[number] = _Flight(word, set(inboxes))
            elif theirs and said is OrphanAction.RETURN and heirs:
                idle.append(number)
            elif theirs:
                self.give_up(number)
        returning: list[tuple[bool, int]] = []
        for number in idle:
            word, kernel = words[number], read_tcp_info(self._copies[number][0])
            if verdict(state_of(word), taken_of(word), kernel) is OrphanAction.RETURN:
                returning.append((kernel is None or not kernel.unread, number))
            else:
                self.give_up(number)
        # Then those whose clients have asked something meanwhile.
        for _, number in sorted(returning):
            self.ledger.mark_in_transit(number, taken_of(words[number]))
            self._counters.rescued += 1
            descriptor, message = self._copies[number]
            heir = heirs[connection_of(message) % len(heirs)]
            heir.outbox.put(message, descriptor, self._patience, self._if_not_sent(number))

    def _if_not_sent(self, number: int) -> Callable[[bool], None]:
        def done(sent: bool) -> None:
            if not sent:
                self._counters.rescued -= 1
                self.give_up(number)

        return done

    # ---- the master's own program is replaced

    def pack(self) -> Packed:
        """Everything, for another program in our place; nothing may be done after this.

        To be called once no worker ends any more.
        """
        if self._sweeping is not None:
            self._sweeping.cancel()
        copies = [(keep(copy), as_text(message)) for copy, message in self._copies.values()]
        ledger = keep(self.ledger.descriptor)
        return {"ledger": ledger, "owners": self._owners, "copies": copies}

    def resume(self, packed: Packed) -> None:
        """Take up what `pack` of the program before us has left, but for the ledger itself."""
        self._owners = packed["owners"]
        for descriptor, message in packed["copies"]:
            message = as_bytes(message)
            self.guard(entry_of(message), taken(descriptor), message)
        # Some may have been lost with a worker that ended just before.
        inboxes = {slot.number for slot in self._slots}
        for number in self._copies:
            word = self.ledger.word(number)
            if state_of(word) == FLYING:
                self._flights[number] = _Flight(word, set(inboxes))

    def wait_again(self, slot: Slot, message: bytes, sock: socket.socket, left: float) -> bool:
        """Go on waiting for room in an inbox, for what waited in the program before us.

        :param sock: the descriptor that waited: the copy's own (of what was put
            back for a worker that died) or one beside it (of what is placed anew).
        :return: whether the connection is one of ours; otherwise it is still the caller's.
        """
        number = entry_of(message)
        copy = self._copies.get(number)
        if copy is None:
            return False
        if copy[0] == sock.fileno():
            slot.outbox.put(message, sock.detach(), left, self._if_not_sent(number))
            return True

        def done(sent: bool) -> None:
            sock.close()
            if not sent:
                self.give_up(number)

        slot.outbox.put(message, sock.fileno(), left, done)
        return True

    # ---- the end

    def close(self) -> None:
        """Drop everything."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        self._places.look = lambda: None
        for descriptor, _ in self._copies.values():
            os.close(descriptor)
        self._copies.clear()
        self.ledger.close()
