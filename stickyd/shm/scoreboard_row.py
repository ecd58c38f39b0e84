"""What one process notes on the board (`stickyd.shm.scoreboard`)."""


class SlotCounter:
    """Counts what one process puts into the inbox of one slot.

    :param cell: that nobody else writes.
    """

    __slots__ = ("_cell", "_cells")

    def __init__(self, cells: memoryview, cell: int) -> None:
        self._cells = cells
        self._cell = cell

    def placed(self) -> None:
        """A connection goes into the inbox, or waits for room there."""
        self._cells[self._cell] += 1

    def withdrawn(self) -> None:
        """It did not get in."""
        self._cells[self._cell] -= 1


class ScoreboardRow:
    """The cells that one process writes. One object for each process: it knows what is adopted.

    :param taken: which of the cells counts what it takes, and ``cleared`` what it has answered.
    :param placed: the cell that counts what it puts into slot 0's inbox, if there were one;
        each further slot's is ``stride`` cells on.
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
        """Counts what this process puts into the slot's inbox."""
        return SlotCounter(self._cells, self._placed + slot * self._stride)

    def took(self) -> None:
        """A connection has been taken out of the inbox. The next request that begins came with it.

        Until `adopted` the connection counts as being answered.
        """
        self._cells[self._taken] += 1
        self._adopting = True

    def adopted(self) -> None:
        """What came with the connection has begun, if anything did."""
        if self._adopting:
            self._adopting = False
            self.ended()

    def began(self) -> None:
        """A request is being answered."""
        if self._adopting:
            self._adopting = False
        else:
            self._cells[self._cleared] -= 1

    def ended(self) -> None:
        """It is answered, refused or lost."""
        self._cells[self._cleared] += 1

    def correct(self, count: int) -> None:
        """So many more connections have been taken and cleared than were counted."""
        self._cells[self._taken] += count
        self._cells[self._cleared] += count
