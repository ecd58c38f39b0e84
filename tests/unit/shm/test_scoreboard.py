"""The board and the step that rests on it, with real memory and real processes."""

import fcntl
import math
import mmap
import os
import signal
import subprocess
import sys
import unittest
from fractions import Fraction
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from stickyd.routing.affinity import Key
from stickyd.routing.policy import ANYWHERE, Placement
from stickyd.routing.rendezvous import SlotTable
from stickyd.shm import scoreboard as board_module
from stickyd.shm import stick_entry as established
from stickyd.shm.load_balancer import LoadBalancer
from stickyd.shm.scoreboard import Scoreboard
from stickyd.stats import MasterCounters
from tests.support.daemon import ROOT

OFTEN = settings(max_examples=50, deadline=None, derandomize=True)

# Establishes keys 0 to 1999 in an order and with slots of its own; prints where each is.
PLACER = """
import random, sys, time
from stickyd.shm.scoreboard import Scoreboard
board = Scoreboard(int(sys.argv[1]))
chance = random.Random(int(sys.argv[2]))
numbers = list(range(2000))
sys.stdin.read(1)
chance.shuffle(numbers)
found = {}
for number in numbers:
    digest = number * 0x9E3779B97F4A7C15 % 2**64
    found[number] = board.establish(digest, chance.randint(1, 4), frozenset(range(1, 5)), 0.0).slot
print(*(found[number] for number in range(2000)))
"""

LOCKER = """
import sys
from stickyd.shm.scoreboard import Scoreboard
board = Scoreboard(int(sys.argv[1]))
assert board._lock(0)
print("locked", flush=True)
sys.stdin.read(1)
"""


class WithBoard(unittest.TestCase):
    def setUp(self) -> None:
        self.board = Scoreboard.create(8)
        self.addCleanup(self.board.close)
        self.now = 1000.0
        self.counters = MasterCounters()

    def other(self, code: str, *arguments: str) -> subprocess.Popen:
        descriptor = self.board.descriptor
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(descriptor), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=[descriptor],
            cwd=ROOT,
        )

        def end() -> None:
            process.kill()
            process.communicate()

        self.addCleanup(end)
        return process

    def balance(self, slots: int, percent: int = 150, row: int = 0, seed: int = 1) -> LoadBalancer:
        table = SlotTable(seed, range(1, slots + 1))
        return LoadBalancer(
            table, percent, self.board, self.board.row(row), self.counters, lambda: self.now
        )


class Rows(WithBoard):
    def test_the_size_cannot_change(self) -> None:
        for size in (0, 1 << 30):
            with self.assertRaises(PermissionError):
                os.ftruncate(self.board.descriptor, size)
        with self.assertRaises(PermissionError):
            fcntl.fcntl(self.board.descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)

    def test_no_memory_leaves_no_descriptor(self) -> None:
        before = os.listdir("/proc/self/fd")
        with mock.patch.object(mmap, "mmap", side_effect=OSError("none left")):
            with self.assertRaises(OSError):
                Scoreboard.create(8)
        self.assertEqual(os.listdir("/proc/self/fd"), before)

    def test_load_is_what_waits_and_what_is_answered(self) -> None:
        master = self.board.row(0)
        worker = self.board.row(self.board.hand_out(2))
        self.assertEqual(self.board.loads([1, 2]), {1: 0, 2: 0})
        master.counter(2).placed()
        master.counter(2).placed()
        worker.counter(1).placed()
        self.assertEqual(self.board.loads([1, 2]), {1: 1, 2: 2})
        worker.took()
        self.assertEqual(self.board.loads([1, 2]), {1: 1, 2: 2})
        worker.began()
        worker.adopted()
        self.assertEqual(self.board.loads([1, 2]), {1: 1, 2: 2})
        # The next request on that connection.
        worker.began()
        self.assertEqual(self.board.loads([1, 2]), {1: 1, 2: 3})
        worker.ended()
        worker.ended()
        master.counter(2).withdrawn()
        self.assertEqual(self.board.loads([1, 2]), {1: 1, 2: 0})

    def test_a_process_that_ended_leaves_its_counts_but_no_load(self) -> None:
        master = self.board.row(0)
        number = self.board.hand_out(3)
        dead = self.board.row(number)
        for _ in range(5):
            master.counter(3).placed()
        dead.counter(1).placed()
        for _ in range(2):
            dead.took()
            dead.began()
            dead.adopted()
        self.assertEqual(self.board.loads([1, 2, 3]), {1: 1, 2: 0, 3: 5})
        self.board.fold(number)
        # What it was answering is gone; what it had not taken, and what it had sent, is not.
        self.assertEqual(self.board.loads([1, 2, 3]), {1: 1, 2: 0, 3: 3})
        self.assertEqual(self.board.flow(3), (5, 2))
        again = self.board.hand_out(1)
        self.assertEqual(again, number)
        self.assertEqual(self.board.loads([1, 2, 3]), {1: 1, 2: 0, 3: 3})

    def test_several_processes_of_one_slot(self) -> None:
        old, new = self.board.hand_out(1), self.board.hand_out(1)
        for row in (old, new):
            self.board.row(row).began()
        self.assertEqual(self.board.loads([1]), {1: 2})
        self.assertEqual([self.board.settles(row, 1) for row in (old, new)], [True, False])
        self.board.fold(old)
        self.assertEqual(self.board.loads([1]), {1: 1})
        self.assertTrue(self.board.settles(new, 1))

    def test_out_of_rows(self) -> None:
        for _ in range(board_module.ROWS - 1):
            last = self.board.hand_out(512)
        with self.assertRaises(RuntimeError):
            self.board.hand_out(512)
        self.board.row(last).began()
        self.assertEqual(self.board.loads([512]), {512: 1})
        self.board.fold(last)
        self.assertEqual(self.board.hand_out(1), last)

    @OFTEN
    @given(st.data())
    def test_any_life_of_processes(self, data: st.DataObject) -> None:
        """Against plain numbers: inboxes, and what each process is answering."""
        board = Scoreboard.create(8)
        try:
            waiting = {1: 0, 2: 0, 3: 0}
            alive: dict[int, tuple[int, int]] = {}
            rows = {0: board.row(0)}
            for _ in range(data.draw(st.integers(0, 40))):
                deed = data.draw(
                    st.sampled_from(["start", "put", "put", "take", "refuse", "end", "die"])
                )
                row = data.draw(st.sampled_from([0, *alive]))
                slot = data.draw(st.integers(1, 3))
                if deed == "start":
                    row = board.hand_out(slot)
                    alive[row] = (slot, 0)
                    rows[row] = board.row(row)
                elif deed == "put":
                    rows[row].counter(slot).placed()
                    waiting[slot] += 1
                elif row:
                    slot, busy = alive[row]
                    if deed == "take" and waiting[slot]:
                        rows[row].took()
                        rows[row].began()
                        rows[row].adopted()
                        waiting[slot] -= 1
                        alive[row] = (slot, busy + 1)
                    elif deed == "refuse" and waiting[slot]:
                        rows[row].took()
                        rows[row].adopted()
                        waiting[slot] -= 1
                    elif deed == "end" and busy:
                        rows[row].ended()
                        alive[row] = (slot, busy - 1)
                    elif deed == "die":
                        board.fold(row)
                        del alive[row]
                expected = dict(waiting)
                for slot, busy in alive.values():
                    expected[slot] += busy
                self.assertEqual(board.loads([1, 2, 3]), expected)
        finally:
            board.close()


class Keys(WithBoard):
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
        self.assertFalse(self.board._lock(0))
        self.assertEqual(self.board.establish(5, 3, frozenset([3]), 0.0), (3, False))
        self.assertEqual(self.board.recall(5, established.TICK * 2), 3)
        # The lock of another set is another lock; and this one ends with its process.
        self.assertTrue(self.board._lock(established.WAYS))
        process.kill()
        process.wait()
        self.assertTrue(self.board._lock(0))

    def test_a_full_set_gives_up_whom_nobody_has_seen_for_longest(self) -> None:
        slots = frozenset([1])
        for tag in range(established.WAYS):
            self.assertFalse(self.board.establish(tag, 1, slots, tag * established.TICK).gave_up)
        later = established.WAYS * established.TICK
        self.assertEqual(self.board.recall(0, later), 1)
        self.assertEqual(self.board.establish(99, 1, slots, later), (1, True))
        kept = [self.board.recall(tag, later) for tag in range(established.WAYS)]
        self.assertEqual(kept, [1, None] + [1] * (established.WAYS - 2))

    def test_half_full_it_forgets_hardly_anyone(self) -> None:
        digest_of = SlotTable(3, [1]).digest_of
        digests = [digest_of(b"key %d" % at) for at in range(established.SETS * 8)]
        gave_up = sum(self.board.establish(d, 1, frozenset([1]), 0.0).gave_up for d in digests)
        self.assertLess(gave_up, len(digests) / 400)
        lost = sum(self.board.recall(d, 0.0) is None for d in digests)
        self.assertEqual(lost, gave_up)

    def test_an_entry_of_a_slot_that_is_gone_does_not_count(self) -> None:
        self.board.establish(7, 4, frozenset([1, 4]), 0.0)
        self.assertEqual(self.board.establish(7, 1, frozenset([1, 2]), 0.0), (1, False))
        self.assertEqual(self.board.recall(7, 0.0), 1)


def keyed(table: SlotTable, text: str) -> Placement:
    return Placement(table.slot_of(text.encode()), Key("xff", text))


def hot(table: SlotTable, count: int, slot: int = 1) -> list[Placement]:
    """Placements of keys that all hash to one slot."""
    found = (keyed(table, f"key {n}") for n in range(100_000))
    return [p for p, _ in zip((p for p in found if p.slot == slot), range(count), strict=False)]


class Placing(WithBoard):
    @OFTEN
    @given(st.integers(101, 1000), st.integers(1, 8), st.lists(st.integers(0, 30), max_size=80))
    def test_new_keys_stay_below_the_bound_and_known_ones_stay(
        self, percent: int, slots: int, keys: list[int]
    ) -> None:
        """Several processes place; each sees at once what the others have placed."""
        board = Scoreboard.create(8)
        try:
            table = SlotTable(1, range(1, slots + 1))
            everyone = [
                LoadBalancer(table, percent, board, board.row(row), self.counters, lambda: self.now)
                for row in (0, board.hand_out(1), board.hand_out(slots))
            ]
            home: dict[int, int] = {}
            loads = dict.fromkeys(table.slots, 0)
            for total, key in enumerate(keys):
                self.now += 1
                balance = everyone[total % len(everyone)]
                slot = balance.place(keyed(table, f"key {key}")).slot
                most = math.ceil(Fraction(percent * (total + 1), 100 * slots))
                if key in home:
                    self.assertEqual(slot, home[key])
                else:
                    order = table.order(table.bucket_of(b"key %d" % key))
                    expected = next(s for s in order if loads[s] + 1 <= most)
                    self.assertEqual(slot, expected)
                home[key] = slot
                loads[slot] += 1
                balance.row.counter(slot).placed()
        finally:
            board.close()

    def test_own_placements_count_before_the_next_look(self) -> None:
        balance = self.balance(4)
        table = SlotTable(1, range(1, 5))
        # The clock stands still and nothing is written: only the view tells.
        placed = [balance.place(p).slot for p in hot(table, 24)]
        self.assertEqual(placed.count(1), 9)
        self.assertLessEqual(max(placed.count(s) for s in table.slots), 9)
        self.assertEqual(self.counters.displaced, 15)

    def test_other_processes_placements_count_after_the_next_look(self) -> None:
        balance = self.balance(3)
        table = SlotTable(1, [1, 2, 3])
        first, second, third = hot(table, 3)
        self.assertEqual(balance.place(first).slot, 1)
        other = self.board.row(self.board.hand_out(1))
        for slot in (2, 3):
            other.counter(slot).placed()
        self.assertNotEqual(balance.place(second).slot, 1)
        self.now += 0.1
        self.assertEqual(balance.place(third).slot, 1)

    def test_a_displaced_key_comes_back_to_the_same_slot_when_loads_are_even(self) -> None:
        balance = self.balance(3)
        table = SlotTable(1, [1, 2, 3])
        first, second = hot(table, 2)
        counter = balance.row.counter(balance.place(first).slot)
        counter.placed()
        home = table.order(table.bucket_of(second.key.text.encode()))[1]
        self.assertEqual(balance.place(second).slot, home)
        counter.withdrawn()
        self.now += 3600
        self.assertEqual(self.board.loads(table.slots), {1: 0, 2: 0, 3: 0})
        for _ in range(3):
            self.assertEqual(balance.place(second).slot, home)
            self.assertEqual(balance.recall(second).slot, home)
        self.assertEqual(self.counters.displaced, 1)
        # Another process, and one that is asked only where the key is.
        other = self.balance(3, row=self.board.hand_out(1))
        self.assertEqual(other.recall(second).slot, home)
        self.assertEqual(other.place(second).slot, home)

    def test_asking_establishes_nothing(self) -> None:
        balance = self.balance(3)
        (key,) = hot(SlotTable(1, [1, 2, 3]), 1)
        self.assertEqual(balance.recall(key), key)
        self.board.row(0).counter(1).placed()
        self.assertNotEqual(balance.place(key).slot, 1)

    def test_declared_keys_are_never_displaced(self) -> None:
        balance = self.balance(2)
        for n in range(20):
            declared = Placement(1, Key("cookie(sid)", f"text {n}", 1))
            self.assertIs(balance.place(declared), declared)
            self.assertIs(balance.recall(declared), declared)
            balance.row.counter(1).placed()
        # They count, and they are not remembered.
        (new,) = hot(SlotTable(1, [1, 2]), 1)
        self.assertEqual(balance.place(new).slot, 2)
        self.assertEqual(self.counters.displaced, 1)

    def test_without_a_key_it_is_the_next_in_turn_that_is_below(self) -> None:
        balance = self.balance(4, 101)
        self.assertEqual([balance.place(ANYWHERE, turn).slot for turn in range(4)], [1, 2, 3, 4])
        self.board.row(0).counter(2).placed()
        self.now += 1
        self.assertEqual(balance.place(ANYWHERE, 1).slot, 3)
        self.assertIs(balance.place(ANYWHERE), ANYWHERE)
        self.assertEqual(self.counters.displaced, 0)

    def test_an_established_slot_that_is_gone(self) -> None:
        before, after = SlotTable(1, range(1, 5)), SlotTable(1, range(1, 4))
        placed = hot(before, 1, slot=4)[0]
        self.assertEqual(self.balance(4).place(placed).slot, 4)
        again = keyed(after, placed.key.text)
        balance = self.balance(3)
        self.assertEqual(balance.recall(again), again)
        self.assertEqual(balance.place(again), again)
        self.assertEqual(balance.recall(again), again)

    def test_counts_who_is_forgotten(self) -> None:
        balance = self.balance(1)
        with mock.patch.object(SlotTable, "digest_of", lambda self, key: int(key)):
            for n in range(established.WAYS + 3):
                balance.place(Placement(1, Key("xff", str(n))))
        self.assertEqual(self.counters.forgotten, 3)


class Settling(WithBoard):
    def test_drift_is_gone_after_two_looks_at_an_empty_inbox(self) -> None:
        for drift in (1, -1):
            number = self.board.hand_out(1)
            balance = self.balance(2, row=number)
            worker, master = self.board.row(number), self.board.row(0)
            for _ in range(3):
                master.counter(1).placed()
                worker.took()
                worker.adopted()
            # As left by a process that was killed between its two writes.
            counter = master.counter(1)
            (counter.placed if drift > 0 else counter.withdrawn)()
            balance.settle(1, empty=True)
            self.assertEqual(self.board.flow(1)[0] - self.board.flow(1)[1], drift)
            balance.settle(1, empty=True)
            self.assertEqual(self.board.loads([1]), {1: 0})
            put, taken = self.board.flow(1)
            self.assertEqual(put, taken)
            for _ in range(3):
                balance.settle(1, empty=True)
            self.assertEqual(self.board.flow(1), (put, taken))
            self.board.fold(number)

    def test_what_is_on_its_way_is_not_settled(self) -> None:
        number = self.board.hand_out(1)
        balance = self.balance(2, row=number)
        master = self.board.row(0)
        for empty in (True, False, True, False):
            master.counter(1).placed()
            balance.settle(1, empty=empty)
        self.assertEqual(self.board.loads([1]), {1: 4})
        # Every time something has come in between.
        for _ in range(4):
            balance.settle(1, empty=True)
            master.counter(1).placed()
        self.assertEqual(self.board.loads([1]), {1: 8})

    def test_one_of_several_processes_settles(self) -> None:
        rows = [self.board.hand_out(1), self.board.hand_out(1)]
        both = [self.balance(2, row=row) for row in rows]
        self.board.row(0).counter(1).placed()
        for _ in range(3):
            for balance in both:
                balance.settle(1, empty=True)
        self.assertEqual(self.board.flow(1), (1, 1))
