"""Bounded placing of one process on the loads of all."""

import math
from fractions import Fraction
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from stickyd.routing.policy import ANYWHERE, Placement
from stickyd.routing.rendezvous import SlotTable
from stickyd.routing.source import Key
from stickyd.shm import stick_entry as established
from stickyd.shm.load_balancer import LoadBalancer
from stickyd.shm.scoreboard import Scoreboard
from tests.support.scoreboards import WithBoard

OFTEN = settings(max_examples=50, deadline=None, derandomize=True)


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
