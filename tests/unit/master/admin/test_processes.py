"""CPU time that does not go back when processes end."""

import json
import os
import subprocess
import sys
import time
import unittest

from stickyd.master.admin.processes import Processes, use_of

BUSY = """
import time
began = time.process_time()
while time.process_time() - began < 0.1:
    pass
print(flush=True)
input()
"""


class Ended(unittest.TestCase):
    def test_the_time_of_an_ended_process_stays(self) -> None:
        command = [sys.executable, "-c", BUSY]
        processes = Processes()
        with subprocess.Popen(command, stdin=-1, stdout=-1) as child:
            assert child.stdout is not None
            child.stdout.readline()
            seen = {u.slot: u for u in processes.look([(0, os.getpid()), (1, child.pid)])}
            self.assertGreaterEqual(seen[1].cpu, 0.09)
            self.assertGreater(seen[1].memory, 1 << 20)
            child.communicate(b"\n")
        again = Processes()
        again.resume(json.loads(json.dumps(processes.pack())))
        for each in (processes, again):
            for _ in range(2):
                after = {u.slot: u for u in each.look([(0, os.getpid())])}
                self.assertEqual((after[1].cpu, after[1].memory), (seen[1].cpu, 0))
                self.assertGreaterEqual(after[0].cpu, seen[0].cpu)


class One(unittest.TestCase):
    def test_age(self) -> None:
        began = time.monotonic()
        with subprocess.Popen(["cat"], stdin=-1, stdout=-1) as child:
            use = use_of(child.pid)
            assert use is not None
            # The kernel tells the start in hundredths of a second.
            self.assertLessEqual(use.age, time.monotonic() - began + 0.02)
            own = use_of(os.getpid())
            assert own is not None
            self.assertGreater(own.age, 0.0)
            self.assertGreaterEqual(own.age, use.age)
            child.communicate(b"")
        self.assertIsNone(use_of(child.pid))
