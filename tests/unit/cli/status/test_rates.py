"""Rates between two reports."""

import unittest
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from stickyd.cli.status.figures import read
from stickyd.cli.status.rates import Rates, rates
from tests.support.status_reports import ANY_REPORT, OFTEN, counters, report, slot, worker


class Example(unittest.TestCase):
    def test_by_example(self) -> None:
        before = read(
            report(
                slot(1, worker(11, cpu=1.0), totals=counters(requests=10, moved={"2": 1})),
                slot(2, worker(12, cpu=1.0), totals=counters(requests=10)),
                workers={"requests": 20, "moved": {"2": 1}},
            )
        )
        now = read(
            report(
                slot(1, worker(11, cpu=2.0), totals=counters(requests=40, moved={"2": 5})),
                # Killed, and replaced.
                slot(2, worker(13, cpu=0.5), totals=counters(requests=10)),
                slot(3, worker(14), totals=counters(requests=5)),
                workers={"requests": 55, "moved": {"2": 5}},
                master={"cpu": 3.0},
            )
        )
        self.assertEqual(
            rates(before, now, 2.0),
            Rates(17.5, 2.0, {1: (15.0, 2.0), 2: (0, 0), 3: (0, 0)}, {100: 0.5, 11: 0.5}, True),
        )

    def test_there_is_none_without_a_report_before(self) -> None:
        figures = read(report(slot(1, worker(11)), workers={"requests": 5}))
        self.assertEqual(rates(None, figures, 1.0), Rates())
        self.assertEqual(rates(figures, figures, 0.0), Rates())
        # Another daemon.
        fewer = read(report(slot(1, worker(11)), workers={"requests": 4}))
        self.assertEqual(rates(figures, fewer, 1.0), Rates())
        other = read(report(slot(1, worker(11)), workers={"requests": 9}, master={"pid": 101}))
        self.assertEqual(rates(figures, other, 1.0), Rates())


class Any_(unittest.TestCase):
    @OFTEN
    @given(ANY_REPORT, ANY_REPORT, st.floats(0.01, 100))
    def test_no_rate_is_negative(
        self, one: dict[str, Any], other: dict[str, Any], seconds: float
    ) -> None:
        other["master"]["pid"] = one["master"]["pid"]
        found = rates(read(one), read(other), seconds)
        if not found.known:
            self.assertEqual(found, Rates())
            return
        each = [found.requests, found.moved, *found.cpu.values()]
        each += [rate for pair in found.slots.values() for rate in pair]
        self.assertTrue(all(rate is not None and rate >= 0 for rate in each))
