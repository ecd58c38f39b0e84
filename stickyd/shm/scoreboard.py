"""The board: what all processes of a daemon know of loads and of placed keys.

One piece of memory (memfd_create(2), its size sealed), made by the master,
inherited by the workers and mapped by all. It holds aligned 64-bit cells; in
the part for loads each cell has one writer, so that no lock is needed there::

    folds, high           master: odd while a row is folded; rows in use are below ``high``
    gone[slot]            master: connections taken by processes that have ended, and those that
                          the master has taken out to put them into other inboxes
    owner[row]            master: the slot that the process of this row serves, 0 for none
    taken[row]            connections the process has taken out of its inbox
    cleared[row]          those, less the requests it is answering now
    placed[slot][row]     connections the process has put into the slot's inbox
    entries[set][way]     established keys (`stickyd.shm.stick_entry`)

A row belongs to one process, not to a slot: row 0 to the master, the others to
workers, which are given one when they start. When a worker has ended, the
master adds its counts to its own and the row is free again. ::

    load(slot) = placed of all rows - gone - cleared of its processes

Whatever happens to a request changes one cell of these: it is placed, it is
answered. That it is taken and begun changes none, so that nobody sees it twice
or not at all in between.

Pages that nobody has looked at do not exist: of the 8.6 MiB of address space a
daemon occupies 56 KiB, 4 KiB for each slot and up to 512 KiB for keys.
"""

import fcntl
import heapq
import mmap
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

from stickyd.shm.scoreboard_row import ScoreboardRow
from stickyd.shm.stick_entry import (
    SETS,
    WAYS,
    age_of,
    find,
    pack,
    slot_of,
    tag_of,
    tick_of,
    way_for,
)
from stickyd.shm.stick_entry import set_of as set_of_key

SLOTS = 512
"""Slots the board has room for."""
ROWS = 2048
"""Processes at a time that the board has room for."""

_FOLDS = 0
_HIGH = 1
_GONE = 8
_OWNER = _GONE + SLOTS
_TAKEN = _OWNER + ROWS
_CLEARED = _TAKEN + ROWS
_PLACED = (_CLEARED + ROWS + 511) // 512 * 512
_ENTRIES = _PLACED + SLOTS * ROWS
_CELLS = _ENTRIES + SETS * WAYS

_READS = 8
"""How often loads are read again because a row was being folded."""
_LOCK_TRIES = 200
"""Attempts at the lock of a set, some 0.3 ms. A process that is stopped with the lock must not
stop all others: they go on without it."""


class Found(NamedTuple):
    """The slot a key stays with, and whether another key was given up to remember it."""

    slot: int
    gave_up: bool


class Scoreboard:
    """The memory, as one process sees it.

    :param descriptor: of the memory; the board owns it.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._map = mmap.mmap(descriptor, _CELLS * 8)
        whole = memoryview(self._map)
        self._cells = whole.cast("q")
        self._entries = whole[_ENTRIES * 8 :].cast("Q")
        # The master's.
        self._free: list[int] = []
        self._next = 1
        self._width = 0

    @classmethod
    def create(cls, slots: int) -> "Scoreboard":
        """A new, empty board; for the master.

        :param slots: the highest slot number; `hand_out` may raise it.
        :raise OSError: if there is no memory for it.
        """
        descriptor = os.memfd_create("stickyd-board", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(descriptor, _CELLS * 8)
            seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
            board = cls(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        board._cells[_HIGH] = 1
        board._width = slots
        return board

    def pack(self) -> dict[str, Any]:
        """Master: what another program in our place needs beside the memory."""
        return {"free": self._free, "next": self._next, "width": self._width}

    @classmethod
    def resume(cls, descriptor: int, packed: dict[str, Any]) -> "Scoreboard":
        """Master: the board of the program before us."""
        board = cls(descriptor)
        board._free = packed["free"]
        board._next = packed["next"]
        board._width = packed["width"]
        return board

    def close(self) -> None:
        """Let go of the memory."""
        self._entries.release()
        self._cells.release()
        self._map.close()
        os.close(self.descriptor)

    # ---- rows

    def row(self, number: int) -> ScoreboardRow:
        """The row with this number, for the process that it belongs to."""
        placed = _PLACED + number - ROWS
        return ScoreboardRow(self._cells, number, _TAKEN + number, _CLEARED + number, placed, ROWS)

    def hand_out(self, slot: int) -> int:
        """Master: the number of a free row, for a new process of ``slot``.

        :raise RuntimeError: if ``ROWS`` processes are alive.
        """
        if self._free:
            number = heapq.heappop(self._free)
        elif self._next < ROWS:
            number = self._next
            self._next += 1
        else:
            raise RuntimeError(f"more than {ROWS - 1} workers at a time")
        self._width = max(self._width, slot)
        self._cells[_OWNER + number] = slot
        self._cells[_HIGH] = max(self._cells[_HIGH], number + 1)
        return number

    def fold(self, number: int) -> None:
        """Master: the process of this row has ended. Keep its counts, free its row."""
        cells = self._cells
        cells[_FOLDS] += 1
        for cell in range(_PLACED + number, _PLACED + self._width * ROWS, ROWS):
            cells[cell - number] += cells[cell]
            cells[cell] = 0
        cells[_GONE + cells[_OWNER + number] - 1] += cells[_TAKEN + number]
        cells[_TAKEN + number] = cells[_CLEARED + number] = cells[_OWNER + number] = 0
        heapq.heappush(self._free, number)
        high = cells[_HIGH]
        while high > 1 and not cells[_OWNER + high - 1]:
            high -= 1
        cells[_HIGH] = high
        cells[_FOLDS] += 1

    def requeued(self, slot: int) -> None:
        """Master: a connection has been taken out of the slot's inbox, for another one."""
        self._cells[_GONE + slot - 1] += 1

    def removed(self, slot: int) -> None:
        """Master: the slot's inbox and all its processes are gone, and so is its load."""
        cells = self._cells
        start = _PLACED + (slot - 1) * ROWS
        cells[_GONE + slot - 1] = sum(cells[start : start + cells[_HIGH]])

    # ---- loads

    def loads(self, slots: Sequence[int]) -> dict[int, int]:
        """The load of each slot: what waits in its inbox, and what is being answered.

        Cells are read while others write them; since what is cleared is read
        first, no request is missed.
        """
        cells = self._cells
        loads: dict[int, int] = {}
        for _ in range(_READS):
            folds, high = cells[_FOLDS], cells[_HIGH]
            loads = {slot: -cells[_GONE + slot - 1] for slot in slots}
            owners = cells[_OWNER : _OWNER + high].tolist()
            cleared = cells[_CLEARED : _CLEARED + high].tolist()
            for owner, count in zip(owners, cleared, strict=True):
                if owner in loads:
                    loads[owner] -= count
            for slot in slots:
                start = _PLACED + (slot - 1) * ROWS
                loads[slot] += sum(cells[start : start + high])
            if folds == cells[_FOLDS] and not folds & 1:
                break
        return {slot: max(0, load) for slot, load in loads.items()}

    def flow(self, slot: int) -> tuple[int, int]:
        """What has been put into the slot's inbox, and what has been taken out of it."""
        cells = self._cells
        high = cells[_HIGH]
        taken = cells[_GONE + slot - 1] + sum(cells[_TAKEN + row] for row in self._of(slot))
        start = _PLACED + (slot - 1) * ROWS
        return sum(cells[start : start + high]), taken

    def settles(self, row: int, slot: int) -> bool:
        """Whether of all processes of the slot the one of this row corrects its counts."""
        return row == min(self._of(slot), default=None)

    def _of(self, slot: int) -> list[int]:
        owners = self._cells[_OWNER : _OWNER + self._cells[_HIGH]].tolist()
        return [row for row, owner in enumerate(owners) if owner == slot]

    # ---- established keys

    def recall(self, digest: int, seconds: float) -> int | None:
        """The slot a key stays with, or None if it is not remembered. It is seen by that.

        Takes no lock: an entry is one cell, which is read and written whole.

        :param seconds: the time, of a clock that all processes share.
        """
        start = set_of_key(digest) * WAYS
        entries = self._entries[start : start + WAYS].tolist()
        tag = tag_of(digest)
        way = find(entries, tag)
        if way is None:
            return None
        entry = entries[way]
        now = tick_of(seconds)
        if age_of(entry, now):
            locked = self._lock(start)
            # Meanwhile it may have been given up for another key.
            if self._entries[start + way] == entry:
                self._entries[start + way] = pack(tag, slot_of(entry), now)
            if locked:
                self._unlock(start)
        return slot_of(entry)

    def establish(self, digest: int, slot: int, slots: frozenset[int], seconds: float) -> Found:
        """Remember that a key has been placed at ``slot``, unless another process was faster.

        An entry whose slot is none of ``slots`` is overwritten.

        :return: the slot it stays with.
        """
        start = set_of_key(digest) * WAYS
        tag = tag_of(digest)
        now = tick_of(seconds)
        locked = self._lock(start)
        try:
            entries = self._entries[start : start + WAYS].tolist()
            way = find(entries, tag)
            if way is not None and slot_of(entries[way]) in slots:
                return Found(slot_of(entries[way]), False)
            gave_up = False
            if way is None:
                way = way_for(entries, tag, now)
                gave_up = entries[way] != 0
            self._entries[start + way] = pack(tag, slot, now)
            return Found(slot, gave_up)
        finally:
            if locked:
                self._unlock(start)

    def _lock(self, start: int) -> bool:
        """Lock a set against other processes (fcntl_locking(2)); ends with the process as well."""
        for _ in range(_LOCK_TRIES):
            try:
                fcntl.lockf(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, WAYS * 8, start * 8)
            except OSError:
                os.sched_yield()
            else:
                return True
        return False

    def _unlock(self, start: int) -> None:
        fcntl.lockf(self.descriptor, fcntl.LOCK_UN, WAYS * 8, start * 8)
