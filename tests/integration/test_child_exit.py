"""--child-exit: an app's callable hears of every worker that has ended."""

import os
import signal
import unittest
from pathlib import Path

from tests.integration.test_lifecycle import reload
from tests.integration.test_upgrade import upgrade
from tests.support.daemon import Daemon, wait_for


def start(*options: str, hook: str = "stickyd_exit_hook:exited", workers: int = 1) -> Daemon:
    daemon = Daemon("--child-exit", hook, *options, workers=workers)
    daemon._environment["LIFE"] = daemon.directory.name
    return daemon


def ends(daemon: Daemon) -> list[list[int]]:
    """pid, slot, status, and the pid of the helper that was told."""
    file = Path(daemon.directory.name) / "ends"
    if not file.exists():
        return []
    return [[int(word) for word in line.split()] for line in file.read_text().splitlines()]


class Ends(unittest.TestCase):
    def killed(self, daemon: Daemon) -> int:
        """Kill a worker, and wait for its replacement; its pid."""
        pid = daemon.pids()[1]
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: daemon.pids().get(1, pid) != pid, what="a replacement")
        return pid

    def told(self, daemon: Daemon, count: int) -> list[list[int]]:
        wait_for(lambda: len(ends(daemon)) == count, what=f"{count} ends")
        return ends(daemon)

    def test_however_a_worker_ends(self) -> None:
        with start(workers=2) as daemon:
            pids = daemon.pids()
            killed = self.killed(daemon)
            (end,) = self.told(daemon, 1)
            self.assertEqual(end[:3], [killed, 1, -signal.SIGKILL])
            # The master imports no app: the helper does.
            self.assertNotIn(end[3], [daemon.process.pid, *pids.values()])
            before = daemon.pids()
            reload(daemon)
            reloaded = self.told(daemon, 3)[1:]
            self.assertEqual(
                sorted(each[:3] for each in reloaded),
                sorted([pid, slot, 0] for slot, pid in before.items()),
            )
            last = daemon.pids()
            daemon.stop()
            stopped = ends(daemon)[3:]
            self.assertEqual(
                sorted(each[:3] for each in stopped),
                sorted([pid, slot, 0] for slot, pid in last.items()),
            )

    def test_what_fails_is_logged_and_harmless(self) -> None:
        with start() as daemon:
            (Path(daemon.directory.name) / "fails").touch()
            self.killed(daemon)
            daemon.said("RuntimeError: told to fail")
            self.killed(daemon)
            first, second = self.told(daemon, 2)
            # The same helper: an exception does not end it.
            self.assertEqual(first[3], second[3])
            # (The context expects a log without tracebacks.)
            daemon.stop()
            daemon.log.clear()

    def test_a_helper_that_ends_is_started_again(self) -> None:
        with start() as daemon:
            fault = Path(daemon.directory.name) / "ends-itself"
            fault.touch()
            self.killed(daemon)
            daemon.said("the process of --child-exit ended with exit code 3")
            fault.unlink()
            pid = self.killed(daemon)
            first, second = self.told(daemon, 2)
            self.assertEqual(second[0], pid)
            self.assertNotEqual(first[3], second[3])

    def test_the_master_is_replaced(self) -> None:
        with start() as daemon:
            upgrade(daemon)
            pid = self.killed(daemon)
            self.assertEqual(self.told(daemon, 1)[0][:3], [pid, 1, -signal.SIGKILL])
            wait_for(lambda: len(daemon.family()) == 3, what="the end of the old helper")

    def test_names_that_are_none(self) -> None:
        for hook, why in (
            ("no_such_module:thing", "cannot load --child-exit no_such_module:thing: Module"),
            ("stickyd_exit_hook:missing", "cannot load --child-exit stickyd_exit_hook:missing"),
            ("stickyd_exit_hook:NOTHING", "--child-exit stickyd_exit_hook:NOTHING is not callable"),
            ("nothing", "'nothing' is not of the form"),
        ):
            with self.subTest(hook):
                daemon = start(hook=hook)
                daemon.start(wait=False)
                self.assertEqual(daemon.wait(), 1)
                (line,) = [line for line in daemon.log if "child-exit" in line]
                self.assertIn(why, line)
                self.assertNotIn("Traceback", "\n".join(daemon.log))
                daemon.directory.cleanup()
