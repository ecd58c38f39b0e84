"""Counters of two moments, compared."""

import unittest

from stickyd.master.admin.page.sample import Change, counts_of
from stickyd.process import Used
from tests.unit.master.admin.page.hostile import sample
from tests.unit.master.admin.test_metrics import facts


class Counts(unittest.TestCase):
    def test_they_are_those_of_the_metrics(self) -> None:
        counts = counts_of(facts())
        self.assertEqual(counts["requests", 1], 8)
        self.assertEqual(counts["requests",], 8)
        self.assertEqual(counts["by source", "xff"], 5)
        self.assertEqual(counts["move", 1, 2], 6)
        self.assertEqual(counts["refused", "a worker", "413"], 1)
        self.assertEqual(counts["refused", "the master", "proxy"], 1)
        self.assertEqual(counts["restarts", "crash"], 2)
        self.assertEqual(counts["answers",], 7)
        self.assertNotIn(("requests", 7), counts)


class Changes(unittest.TestCase):
    def test_rates_need_two_samples_and_some_time(self) -> None:
        new = sample(facts(), 10.0, counts={("requests",): 30})
        old = sample(facts(), 8.0, counts={("requests",): 10})
        self.assertEqual(Change(old, new).rate("requests"), 10.0)
        self.assertIsNone(Change(None, new).rate("requests"))
        self.assertIsNone(Change(new, new).rate("requests"))
        # Those of a daemon that was replaced begin anew.
        self.assertEqual(Change(new, sample(facts(), 12.0, counts={})).rate("requests"), 0)

    def test_cpu(self) -> None:
        old = sample(facts(), 8.0, uses={10: Used(1, 1.0, 5.0)})
        new = sample(facts(), 10.0, uses={10: Used(1, 1.5, 7.0), 11: Used(1, 9.0, 1.0)})
        self.assertEqual(Change(old, new).cpu(10), 25.0)
        # New, gone, or never seen.
        self.assertIsNone(Change(old, new).cpu(11))
        self.assertIsNone(Change(new, old).cpu(11))
        self.assertIsNone(Change(None, new).cpu(10))
