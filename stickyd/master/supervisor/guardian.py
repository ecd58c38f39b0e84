"""The guardian: idle connections survive the death of their worker (``--guardian on``).

The master keeps a copy of the descriptor of each connection it places. When a worker
ends, its connections are still open. The connection table tells which of them were
idle; these are requeued. The others are closed at once, since no response would come.

Because of the copy, closing its own descriptor does not end a connection: a worker
shuts it down first (shutdown(2)), then marks its entry, and the master closes its copy
at the next sweep. A guarded connection counts against the connection limit until its
copy is closed, so that the count is right whenever a worker dies.
"""

import os
import resource
import socket
from collections.abc import Callable, Sequence
from typing import Any

import attrs

from stickyd.core.native import CORE, Core
from stickyd.ipc.exec_state import Packed, as_bytes, as_text, close_on_exec, keep_on_exec
from stickyd.ipc.frame import as_returned, connection_of, entry_of
from stickyd.master.supervisor.connection_limit import ConnectionLimit
from stickyd.master.supervisor.orphan_policy import OrphanAction, orphan_action
from stickyd.master.supervisor.slots import Slot, Slots
from stickyd.net.lingering_close import end_connection
from stickyd.net.tcp_info import read_tcp_info
from stickyd.shm.connection_states import IN_TRANSIT
from stickyd.shm.connection_table import OWNERS, ConnectionTable, owner_of, state_of, taken_of
from stickyd.shm.copies import descriptor_of, message_of, pack_copy
from stickyd.stats import MasterCounters

SWEEP_EVERY = 0.25
"""Seconds between sweeps: how long a copy may stay open after its connection has ended."""


@attrs.define(eq=False)
class _InTransit:
    """A connection that was in transit when a worker ended, and may be lost.

    :ivar word: of its entry, which changes when a worker takes it.
    :ivar inboxes: slots whose inboxes have not been empty since.
    """

    word: int
    inboxes: set[int]


class Guardian:
    """The master's copies of the connections of all workers.

    :param patience: seconds that a requeued connection may wait for room in an inbox.
    :param core: sweeps, if it is the compiled one.
    :ivar highest: descriptors from this one on are kept for connections without a copy.
    """

    def __init__(
        self,
        reactor: Any,
        table: ConnectionTable,
        slots: Slots,
        limit: ConnectionLimit,
        counters: MasterCounters,
        patience: float,
        core: Core = CORE,
    ) -> None:
        self.table = table
        self._reactor = reactor
        self._slots = slots
        self._limit = limit
        self._counters = counters
        self._patience = patience
        self._lanes = core.lanes
        limit.look = self.sweep
        # By entry; see `stickyd.shm.copies`.
        self._copies: dict[int, bytes] = {}
        self._in_transit: dict[int, _InTransit] = {}
        self._sweeping: Any = None
        self._owners = 0
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self.highest = descriptors - descriptors // 8

    def __len__(self) -> int:
        return len(self._copies)

    def next_owner(self) -> int:
        """The owner number for a new worker."""
        self._owners = self._owners % (OWNERS - 1) + 1
        return self._owners

    # ---- connections are placed

    def allot(self, connection: int, descriptor: int, consumed: int) -> int:
        """An entry for a connection that is placed next; 0 if it cannot be guarded.

        :param consumed: bytes that were read from its socket.
        """
        # The kernel assigns the lowest free number (open(2)): all below are in use.
        if descriptor >= self.highest:
            self.sweep()
            return 0
        number = self.table.allot(connection, consumed)
        if not number:
            self.sweep()
            number = self.table.allot(connection, consumed)
        return number

    def guard(self, number: int, descriptor: int, message: bytes) -> None:
        """Keep ``descriptor`` as the copy of a connection that was placed by ``message``."""
        self.guard_all({number: pack_copy(descriptor, as_returned(message))})

    def guard_all(self, copies: dict[int, bytes]) -> None:
        """Keep copies of connections that were placed.

        :param copies: by entry: descriptor and frame (`stickyd.shm.copies`).
        """
        self._copies.update(copies)
        if self._sweeping is None:
            self._sweeping = self._reactor.callLater(SWEEP_EVERY, self._sweep_again)

    def give_up(self, number: int) -> None:
        """End the connection of an entry, which is in no inbox and in no worker; free the entry."""
        self._in_transit.pop(number, None)
        self._release(number)
        if number:
            self.table.free(number)

    def _release(self, number: int) -> None:
        """End a connection that no other process has."""
        copy = self._copies.pop(number, None)
        if copy is not None:
            self._counters.released += 1
            self._limit.give_back()
            end_connection(descriptor_of(copy), copied=True)

    def stays_in_transit(self, number: int) -> None:
        """The master has put the connection of an entry into another inbox."""
        self._in_transit.pop(number, None)

    # ---- connections end

    def _sweep_again(self) -> None:
        self._sweeping = None
        self.sweep()
        if self._copies:
            self._sweeping = self._reactor.callLater(SWEEP_EVERY, self._sweep_again)

    def sweep(self) -> None:
        """Close the copies of connections that have ended."""
        table = self.table
        if self._lanes is None:
            ended = table.drop_ended(self._copies)
        else:
            ended = self._lanes.drop_ended(*table.memory(), table.marks(), self._copies)
        self._limit.give_back(ended)
        if self._in_transit:
            self._check_in_transit()

    def _check_in_transit(self) -> None:
        """End the connections in transit that are in no inbox and in no worker.

        A connection that was in an inbox when a worker ended has been taken out once
        the inbox is empty; the worker that took it writes its entry as its first act.
        """
        empty = {slot.number for slot in self._slots if not slot.is_waited_in()}
        exist = {slot.number for slot in self._slots}
        for number, transit in list(self._in_transit.items()):
            if number not in self._copies or self.table.word(number) != transit.word:
                del self._in_transit[number]
            elif transit.inboxes:
                transit.inboxes -= empty
                transit.inboxes &= exist
            else:
                del self._in_transit[number]
                # Do not reuse the entry: if the connection is not lost, its receiver writes there.
                self._release(number)

    # ---- a worker ends

    def worker_died(self, owner: int, heirs: Sequence[Slot]) -> None:
        """Decide about each connection of the worker with number ``owner``, which has ended.

        :param heirs: slots for the idle connections; none to end these as well.
        """
        self.sweep()
        inboxes = {slot.number for slot in self._slots}
        idle: list[int] = []
        words = self.table.words()
        # First end those that get no response: reading the state of the others takes a while.
        for number in list(self._copies):
            word = words[number]
            action = orphan_action(state_of(word), taken_of(word), None)
            theirs = owner_of(word) == owner
            if action is OrphanAction.LEAVE:
                self._in_transit[number] = _InTransit(word, set(inboxes))
            elif theirs and action is OrphanAction.RETURN and heirs:
                idle.append(number)
            elif theirs:
                self.give_up(number)
        returning: list[tuple[bool, int]] = []
        for number in idle:
            word, kernel = words[number], read_tcp_info(descriptor_of(self._copies[number]))
            if orphan_action(state_of(word), taken_of(word), kernel) is OrphanAction.RETURN:
                returning.append((kernel is None or not kernel.unread, number))
            else:
                self.give_up(number)
        # Connections with unread bytes, hence a waiting client, first.
        for _, number in sorted(returning):
            self.table.mark_in_transit(number, taken_of(words[number]))
            self._counters.rescued += 1
            copy = self._copies[number]
            descriptor, message = descriptor_of(copy), message_of(copy)
            heir = heirs[connection_of(message) % len(heirs)]
            heir.outbox.put(message, descriptor, self._patience, self._after_put(number))

    def _after_put(
        self, number: int, beside: socket.socket | None = None
    ) -> Callable[[bool], None]:
        """What follows when a guarded connection was put into an inbox, or had no room in time.

        :param beside: holds the descriptor that was put in, if that is not the copy; it is closed.
        """

        def done(sent: bool) -> None:
            if beside is not None:
                beside.close()
            elif not sent:
                self._counters.rescued -= 1
            if not sent:
                self.give_up(number)

        return done

    # ---- the master's program is replaced

    def pack(self) -> Packed:
        """The state for the program that replaces this one; the last call to this object.

        To be called when the ends of workers are no longer observed.
        """
        if self._sweeping is not None:
            self._sweeping.cancel()
        copies = [
            (keep_on_exec(descriptor_of(copy)), as_text(message_of(copy)))
            for copy in self._copies.values()
        ]
        table = keep_on_exec(self.table.descriptor)
        return {"ledger": table, "owners": self._owners, "copies": copies}

    def resume(self, packed: Packed) -> None:
        """Continue with what `pack` of the previous program returned, except the table itself."""
        self._owners = packed["owners"]
        for descriptor, message in packed["copies"]:
            message = as_bytes(message)
            self.guard(entry_of(message), close_on_exec(descriptor), message)
        # Some may be lost with a worker that ended just before the upgrade.
        inboxes = {slot.number for slot in self._slots}
        for number in self._copies:
            word = self.table.word(number)
            if state_of(word) == IN_TRANSIT:
                self._in_transit[number] = _InTransit(word, set(inboxes))

    def wait_again(self, slot: Slot, message: bytes, sock: socket.socket, left: float) -> bool:
        """Let a connection wait for room that waited in the previous program.

        :param sock: holds the descriptor that waited: the copy itself (of a connection
            requeued after a death) or one beside it (of a connection from `requeue`).
        :return: whether the connection is guarded; otherwise the caller still owns it.
        """
        number = entry_of(message)
        copy = self._copies.get(number)
        if copy is None:
            return False
        if descriptor_of(copy) == sock.fileno():
            slot.outbox.put(message, sock.detach(), left, self._after_put(number))
        else:
            slot.outbox.put(message, sock.fileno(), left, self._after_put(number, sock))
        return True

    # ---- the end

    def close(self) -> None:
        """Close every copy, and the table."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        self._limit.look = lambda: None
        for descriptor in map(descriptor_of, self._copies.values()):
            os.close(descriptor)
        self._copies.clear()
        self.table.close()
