"""What a worker counts, and what it reports to the master once."""

import unittest
from typing import Any

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
    def accounting(self, replace_at: int = 0) -> Accounting:
        self.events = Events()
        self.stats = WorkerStats()
        self.addCleanup(self.stats.close)
        return Accounting(1, self.stats, self.events, WorkerCounters(), replace_at)

    def test_a_replacement_is_requested_once(self) -> None:
        accounting = self.accounting(replace_at=2)
        for _ in range(4):
            accounting.request()
        self.assertEqual(self.events.seen, ["max-requests"])
        self.assertEqual(accounting.report(0, 0)["requests"], 4)

    def test_without_a_number_of_requests_there_is_none(self) -> None:
        accounting = self.accounting()
        accounting.request()
        self.assertEqual(self.events.seen, [])

    def test_the_first_misrouted_request_is_reported(self) -> None:
        accounting = self.accounting()
        for slot in (2, 3):
            accounting.misrouted(Placement(slot, None))
        self.assertEqual(self.events.seen, [(1, 2)])
        self.assertEqual(accounting.report(0, 0)["misrouted"], 2)

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
        accounting.report(5, 2)
        report = accounting.report(3, 4)
        self.assertEqual((report["open"], report["log_dropped"]), (3, 6))
