"""Learned ids: which slot made an id that an app handed out, for all processes of a daemon.

Memory (`stickyd.shm.memory`) that the master creates and all processes map; its layout is
that of `stickyd.shm.learned_layout`. It outlives workers, and programs that the master
replaces itself with (USR2), which attach to its descriptor.

**Readers take no lock.** An entry has three words: tag, mark (check and slot), time of last
use. What is assumed of the machine is that an aligned word is loaded and stored whole:
x86-64 (Intel SDM volume 3, 8.1.1) and aarch64 (ARM ARM, B2.2.1) guarantee it, and CPython
copies an item of a memoryview of format ``Q`` with one such instruction (memcpy of constant
size 8). Tags are looked for in a copy of their set; one that is torn is the tag of no id.

No order of the words is assumed, and none is needed: slot and check are in one word, and a
reader wants both the tag and the check of its own id. A tag of one id beside a mark of
another one is the entry of neither (probability that the checks are equal: 2**-48). Any
mixture of two writes is therefore *not found*, never a wrong slot.

**Writers** store a new id in four steps: tag 0, time, mark, tag. If the process dies between
them, the place is free. The slot of a known id changes with one store. What a process stores
before it sends an answer is visible to a process that has received a request which follows
from this answer: both pass through locks of the kernel.

Two writers that choose the same place at the same time would overwrite each other. They take
a record lock on the two sets of the id (fcntl_locking(2)); the kernel releases it when its
process ends. A process that is stopped while it holds a lock delays the others by 10 ms for
each new id of the set; then they continue without it, and the worst case is a lost id. These
locks exclude processes, not threads: one thread of a process writes.
"""

import contextlib
import fcntl
import mmap
import os
import time
from sys import byteorder
from typing import NamedTuple

from stickyd.shm.learned_layout import (
    ARRAYS_AT,
    HEAD_BYTES,
    SECRET_BYTES,
    SLOT_MASK,
    Digests,
    Head,
    Located,
    head_for,
    read_head,
    vacant,
)
from stickyd.shm.memory import create_memory

_LOCK_SECONDS = 0.01
"""How long a writer tries to lock a set: longer than the scheduler keeps a process waiting
that it has interrupted, short enough for clients if the process is stopped."""


class LearnedCounts(NamedTuple):
    """Counters of the table. One is too low by one for each write without a lock, at most.

    :ivar entries: ids that the table can hold.
    :ivar used: places that are not free; those of idle ids are reused first.
    :ivar learned: ids stored since the table was created.
    :ivar evicted: ids in use that were overwritten since then, because both sets were full.
    """

    entries: int
    used: int
    learned: int
    evicted: int


class LearnedTable:
    """The table, as one process sees it.

    :param fd: of the memory; this object closes it.
    :raise ValueError: if the memory has another layout; the descriptor stays open.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        head = read_head(os.pread(fd, HEAD_BYTES, 0))
        if os.fstat(fd).st_size != head.size:
            raise ValueError("table of learned ids: its size is not that of its layout")
        self._head = head
        self._digests = Digests(head)
        self._ways = head.ways
        self._idle = head.idle
        self._map = mmap.mmap(fd, head.size)
        words = memoryview(self._map)[ARRAYS_AT:].cast("Q")
        places, sets = head.places, head.sets
        self._tags = words[:places]
        self._marks = words[places : 2 * places]
        self._used = words[2 * places : 3 * places]
        self._learned = words[3 * places : 3 * places + sets]
        self._evicted = words[3 * places + sets :]
        words.release()

    @classmethod
    def create(cls, entries: int, idle: float) -> "LearnedTable":
        """An empty table with a new secret, for the master.

        :param entries: most ids it holds; with more than 31 it may be up to 6 % fewer, so
            that all sets are equal.
        :param idle: seconds without use after which an id is not found.
        :raise OSError: if there is no memory for it.
        :raise ValueError: for numbers that no table can have.
        """
        head = head_for(entries, idle, os.urandom(SECRET_BYTES))
        fd = create_memory("stickyd-learned-ids", head.size)
        try:
            os.pwrite(fd, head.pack(), 0)
            return cls(fd)
        except BaseException:
            os.close(fd)
            raise

    @classmethod
    def attach(cls, fd: int) -> "LearnedTable":
        """The table that another process, or the previous program, has created.

        :param fd: of its memory; the object closes it.
        :raise ValueError: if the memory has another layout; the descriptor stays open.
        """
        return cls(fd)

    @property
    def head(self) -> Head:
        """Numbers the table was created with."""
        return self._head

    @property
    def memory(self) -> mmap.mmap:
        """The memory itself."""
        return self._map

    def close(self) -> None:
        """Unmap the memory and close its descriptor."""
        for words in (self._tags, self._marks, self._used, self._learned, self._evicted):
            words.release()
        # What the compiled core still reads is unmapped with its placer.
        with contextlib.suppress(BufferError):
            self._map.close()
        os.close(self.fd)

    def find(self, key: bytes, now: float) -> int | None:
        """The slot of an id, or None if it is not known or idle; updates its last use.

        :param key: the id; ids of different sources need different prefixes.
        :param now: time.monotonic(), which all processes share.
        """
        located = self._digests.locate(key)
        microseconds = int(now * 1e6)
        for start in located.starts:
            for place in self._places(located.tag, start):
                slot = self._marks[place] ^ located.mark
                if slot <= SLOT_MASK:
                    used = self._used[place]
                    if used >= microseconds - self._idle:
                        if used < microseconds:
                            self._used[place] = microseconds
                        return slot
        return None

    def remember(self, key: bytes, slot: int, now: float) -> None:
        """Store that ``slot`` made an id. Replaces what is known of the id.

        :param key: the id; ids of different sources need different prefixes.
        :param slot: 1 to 65535.
        :param now: time.monotonic(), which all processes share.
        :raise ValueError: for another slot.
        """
        if not 1 <= slot <= SLOT_MASK:
            raise ValueError(f"slot {slot} is not within 1 to {SLOT_MASK}")
        located = self._digests.locate(key)
        microseconds = int(now * 1e6)
        sets = sorted(start // self._ways for start in located.starts)
        locked = [number for number in sets if self._lock(number)]
        try:
            if not self._update(located, slot, microseconds):
                self._insert(located, slot, microseconds)
        finally:
            for number in locked:
                fcntl.lockf(self.fd, fcntl.LOCK_UN, 1, number)

    def counts(self) -> LearnedCounts:
        """Counters of the table; reads all of it, some 10 ns for each entry."""
        free = self._tags.tolist().count(0)
        learned, evicted = sum(self._learned.tolist()), sum(self._evicted.tolist())
        return LearnedCounts(self._head.places, self._head.places - free, learned, evicted)

    def _places(self, tag: int, start: int) -> list[int]:
        """Places with this tag in the set that begins at ``start``, in rising order.

        A tag that is being written is not found, or is not the one that stands there then: the
        mark tells.
        """
        begin = ARRAYS_AT + 8 * start
        data = self._map[begin : begin + 8 * self._ways]
        wanted = tag.to_bytes(8, byteorder)
        places = []
        at = data.find(wanted)
        while at >= 0:
            if at % 8 == 0:
                places.append(start + at // 8)
            at = data.find(wanted, at + 1)
        return places

    def _update(self, located: Located, slot: int, microseconds: int) -> bool:
        """Store the slot of an id that has a place; False if it has none."""
        places = [
            place
            for start in located.starts
            for place in self._places(located.tag, start)
            if self._marks[place] & ~SLOT_MASK == located.mark
        ]
        if not places:
            return False
        place, *duplicates = places
        self._marks[place] = located.mark | slot
        self._used[place] = microseconds
        # Two processes stored it at once, without a lock.
        for duplicate in duplicates:
            self._tags[duplicate] = 0
        return True

    def _insert(self, located: Located, slot: int, microseconds: int) -> None:
        """Store an id that has no place."""
        place, evicts = self._place_for(located, microseconds - self._idle)
        self._tags[place] = 0
        self._used[place] = microseconds
        self._marks[place] = located.mark | slot
        self._tags[place] = located.tag
        number = place // self._ways
        self._learned[number] += 1
        if evicts:
            self._evicted[number] += 1

    def _place_for(self, located: Located, since: int) -> tuple[int, bool]:
        """The place for a new id, and whether an id in use is overwritten there."""
        ways = self._ways
        starts = located.starts
        used = [self._used[start : start + ways].tolist() for start in starts]
        room = [
            vacant(self._tags[start : start + ways].tolist(), times, since)
            for start, times in zip(starts, used, strict=True)
        ]
        which = max(range(len(room)), key=lambda which: len(room[which]))
        if room[which]:
            # Not always the first one: a writer without the lock rarely chooses the same.
            return starts[which] + room[which][located.tag % len(room[which])], False
        oldest, which = min((min(times), which) for which, times in enumerate(used))
        return starts[which] + used[which].index(oldest), True

    def _lock(self, number: int) -> bool:
        """Lock a set against other writers; False if it is not to be had."""
        deadline = None
        while True:
            try:
                fcntl.lockf(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
            except OSError:
                now = time.monotonic()
                deadline = deadline or now + _LOCK_SECONDS
                if now >= deadline:
                    return False
                os.sched_yield()
            else:
                return True
