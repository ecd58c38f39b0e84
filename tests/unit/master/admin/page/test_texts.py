"""Numbers as the live page writes them."""

import unittest

from stickyd.master.admin.page import texts


class Texts(unittest.TestCase):
    def test_counts(self) -> None:
        self.assertEqual(texts.count(1234567), "1,234,567")
        self.assertEqual(texts.several(1, "worker"), "1 worker")
        self.assertEqual(texts.several(1000, "worker"), "1,000 workers")

    def test_rates(self) -> None:
        values = (None, 0.0, 0.25, 9.94, 10.4, 12345.6)
        self.assertEqual(
            [texts.rate(value) for value in values], ["–", "0", "0.2", "9.9", "10", "12,346"]
        )

    def test_times(self) -> None:
        self.assertEqual(texts.milliseconds(None), "–")
        self.assertEqual(texts.milliseconds(0.00012), "0.1 ms")
        self.assertEqual(texts.milliseconds(2.5), "2,500 ms")
        ages = (0, 59, 60, 119, 300, 3600, 5400, 86400 * 1.5, 86400 * 10)
        self.assertEqual(
            [texts.age(each) for each in ages],
            ["0 s", "59 s", "1 min 0 s", "1 min 59 s", "5 min", "1 h 0 min", "1 h 30 min",
             "1 d 12 h", "10 d"],
        )  # fmt: skip

    def test_sizes(self) -> None:
        sizes = (0, 999, 1024, 10 << 20, 1536 << 20, 1 << 60)
        self.assertEqual(
            [texts.size(each) for each in sizes],
            ["0 B", "999 B", "1.0 KiB", "10 MiB", "1.5 GiB", "1048576 TiB"],
        )
