"""The clock of frames: since when, also where it starts again."""

import unittest
from unittest.mock import patch

from stickyd.ipc import queue_clock


class Clock(unittest.TestCase):
    def at(self, microseconds: int) -> None:
        patched = patch.object(queue_clock, "monotonic_ns", lambda: microseconds * 1000)
        patched.start()
        self.addCleanup(patched.stop)

    def test_seconds_since(self) -> None:
        self.at(7_000_000)
        self.assertEqual(queue_clock.now(), 7_000_000)
        self.assertEqual(queue_clock.since(4_500_000), 2.5)

    def test_it_starts_again_after_71_minutes(self) -> None:
        self.at(2**32 + 1_000_000)
        self.assertEqual(queue_clock.now(), 1_000_000)
        self.assertEqual(queue_clock.since(2**32 - 1_000_000), 2.0)

    def test_it_is_never_0(self) -> None:
        """Which means that a frame has no time."""
        self.at(2**32)
        self.assertEqual(queue_clock.now(), 1)
