"""The most frequent keys, and the number of keys, in bounded memory."""

import random
import unittest
from collections import Counter
from hashlib import blake2b

from stickyd.cli.replay.distinct import DistinctCount
from stickyd.cli.replay.heavy_hitters import HeavyHitters


class Hot(unittest.TestCase):
    def test_exact_while_there_is_room(self) -> None:
        hot = HeavyHitters(room=10)
        for _ in range(3):
            hot.add({f"k{n}": n for n in range(1, 11)})
        self.assertEqual((hot.most(2), hot.error), ([("k10", 30), ("k9", 27)], 0))

    def test_bounds_hold(self) -> None:
        chosen = random.Random(1)
        room, true, hot = 50, Counter[str](), HeavyHitters(room=50)
        for _ in range(200):
            batch = Counter(f"k{int(chosen.paretovariate(0.5)) % 5000}" for _ in range(500))
            true.update(batch)
            hot.add(batch)
        self.assertLessEqual(hot.error, true.total() / (room + 1))
        self.assertGreater(hot.error, 0)
        kept = dict(hot.most(10**6))
        self.assertLessEqual(len(kept), 2 * room)
        for key, count in true.items():
            self.assertLessEqual(kept.get(key, 0), count)
            self.assertGreaterEqual(kept.get(key, 0) + hot.error, count)


class Distinct(unittest.TestCase):
    def test_estimate(self) -> None:
        count = DistinctCount()
        added = 0
        for until in (0, 10, 1000, 30_000, 120_000):
            for number in range(added, until):
                digest = blake2b(b"%d" % number, digest_size=8).digest()
                for _ in range(2):
                    count.add(int.from_bytes(digest, "big"))
            added = until
            self.assertAlmostEqual(count.estimate(), until, delta=0.03 * until)
