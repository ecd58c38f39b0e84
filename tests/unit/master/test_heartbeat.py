"""Who has been silent for too long."""

import unittest
from typing import Any

from twisted.internet.task import Clock

from stickyd.master.supervisor.heartbeat import HeartbeatMonitor
from stickyd.master.supervisor.slots import Slots
from stickyd.master.supervisor.worker_process import WorkerProcess
from stickyd.settings import LifecycleSettings, Settings
from stickyd.shm.worker_stats import WorkerStats


class Supervising:
    """Takes no notice of what a worker reports."""

    def misrouted(self, slot: int, named: int, source: str) -> None:
        pass

    def recycle_requested(self, worker: WorkerProcess, reason: str) -> None:
        pass


class Beating(WorkerProcess):
    """A worker without a process: the test gives its heartbeats, and sees its death."""

    pid = 1

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock, 1, Supervising(), WorkerStats())
        self.loaded.callback(None)
        self.killed: list[float] = []

    def beat(self) -> None:
        self.stats.beat(self._reactor.seconds())

    def kill(self, after: float = 0.0, show_stacks: bool = False) -> None:
        self.killed.append(self._reactor.seconds())


class Silence(unittest.TestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        # Not at a whole second, as on any machine.
        self.clock.advance(1000.25)
        slots = Slots(self.clock, 1)
        self.addCleanup(slots.close)
        self.worker = slots[1].serving = Beating(self.clock)
        self.addCleanup(self.worker.stats.close)
        empty: list[Any] = []
        self.monitor = HeartbeatMonitor(
            self.clock,
            Settings(lifecycle=LifecycleSettings(heartbeat_timeout=2)),
            slots,
            empty.append,
        )
        self.monitor.start()
        self.addCleanup(self.monitor.stop)

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds * 1000)):
            self.clock.advance(0.001)

    def test_what_lies_before_the_last_heartbeat_is_no_silence(self) -> None:
        # Each just before a look, and the next a little late.
        self.pass_time(0.99)
        for _ in range(20):
            self.worker.beat()
            self.pass_time(1.3)
            self.worker.beat()
            self.pass_time(0.7)
        self.assertEqual(self.worker.killed, [])

    def test_a_time_in_which_nothing_ran_is_no_silence(self) -> None:
        """The master was stopped and so was the worker; with the whole machine, for instance."""
        self.worker.beat()
        self.clock.advance(60)
        self.assertEqual(self.worker.killed, [])
        # It runs again as the master does.
        self.pass_time(0.9)
        self.worker.beat()
        self.pass_time(1.9)
        self.assertEqual(self.worker.killed, [])
        # And from then on its silence counts.
        self.pass_time(2)
        self.assertEqual(len(self.worker.killed), 1)

    def test_a_worker_that_went_on_while_the_master_was_stopped(self) -> None:
        self.clock.rightNow += 60
        self.worker.beat()
        self.clock.advance(0)
        self.pass_time(1.5)
        self.assertEqual(self.worker.killed, [])

    def test_silence_is_found_within_a_look(self) -> None:
        for offset in (0.01, 0.5, 0.99):
            with self.subTest(offset=offset):
                self.worker.beat()
                self.pass_time(offset)
                self.worker.beat()
                self.worker.heartbeat.timed_out = False
                self.worker.killed.clear()
                last = self.clock.seconds()
                self.pass_time(4)
                [killed] = self.worker.killed
                self.assertGreater(killed - last, 2)
                self.assertLess(killed - last, 3.1)
