"""File descriptors for connections."""

import unittest

from stickyd.net.fd_budget import SHED_MOST, room_under, shed_under


class Budget(unittest.TestCase):
    def test_room_leaves_an_eighth_and_what_workers_need(self) -> None:
        self.assertEqual(room_under(1024, 4), 1024 - 128 - 32 - 32)
        self.assertLess(room_under(64, 4), 1)

    def test_refused_connections_fit_in_what_is_left(self) -> None:
        for limit in (0, 15, 64, 1024, 4096, 2**20):
            self.assertLessEqual(shed_under(limit), min(SHED_MOST, limit // 8))
        self.assertEqual(shed_under(2**20), SHED_MOST)
