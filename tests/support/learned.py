"""A table of learned ids for a test, and other processes that map it."""

import os
import subprocess
import sys
import unittest

from stickyd.shm.learned_table import LearnedTable
from tests.support.daemon import ROOT


class WithLearnedTable(unittest.TestCase):
    def make(self, entries: int, idle: float = 100.0) -> LearnedTable:
        table = LearnedTable.create(entries, idle)
        self.addCleanup(table.close)
        return table

    def again(self, table: LearnedTable) -> LearnedTable:
        """The same table as another process sees it."""
        other = LearnedTable.attach(os.dup(table.fd))
        self.addCleanup(other.close)
        return other

    def other(self, table: LearnedTable, code: str, *arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(table.fd), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=[table.fd],
            cwd=ROOT,
        )

        def end() -> None:
            process.kill()
            process.communicate()

        self.addCleanup(end)
        return process
