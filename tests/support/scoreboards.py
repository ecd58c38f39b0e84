"""A scoreboard for a test, and other processes that map it."""

import subprocess
import sys
import unittest

from stickyd.routing.rendezvous import SlotTable
from stickyd.shm.load_balancer import LoadBalancer
from stickyd.shm.scoreboard import Scoreboard
from stickyd.stats import MasterCounters
from tests.support.daemon import ROOT


class WithBoard(unittest.TestCase):
    def setUp(self) -> None:
        self.board = Scoreboard.create(8)
        self.addCleanup(self.board.close)
        self.now = 1000.0
        self.counters = MasterCounters()

    def other(self, code: str, *arguments: str) -> subprocess.Popen:
        descriptor = self.board.descriptor
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(descriptor), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=[descriptor],
            cwd=ROOT,
        )

        def end() -> None:
            process.kill()
            process.communicate()

        self.addCleanup(end)
        return process

    def balance(self, slots: int, percent: int = 150, row: int = 0, seed: int = 1) -> LoadBalancer:
        table = SlotTable(seed, range(1, slots + 1))
        return LoadBalancer(
            table, percent, self.board, self.board.row(row), self.counters, lambda: self.now
        )
