"""Which slot serves a key: pinned numbers, and the properties they must not lose.

The numbers are the contract with other machines, other versions and other
programs that compute a placement: they may never change.
"""

import unittest
from collections import Counter
from functools import cache
from hashlib import blake2b

from hypothesis import given, settings
from hypothesis import strategies as st

from stickyd.routing.rendezvous import BUCKETS, SlotTable, StickySessionTable
from tests.support.extent import examples

OFTEN = settings(max_examples=examples(200), deadline=None, derandomize=True)

# Key, its bucket, and its slot of 2, 4 and 8; all at seed 1.
GOLDEN: list[tuple[str, int, int, int, int]] = [
    ("10.10.10.10", 42664, 1, 4, 5),
    ("10.10.12.11", 23115, 2, 3, 3),
    ("127.0.0.1", 23497, 2, 3, 3),
    ("192.0.2.1", 36537, 2, 4, 4),
    ("203.0.113.7", 14089, 1, 4, 6),
    ("::1", 26217, 2, 2, 8),
    ("2001:db8::1", 35918, 2, 2, 2),
    ("fd00::ffff", 52261, 1, 1, 1),
    ("a", 9055, 1, 4, 4),
    ("", 9618, 2, 2, 5),
    ("alice@example.org", 23674, 1, 1, 1),
    ("gr\u00fc\u00dfe", 6317, 2, 4, 4),
]

SIZES = (2, 4, 8)
MANY = 100_000

# The library's hash of the addresses, as it was seen to compute them.
LIBRARY: list[tuple[int, str, int]] = [
    (1, "10.10.10.10", 421242826),
    (1, "10.10.12.11", 1838370378),
    (1, "10.10.10.1", 1014558338),
    (1, "10.10.12.1", 539636627),
    (1, "127.0.0.1", 218518098),
    (42, "10.10.10.10", 4065087845),
]


def slots(number: int) -> range:
    """Slots are numbered from 1."""
    return range(1, number + 1)


def hashed(data: bytes, seed: int) -> bytes:
    """H of the published definition, written a second time."""
    key = seed.to_bytes(16, "big")
    return blake2b(data, digest_size=8, key=key, person=b"stickyd-1").digest()


def expected_slot(key: bytes, seed: int, among: range) -> int:
    """The slot of the published definition, written a second time."""
    bucket = hashed(key, seed)[:2]
    return max(among, key=lambda slot: hashed(bucket + slot.to_bytes(4, "big"), seed))


@cache
def placed(seed: int, number: int) -> tuple[int, ...]:
    """The slots of many keys."""
    table = SlotTable(seed, slots(number))
    return tuple(table.slot_of(b"key %d" % at) for at in range(MANY))


class Golden(unittest.TestCase):
    """Numbers that hold on every machine."""

    def test_pinned(self) -> None:
        for text, bucket, *owners in GOLDEN:
            key = text.encode()
            for number, owner in zip(SIZES, owners, strict=True):
                table = SlotTable(1, slots(number))
                self.assertEqual(table.bucket_of(key), bucket, text)
                self.assertEqual(table.slot_of(key), owner, (text, number))

    def test_pinned_weights(self) -> None:
        table = SlotTable(1, slots(2))
        self.assertEqual(table.weight(0, 1), 0x1AB9CCC4BFDBBB73)
        self.assertEqual(table.weight(0, 2), 0x1F9B85C284C92D77)

    def test_as_defined(self) -> None:
        for seed in (0, 1, 2, 42, 2**64, 2**128 - 1):
            for number in (1, 2, 3, 8, 64):
                table = SlotTable(seed, slots(number))
                for text, *_ in GOLDEN:
                    key = text.encode()
                    self.assertEqual(
                        table.slot_of(key),
                        expected_slot(key, seed, slots(number)),
                        (seed, number, text),
                    )

    @OFTEN
    @given(st.binary(max_size=200), st.integers(0, 2**128 - 1), st.integers(1, 20))
    def test_as_defined_for_any_key(self, key: bytes, seed: int, number: int) -> None:
        table = SlotTable(seed, slots(number))
        self.assertEqual(table.bucket_of(key), int.from_bytes(hashed(key, seed)[:2], "big"))
        self.assertEqual(table.slot_of(key), expected_slot(key, seed, slots(number)))
        # Asked again, it is answered from memory.
        self.assertEqual(table.slot_of(key), expected_slot(key, seed, slots(number)))

    def test_the_table_of_the_verification(self) -> None:
        table = SlotTable(1, slots(2))
        self.assertEqual(table.slot_of(b"10.10.10.10"), 1)
        self.assertEqual(table.slot_of(b"10.10.12.11"), 2)

    def test_the_version_changes_no_placement(self) -> None:
        old, new = SlotTable(1, slots(8)), SlotTable(1, slots(8), version=7)
        self.assertEqual((old.version, new.version), (1, 7))
        for text, *_ in GOLDEN:
            self.assertEqual(old.slot_of(text.encode()), new.slot_of(text.encode()))

    def test_no_slot_is_no_table(self) -> None:
        for kind in (SlotTable, StickySessionTable):
            with self.assertRaises(ValueError):
                kind(1, [])


class Rendezvous(unittest.TestCase):
    """What highest random weight promises, over a hundred thousand keys."""

    def check_growth(self, number: int) -> None:
        before, after = placed(1, number), placed(1, number + 1)
        moved = [new for old, new in zip(before, after, strict=True) if old != new]
        self.assertEqual(set(moved), {number + 1}, "a key moved between two old slots")
        fair = MANY / (number + 1)
        self.assertAlmostEqual(len(moved), fair, delta=fair * 0.05)

    def test_from_1_to_2(self) -> None:
        self.check_growth(1)

    def test_from_2_to_3(self) -> None:
        self.check_growth(2)

    def test_from_4_to_5(self) -> None:
        self.check_growth(4)

    def test_from_8_to_9(self) -> None:
        self.check_growth(8)

    def test_a_slot_that_leaves_takes_only_its_own_keys(self) -> None:
        table = SlotTable(1, [1, 3, 4])
        for at, owner in enumerate(placed(1, 4)):
            got = table.slot_of(b"key %d" % at)
            if owner != 2:
                self.assertEqual(got, owner)
            else:
                self.assertIn(got, (1, 3, 4))

    def test_even(self) -> None:
        for seed in (1, 2):
            counts = Counter(placed(seed, 8))
            self.assertEqual(set(counts), set(slots(8)))
            for slot, count in counts.items():
                self.assertAlmostEqual(
                    count, MANY / 8, delta=MANY / 8 * 0.05, msg=f"slot {slot} at seed {seed}"
                )

    def test_another_seed_is_another_placement(self) -> None:
        same = sum(a == b for a, b in zip(placed(1, 8), placed(2, 8), strict=True))
        # By chance one key in eight stays.
        self.assertAlmostEqual(same, MANY / 8, delta=MANY / 8 * 0.05)

    def test_the_order_of_the_slots_changes_nothing(self) -> None:
        table = SlotTable(1, [3, 1, 4, 2])
        for at in range(1000):
            self.assertEqual(table.slot_of(b"key %d" % at), placed(1, 4)[at])

    def test_order_is_a_permutation_with_the_owner_first(self) -> None:
        for number in (1, 2, 8):
            table = SlotTable(1, slots(number))
            for at in range(500):
                key = b"key %d" % at
                order = table.order(table.bucket_of(key))
                self.assertEqual(sorted(order), list(slots(number)))
                self.assertEqual(order[0], table.slot_of(key))

    def test_order_names_the_heirs(self) -> None:
        full = SlotTable(1, slots(5))
        for bucket in range(0, BUCKETS, 500):
            order = full.order(bucket)
            for gone in range(1, 5):
                left = SlotTable(1, sorted(order[gone:]))
                self.assertEqual(left.order(bucket), order[gone:], bucket)

    def test_first_and_last_bucket(self) -> None:
        table = SlotTable(1, slots(8))
        for bucket in (0, BUCKETS - 1):
            self.assertEqual(len(table.order(bucket)), 8)
        self.assertEqual(BUCKETS, 2**16)


class StickySession(unittest.TestCase):
    """The numbers of the npm library."""

    def test_check_vectors(self) -> None:
        for seed, text, number in LIBRARY:
            self.assertEqual(StickySessionTable(seed, slots(2)).hash_of(text.encode()), number)

    def test_slot_is_the_hash_modulo_the_number_of_slots(self) -> None:
        for seed, text, number in LIBRARY:
            for among in (slots(1), slots(2), slots(7), [5, 3, 9]):
                table = StickySessionTable(seed, among)
                self.assertEqual(table.slot_of(text.encode()), among[number % len(among)])

    def test_two_true_addresses_share_a_slot(self) -> None:
        """As with the library: the table of the verification needs the other hash."""
        table = StickySessionTable(1, slots(2))
        self.assertEqual(table.slot_of(b"10.10.10.10"), 1)
        self.assertEqual(table.slot_of(b"10.10.12.11"), 1)

    @OFTEN
    @given(st.binary(max_size=60), st.integers(0, 2**128 - 1), st.integers(1, 20))
    def test_any_key_has_a_slot(self, key: bytes, seed: int, number: int) -> None:
        table = StickySessionTable(seed, slots(number))
        self.assertIn(table.hash_of(key), range(2**32))
        self.assertIn(table.slot_of(key), slots(number))

    def test_v6_addresses_of_one_network_spread(self) -> None:
        table = StickySessionTable(1, slots(2))
        counts = Counter(table.slot_of(b"2001:db8::%x" % at) for at in range(1000))
        for slot in slots(2):
            self.assertGreater(counts[slot], 400, counts)
