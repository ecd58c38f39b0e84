"""Calls spread over some seconds."""

import unittest

from twisted.internet.task import Clock

from stickyd.net.spread import Spread


class Spreads(unittest.TestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.spread = Spread(self.clock)
        self.made: list[tuple[int, float]] = []

    def calls(self, count: int) -> list:
        def call(number: int) -> None:
            self.made.append((number, self.clock.seconds()))

        return [lambda number=number: call(number) for number in range(count)]

    def test_evenly_and_the_first_at_once(self) -> None:
        self.spread.start(self.calls(4), 2.0)
        self.assertEqual(self.made, [(0, 0.0)])
        self.clock.pump([0.25] * 12)
        self.assertEqual(self.made, [(0, 0.0), (1, 0.5), (2, 1.0), (3, 1.5)])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_very_many_are_made_several_at_a_time_and_in_time(self) -> None:
        self.spread.start(self.calls(10_000), 1.0)
        turns = 0
        while self.clock.getDelayedCalls():
            self.clock.advance(0.02)
            turns += 1
        self.assertEqual([number for number, _ in self.made], list(range(10_000)))
        self.assertLess(self.clock.seconds(), 1.03)
        self.assertLess(turns, 60)
        halfway = sum(when <= 0.5 for _, when in self.made)
        self.assertAlmostEqual(halfway, 5000, delta=210)

    def test_at_once_without_seconds(self) -> None:
        self.spread.start(self.calls(3), 0.0)
        self.assertEqual([number for number, _ in self.made], [0, 1, 2])

    def test_started_again_only_the_new_ones_are_made(self) -> None:
        self.spread.start(self.calls(10), 10.0)
        self.spread.start(self.calls(2), 1.0)
        self.clock.pump([0.5] * 20)
        self.assertEqual(self.made, [(0, 0.0), (0, 0.0), (1, 0.5)])

    def test_none_is_made_behind_the_stop(self) -> None:
        self.spread.start([*self.calls(2), self.spread.stop, *self.calls(2)], 5.0)
        self.clock.pump([1.0] * 9)
        self.assertEqual([number for number, _ in self.made], [0, 1])
        self.assertEqual(self.clock.getDelayedCalls(), [])
