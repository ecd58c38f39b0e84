"""What the soak calls flat."""

import unittest

from tests.slow.soak import STEEPEST, growth, slope


class Flatness(unittest.TestCase):
    def test_slope(self) -> None:
        for values, expected in (
            ([5.0, 5.0, 5.0], 0.0),
            ([0.0, 2.0, 4.0, 6.0], 2.0),
            ([3.0, 2.0, 1.0], -1.0),
            # Up and down again.
            ([1.0, 2.0, 2.0, 1.0], 0.0),
        ):
            with self.subTest(values=values):
                self.assertAlmostEqual(slope(values), expected)

    def test_growth_is_a_part_of_the_mean_in_a_day(self) -> None:
        self.assertAlmostEqual(growth([100.0, 101.0, 102.0]), 24 / 101)
        self.assertAlmostEqual(growth([100.0] * 12), 0.0)
        # A leak of 150 KiB an hour in 30 MiB is no flat memory, half a MiB up and down is.
        leaking = [30 * 2**20 + hour * 150 * 2**10 for hour in range(13)]
        noisy = [30 * 2**20 + hour % 2 * 500 * 2**10 for hour in range(13)]
        self.assertGreater(growth(leaking), STEEPEST)
        self.assertLess(growth(noisy), STEEPEST)
