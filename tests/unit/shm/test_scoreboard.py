"""Loads on the scoreboard."""

import fcntl
import mmap
import os
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from stickyd.shm import scoreboard as board_module
from stickyd.shm.scoreboard import Scoreboard
from tests.support.scoreboards import WithBoard

OFTEN = settings(max_examples=50, deadline=None, derandomize=True)


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
