"""The load of the slots, as one worker counts it and decides by it (`least`, or a bound)."""

from collections.abc import Callable
from typing import Protocol

from stickyd.ipc.fd_sender import InboxCounter
from stickyd.net.own_descriptors import OwnDescriptors
from stickyd.routing.policy import Placement, Policy
from stickyd.routing.rendezvous import Table
from stickyd.shm.load_balancer import LoadBalancer
from stickyd.shm.scoreboard import Scoreboard
from stickyd.stats import WorkerCounters


class SlotLoad(Protocol):
    """What a worker counts of its connections and requests, and the placement that follows."""

    @property
    def counted(self) -> bool:
        """Whether connections and requests are counted, because decisions depend on loads."""

    @property
    def bounded(self) -> bool:
        """Whether the load of each slot has a bound: every request with a key is looked at."""

    def counter(self, slot: int) -> InboxCounter | None:
        """A counter for what this process puts into the slot's inbox."""

    def took(self) -> None:
        """A connection has been taken out of the inbox."""

    def adopted(self) -> None:
        """The request that came with the connection has begun, if there is one."""

    def began(self) -> None:
        """A request has begun."""

    def ended(self) -> None:
        """A request has been answered, refused or lost."""

    def place(self, placement: Placement) -> Placement:
        """The slot that serves a request, given the placement without regard to loads."""

    def update_slots(self, table: Table) -> None:
        """The set of slots has changed."""

    def settle(self, slot: int, inbox_is_empty: Callable[[], bool]) -> None:
        """Correct the counts; to be called every second (`LoadBalancer.settle`)."""


class UncountedLoad:
    """No decision depends on loads: nothing is counted."""

    counted = bounded = False

    def counter(self, slot: int) -> None:
        """See `SlotLoad`."""

    def took(self) -> None:
        """See `SlotLoad`."""

    def adopted(self) -> None:
        """See `SlotLoad`."""

    def began(self) -> None:
        """See `SlotLoad`."""

    def ended(self) -> None:
        """See `SlotLoad`."""

    def place(self, placement: Placement) -> Placement:
        """See `SlotLoad`."""
        return placement

    def update_slots(self, table: Table) -> None:
        """See `SlotLoad`."""

    def settle(self, slot: int, inbox_is_empty: Callable[[], bool]) -> None:
        """See `SlotLoad`."""


class CountedLoad:
    """Counts are kept on the scoreboard that all processes share.

    :param moves: connections move between slots; otherwise a request of a connection that stays
        is only looked up.
    """

    counted = True

    def __init__(self, balancer: LoadBalancer, *, moves: bool) -> None:
        self._balancer = balancer
        self.bounded = balancer.bounded
        self._row = balancer.row
        self._place = balancer.place if moves else balancer.recall

    def counter(self, slot: int) -> InboxCounter:
        """See `SlotLoad`."""
        return self._row.counter(slot)

    def took(self) -> None:
        """See `SlotLoad`."""
        self._row.took()

    def adopted(self) -> None:
        """See `SlotLoad`."""
        self._row.adopted()

    def began(self) -> None:
        """See `SlotLoad`."""
        self._row.began()

    def ended(self) -> None:
        """See `SlotLoad`."""
        self._row.ended()

    def place(self, placement: Placement) -> Placement:
        """See `SlotLoad`."""
        return self._place(placement)

    def update_slots(self, table: Table) -> None:
        """See `SlotLoad`."""
        self._balancer.take_table(table)

    def settle(self, slot: int, inbox_is_empty: Callable[[], bool]) -> None:
        """See `SlotLoad`."""
        self._balancer.settle(slot, empty=inbox_is_empty())


def counted_load(
    scoreboard: Scoreboard,
    row: int,
    policy: Policy,
    percent: int,
    *,
    moves: bool,
    counters: WorkerCounters,
    own: OwnDescriptors,
) -> CountedLoad:
    """The load of slots where decisions depend on it.

    :param row: number of this process's row of the scoreboard.
    :param percent: of the average load that a slot may carry; 0 for no bound.
    """
    own.keep("the board", scoreboard.descriptor)
    balancer = LoadBalancer(policy.table, percent, scoreboard, scoreboard.row(row), counters)
    return CountedLoad(balancer, moves=moves)
