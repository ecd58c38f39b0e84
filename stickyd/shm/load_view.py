"""The loads of the slots as one process sees them: a snapshot, and what it has placed since."""

import math
from collections.abc import Callable

from stickyd.shm.scoreboard import Scoreboard

VIEW_SECONDS = 0.0005
"""Least time that a snapshot of the loads is used."""
VIEW_SECONDS_A_CELL = 0.5e-6
"""Additional time for each cell that a snapshot reads, one for each slot and process: reading takes
some 25 ns a cell, so that it costs a process at most 5 % of its time."""


class LoadView:
    """A view of the scoreboard.

    :param clock: seconds, of a clock that all processes share.
    :ivar total: of all loads.
    """

    def __init__(
        self, slots: tuple[int, ...], scoreboard: Scoreboard, clock: Callable[[], float]
    ) -> None:
        self._scoreboard = scoreboard
        self._clock = clock
        self.take_slots(slots)

    def take_slots(self, slots: tuple[int, ...]) -> None:
        """Other slots take part."""
        self.slots = slots
        self._loads = dict.fromkeys(slots, 0)
        self.total = 0
        self._stale_at = -math.inf
        self._seconds = VIEW_SECONDS + VIEW_SECONDS_A_CELL * len(slots) ** 2

    def loads(self) -> dict[int, int]:
        """The load of each slot, from a new snapshot if the last one is too old."""
        now = self._clock()
        if now >= self._stale_at:
            self._loads = self._scoreboard.loads(self.slots)
            self.total = sum(self._loads.values())
            self._stale_at = now + self._seconds
        return self._loads

    def add(self, slot: int) -> None:
        """This process has placed a request: it counts at once."""
        self._loads[slot] += 1
        self.total += 1
