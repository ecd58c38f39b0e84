"""What the soak calls flat."""

import unittest

from tests.slow.soak import growth, slope


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
        # A leak of 100 KiB an hour in 30 MiB is no flat memory, noise of as much is.
        leaking = [30 * 2**20 + hour * 100 * 2**10 for hour in range(13)]
        noisy = [30 * 2**20 + hour % 2 * 100 * 2**10 for hour in range(13)]
        self.assertGreater(growth(leaking), 0.05)
        self.assertLess(growth(noisy), 0.05)
