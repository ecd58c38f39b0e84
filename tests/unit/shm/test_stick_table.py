"""Placed keys and the slots they stay with, in several processes at once."""

import signal

from stickyd.routing.rendezvous import SlotTable
from stickyd.shm import stick_entry as established
from tests.support.scoreboards import WithBoard

# Establishes keys 0 to 1999 in an order and with slots of its own; prints where each is.
PLACER = """
import random, sys
from stickyd.shm import stick_table
from stickyd.shm.scoreboard import Scoreboard
# A machine that is busy may stop a process that has the lock for as long as it likes.
stick_table._LOCK_TRIES = 10**9
board = Scoreboard(int(sys.argv[1]))
chance = random.Random(int(sys.argv[2]))
numbers = list(range(2000))
sys.stdin.read(1)
chance.shuffle(numbers)
found = {}
for number in numbers:
    digest = number * 0x9E3779B97F4A7C15 % 2**64
    slot = chance.randint(1, 4)
    found[number] = board.stick_table.establish(digest, slot, frozenset(range(1, 5)), 0.0).slot
print(*(found[number] for number in range(2000)))
"""

LOCKER = """
import sys
from stickyd.shm.scoreboard import Scoreboard
board = Scoreboard(int(sys.argv[1]))
assert board.stick_table._lock(0)
print("locked", flush=True)
sys.stdin.read(1)
"""


class Keys(WithBoard):
    def setUp(self) -> None:
        super().setUp()
        self.table = self.board.stick_table

    def test_processes_that_place_the_same_keys_at_once_agree(self) -> None:
        processes = [self.other(PLACER, str(seed)) for seed in range(3)]
        said = []
        for process in processes:
            process.stdin.write("x" * 2)
            process.stdin.flush()
        for process in processes:
            said.append(process.stdout.read().split())
            self.assertEqual(process.wait(), 0)
        self.assertEqual(len(said[0]), 2000)
        self.assertEqual(said[0], said[1])
        self.assertEqual(said[0], said[2])

    def test_a_process_stopped_with_the_lock_stops_nobody(self) -> None:
        process = self.other(LOCKER)
        self.assertEqual(process.stdout.readline(), "locked\n")
        process.send_signal(signal.SIGSTOP)
        self.assertFalse(self.table._lock(0))
        self.assertEqual(self.table.establish(5, 3, frozenset([3]), 0.0), (3, False))
        self.assertEqual(self.table.recall(5, established.TICK * 2), 3)
        # The lock of another set is another lock; and this one ends with its process.
        self.assertTrue(self.table._lock(established.WAYS))
        process.kill()
        process.wait()
        self.assertTrue(self.table._lock(0))

    def test_a_full_set_gives_up_whom_nobody_has_seen_for_longest(self) -> None:
        slots = frozenset([1])
        for tag in range(established.WAYS):
            self.assertFalse(self.table.establish(tag, 1, slots, tag * established.TICK).evicted)
        later = established.WAYS * established.TICK
        self.assertEqual(self.table.recall(0, later), 1)
        self.assertEqual(self.table.establish(99, 1, slots, later), (1, True))
        kept = [self.table.recall(tag, later) for tag in range(established.WAYS)]
        self.assertEqual(kept, [1, None] + [1] * (established.WAYS - 2))

    def test_half_full_it_forgets_hardly_anyone(self) -> None:
        digest_of = SlotTable(3, [1]).digest_of
        digests = [digest_of(b"key %d" % at) for at in range(established.SETS * 8)]
        evicted = sum(self.table.establish(d, 1, frozenset([1]), 0.0).evicted for d in digests)
        self.assertLess(evicted, len(digests) / 400)
        lost = sum(self.table.recall(d, 0.0) is None for d in digests)
        self.assertEqual(lost, evicted)

    def test_an_entry_of_a_slot_that_is_gone_does_not_count(self) -> None:
        self.table.establish(7, 4, frozenset([1, 4]), 0.0)
        self.assertEqual(self.table.establish(7, 1, frozenset([1, 2]), 0.0), (1, False))
        self.assertEqual(self.table.recall(7, 0.0), 1)
