"""Learned ids in one process, beside a dictionary."""

import os
import random
import unittest

from hypothesis import given, settings
from hypothesis import strategies as st

from stickyd.shm.learned_table import LearnedTable
from stickyd.shm.memory import create_memory
from tests.support.extent import examples
from tests.support.learned import WithLearnedTable

OFTEN = settings(max_examples=examples(200), deadline=None, derandomize=True)

OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["find", "remember"]),
        st.integers(0, 40),
        st.integers(1, 65535),
        st.sampled_from([0.001, 0.5, 3.0, 10.5]),
    ),
    max_size=120,
)


class Tables(WithLearnedTable):
    def test_what_is_remembered_is_found_in_every_process(self) -> None:
        table = self.make(64)
        other = self.again(table)
        self.assertIsNone(table.find(b"a", 1.0))
        table.remember(b"a", 3, 1.0)
        other.remember(b"b", 65535, 1.0)
        for each in (table, other):
            self.assertEqual(each.find(b"a", 2.0), 3)
            self.assertEqual(each.find(b"b", 2.0), 65535)
            self.assertIsNone(each.find(b"c", 2.0))
        other.remember(b"a", 4, 3.0)
        self.assertEqual(table.find(b"a", 3.0), 4)
        self.assertEqual(table.counts(), (64, 2, 2, 0))

    def test_an_id_that_is_used_does_not_become_idle(self) -> None:
        table = self.make(8, idle=10.0)
        table.remember(b"used", 1, 0.0)
        table.remember(b"idle", 2, 0.0)
        self.assertEqual(table.find(b"used", 10.0), 1)
        # A process whose clock was read a little earlier does not make it older.
        self.assertEqual(table.find(b"used", 9.0), 1)
        self.assertEqual(table.find(b"used", 20.0), 1)
        self.assertIsNone(table.find(b"idle", 10.1))
        table.remember(b"idle", 3, 11.0)
        self.assertEqual(table.find(b"idle", 20.0), 3)

    def test_an_idle_id_gives_way_before_one_in_use(self) -> None:
        table = self.make(2, idle=10.0)
        table.remember(b"idle", 1, 0.0)
        table.remember(b"used", 1, 5.0)
        table.remember(b"new", 1, 11.0)
        self.assertEqual(table.find(b"used", 11.0), 1)
        self.assertEqual(table.counts().evicted, 0)

    def test_slots_that_do_not_exist(self) -> None:
        table = self.make(2)
        for slot in (0, -1, 65536):
            with self.assertRaises(ValueError):
                table.remember(b"a", slot, 1.0)
        self.assertEqual(table.counts().used, 0)

    def test_no_text_of_an_id_is_stored(self) -> None:
        table = self.make(64)
        table.remember(b"a very secret session", 1, 1.0)
        stored = os.pread(table.fd, table.head.size, 0)
        self.assertNotIn(b"secret session", stored)

    def test_two_tables_have_different_secrets(self) -> None:
        self.assertNotEqual(self.make(2).head.secret, self.make(2).head.secret)

    def test_nine_tenths_full_it_has_evicted_next_to_nothing(self) -> None:
        table = self.make(8192)
        count = 7350
        for at in range(count):
            table.remember(b"id %d" % at, 1 + at % 7, at * 1e-3)
        evicted = table.counts().evicted
        # Far below one choice's: that evicts 4 % by now.
        self.assertLess(evicted, 20)
        found = [table.find(b"id %d" % at, 20.0) for at in range(count)]
        self.assertEqual(found.count(None), evicted)
        wrong = [at for at, slot in enumerate(found) if slot not in (None, 1 + at % 7)]
        self.assertEqual(wrong, [])

    def test_a_million_ids_of_one_client_evict_whom_nobody_uses(self) -> None:
        table = self.make(256)
        table.remember(b"unused", 1, 0.0)
        table.remember(b"used", 2, 0.0)
        for at in range(2000):
            table.remember(b"%d" % at, 3, at * 1e-3)
            self.assertEqual(table.find(b"used", at * 1e-3), 2)
        self.assertIsNone(table.find(b"unused", 2.0))
        self.assertEqual(table.counts()[:3], (256, 256, 2002))

    def test_memory_that_holds_no_table_is_refused_and_stays_open(self) -> None:
        table = self.make(64)
        head = table.head.pack()
        for name, size, start in (
            ("empty", 0, b""),
            ("zero", 8192, b""),
            ("short", 8192, head),
            ("version", table.head.size, head[:15] + b"\x07" + head[16:]),
        ):
            with self.subTest(name):
                fd = create_memory("test", size)
                self.addCleanup(os.close, fd)
                os.pwrite(fd, start, 0)
                with self.assertRaisesRegex(ValueError, "table of learned ids"):
                    LearnedTable.attach(fd)
                os.fstat(fd)


class Model(unittest.TestCase):
    @OFTEN
    @given(st.integers(1, 31), OPERATIONS)
    def test_one_set_is_the_dictionary_with_the_oldest_evicted_at_the_bound(
        self, entries: int, operations: list[tuple[str, int, int, float]]
    ) -> None:
        idle = 30.0
        table = LearnedTable.create(entries, idle)
        model: dict[int, tuple[float, int]] = {}
        now, evicted = 1000.0, 0
        try:
            for operation, key, slot, pause in operations:
                now += pause
                model = {k: (used, s) for k, (used, s) in model.items() if now - used <= idle}
                if operation == "remember":
                    table.remember(b"%d" % key, slot, now)
                    if key not in model and len(model) == entries:
                        del model[min(model, key=model.__getitem__)]
                        evicted += 1
                    model[key] = now, slot
                else:
                    found = table.find(b"%d" % key, now)
                    self.assertEqual(found, model[key][1] if key in model else None)
                    if key in model:
                        model[key] = now, model[key][1]
            self.assertEqual(table.counts().evicted, evicted)
            self.assertLessEqual(table.counts().used, entries)
            for key, (used, slot) in model.items():
                self.assertEqual(table.find(b"%d" % key, used), slot)
        finally:
            table.close()

    @settings(OFTEN, max_examples=examples(50))
    @given(st.integers(0, 1 << 30), st.integers(32, 200))
    def test_many_sets_evict_only_full_ones_and_never_say_a_wrong_slot(
        self, seed: int, entries: int
    ) -> None:
        chance = random.Random(seed)
        table = LearnedTable.create(entries, 1e6)
        places = table.head.places
        model: dict[int, tuple[int, int]] = {}
        try:
            for now in range(1, 2 * entries):
                key, slot = chance.randrange(2 * entries), chance.randint(1, 65535)
                before = table.counts()
                table.remember(b"%d" % key, slot, float(now))
                after = table.counts()
                if after.evicted > before.evicted:
                    self.assertGreaterEqual(before.used, 2 * table.head.ways)
                    self.assertEqual(after.used, before.used)
                else:
                    self.assertEqual(after.used, before.used + (after.learned > before.learned))
                model[key] = now, slot
                self.assertEqual(table.find(b"%d" % key, float(now)), slot)
            self.assertLessEqual(table.counts().used, places)
            kept, lost = [], []
            for key, (used, slot) in model.items():
                found = table.find(b"%d" % key, float(used))
                self.assertIn(found, (slot, None))
                (lost if found is None else kept).append(used)
            self.assertEqual(len(kept), table.counts().used)
            # The 16 that were used last are in no set the oldest.
            newest = sorted(used for used, _ in model.values())[-table.head.ways :]
            self.assertEqual(set(newest) & set(lost), set())
        finally:
            table.close()
