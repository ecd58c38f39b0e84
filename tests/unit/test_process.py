"""What a process uses, as the kernel says."""

import os
import subprocess
import sys
import time
import unittest

from stickyd.process import used_by


class Usage(unittest.TestCase):
    def test_a_process_has_memory_time_and_age(self) -> None:
        before = time.monotonic()
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1) as child:
            used = used_by(child.pid)
            lived = time.monotonic() - before
            assert used is not None
            # The kernel counts in ticks of 10 ms.
            self.assertLessEqual(used.age, lived + 0.02)
            self.assertGreaterEqual(used.memory, 0)
            assert child.stdin is not None
            child.stdin.write(b"\n")
        own = used_by(os.getpid())
        assert own is not None
        self.assertGreater(own.memory, 1 << 20)
        self.assertGreater(own.cpu, 0)
        self.assertGreater(own.age, used.age)

    def test_there_is_none(self) -> None:
        self.assertIsNone(used_by(2**31 - 1))
