"""What a process tells of the threads that it waits for."""

import subprocess
import sys
import threading
import unittest

from stickyd.worker.runtime.late_threads import late_threads, tell_late_threads
from tests.support.daemon import ROOT

ENDS = """
import threading
from stickyd.worker.runtime.late_threads import tell_late_threads
{before}
tell_late_threads(0.1, print)
"""
WAITS = (
    "wait = threading.Event(); threading.Thread(target=wait.wait, args=(5,), name='kernel').start()"
)
POOL = """
from concurrent.futures import ThreadPoolExecutor
ThreadPoolExecutor(1).submit(int).result()
"""


def told(before: str) -> str:
    """What a process says that ends after ``before``."""
    words = [sys.executable, "-c", ENDS.format(before=before)]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout


class LateThreads(unittest.TestCase):
    def test_a_thread_that_the_process_waits_for_is_told_with_its_place(self) -> None:
        self.assertRegex(told(WAITS), r"^kernel \(threading\.py:\d+\)\n$")

    def test_its_place_is_that_of_the_app_where_it_waits_in_the_standard_library(self) -> None:
        before = "code = compile('wait.wait(5)', '/app/kernel.py', 'exec')"
        before += "; wait = threading.Event()"
        before += "; threading.Thread(target=exec, args=(code, globals()), name='kernel').start()"
        self.assertEqual(told(before), "kernel (kernel.py:1)\n")

    def test_a_process_that_waits_for_none_ends_without_a_word(self) -> None:
        self.assertEqual(told(""), "")

    def test_idle_threads_of_a_pool_end_at_once(self) -> None:
        self.assertEqual(told(POOL), "")

    def test_daemonic_threads_do_not_count(self) -> None:
        go = threading.Event()
        thread = threading.Thread(target=go.wait, name="daemonic", daemon=True)
        thread.start()
        try:
            self.assertNotIn("daemonic", " ".join(late_threads()))
        finally:
            go.set()
            thread.join()

    def test_what_tells_is_daemonic_itself(self) -> None:
        before = set(threading.enumerate())
        tell_late_threads(60.0, print)
        (own,) = set(threading.enumerate()) - before
        self.assertTrue(own.daemon)
