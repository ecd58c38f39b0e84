"""Bounded lookups."""

import unittest

from stickyd.http1.memo import Memo


class Bounded(unittest.TestCase):
    def test_it_returns_what_it_stores(self) -> None:
        memo: Memo[str, int] = Memo(2)
        self.assertIsNone(memo.get("a"))
        self.assertEqual(memo.remember("a", 1), 1)
        self.assertEqual(memo.get("a"), 1)

    def test_it_never_holds_more_than_most(self) -> None:
        memo: Memo[int, int] = Memo(3)
        for number in range(10):
            memo.remember(number, -number)
            self.assertLessEqual(len(memo), 3)
            self.assertEqual(memo[number], -number)
        self.assertEqual(memo, {9: -9})
