"""Silence of a worker, added up in steps."""

import unittest

from stickyd.master.supervisor.worker_heartbeat import WorkerHeartbeat


class Silence(unittest.TestCase):
    def setUp(self) -> None:
        self.heartbeat = WorkerHeartbeat(100.0)

    def test_time_before_the_last_heartbeat_is_not_silence(self) -> None:
        self.heartbeat.observe(104.5)
        self.heartbeat.elapse(105.0, 5.0)
        self.assertEqual((self.heartbeat.last, self.heartbeat.silent), (104.5, 0.5))

    def test_a_heartbeat_that_was_seen_already_does_not_end_the_silence(self) -> None:
        self.heartbeat.observe(101.0)
        for now in (102.0, 103.0):
            self.heartbeat.observe(101.0)
            self.heartbeat.elapse(now, 1.0)
        self.assertEqual(self.heartbeat.silent, 2.0)
        self.heartbeat.observe(103.5)
        self.assertEqual(self.heartbeat.silent, 0.0)

    def test_the_limit_is_exceeded_once(self) -> None:
        self.heartbeat.elapse(102.0, 2.0)
        self.assertFalse(self.heartbeat.exceeds(0))
        self.assertFalse(self.heartbeat.exceeds(2.0))
        self.assertTrue(self.heartbeat.exceeds(1.5))
        self.assertFalse(self.heartbeat.exceeds(1.5))
        self.assertTrue(self.heartbeat.timed_out)
