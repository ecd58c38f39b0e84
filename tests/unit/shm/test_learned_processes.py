"""Learned ids with several processes, some of which die at any instant."""

import fcntl
import signal
import time
from collections.abc import Callable
from unittest import mock

from stickyd.shm import learned_table
from stickyd.shm.learned_table import LearnedTable
from tests.support.learned import WithLearnedTable

# An id has one of two slots that no other id has; writes and reads in any order.
HAMMER = """
import random, sys, time
from stickyd.shm import learned_table
table = learned_table.LearnedTable.attach(int(sys.argv[1]))
what, seed, learned_table._LOCK_SECONDS = sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
chance = random.Random(seed)
print("there", flush=True)
sys.stdin.read(1)
found = 0
for _ in range(4000):
    number = chance.randrange(150)
    key = b"id %d" % number
    if what == "write":
        table.remember(key, chance.choice((1 + number, 1001 + number)), time.monotonic())
    else:
        slot = table.find(key, time.monotonic())
        if slot is not None:
            found += 1
            assert slot in (1 + number, 1001 + number), (number, slot)
print(found, flush=True)
"""

# Writes as that one does, until it is killed.
ENDLESS = """
import itertools, random, sys, time
from stickyd.shm.learned_table import LearnedTable
table = LearnedTable.attach(int(sys.argv[1]))
chance = random.Random()
for turn in itertools.count():
    number = chance.randrange(150)
    slot = chance.choice((1 + number, 1001 + number))
    table.remember(b"id %d" % number, slot, time.monotonic())
    if turn == 200:
        print("written", flush=True)
"""

# Stores ids of its own.
STORER = """
import sys, time
from stickyd.shm import learned_table
learned_table._LOCK_SECONDS = 60.0
table = learned_table.LearnedTable.attach(int(sys.argv[1]))
number, count = int(sys.argv[2]), int(sys.argv[3])
print("there", flush=True)
sys.stdin.read(1)
for at in range(count):
    table.remember(b"%d of %d" % (at, number), number, time.monotonic())
print("done", flush=True)
sys.stdin.read()
"""

LOCKER = """
import sys
from stickyd.shm.learned_table import LearnedTable
table = LearnedTable.attach(int(sys.argv[1]))
assert table._lock(0)
print("locked", flush=True)
sys.stdin.read(1)
"""


class Killed(BaseException):
    """SIGKILL: nothing of the process runs any more."""


class Fused:
    """Words of a table whose process is killed once ``left`` more of them are stored."""

    def __init__(self, words: memoryview, left: list[int]) -> None:
        self._words = words
        self._left = left

    def __getitem__(self, at: int | slice) -> int | memoryview:
        return self._words[at]

    def __setitem__(self, at: int, value: int) -> None:
        self._words[at] = value
        self._left[0] -= 1
        if not self._left[0]:
            raise Killed

    def release(self) -> None:
        self._words.release()


class Processes(WithLearnedTable):
    def run_together(self, table: LearnedTable, code: str, *each: tuple[object, ...]) -> list[str]:
        """Run processes that begin at the same moment; what each says at its end."""
        processes = [self.other(table, code, *arguments) for arguments in each]
        for process in processes:
            self.assertEqual(process.stdout.readline(), "there\n")
        for process in processes:
            process.stdin.write("x")
            process.stdin.flush()
        return [process.stdout.readline() for process in processes]

    def hammer(self, lock_seconds: float) -> None:
        table = self.make(64)
        said = self.run_together(
            table,
            HAMMER,
            *(("write", seed, lock_seconds) for seed in range(2)),
            *(("read", seed, lock_seconds) for seed in range(2)),
        )
        self.assertEqual(said[:2], ["0\n", "0\n"])
        for found in said[2:]:
            self.assertGreater(int(found), 0)
        self.assertEqual(table.counts().used, 64)

    def test_readers_see_no_wrong_slot_while_two_write(self) -> None:
        self.hammer(60.0)

    def test_nor_if_the_writers_have_no_lock(self) -> None:
        self.hammer(0.0)

    def test_writers_that_are_killed_leave_it_right(self) -> None:
        table = self.make(64)
        for _ in range(6):
            writer = self.other(table, ENDLESS)
            self.assertEqual(writer.stdout.readline(), "written\n")
            writer.kill()
            writer.wait()
            for number in range(150):
                slot = table.find(b"id %d" % number, time.monotonic())
                self.assertIn(slot, (None, 1 + number, 1001 + number))
            for number in range(table.head.sets):
                self.assertTrue(table._lock(number))
                fcntl.lockf(table.fd, fcntl.LOCK_UN, 1, number)
        # No place has been lost.
        for number in range(1000):
            table.remember(b"new %d" % number, 1, time.monotonic())
        self.assertEqual(table.counts().used, 64)
        self.assertEqual(table.find(b"new 999", time.monotonic()), 1)

    def test_writers_of_different_ids_lose_none(self) -> None:
        table = self.make(4096)
        self.run_together(table, STORER, *((number, 700) for number in (1, 2, 3, 4)))
        for number in (1, 2, 3, 4):
            for at in range(700):
                self.assertEqual(table.find(b"%d of %d" % (at, number), 0.0), number)
        self.assertEqual(table.counts(), (4096, 2800, 2800, 0))

    def test_a_process_stopped_with_the_lock_stops_nobody(self) -> None:
        table = self.make(16)
        process = self.other(table, LOCKER)
        self.assertEqual(process.stdout.readline(), "locked\n")
        process.send_signal(signal.SIGSTOP)
        self.assertFalse(table._lock(0))
        table.remember(b"a", 3, 1.0)
        self.assertEqual(table.find(b"a", 1.0), 3)
        process.kill()
        process.wait()
        self.assertTrue(table._lock(0))


class Deaths(WithLearnedTable):
    """A writer is killed after the n-th store, for every n."""

    def each_death(
        self, write: Callable[[LearnedTable], None], prepare: Callable[[LearnedTable], None]
    ) -> list[LearnedTable]:
        """Tables whose writer has died: after the first store, the second, and so on."""
        tables = []
        for stores in range(1, 100):
            table = self.make(4)
            prepare(table)
            dying = self.again(table)
            left = [stores]
            for name in ("_tags", "_marks", "_used", "_learned", "_evicted"):
                setattr(dying, name, Fused(getattr(dying, name), left))
            try:
                write(dying)
            except Killed:
                tables.append(table)
            else:
                return tables
        raise AssertionError("it does not end")

    def full(self, table: LearnedTable) -> None:
        for at in range(4):
            table.remember(b"old %d" % at, 1 + at, float(at))

    def test_of_a_new_id(self) -> None:
        tables = self.each_death(lambda table: table.remember(b"new", 9, 50.0), lambda table: None)
        self.assertEqual(len(tables), 5)
        self.assertEqual([t.find(b"new", 50.0) for t in tables], [None, None, None, 9, 9])
        self.assertEqual([t.counts().used for t in tables], [0, 0, 0, 1, 1])
        for table in tables:
            self.full(table)
            self.assertEqual(table.find(b"old 3", 50.0), 4)

    def test_of_an_id_that_evicts_another(self) -> None:
        tables = self.each_death(lambda table: table.remember(b"new", 9, 50.0), self.full)
        self.assertEqual([t.find(b"new", 50.0) for t in tables], [None, None, None, 9, 9, 9])
        for table in tables:
            kept = [table.find(b"old %d" % at, 50.0) for at in range(4)]
            self.assertEqual(kept, [None, 2, 3, 4])
            # The place is not lost, whenever it was.
            table.remember(b"next", 8, 51.0)
            self.assertEqual(table.find(b"next", 51.0), 8)
            table.remember(b"new", 7, 52.0)
            self.assertEqual(table.find(b"new", 52.0), 7)
            self.assertEqual(table.counts().used, 4)

    def test_of_a_slot_that_changes(self) -> None:
        tables = self.each_death(lambda table: table.remember(b"old 2", 9, 50.0), self.full)
        self.assertEqual(len(tables), 2)
        for table in tables:
            self.assertEqual([table.find(b"old %d" % at, 50.0) for at in range(4)], [1, 2, 9, 4])

    def test_of_a_reader(self) -> None:
        tables = self.each_death(lambda table: table.find(b"old 0", 50.0), self.full)
        self.assertEqual(len(tables), 1)
        for table in tables:
            self.assertEqual([table.find(b"old %d" % at, 51.0) for at in range(4)], [1, 2, 3, 4])

    def test_an_id_that_two_stored_at_once_has_one_place_after_the_next_write(self) -> None:
        table = self.make(16)
        other = self.again(table)
        # Both looked for it before either stored it.
        with mock.patch.object(learned_table.LearnedTable, "_update", return_value=False):
            table.remember(b"twice", 1, 1.0)
            other.remember(b"twice", 2, 1.0)
        self.assertEqual(table.counts().used, 2)
        self.assertEqual(table.find(b"twice", 2.0), other.find(b"twice", 2.0))
        other.remember(b"twice", 3, 3.0)
        self.assertEqual(table.find(b"twice", 3.0), 3)
        self.assertEqual(table.counts().used, 1)
