"""The table of learned ids (`stickyd.shm.learned_table`) with a clock, as routing asks it."""

import time
from collections.abc import Callable
from mmap import mmap

from stickyd.shm.learned_table import LearnedTable


class SharedIds:
    """Ids that apps have handed out, and the slots that did; shared by all processes.

    :param table: this object closes it.
    :param clock: seconds, of a clock that all processes share.
    """

    def __init__(self, table: LearnedTable, clock: Callable[[], float] = time.monotonic) -> None:
        self.table = table
        self._clock = clock

    @property
    def memory(self) -> mmap:
        """The memory of the table, for the compiled core."""
        return self.table.memory

    def slot_of(self, key: bytes) -> int | None:
        """The slot that handed out an id last, None if it is not known or idle for too long."""
        return self.table.find(key, self._clock())

    def learn(self, key: bytes, slot: int) -> bool:
        """Store that ``slot`` has handed out an id; whether that is news.

        Visible to all processes when this returns.
        """
        now = self._clock()
        if self.table.find(key, now) == slot:
            # Without a lock: many apps repeat the id in every answer.
            return False
        self.table.remember(key, slot, now)
        return True
