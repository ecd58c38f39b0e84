"""Counters by slot: they never go back when workers end, and survive the master's program."""

import json
import os
import unittest

from stickyd.shm.counter_totals import CounterTotals, sum_of
from stickyd.shm.worker_stats import WorkerStats
from stickyd.stats import COUNTER_CELLS, MOVED, REFUSED, REQUESTS, WorkerCounters


def counted(requests: int) -> WorkerCounters:
    counters = WorkerCounters()
    counters.cells[REQUESTS + 2] = requests
    counters.open = counters.upgraded = 3
    return counters


class Totals(unittest.TestCase):
    def test_an_ended_worker_stays_in_the_total(self) -> None:
        totals = CounterTotals()
        alive = [(1, counted(5)), (1, counted(2)), (2, counted(1))]
        before = totals.with_living(alive)
        self.assertEqual((before[1].requests, before[1].open), (7, 6))
        totals.fold(*alive.pop(0))
        after = totals.with_living(alive)
        self.assertEqual((after[1].requests, after[1].open, after[1].upgraded), (7, 3, 3))
        totals.fold(*alive.pop())
        self.assertEqual(totals.with_living(alive)[2].requests, 1)

    def test_looking_changes_nothing(self) -> None:
        totals = CounterTotals()
        totals.fold(1, counted(5))
        for _ in range(3):
            self.assertEqual(totals.with_living([(1, counted(1))])[1].requests, 6)

    def test_the_next_program_continues(self) -> None:
        totals, again = CounterTotals(), CounterTotals()
        totals.fold(7, counted(5))
        again.resume(json.loads(json.dumps(totals.pack())))
        self.assertEqual(again.with_living([])[7].as_json(), totals.with_living([])[7].as_json())
        self.assertEqual(again.with_living([])[7].requests, 5)

    def test_sum(self) -> None:
        self.assertEqual(sum_of([counted(1), counted(2)]).requests, 3)


class Cells(unittest.TestCase):
    def test_no_two_counters_share_a_cell(self) -> None:
        counters = WorkerCounters()
        names = [name for name, value in counters.as_json().items() if value == 0]
        for number, name in enumerate(names, 1):
            if name != "requests":
                setattr(counters, name, number)
        counters.upgraded = 99
        for each in (counters.requests_by, counters.moved, counters.refused):
            self.assertEqual(set(each.values()), {0})
        times = (counters.queued, counters.first_bytes, counters.durations)
        for number, histogram in enumerate(times, 1):
            self.assertEqual(set(histogram.values()), {0})
            for _ in range(number):
                histogram.observe(0.002)
        cells = counters.cells
        cells[REQUESTS], cells[MOVED + 512], cells[REFUSED + 503], cells[COUNTER_CELLS - 1] = (
            1,
            2,
            3,
            4_000_000,
        )
        self.assertEqual(counters.moved.as_json(), {"512": 2})
        self.assertEqual(counters.refused.as_json(), {"503": 3})
        self.assertEqual((counters.requests, counters.durations.seconds), (1, 4.0))
        self.assertEqual([sum(histogram.values()) for histogram in times], [1, 2, 3])
        self.assertEqual((times[0].seconds, times[1].seconds), (0.002, 0.004))
        for number, name in enumerate(names, 1):
            if name != "requests":
                self.assertEqual(getattr(counters, name), number)

    def test_the_master_reads_what_a_killed_worker_has_counted(self) -> None:
        ours = WorkerStats.shared()
        self.addCleanup(ours.close)
        theirs = WorkerStats(os.dup(ours.descriptor))
        theirs.counters.lost += 2
        theirs.counters.moved[3] += 1
        theirs.beat(5.0)
        theirs.close()
        self.assertEqual((ours.counters.lost, ours.counters.moved.as_json()), (2, {"3": 1}))
        self.assertEqual(ours.last_beat(), 5.0)
