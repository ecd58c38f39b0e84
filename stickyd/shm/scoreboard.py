"""The scoreboard: the load of every slot, and the placed keys, for all processes of a daemon.

Memory (`stickyd.shm.memory`) that the master creates and all processes map. It holds
aligned 64-bit cells; in the part for loads each cell has one writer, so that no lock
is needed there::

    folds, high           master: odd while a row is folded; rows in use are below ``high``
    gone[slot]            master: connections taken by processes that have ended, and those that
                          the master has moved to other inboxes
    owner[row]            master: the slot that the process of this row serves, 0 for none
    taken[row]            connections the process has taken out of its inbox
    cleared[row]          those, less the requests it is answering now
    placed[slot][row]     connections the process has put into the slot's inbox
    entries[set][way]     placed keys (`stickyd.shm.stick_table`)

A row belongs to one process, not to a slot: row 0 to the master, the others to workers,
which get one when they start. When a worker has ended, the master adds its counts to its
own and reuses the row. ::

    load(slot) = placed of all rows - gone - cleared of its processes

Each event of a request changes one of these cells: it is placed, it is answered. That it
is taken and begun changes none, so that no reader counts it twice or not at all.

The kernel allocates pages at first use: of the 8.6 MiB of address space a daemon
occupies 56 KiB, 4 KiB for each slot and up to 512 KiB for keys.
"""

import heapq
import mmap
import os
from collections.abc import Sequence
from typing import Any

from stickyd.shm.memory import create_memory
from stickyd.shm.scoreboard_row import ScoreboardRow
from stickyd.shm.stick_entry import SETS, WAYS
from stickyd.shm.stick_table import StickTable

SLOTS = 512
"""Most slots."""
ROWS = 2048
"""Most processes at a time."""

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


class Scoreboard:
    """The memory, as one process sees it.

    :param descriptor: of the memory; this object closes it.
    :ivar stick_table: the placed keys.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._map = mmap.mmap(descriptor, _CELLS * 8)
        whole = memoryview(self._map)
        self._cells = whole.cast("q")
        self.stick_table = StickTable(descriptor, whole[_ENTRIES * 8 :].cast("Q"))
        # For the master: free rows, the next unused row, the highest slot.
        self._free: list[int] = []
        self._next = 1
        self._width = 0

    @classmethod
    def create(cls, slots: int) -> "Scoreboard":
        """An empty scoreboard, for the master.

        :param slots: the highest slot number; `hand_out` may raise it.
        :raise OSError: if there is no memory for it.
        """
        descriptor = create_memory("stickyd-scoreboard", _CELLS * 8)
        try:
            board = cls(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        board._cells[_HIGH] = 1
        board._width = slots
        return board

    def pack(self) -> dict[str, Any]:
        """Master: the state beside the memory, for the program that replaces this one."""
        return {"free": self._free, "next": self._next, "width": self._width}

    @classmethod
    def resume(cls, descriptor: int, packed: dict[str, Any]) -> "Scoreboard":
        """Master: the scoreboard of the previous program."""
        board = cls(descriptor)
        board._free = packed["free"]
        board._next = packed["next"]
        board._width = packed["width"]
        return board

    def close(self) -> None:
        """Unmap the memory and close its descriptor."""
        self.stick_table.close()
        self._cells.release()
        self._map.close()
        os.close(self.descriptor)

    # ---- rows

    def row(self, number: int) -> ScoreboardRow:
        """The row with this number, for the process that owns it."""
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
        """Master: the process of this row has ended; keep its counts and free its row."""
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
        """Master: count a connection that was moved from the slot's inbox to another."""
        self._cells[_GONE + slot - 1] += 1

    def removed(self, slot: int) -> None:
        """Master: the slot and its processes have ended; its load is 0."""
        cells = self._cells
        start = _PLACED + (slot - 1) * ROWS
        cells[_GONE + slot - 1] = sum(cells[start : start + cells[_HIGH]])

    # ---- loads

    def loads(self, slots: Sequence[int]) -> dict[int, int]:
        """The load of each slot: connections in its inbox, and requests being answered.

        Other processes write the cells meanwhile; since ``cleared`` is read first, no
        request is missed.
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
        """Connections put into the slot's inbox so far, and those taken out."""
        cells = self._cells
        high = cells[_HIGH]
        taken = cells[_GONE + slot - 1] + sum(cells[_TAKEN + row] for row in self._of(slot))
        start = _PLACED + (slot - 1) * ROWS
        return sum(cells[start : start + high]), taken

    def settles(self, row: int, slot: int) -> bool:
        """Whether the process of this row is the one that corrects the counts of the slot."""
        return row == min(self._of(slot), default=None)

    def _of(self, slot: int) -> list[int]:
        owners = self._cells[_OWNER : _OWNER + self._cells[_HIGH]].tolist()
        return [row for row, owner in enumerate(owners) if owner == slot]
