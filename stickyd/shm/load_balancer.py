"""Bounded loads: the step after `Policy.place` that keeps slots below their bound.

Used by the master for new connections and by workers between two requests. The
decisions are those of `stickyd.routing.bounded_loads`, on the loads of the scoreboard;
see docs/balance.md.
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
"""Least time that a view of the loads is used."""
VIEW_SECONDS_A_CELL = 0.5e-6
"""Additional time for each cell that a view reads, one for each slot and process: reading takes
some 25 ns a cell, so that it costs a process at most 5 % of its time."""


class LoadBalancer:
    """The bounded choice of one process.

    :param percent: bound on the load of a slot, as a percentage of the average; 101 or more.
    :param row: this process's row of the scoreboard.
    :param counters: of this process; counts displaced and evicted keys.
    :param clock: seconds, of a clock that all processes share.
    """

    def __init__(
        self,
        table: SlotTable,
        percent: int,
        scoreboard: Scoreboard,
        row: ScoreboardRow,
        counters: MasterCounters | WorkerCounters,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.row = row
        self._table = table
        self._slots = frozenset(table.slots)
        self._percent = percent
        self._scoreboard = scoreboard
        self._counters = counters
        self._clock = clock
        self._loads = dict.fromkeys(table.slots, 0)
        self._total = 0
        self._stale_at = -math.inf
        self._view_seconds = VIEW_SECONDS + VIEW_SECONDS_A_CELL * len(self._slots) ** 2
        self._flow: tuple[int, int] | None = None

    def take_table(self, table: Table) -> None:
        """Use another slot table."""
        assert isinstance(table, SlotTable)
        self._table = table
        self._slots = frozenset(table.slots)
        self._view_seconds = VIEW_SECONDS + VIEW_SECONDS_A_CELL * len(self._slots) ** 2
        self._stale_at = -math.inf

    # ---- placing

    def place(self, placement: Placement, turn: int | None = None) -> Placement:
        """Where a request goes: as decided, displaced, or where its key stays.

        The caller must act on it: the request is counted in this process's view of the loads.

        :param turn: counts requests; a request without a key goes to the first slot below
            the bound, starting with the one of this turn. None to leave it as it is.
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
        """Where the key stays, if the stick table has it; for a request that is not placed anew."""
        key, first = placement.key, placement.slot
        if key is None or key.slot is not None:
            return placement
        digest = self._table.digest_of(key.text.encode("utf-8", "surrogateescape"))
        slot = self._scoreboard.stick_table.recall(digest, self._clock())
        return placement._replace(slot=slot) if slot in self._slots and slot != first else placement

    def _slot_of(self, text: str, first: int) -> int:
        now = self._clock()
        digest = self._table.digest_of(text.encode("utf-8", "surrogateescape"))
        known = self._scoreboard.stick_table.recall(digest, now)
        if known is not None and known in self._slots:
            return known
        chosen = self._below(preference(self._table, digest >> 48, first))
        slot, evicted = self._scoreboard.stick_table.establish(digest, chosen, self._slots, now)
        counters = self._counters
        counters.forgotten += evicted
        # A slot that another process chose meanwhile is counted by that process.
        counters.displaced += slot == chosen != first
        return slot

    def _below(self, order: Iterable[int]) -> int:
        now = self._clock()
        if now >= self._stale_at:
            self._loads = self._scoreboard.loads(self._table.slots)
            self._total = sum(self._loads.values())
            self._stale_at = now + self._view_seconds
        return first_below(order, self._loads, bound(self._total, self._percent, len(self._slots)))

    # ---- keeping count

    def settle(self, slot: int, empty: bool) -> None:
        """Correct counts that processes killed between two writes have left wrong.

        To be called by the worker of ``slot`` about every second. If its inbox is empty
        and was at the last call, and nothing has been put in or taken out in between,
        both counts are of the same connections.

        :param empty: whether the inbox is empty now.
        """
        flow = self._scoreboard.flow(slot) if empty else None
        if (
            flow is not None
            and flow == self._flow
            and self._scoreboard.settles(self.row.number, slot)
        ):
            put, taken = flow
            if put != taken:
                self.row.correct(put - taken)
                flow = None
        self._flow = flow
