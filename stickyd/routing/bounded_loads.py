"""Consistent hashing with bounded loads: which slot may take one more. Pure.

Source: Mirrokni, Thorup and Zadimoghaddam, "Consistent Hashing with Bounded
Loads" (2017). No slot carries more than ``percent / 100`` times the average
load, the request to be placed counted in: a slot may take it if ::

    load(slot) < ceil((total + 1) * percent / (100 * slots))

With ``percent`` above 100 there always is one: if every slot were at the bound,
they would carry more than the total.
"""

from collections.abc import Iterable, Iterator, Mapping

from stickyd.routing.rendezvous import SlotTable

LEAST_PERCENT = 101
MOST_PERCENT = 10_000


def bound(total: int, percent: int, slots: int) -> int:
    """The load that a slot may not exceed once the request is placed.

    :param total: the load of all slots, without that request.
    :param percent: of the average load, 101 or more.
    :param slots: how many slots there are.
    """
    return -(-(total + 1) * percent // (100 * slots))


def first_below(order: Iterable[int], loads: Mapping[int, int], most: int) -> int:
    """The first slot of ``order`` whose load is below ``most``.

    :raise ValueError: if there is none, which `bound` rules out for loads that
        are not negative and whose sum is the total.
    """
    for slot in order:
        if loads[slot] < most:
            return slot
    raise ValueError("every slot is at the bound: is the percentage above 100?")


def preference(table: SlotTable, bucket: int, first: int) -> Iterator[int]:
    """`SlotTable.order` of a bucket whose owner, ``first``, is known; the rest only if needed."""
    yield first
    yield from table.order(bucket)[1:]


def turns(slots: tuple[int, ...], turn: int) -> Iterator[int]:
    """All slots, beginning with the one whose turn it is: the order of a request without a key."""
    at = turn % len(slots)
    yield from slots[at:]
    yield from slots[:at]
