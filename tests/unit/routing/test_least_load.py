"""The least loaded slot, ties in turn."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from stickyd.routing.least_load import LeastLoad
from tests.support.affinity import OFTEN


class Choice(unittest.TestCase):
    def test_equal_ones_take_turns(self) -> None:
        slots = (1, 2, 4)
        loads = dict.fromkeys(slots, 0)
        least = LeastLoad()
        self.assertEqual([least.choose(slots, loads) for _ in range(7)], [1, 2, 4, 1, 2, 4, 1])
        self.assertEqual(LeastLoad(1).choose(slots, loads), 2)
        self.assertEqual(LeastLoad(5).choose(slots, loads), 4)
        self.assertEqual(least.choose((7,), {7: 3}), 7)

    @OFTEN
    @given(st.lists(st.integers(0, 5), min_size=1, max_size=8), st.integers(0, 40))
    def test_no_slot_gets_more_than_the_least_and_one(self, begin: list[int], more: int) -> None:
        slots = tuple(range(1, len(begin) + 1))
        loads = dict(zip(slots, begin, strict=True))
        least = LeastLoad()
        for _ in range(more):
            slot = least.choose(slots, loads)
            self.assertEqual(loads[slot], min(loads.values()))
            loads[slot] += 1
        self.assertEqual(sum(loads.values()), sum(begin) + more)
