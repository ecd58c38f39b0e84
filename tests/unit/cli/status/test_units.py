"""Numbers as short texts."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from stickyd.cli.status.units import count, counted, cpu_time, duration, percent, rate, size
from tests.support.status_reports import OFTEN


class Examples(unittest.TestCase):
    def test_sizes(self) -> None:
        for amount, text in (
            *((0, "0"), (900, "900"), (1023, "1K"), (43 << 20, "43M")),
            *((999 << 20, "999M"), (1000 << 20, "1.0G"), (5 << 30, "5.0G"), (20 << 30, "20G")),
            (None, "-"),
        ):
            self.assertEqual(size(amount), text)

    def test_times(self) -> None:
        for seconds, text in (
            *((0, "0s"), (59.9, "59s"), (60, "1m00s"), (3599, "59m59s"), (3600, "1h00m")),
            *((86399, "23h59m"), (86400, "1d00h"), (99 * 86400, "99d00h")),
            *((365 * 86400, "365d"), (None, "-")),
        ):
            self.assertEqual(duration(seconds), text)
        self.assertEqual(
            [cpu_time(s) for s in (0.04, 99.94, 99.95, None)], ["0.0s", "99.9s", "1m39s", "-"]
        )

    def test_rates_and_shares(self) -> None:
        self.assertEqual(
            [rate(r) for r in (0, 0.04, 9.94, 9.95, 1234.5, None)],
            ["0", "0.0", "9.9", "10", "1234", "-"],
        )
        self.assertEqual([percent(s) for s in (0.0, 0.5, 1.996, None)], ["0%", "50%", "200%", "-"])
        self.assertEqual([count(7), count(None)], ["7", "-"])
        self.assertEqual([counted(n, "line") for n in (0, 1, 2)], ["0 lines", "1 line", "2 lines"])


class Lengths(unittest.TestCase):
    @OFTEN
    @given(st.integers(0, 900 << 40))
    def test_a_size_is_short(self, amount: int) -> None:
        self.assertLessEqual(len(size(amount)), 4)

    @OFTEN
    @given(st.floats(0, 9999 * 86400))
    def test_a_time_is_short(self, seconds: float) -> None:
        self.assertLessEqual(len(duration(seconds)), 6)
        self.assertLessEqual(len(cpu_time(seconds)), 6)
