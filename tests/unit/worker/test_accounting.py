"""What a worker counts, and what it reports to the master once."""

import unittest
from typing import Any

from stickyd.ipc.queue_clock import now
from stickyd.routing.policy import Placement
from stickyd.shm.worker_stats import WorkerStats
from stickyd.stats import WorkerCounters
from stickyd.worker.accounting import Accounting


class Events:
    def __init__(self) -> None:
        self.seen: list[Any] = []

    def misrouted(self, slot: int, placement: Placement) -> None:
        self.seen.append((slot, placement.slot))

    def request_replacement(self, reason: str) -> None:
        self.seen.append(reason)


class Counting(unittest.TestCase):
    def accounting(self, replace_at: int = 0, timed: bool = False) -> Accounting:
        self.events = Events()
        self.stats = WorkerStats()
        self.addCleanup(self.stats.close)
        return Accounting(1, self.stats, self.events, WorkerCounters(), replace_at, timed)

    def test_a_replacement_is_requested_once(self) -> None:
        accounting = self.accounting(replace_at=2)
        for _ in range(4):
            accounting.request(1)
        self.assertEqual(self.events.seen, ["max-requests"])
        self.assertEqual(accounting.counters.requests, 4)

    def test_without_a_number_of_requests_there_is_none(self) -> None:
        accounting = self.accounting()
        accounting.request(1)
        self.assertEqual(self.events.seen, [])

    def test_the_first_misrouted_request_is_reported(self) -> None:
        accounting = self.accounting()
        for slot in (2, 3):
            accounting.misrouted(Placement(slot, None))
        self.assertEqual(self.events.seen, [(1, 2)])
        self.assertEqual(accounting.counters.misrouted, 2)

    def test_a_guarded_connection_is_not_in_the_stats(self) -> None:
        accounting = self.accounting()
        ended: list[bool] = []

        class Entry:
            def end(self) -> None:
                ended.append(True)

        entry: Any = Entry()
        accounting.ended(entry)
        accounting.moved(entry)
        self.assertEqual((ended, self.stats.over()), ([True], 0))
        accounting.ended(None)
        self.assertEqual(self.stats.over(), 1)

    def test_dropped_lines_add_up(self) -> None:
        accounting = self.accounting()
        accounting.note(5, 2)
        accounting.note(3, 4)
        report = accounting.counters.as_json()
        self.assertEqual((report["open"], report["log_dropped"]), (3, 6))

    def test_requests_are_counted_by_source(self) -> None:
        accounting = self.accounting()
        for source in (0, 2, 2):
            accounting.request(source)
        self.assertEqual(accounting.counters.requests_by.as_json(), {"0": 1, "2": 2})

    def test_durations_are_measured_if_somebody_reads_them(self) -> None:
        self.assertEqual(self.accounting().request(0), 0.0)
        accounting = self.accounting(timed=True)
        began = accounting.request(0)
        accounting.answered(began)
        accounting.answered(began - 0.004)
        accounting.answered(began - 3600)
        counters = accounting.counters
        self.assertEqual(sum(counters.durations.values()), 3)
        self.assertEqual(counters.durations.values()[-1], 1)
        self.assertGreater(counters.durations.seconds, 3600)
        self.assertLess(counters.durations.seconds, 3610)

    def test_times_in_the_inbox_are_measured_if_somebody_reads_them(self) -> None:
        for timed, expected in ((False, 0), (True, 2)):
            accounting = self.accounting(timed=timed)
            then = now()
            accounting.came_out(then)
            accounting.came_out((then - 20_000_000) % 2**32)
            # A sender that did not tell.
            accounting.came_out(0)
            queued = accounting.counters.queued
            self.assertEqual(sum(queued.values()), expected)
            self.assertEqual(queued.values()[-1], expected // 2)
            self.assertEqual(20 <= queued.seconds < 80, timed)
