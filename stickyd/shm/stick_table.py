"""Placed keys and the slots they stay with, in memory that all processes of a daemon map.

A bounded table in the memory of the scoreboard (`stickyd.shm.scoreboard`), with the
entries of `stickyd.shm.stick_entry`. Reading takes no lock; writing locks one set.
"""

import fcntl
import os
from typing import NamedTuple

from stickyd.shm.stick_entry import (
    WAYS,
    age_of,
    find,
    make_entry,
    set_of,
    slot_of,
    tag_of,
    tick_of,
    way_for,
)

_LOCK_TRIES = 200
"""Attempts at the lock of a set, some 0.3 ms. A process that is stopped while it holds the lock
must not stop the others: they continue without it."""


class Found(NamedTuple):
    """The slot a key stays with, and whether another key was evicted for it."""

    slot: int
    evicted: bool


class StickTable:
    """The table, as one process sees it.

    :param descriptor: of the memory; its byte ranges are the locks of the sets.
    :param entries: the entries of all sets, 64 bits each.
    """

    def __init__(self, descriptor: int, entries: memoryview) -> None:
        self._descriptor = descriptor
        self._entries = entries

    def close(self) -> None:
        """Release the view of the memory."""
        self._entries.release()

    def recall(self, digest: int, seconds: float) -> int | None:
        """The slot a key stays with, or None if the table has no entry; updates its last use.

        Takes no lock to read: an entry is one cell, which is read and written whole.

        :param seconds: time of a clock that all processes share.
        """
        start = set_of(digest) * WAYS
        entries = self._entries[start : start + WAYS].tolist()
        tag = tag_of(digest)
        way = find(entries, tag)
        if way is None:
            return None
        entry = entries[way]
        now = tick_of(seconds)
        if age_of(entry, now):
            locked = self._lock(start)
            # Another process may have evicted it.
            if self._entries[start + way] == entry:
                self._entries[start + way] = make_entry(tag, slot_of(entry), now)
            if locked:
                self._unlock(start)
        return slot_of(entry)

    def establish(self, digest: int, slot: int, slots: frozenset[int], seconds: float) -> Found:
        """Store that a key stays with ``slot``, unless another process has stored a slot.

        An entry whose slot is none of ``slots`` is overwritten.

        :return: the slot that the table has for the key.
        """
        start = set_of(digest) * WAYS
        tag = tag_of(digest)
        now = tick_of(seconds)
        locked = self._lock(start)
        try:
            entries = self._entries[start : start + WAYS].tolist()
            way = find(entries, tag)
            if way is not None and slot_of(entries[way]) in slots:
                return Found(slot_of(entries[way]), False)
            evicted = False
            if way is None:
                way = way_for(entries, tag, now)
                evicted = entries[way] != 0
            self._entries[start + way] = make_entry(tag, slot, now)
            return Found(slot, evicted)
        finally:
            if locked:
                self._unlock(start)

    def _lock(self, start: int) -> bool:
        """Lock a set (fcntl_locking(2)); the kernel releases the lock when the process ends."""
        for _ in range(_LOCK_TRIES):
            try:
                fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, WAYS * 8, start * 8)
            except OSError:
                os.sched_yield()
            else:
                return True
        return False

    def _unlock(self, start: int) -> None:
        fcntl.lockf(self._descriptor, fcntl.LOCK_UN, WAYS * 8, start * 8)
