"""`stickyd.net.process_group`: the end of the processes that a worker leaves behind."""

import signal
import subprocess
import sys
import time
import unittest

from tests.support.daemon import _alive, wait_for

LEADER = """
import errno, os, subprocess, sys
from stickyd.net.process_group import end_own_group
obeys, short, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
code = "import os, signal, sys\\n"
if obeys == "no":
    code += "signal.signal(signal.SIGTERM, signal.SIG_IGN)\\n"
code += "print(os.getpid(), flush=True)\\nsignal.pause()"
children = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in "12"]
print(*(int(child.stdout.readline()) for child in children), flush=True)
if short == "short":
    def no_room(pid):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    os.pidfd_open = no_room
end_own_group(seconds)
print("ended", flush=True)
"""


class OwnGroup(unittest.TestCase):
    def ends(self, obeys: str, short: str, seconds: float) -> tuple[int, str, float]:
        """Status of the leader, what it said last, and the seconds that it took."""
        began = time.monotonic()
        leader = subprocess.run(
            [sys.executable, "-c", LEADER, obeys, short, str(seconds)],
            stdout=subprocess.PIPE,
            text=True,
            process_group=0,
            timeout=60,
            check=False,
        )
        took = time.monotonic() - began
        first, _, last = leader.stdout.partition("\n")
        pids = [int(pid) for pid in first.split()]
        self.assertEqual(len(pids), 2)
        wait_for(lambda: not any(map(_alive, pids)), what="their end")
        return leader.returncode, last.strip(), took

    def test_those_that_obey(self) -> None:
        status, said, took = self.ends("yes", "", 50.0)
        self.assertEqual((status, said), (0, "ended"))
        self.assertLess(took, 50.0)

    def test_those_that_do_not_end_with_the_leader(self) -> None:
        self.assertEqual(self.ends("no", "", 0.2)[:2], (-signal.SIGKILL, ""))

    def test_without_a_descriptor_for_the_wait(self) -> None:
        self.assertEqual(self.ends("yes", "short", 0.2)[:2], (0, "ended"))
        self.assertEqual(self.ends("no", "short", 0.2)[:2], (-signal.SIGKILL, ""))
