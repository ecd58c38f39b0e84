"""CPU time that does not go back when processes end."""

import json
import os
import subprocess
import sys
import unittest

from stickyd.master.admin.processes import Processes

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
