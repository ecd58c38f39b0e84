"""The cells of the scoreboard that one process writes (`stickyd.shm.scoreboard`)."""


class SlotCounter:
    """Counts the connections that one process puts into the inbox of one slot.

    :param cell: index of the counter, which no other process writes.
    """

    __slots__ = ("_cell", "_cells")

    def __init__(self, cells: memoryview, cell: int) -> None:
        self._cells = cells
        self._cell = cell

    def placed(self) -> None:
        """Count a connection that is put in, or waits for room."""
        self._cells[self._cell] += 1

    def withdrawn(self) -> None:
        """Remove a connection that was not put in."""
        self._cells[self._cell] -= 1


class ScoreboardRow:
    """The row of one process. A process has one such object, which keeps its adoption state.

    :param taken: index of the cell that counts connections taken, ``cleared`` of the one
        that counts those less the requests being answered.
    :param placed: index of the cell for slot 0, which does not exist; the cell of each
        further slot is ``stride`` cells on.
    """

    def __init__(
        self,
        cells: memoryview,
        number: int,
        taken: int,
        cleared: int,
        placed: int,
        stride: int,
    ) -> None:
        self.number = number
        self._cells = cells
        self._taken = taken
        self._cleared = cleared
        self._placed = placed
        self._stride = stride
        self._adopting = False

    def counter(self, slot: int) -> SlotCounter:
        """The counter of what this process puts into the slot's inbox."""
        return SlotCounter(self._cells, self._placed + slot * self._stride)

    def took(self) -> None:
        """Count a connection taken out of the inbox; the next request that begins came with it.

        Until `adopted` the connection counts as a request being answered.
        """
        self._cells[self._taken] += 1
        self._adopting = True

    def adopted(self) -> None:
        """The adoption is complete: a request that came with the connection has begun."""
        if self._adopting:
            self._adopting = False
            self.ended()

    def began(self) -> None:
        """Count a request that begins."""
        if self._adopting:
            self._adopting = False
        else:
            self._cells[self._cleared] -= 1

    def ended(self) -> None:
        """Count a request that is answered, refused or lost."""
        self._cells[self._cleared] += 1

    def correct(self, count: int) -> None:
        """Add ``count`` connections taken and cleared that were not counted."""
        self._cells[self._taken] += count
        self._cells[self._cleared] += count
