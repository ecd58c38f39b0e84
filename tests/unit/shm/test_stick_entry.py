"""Entries of the stick table: one 64-bit cell each, and which one is replaced."""

import unittest

from hypothesis import given, settings
from hypothesis import strategies as st

from stickyd.shm import stick_entry as established
from tests.support.extent import examples

OFTEN = settings(max_examples=examples(200), deadline=None, derandomize=True)

DIGESTS = st.integers(0, 2**64 - 1)


class Entries(unittest.TestCase):
    @OFTEN
    @given(DIGESTS, st.integers(1, 65535), st.floats(0, 1e9))
    def test_an_entry_is_one_cell_and_tells_everything(
        self, digest: int, slot: int, seconds: float
    ) -> None:
        tick = established.tick_of(seconds)
        entry = established.make_entry(established.tag_of(digest), slot, tick)
        self.assertIn(entry, range(1, 2**64))
        self.assertEqual(established.slot_of(entry), slot)
        self.assertEqual(established.find([0, 0, entry], established.tag_of(digest)), 2)
        self.assertEqual(established.age_of(entry, tick), 0)
        later = established.tick_of(seconds + established.TICK * 3)
        self.assertEqual(established.age_of(entry, later), 3)
        self.assertIn(established.set_of(digest), range(established.SETS))

    def test_the_parts_of_a_digest_do_not_overlap(self) -> None:
        zero = (established.set_of(0), established.tag_of(0), 0)
        for bit in range(64):
            digest = 1 << bit
            parts = (established.set_of(digest), established.tag_of(digest), digest >> 48)
            self.assertLessEqual(sum(a != b for a, b in zip(parts, zero, strict=True)), 1, bit)

    def test_a_tag_of_zero_is_not_found_in_a_free_entry(self) -> None:
        self.assertIsNone(established.find([0] * established.WAYS, 0))
        self.assertEqual(established.find([0, established.make_entry(0, 1, 0)], 0), 1)

    def test_what_is_given_up(self) -> None:
        pack, way_for = established.make_entry, established.way_for
        self.assertEqual(way_for([pack(1, 1, 5), 0, 0], 9, 7), 1)
        self.assertEqual(way_for([pack(1, 1, 5), pack(2, 1, 4), pack(3, 1, 6)], 9, 7), 1)
        # The clock of ticks has gone round since.
        self.assertEqual(way_for([pack(1, 1, 5), pack(2, 1, 65533), pack(3, 1, 6)], 9, 7), 1)
        # Among equals not always the same one.
        equal = [pack(way, 1, 5) for way in range(16)]
        self.assertEqual({way_for(equal, tag, 5) for tag in range(16)}, set(range(16)))
