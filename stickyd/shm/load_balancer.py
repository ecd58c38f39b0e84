"""The step after `Policy.place` that depends on loads: ``least``, and the bound of each slot.

Used by the master for new connections and by workers between two requests. The
decisions are those of `stickyd.routing.least_load` and `stickyd.routing.bounded_loads`, on the
loads of the scoreboard; see docs/balance.md.
"""

import time
from collections.abc import Callable, Iterable

from stickyd.routing.bounded_loads import bound, first_below, preference, turns
from stickyd.routing.least_load import LeastLoad
from stickyd.routing.policy import Placement
from stickyd.routing.rendezvous import SlotTable, Table
from stickyd.shm.load_view import LoadView
from stickyd.shm.scoreboard import Scoreboard
from stickyd.shm.scoreboard_row import ScoreboardRow
from stickyd.stats import MasterCounters, WorkerCounters


class LoadBalancer:
    """The choice of one process by loads.

    :param percent: bound on the load of a slot, as a percentage of the average; 101 or more,
        or 0 for no bound: then only requests that ``least`` decides are placed here.
    :param row: this process's row of the scoreboard.
    :param counters: of this process; counts displaced and evicted keys.
    :param clock: seconds, of a clock that all processes share.
    """

    def __init__(
        self,
        table: Table,
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
        self._view = LoadView(table.slots, scoreboard, clock)
        self._least = LeastLoad(row.number)
        self._flow: tuple[int, int] | None = None

    @property
    def bounded(self) -> bool:
        """Whether the load of each slot has a bound."""
        return bool(self._percent)

    def take_table(self, table: Table) -> None:
        """Use another slot table."""
        self._table = table
        self._slots = frozenset(table.slots)
        self._view.take_slots(table.slots)

    # ---- placing

    def place(self, placement: Placement, turn: int | None = None) -> Placement:
        """Where a request goes: as decided, displaced, where its key stays, or the least load.

        The caller must act on it: the request is counted in this process's view of the loads.

        :param turn: counts requests; a request without a key goes to the first slot below
            the bound, starting with the one of this turn. None to leave it as it is.
        """
        slot = self._choose(placement, turn)
        if slot is None:
            return placement
        self._view.add(slot)
        return placement if slot == placement.slot else placement._replace(slot=slot)

    def _choose(self, placement: Placement, turn: int | None) -> int | None:
        key, first = placement.key, placement.slot
        if placement.by_load:
            return self._least.choose(self._table.slots, self._view.loads())
        if not self._percent or (key is not None and key.slot is not None):
            return first
        if key is None or first is None:
            return self._below(turns(self._table.slots, turn)) if turn is not None else None
        return self._slot_of(key.text, first)

    def recall(self, placement: Placement) -> Placement:
        """Where the key stays, if the stick table has it; for a request that is not placed anew."""
        key, first = placement.key, placement.slot
        if key is None or key.slot is not None or not self._percent:
            return placement
        digest = self._hashing().digest_of(key.text.encode("utf-8", "surrogateescape"))
        slot = self._scoreboard.stick_table.recall(digest, self._clock())
        return placement._replace(slot=slot) if slot in self._slots and slot != first else placement

    def _slot_of(self, text: str, first: int) -> int:
        now = self._clock()
        table = self._hashing()
        digest = table.digest_of(text.encode("utf-8", "surrogateescape"))
        known = self._scoreboard.stick_table.recall(digest, now)
        if known is not None and known in self._slots:
            return known
        chosen = self._below(preference(table, digest >> 48, first))
        slot, evicted = self._scoreboard.stick_table.establish(digest, chosen, self._slots, now)
        counters = self._counters
        counters.forgotten += evicted
        # A slot that another process chose meanwhile is counted by that process.
        counters.displaced += slot == chosen != first
        return slot

    def _hashing(self) -> SlotTable:
        assert isinstance(self._table, SlotTable), "the options refuse a bound with another hash"
        return self._table

    def _below(self, order: Iterable[int]) -> int:
        loads = self._view.loads()
        return first_below(order, loads, bound(self._view.total, self._percent, len(self._slots)))

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
