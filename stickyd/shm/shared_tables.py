"""What all processes of a daemon share to decide by, beside the connection table."""

import os
from typing import Any

import attrs

from stickyd.shm.learned_table import LearnedTable
from stickyd.shm.scoreboard import Scoreboard
from stickyd.shm.shared_ids import SharedIds


@attrs.frozen(eq=False)
class SharedTables:
    """The tables that the options need, as the master has them.

    :ivar scoreboard: None if no decision depends on loads.
    :ivar learned: None if no ids are learned.
    """

    scoreboard: Scoreboard | None = None
    learned: SharedIds | None = None

    def descriptors(self) -> dict[str, int]:
        """The descriptors of those that there are, by name."""
        found = {}
        if self.scoreboard is not None:
            found["scoreboard"] = self.scoreboard.descriptor
        if self.learned is not None:
            found["learned"] = self.learned.table.fd
        return found

    def pack(self) -> dict[str, Any] | None:
        """The state of the scoreboard beside its memory, for the program that replaces this one."""
        return self.scoreboard.pack() if self.scoreboard is not None else None

    @classmethod
    def resume(
        cls, scoreboard: int | None, packed: dict[str, Any] | None, learned: int | None
    ) -> "SharedTables":
        """The tables of the previous program, by their descriptors.

        A table of learned ids with another layout is given up.
        """
        board = ids = None
        if scoreboard is not None and packed is not None:
            board = Scoreboard.resume(scoreboard, packed)
        if learned is not None:
            try:
                ids = SharedIds(LearnedTable.attach(learned))
            except ValueError:
                os.close(learned)
        return cls(board, ids)

    def close(self) -> None:
        """Unmap the memory and close the descriptors."""
        if self.scoreboard is not None:
            self.scoreboard.close()
        if self.learned is not None:
            self.learned.table.close()
