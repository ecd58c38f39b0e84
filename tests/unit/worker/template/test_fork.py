"""Processes forked away: children of the subreaper, whose end it hears of."""

import subprocess
import sys
import unittest

from tests.support.daemon import ROOT

PROGRAM = """
import os, signal, sys, threading
from stickyd.master.template.templates import become_subreaper
from stickyd.worker.template.fork import fork_away, try_fork

become_subreaper()
reading, writing = os.pipe()
template = os.fork()
if not template:
    try_fork()
    pid = fork_away()
    if not pid:
        # A process of its own, with its own locks and threads.
        with threading.Lock():
            os._exit(7 if threading.active_count() == 1 else 1)
    os.write(writing, b"%d" % pid)
    signal.pause()
pid = int(os.read(reading, 20))
os.kill(template, signal.SIGKILL)
print(os.waitpid(template, 0)[1], os.waitpid(pid, 0)[1] >> 8)
try:
    os.waitpid(-1, 0)
except ChildProcessError:
    print("no other")
"""

NO_ROOM = """
import os
from stickyd.worker.template import fork

def fails():
    raise BlockingIOError(11, "Resource temporarily unavailable")

calls = []
real = fork._fork

fork._fork = fails
try:
    fork.fork_away()
except OSError as error:
    print("first:", error)
fork._fork = lambda: real() if not calls and not calls.append(None) else fails()
try:
    fork.fork_away()
except OSError as error:
    print("second:", error)
print(len(os.listdir("/proc/self/fd")))
"""


def run(program: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
        timeout=60,
    )
    return done.stdout.splitlines()


class ForkAway(unittest.TestCase):
    def test_the_subreaper_is_the_parent(self) -> None:
        self.assertEqual(run(PROGRAM), ["9 7", "no other"])

    def test_what_fails_is_raised_here(self) -> None:
        """And leaves no descriptor open: the standard ones, and that of the listing."""
        why = "[Errno 11] Resource temporarily unavailable"
        self.assertEqual(run(NO_ROOM), [f"first: {why}", f"second: {why}", "4"])


if __name__ == "__main__":
    unittest.main()
