"""The guardian: what idles survives its worker (``--guardian``).

The master keeps its copy of the descriptor of each connection it places. So
when a worker is gone, the connections it had are still open; the ledger tells
which of them idled, and these go into an inbox once more. The others are ended
at once, for nobody would ever answer them.

Because of the copy, closing is not enough to end a connection: a worker shuts
it down first (shutdown(2)), then marks its entry, and the master drops its copy
at the next sweep.
"""

import fcntl
import resource
import socket
import struct
import termios
from collections.abc import Sequence
from typing import Any

import attrs

from stickyd.counters import MasterCounters
from stickyd.handoff.frame import Frame, Kind, decode
from stickyd.handoff.inbox import InboxSender, waits_in
from stickyd.ledger import FLYING, Ledger, owner_of, state_of, taken_of
from stickyd.lingering import end_connection
from stickyd.master.baggage import Packed, as_bytes, as_text, keep, taken
from stickyd.master.slots import Slots
from stickyd.master.verdict import UNKNOWN, Kernel, Verdict, verdict
from stickyd.places import Places, Tally

SWEEP_EVERY = 0.25
"""Seconds between sweeps: how long the copy of a connection may outlive it."""

_INT = struct.Struct("i")
_RECEIVED = struct.Struct("=Q")
_RECEIVED_AT = 128
"""Where ``tcpi_bytes_received`` stands in struct tcp_info (linux/tcp.h); its layout is fixed."""
_INFO_SIZE = _RECEIVED_AT + _RECEIVED.size
_LOOKS = 5


def ask_kernel(sock: socket.socket) -> Kernel | None:
    """What the kernel knows of a connection that nobody reads; None if it is no TCP."""
    if sock.family == socket.AF_UNIX:
        return None
    try:
        state, received = _tcp_info(sock)
        for _ in range(_LOOKS):
            queued = fcntl.ioctl(sock, termios.FIONREAD, bytes(_INT.size))
            # What came between the two looks would seem to have been read.
            before, (state, received) = received, _tcp_info(sock)
            if received == before:
                return Kernel(state, received, _INT.unpack(queued)[0])
    except (OSError, struct.error):
        pass
    return UNKNOWN


def _tcp_info(sock: socket.socket) -> tuple[int, int]:
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_SIZE)
    return info[0], _RECEIVED.unpack_from(info, _RECEIVED_AT)[0]


@attrs.define(eq=False)
class _Flight:
    """A connection that was flying when a worker ended, and may have been lost with it.

    :ivar word: of its entry, which changes when somebody takes it.
    :ivar inboxes: slots whose inboxes have not been seen empty since.
    """

    word: int
    inboxes: set[int]


class Guardian:
    """The master's copies of the connections of all workers."""

    def __init__(
        self,
        reactor: Any,
        ledger: Ledger,
        slots: Slots,
        places: Places,
        counters: MasterCounters,
        patience: float,
    ) -> None:
        self.ledger = ledger
        self._reactor = reactor
        self._slots = slots
        self._places = places
        self._counters = counters
        self._patience = patience
        self._copies: dict[int, tuple[socket.socket, Frame]] = {}
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
        self._owners += 1
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

    def guard(self, sock: socket.socket, frame: Frame) -> None:
        """The connection has been placed by ``frame``; the socket is the guardian's copy."""
        self._copies[frame.entry] = (
            sock,
            frame._replace(kind=Kind.RETURNED, head_left=0, unread=b""),
        )
        if self._sweeping is None:
            self._sweeping = self._reactor.callLater(SWEEP_EVERY, self._sweep_again)

    def give_up(self, number: int) -> None:
        """The connection of an entry is in no inbox and in no worker: end it, if we have it."""
        self._flights.pop(number, None)
        copy = self._copies.pop(number, None)
        if copy is not None:
            self._counters.released += 1
            end_connection(copy[0].detach(), copied=True)
        if number:
            self.ledger.free(number)

    def flies_on(self, number: int) -> None:
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
                copy[0].close()
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
                self._counters.released += 1
                # The entry is not used again: were it not lost after all, its receiver would sign.
                end_connection(self._copies.pop(number)[0].detach(), copied=True)

    # ---- workers end

    def bury(self, owner: int, tally: Tally, heirs: Sequence[InboxSender]) -> None:
        """The worker that signs by ``owner`` is gone. Decide about each connection it had.

        :param tally: the worker's: what goes into an inbox has not ended.
        :param heirs: inboxes for what idles; none if it is to be ended.
        """
        self.sweep()
        inboxes = {slot.number for slot in self._slots}
        returning: list[tuple[bool, int]] = []
        words = self.ledger.words()
        for number in list(self._copies):
            word = words[number]
            if state_of(word) == FLYING:
                self._flights[number] = _Flight(word, set(inboxes))
            elif owner_of(word) == owner:
                kernel = ask_kernel(self._copies[number][0])
                said = verdict(state_of(word), taken_of(word), kernel)
                if said is Verdict.RETURN and heirs:
                    returning.append((kernel is None or not kernel.unread, number))
                else:
                    self.give_up(number)
        # First those whose clients are waiting.
        for _, number in sorted(returning):
            tally.moved()
            self.ledger.fly(number, taken_of(self.ledger.word(number)))
            self._put_back(number, heirs)

    def _put_back(self, number: int, heirs: Sequence[InboxSender]) -> None:
        sock, frame = self._copies[number]
        self._counters.rescued += 1

        def done(sent: bool) -> None:
            if not sent:
                self._counters.rescued -= 1
                self._places.give_back()
                self.give_up(number)

        heir = heirs[frame.connection % len(heirs)]
        heir.put(frame.encode(), sock.fileno(), self._patience, done)

    # ---- the master's own program is replaced

    def pack(self) -> Packed:
        """Everything, for another program in our place; nothing may be done after this.

        To be called once no worker ends any more and the slots are packed.
        """
        if self._sweeping is not None:
            self._sweeping.cancel()
        copies = [(keep(sock.fileno()), as_text(f.encode())) for sock, f in self._copies.values()]
        ledger = keep(self.ledger.descriptor)
        return {"ledger": ledger, "owners": self._owners, "copies": copies}

    def resume(self, packed: Packed) -> None:
        """Take up what `pack` of the program before us has left, but for the ledger itself."""
        self._owners = packed["owners"]
        for descriptor, frame in packed["copies"]:
            self.guard(socket.socket(fileno=taken(descriptor)), decode(as_bytes(frame)))

    # ---- the end

    def close(self) -> None:
        """Drop everything."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        for sock, _ in self._copies.values():
            sock.close()
        self._copies.clear()
        self.ledger.close()
