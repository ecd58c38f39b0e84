"""The ledger: which worker has which connection, and whether it owes the client an answer.

One piece of memory (memfd_create(2), its size sealed) that the master makes and
its workers map. The master gives each connection it guards an entry; whoever
has the connection writes it, so that it outlives who is killed::

    word[entry]   u64   what is known of it, below
    id[entry]     u64   the connection's number; the master's
    ended[entry]  u8    1: closed for all, the entry may be used again

A word is stored whole, in one aligned store, and therefore never torn::

    bits  0-1    state: free, flying, idle, busy
    bits  2-23   owner: the worker that has it, or the last one that had it
    bits 24-63   bytes taken out of the socket by anyone so far, modulo 2**40

*Busy* is written before anything is read from the socket, *idle* when every
answer is in the kernel and nothing has been read that is not answered, and by a
worker that has just taken the connection without any bytes; *flying* before
sendmsg. So what is idle has nothing that would be lost with its worker.
Entry 0 is nobody's: what is written there is not read.
"""

import mmap
import os

from stickyd.shm.memory import create_memory

FREE, FLYING, IDLE, BUSY = range(4)

OWNERS = 1 << 22
TAKEN = (1 << 40) - 1
"""Mask of the bytes taken."""

MOST = 1 << 20
"""Entries of a ledger at most; connections beyond are not guarded."""

_BYTES = 8 + 8 + 1


def word(state: int, owner: int, taken: int) -> int:
    """A word."""
    return (taken & TAKEN) << 24 | owner << 2 | state


def state_of(word: int) -> int:
    """One of ``FREE``, ``FLYING``, ``IDLE``, ``BUSY``."""
    return word & 3


def owner_of(word: int) -> int:
    """The worker that has the connection or, while it flies, had it; 0 for the master."""
    return word >> 2 & OWNERS - 1


def taken_of(word: int) -> int:
    """Bytes taken out of the socket, modulo 2**40."""
    return word >> 24


class Entry:
    """The entry of one connection, for the worker that has it.

    :ivar taken: bytes taken out of the socket; the reader adds what it has read.
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
        # In one store: at no instant is it ours and its state not known.
        words[number] = self._busy if carries else self.taken << 24 | self._idle

    def reading(self) -> None:
        """Something is about to be read from the socket."""
        self._words[self._number] = self._busy

    def read(self, size: int) -> None:
        """Bytes have been read from the socket; none if there were none."""
        if size:
            self.taken += size
            self._settled = False
        elif self._settled:
            self.settle()

    def settle(self) -> None:
        """The connection idles: what was read is answered, and all answers are in the kernel."""
        self._settled = True
        self._words[self._number] = (self.taken & TAKEN) << 24 | self._idle

    def occupy(self) -> None:
        """It idles no longer."""
        self._settled = False
        self._words[self._number] = self._busy

    def departs(self) -> None:
        """It is about to be put into an inbox: from then on the receiver writes."""
        self._words[self._number] = word(FLYING, self._owner, self.taken)

    def stays(self) -> None:
        """It has not been put into the inbox."""
        if self._settled:
            self.settle()
        else:
            self.occupy()

    def end(self) -> None:
        """The connection is closed; nothing may be written after this."""
        self._ended[self._number] = 1


class ConnectionTable:
    """The memory, as one process sees it.

    :param descriptor: of the memory; the ledger owns it.
    :param owner: the number of the worker that looks at it; 0 is the master.
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
        # The master's: entries that have been used, and those free again.
        self._high = 1
        self._free: list[int] = []

    @classmethod
    def create(cls, entries: int) -> "ConnectionTable":
        """An empty ledger, for the master.

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
        """The ledger of the program that was the master before us, in the same process."""
        ledger = cls(descriptor)
        used = [number for number in range(1, ledger._size) if ledger._words[number]]
        ledger._high = max(used, default=0) + 1
        ledger._free = sorted(set(range(1, ledger._high)).difference(used), reverse=True)
        return ledger

    def close(self) -> None:
        """Let go of the memory; nobody here writes any more."""
        for view in (self._words, self._ids, self._ended):
            view.release()
        self._map.close()
        os.close(self.descriptor)

    # ---- a worker's

    def take(self, number: int, connection: int, carries: bool) -> Entry:
        """A connection has been taken out of an inbox: its entry is ours from now on.

        :param carries: bytes came with it that stand in no socket any more.

        If the entry is not the connection's, as it may be after the master's
        program has been replaced, it gets one that nobody reads.
        """
        known = 0 < number < self._size and self._ids[number] == connection
        return Entry(self._words, self._ended, number if known else 0, self._owner, carries)

    # ---- the master's

    def allot(self, connection: int, taken: int) -> int:
        """An entry for a connection that is about to be put into an inbox; 0 if all are in use.

        :param taken: bytes that the master has taken out of its socket.
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

    def mark_in_transit(self, number: int, taken: int) -> None:
        """The master is about to put the connection into an inbox."""
        self._words[number] = word(FLYING, self._owner, taken)

    def free(self, number: int) -> None:
        """The entry may be used again."""
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

    def words(self) -> list[int]:
        """The word of every entry that has been in use."""
        return self._words[: self._high].tolist()

    def word(self, number: int) -> int:
        """The word of one entry."""
        return self._words[number]
