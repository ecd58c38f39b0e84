"""The step behind `Policy.place` when slots have a bound: where a request really goes.

Used by the master for arrivals and by workers at the seam between two requests.
Decisions are those of `stickyd.routing.bounded_loads`; what they rest on stands on
the board. docs/balance.md has the whole.
"""

import math
import time
from collections.abc import Callable, Iterable

from stickyd.routing.bounded_loads import bound, first_below, preference, turns
from stickyd.routing.policy import Placement
from stickyd.routing.rendezvous import SlotTable, Table
from stickyd.shm.scoreboard import Scoreboard
from stickyd.shm.scoreboard_row import ScoreboardRow
from stickyd.stats import MasterCounters, WorkerCounters

VIEW_SECONDS = 0.0005
"""How long a view of the loads is used at least."""
VIEW_SECONDS_A_CELL = 0.5e-6
"""And how much longer for each cell that a view reads, one for each slot and process: reading
takes some 25 ns a cell, so that it costs a process at most a twentieth of its time."""


class LoadBalancer:
    """The bounded choice of one process.

    :param percent: of the average load that a slot may carry, 101 or more.
    :param row: this process's row of the board.
    :param counters: of this process; told of displaced and forgotten keys.
    :param clock: seconds, of a clock that all processes share.
    """

    def __init__(
        self,
        table: SlotTable,
        percent: int,
        board: Scoreboard,
        row: ScoreboardRow,
        counters: MasterCounters | WorkerCounters,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.row = row
        self._table = table
        self._slots = frozenset(table.slots)
        self._percent = percent
        self._board = board
        self._counters = counters
        self._clock = clock
        self._loads = dict.fromkeys(table.slots, 0)
        self._total = 0
        self._stale_at = -math.inf
        self._view_seconds = VIEW_SECONDS + VIEW_SECONDS_A_CELL * len(self._slots) ** 2
        self._flow: tuple[int, int] | None = None

    def take_table(self, table: Table) -> None:
        """Other slots take part."""
        assert isinstance(table, SlotTable)
        self._table = table
        self._slots = frozenset(table.slots)
        self._view_seconds = VIEW_SECONDS + VIEW_SECONDS_A_CELL * len(self._slots) ** 2
        self._stale_at = -math.inf

    # ---- placing

    def place(self, placement: Placement, turn: int | None = None) -> Placement:
        """Where a request goes: as decided, displaced, or where its key is established.

        The caller acts on it: it is counted into this process's view of the loads.

        :param turn: counts requests; one without a key goes to the first slot
            below the bound from the one on whose turn it is. None to leave it as it is.
        """
        key, first = placement.key, placement.slot
        if first is None and turn is None:
            return placement
        if key is None or first is None:
            slot = self._below(turns(self._table.slots, turn or 0))
        elif key.slot is not None:
            slot = first
        else:
            slot = self._slot_of(key.text, first)
        self._loads[slot] += 1
        self._total += 1
        return placement if slot == first else placement._replace(slot=slot)

    def recall(self, placement: Placement) -> Placement:
        """Where the key is established, if it is; for a request that is not to be placed."""
        key, first = placement.key, placement.slot
        if key is None or key.slot is not None:
            return placement
        digest = self._table.digest_of(key.text.encode("utf-8", "surrogateescape"))
        slot = self._board.stick_table.recall(digest, self._clock())
        return placement._replace(slot=slot) if slot in self._slots and slot != first else placement

    def _slot_of(self, text: str, first: int) -> int:
        now = self._clock()
        digest = self._table.digest_of(text.encode("utf-8", "surrogateescape"))
        known = self._board.stick_table.recall(digest, now)
        if known is not None and known in self._slots:
            return known
        chosen = self._below(preference(self._table, digest >> 48, first))
        slot, evicted = self._board.stick_table.establish(digest, chosen, self._slots, now)
        counters = self._counters
        counters.forgotten += evicted
        # The slot another process chose meanwhile is counted there.
        counters.displaced += slot == chosen != first
        return slot

    def _below(self, order: Iterable[int]) -> int:
        now = self._clock()
        if now >= self._stale_at:
            self._loads = self._board.loads(self._table.slots)
            self._total = sum(self._loads.values())
            self._stale_at = now + self._view_seconds
        return first_below(order, self._loads, bound(self._total, self._percent, len(self._slots)))

    # ---- keeping count

    def settle(self, slot: int, empty: bool) -> None:
        """Correct what processes that were killed between two writes have left wrong.

        To be called by the worker of ``slot`` about every second. If its inbox
        is empty, and was a second ago, and nothing has been put in or taken out
        since, then both counts are of the same connections.

        :param empty: nothing can be taken out of the inbox now.
        """
        flow = self._board.flow(slot) if empty else None
        if flow is not None and flow == self._flow and self._board.settles(self.row.number, slot):
            put, taken = flow
            if put != taken:
                self.row.correct(put - taken)
                flow = None
        self._flow = flow
