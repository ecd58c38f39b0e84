"""Bounded loads and established keys: the decisions, without memory or processes."""

import math
import unittest
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from stickyd.routing.bounded_loads import bound, first_below, preference, turns
from stickyd.routing.rendezvous import SlotTable
from tests.support.extent import examples

OFTEN = settings(max_examples=examples(200), deadline=None, derandomize=True)

PERCENTS = st.integers(101, 10_000)
DIGESTS = st.integers(0, 2**64 - 1)


class Bound(unittest.TestCase):
    @OFTEN
    @given(st.integers(0, 10**12), PERCENTS, st.integers(1, 512))
    def test_as_defined(self, total: int, percent: int, slots: int) -> None:
        average = Fraction(total + 1, slots)
        self.assertEqual(bound(total, percent, slots), math.ceil(Fraction(percent, 100) * average))

    def test_numbers(self) -> None:
        # 24 requests on 4 slots are 6 each; half as many again are 9.
        self.assertEqual(bound(23, 150, 4), 9)
        # However little there is, a slot may take one request, and at first only one.
        self.assertEqual([bound(total, 150, 4) for total in (0, 1, 2, 5)], [1, 1, 2, 3])
        self.assertEqual(bound(0, 101, 512), 1)

    @OFTEN
    @given(st.lists(st.integers(0, 1000), min_size=1, max_size=64), PERCENTS, st.randoms())
    def test_there_is_always_a_slot_and_it_stays_within_the_bound(
        self, carried: list[int], percent: int, chance: object
    ) -> None:
        loads = dict(enumerate(carried, 1))
        order = list(loads)
        chance.shuffle(order)
        most = bound(sum(carried), percent, len(carried))
        slot = first_below(order, loads, most)
        self.assertLessEqual(loads[slot] + 1, most)
        # Those before it in the order had no room.
        for earlier in order[: order.index(slot)]:
            self.assertGreater(loads[earlier] + 1, most)

    @OFTEN
    @given(st.lists(DIGESTS, min_size=1, max_size=200), PERCENTS, st.integers(1, 16))
    def test_no_slot_above_the_bound_when_requests_only_come(
        self, digests: list[int], percent: int, slots: int
    ) -> None:
        table = SlotTable(1, range(1, slots + 1))
        loads = dict.fromkeys(table.slots, 0)
        for total, digest in enumerate(digests):
            order = table.order(digest >> 48)
            loads[first_below(order, loads, bound(total, percent, slots))] += 1
        most = math.ceil(Fraction(percent * len(digests), 100 * slots))
        self.assertLessEqual(max(loads.values()), most)

    def test_loads_that_contradict_the_total(self) -> None:
        with self.assertRaises(ValueError):
            first_below([1, 2], {1: 3, 2: 3}, 3)


class Orders(unittest.TestCase):
    @OFTEN
    @given(st.binary(max_size=40), st.integers(1, 20))
    def test_the_preference_of_a_key_is_its_rendezvous_order(self, key: bytes, slots: int) -> None:
        table = SlotTable(7, range(1, slots + 1))
        bucket = table.digest_of(key) >> 48
        self.assertEqual(bucket, table.bucket_of(key))
        found = list(preference(table, bucket, table.slot_of(key)))
        self.assertEqual(found, table.order(bucket))

    def test_turns(self) -> None:
        self.assertEqual(list(turns((3, 5, 9), 0)), [3, 5, 9])
        self.assertEqual(list(turns((3, 5, 9), 7)), [5, 9, 3])
