"""The connection table: which worker has which connection, and whether a response is due.

Memory (`stickyd.shm.memory`) that the master creates and its workers map. The master
gives an entry to each connection it guards; the process that owns the connection writes
the entry, so that it outlives a killed worker::

    word[entry]   u64   owner, state and byte count, below
    id[entry]     u64   the connection's number; written by the master
    ended[entry]  u8    1: closed by its owner, the entry may be reused

A word is written by one aligned store, and therefore never torn::

    bits  0-1    state: free, in transit, idle, busy (`stickyd.shm.connection_states`)
    bits  2-23   owner: the worker that has the connection, or had it last
    bits 24-63   bytes read from the socket by any process so far, modulo 2**40

A worker stores *busy* before it reads from the socket. It stores *idle* when every
response is in the kernel and every byte read is answered (though an app may not have
returned that has written all of its Content-Length), and when it receives a
connection without unread bytes. *In transit* is stored before sendmsg. So an idle
connection loses nothing with its worker. Entry 0 is never read.
"""

import mmap
import os

from stickyd.shm.connection_states import BUSY, IDLE, IN_TRANSIT
from stickyd.shm.copies import descriptor_of
from stickyd.shm.memory import create_memory

OWNERS = 1 << 22
TAKEN = (1 << 40) - 1
"""Mask of the byte count."""

MOST = 1 << 20
"""Most entries of a table; further connections are not guarded."""

_BYTES = 8 + 8 + 1


def word(state: int, owner: int, taken: int) -> int:
    """A word from its parts."""
    return (taken & TAKEN) << 24 | owner << 2 | state


def state_of(word: int) -> int:
    """The state (`stickyd.shm.connection_states`)."""
    return word & 3


def owner_of(word: int) -> int:
    """The worker that has the connection or, in transit, had it last; 0 for the master."""
    return word >> 2 & OWNERS - 1


def taken_of(word: int) -> int:
    """Bytes read from the socket, modulo 2**40."""
    return word >> 24


class Entry:
    """The entry of one connection, for the worker that owns it.

    :ivar taken: bytes read from the socket.
    """

    __slots__ = ("_busy", "_ended", "_idle", "_number", "_owner", "_settled", "_words", "taken")

    def __init__(
        self, words: memoryview, ended: memoryview, number: int, owner: int, carries: bool
    ) -> None:
        self._words = words
        self._ended = ended
        self._number = number
        self._owner = owner
        self._idle = word(IDLE, owner, 0)
        self._busy = word(BUSY, owner, 0)
        self._settled = not carries
        self.taken = taken_of(words[number])
        # Owner and state in one store: a death in between must not leave only one of them.
        words[number] = self._busy if carries else self.taken << 24 | self._idle

    def resume(
        self,
        words: memoryview,
        ended: memoryview,
        number: int,
        owner: int,
        taken: int,
        settled: bool,
    ) -> None:
        """Continue with an entry that the worker owns already; stores nothing."""
        self._words = words
        self._ended = ended
        self._number = number
        self._owner = owner
        self._idle = word(IDLE, owner, 0)
        self._busy = word(BUSY, owner, 0)
        self._settled = settled
        self.taken = taken

    def reading(self) -> None:
        """The worker is about to read from the socket."""
        self._words[self._number] = self._busy

    def read(self, size: int) -> None:
        """``size`` bytes have been read from the socket; 0 if there were none."""
        if size:
            self.taken += size
            self._settled = False
        elif self._settled:
            self.settle()

    def settle(self) -> None:
        """Store *idle*: every byte read is answered, and every response is in the kernel."""
        self._settled = True
        self._words[self._number] = (self.taken & TAKEN) << 24 | self._idle

    def occupy(self) -> None:
        """Store *busy*."""
        self._settled = False
        self._words[self._number] = self._busy

    def departs(self) -> None:
        """Store *in transit*: it is about to be put into an inbox, whose reader writes next."""
        self._words[self._number] = word(IN_TRANSIT, self._owner, self.taken)

    def stays(self) -> None:
        """Store the state of before: it has not been put into the inbox."""
        if self._settled:
            self.settle()
        else:
            self.occupy()

    def end(self) -> None:
        """Mark the connection as closed; the last write to the entry."""
        self._ended[self._number] = 1


class ConnectionTable:
    """The table, as one process sees it.

    :param descriptor: of the memory; this object closes it.
    :param owner: number of this process; 0 is the master.
    """

    def __init__(self, descriptor: int, owner: int = 0) -> None:
        self.descriptor = descriptor
        self._owner = owner
        self._map = mmap.mmap(descriptor, os.fstat(descriptor).st_size)
        size = len(self._map) // _BYTES
        whole = memoryview(self._map)
        self._words = whole[: 8 * size].cast("Q")
        self._ids = whole[8 * size : 16 * size].cast("Q")
        self._ended = whole[16 * size : 17 * size]
        self._size = size
        # For the master: entries below _high have been used or stocked; _free are free of these.
        self._high = 1
        self._free: list[int] = []

    @classmethod
    def create(cls, entries: int) -> "ConnectionTable":
        """An empty table, for the master.

        :raise OSError: if there is no memory for it.
        """
        descriptor = create_memory("stickyd-connections", (min(entries, MOST) + 1) * _BYTES)
        try:
            return cls(descriptor)
        except BaseException:
            os.close(descriptor)
            raise

    @classmethod
    def again(cls, descriptor: int) -> "ConnectionTable":
        """The table of the previous program of the master (execve(2))."""
        table = cls(descriptor)
        used = [number for number in range(1, table._size) if table._words[number]]
        table._high = max(used, default=0) + 1
        table._free = sorted(set(range(1, table._high)).difference(used), reverse=True)
        return table

    def close(self) -> None:
        """Unmap the memory and close its descriptor."""
        for view in (self._words, self._ids, self._ended):
            view.release()
        self._map.close()
        os.close(self.descriptor)

    # ---- for a worker

    def take(self, number: int, connection: int, carries: bool) -> Entry:
        """Become the owner of a connection that was taken out of an inbox; its entry.

        If the entry is not the connection's, which may happen after the master's
        program was replaced, the result is entry 0, which is never read.

        :param carries: unread bytes came with it, which are in no socket any more.
        """
        known = 0 < number < self._size and self._ids[number] == connection
        return Entry(self._words, self._ended, number if known else 0, self._owner, carries)

    # ---- for the master

    def allot(self, connection: int, taken: int) -> int:
        """An entry for a connection that is put into an inbox next; 0 if all are in use.

        :param taken: bytes that the master has read from its socket.
        """
        if self._free:
            number = self._free.pop()
        elif self._high < self._size:
            number = self._high
            self._high += 1
        else:
            return 0
        self._ids[number] = connection
        self.mark_in_transit(number, taken)
        return number

    def cells(self) -> tuple[memoryview, memoryview, memoryview, int]:
        """Words, ids and marks of closed ones, and this process's number: for the engine."""
        return self._words, self._ids, self._ended, self._owner

    def entry(self, number: int, taken: int, settled: bool) -> Entry:
        """An entry that this process owns already, of which so much is known; stores nothing."""
        entry = Entry.__new__(Entry)
        entry.resume(self._words, self._ended, number, self._owner, taken, settled)
        return entry

    def memory(self) -> tuple[memoryview, memoryview, list[int]]:
        """Words, ids and free entries, for code that allots entries instead of `allot`.

        The last free entry is used next; see `stock`.
        """
        return self._words, self._ids, self._free

    def stock(self, count: int) -> None:
        """Make ``count`` entries free, if the table has as many.

        Entries that have never been used are used last, as by `allot`.
        """
        missing = min(count - len(self._free), self._size - self._high)
        if missing > 0:
            fresh = range(self._high, self._high + missing)
            self._free[:0] = reversed(fresh)
            self._high += missing

    def mark_in_transit(self, number: int, taken: int) -> None:
        """Store *in transit*: the master is about to put the connection into an inbox."""
        self._words[number] = word(IN_TRANSIT, self._owner, taken)

    def free(self, number: int) -> None:
        """Make the entry available again."""
        self._words[number] = self._ids[number] = self._ended[number] = 0
        self._free.append(number)

    def ended(self) -> list[int]:
        """Entries of connections that have ended."""
        marks = self._ended[: self._high].tobytes()
        found, at = [], marks.find(1, 1)
        while at >= 0:
            found.append(at)
            at = marks.find(1, at + 1)
        return found

    def marks(self) -> memoryview:
        """The end marks of all entries that have been used: 1 if the connection has ended."""
        return self._ended[: self._high]

    def drop_ended(self, copies: dict[int, bytes]) -> int:
        """Free the entries of connections that have ended, and close their copies.

        :param copies: by entry (`stickyd.shm.copies`).
        :return: how many copies were closed.
        """
        before = len(copies)
        for number in self.ended():
            copy = copies.pop(number, None)
            if copy is not None:
                os.close(descriptor_of(copy))
            self.free(number)
        return before - len(copies)

    def words(self) -> list[int]:
        """The words of all entries that have been used."""
        return self._words[: self._high].tolist()

    def word(self, number: int) -> int:
        """The word of one entry."""
        return self._words[number]
