"""--preload: the app is imported once, in a process from which the workers are forked."""

import json
import os
import signal
import subprocess
import sys
import unittest
from pathlib import Path
from typing import Any

from tests.integration.test_child_exit import ends
from tests.integration.test_lifecycle import reload
from tests.integration.test_upgrade import upgrade
from tests.integration.test_verification import BEFORE, MSG1, MSG2, seen
from tests.support.daemon import Daemon, _alive, connected, request, wait_for
from tests.support.daemon import Reader as Answers

ONE, TWO = "10.10.10.10", "10.10.12.11"
"""Clients of slot 1 and of slot 2."""

BALLAST = 32 << 20
KINDS = {
    "--asgi": "stickyd_preload_apps:app",
    "--wsgi": "stickyd_preload_apps:wsgi",
    "--class": "stickyd_preload_apps.Root",
}


def start(*options: str, at_import: str = "", workers: int = 2) -> Daemon:
    daemon = Daemon(*options, workers=workers)
    daemon._environment["LIFE"] = daemon.directory.name
    say(daemon, at_import)
    return daemon


def preloaded(*options: str, at_import: str = "") -> Daemon:
    return start("--preload", *(options or ("--asgi", KINDS["--asgi"])), at_import=at_import)


def say(daemon: Daemon, what: str) -> None:
    """What the app does when it is imported next."""
    (Path(daemon.directory.name) / "at-import").write_text(what)


def imports(daemon: Daemon) -> list[int]:
    """The processes that have imported the app."""
    return [int(pid) for pid in (Path(daemon.directory.name) / "imports").read_text().split()]


def about(daemon: Daemon, client: str = ONE) -> dict[str, Any]:
    """What the worker of a client says of itself."""
    with connected(daemon.port) as sock:
        sock.sendall(request(client))
        return json.loads(Answers(sock).response().body)


def private(pid: int) -> int:
    """Bytes that a process shares with no other (proc_pid_smaps(5))."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Private_"))


class Preload(unittest.TestCase):
    def replaced(self, daemon: Daemon, number: int = signal.SIGKILL) -> int:
        """End the worker of slot 1; the pid of the next."""
        before = daemon.pids()[1]
        os.kill(before, number)
        return wait_for(
            lambda: (pid := daemon.pids().get(1)) != before and pid, what="a replacement"
        )

    def test_the_rows_of_the_verification(self) -> None:
        with start("--preload") as daemon:
            self.assertEqual(seen(daemon, MSG1, MSG2), BEFORE)

    def test_workers_are_as_spawned_ones(self) -> None:
        for option, name in KINDS.items():
            with (
                self.subTest(option),
                preloaded(option, name) as daemon,
                start(option, name) as as_,
            ):
                (template,) = imports(daemon)
                one, two, spawned = about(daemon), about(daemon, TWO), about(as_)
                self.assertEqual((one["slot"], two["slot"]), (1, 2))
                self.assertNotEqual(one["random"], two["random"])
                for each in (one, two):
                    # Children of the master, which lead groups of their own.
                    self.assertEqual(each["parent"], daemon.process.pid)
                    self.assertEqual(each["group"], each["pid"])
                    self.assertEqual(each["imported_by"], str(template))
                    self.assertLess(private(each["pid"]), BALLAST)
                self.assertGreater(private(spawned["pid"]), BALLAST)
                for same in ("reactor", "threads"):
                    self.assertEqual(one[same], spawned[same])
                kinds = [
                    sorted(file.partition(":")[0] for file in each["descriptors"])
                    for each in (one, spawned)
                ]
                self.assertEqual(*kinds)
                self.assertFalse(daemon.log and [x for x in daemon.log if "--preload: " in x])

    def test_life(self) -> None:
        hook = ("--child-exit", "stickyd_exit_hook:exited")
        with preloaded("--asgi", KINDS["--asgi"], *hook, "--display-tracebacks") as daemon:
            pids = daemon.pids()
            # A worker that is killed is replaced by one of the same import.
            self.replaced(daemon)
            (end,) = wait_for(lambda: ends(daemon), what="the end")
            self.assertEqual(end[:3], [pids[1], 1, -signal.SIGKILL])
            self.assertEqual(daemon.report()["master"]["restarts"]["crash"], 1)
            (first,) = imports(daemon)
            # One that is told to end, too.
            self.replaced(daemon, signal.SIGTERM)
            daemon.process.send_signal(signal.SIGTTIN)
            wait_for(lambda: len(daemon.pids()) == 3, what="another slot")
            daemon.process.send_signal(signal.SIGTTOU)
            wait_for(lambda: len(daemon.pids()) == 2, what="one slot fewer")
            self.assertEqual(imports(daemon), [first])
            reload(daemon)
            _, second = imports(daemon)
            self.assertEqual(about(daemon)["imported_by"], str(second))
            wait_for(lambda: not _alive(first), what="the end of the first template")
            # An app that cannot be imported changes nothing.
            pids = daemon.pids()
            say(daemon, "fail")
            daemon.process.send_signal(signal.SIGHUP)
            daemon.said("reload: given up; the workers of before go on")
            daemon.said("reload: cannot load --asgi stickyd_preload_apps:app: RuntimeError: told")
            daemon.said("Traceback")
            daemon.log.clear()
            self.assertEqual(daemon.pids(), pids)
            self.assertTrue(_alive(second))
            self.replaced(daemon)
            self.assertEqual(len(imports(daemon)), 3)
            say(daemon, "")
            self.template_killed(daemon, second)
            self.program_replaced(daemon)
            family = daemon.family()
            daemon.stop()
            self.assertEqual([pid for pid in family if _alive(pid)], [])

    def template_killed(self, daemon: Daemon, template: int) -> None:
        """Workers do without it, and another one takes its place."""
        pids = daemon.pids()
        os.kill(template, signal.SIGKILL)
        daemon.said("ended by signal 9 and is started again")
        wait_for(lambda: len(imports(daemon)) == 4, what="another template")
        self.assertEqual(daemon.pids(), pids)
        self.replaced(daemon)
        self.assertEqual(len(imports(daemon)), 4)

    def program_replaced(self, daemon: Daemon) -> None:
        """The next program has a template of its own."""
        pids, before = daemon.pids(), imports(daemon)[-1]
        upgrade(daemon)
        self.assertEqual(daemon.pids(), pids)
        self.assertFalse(_alive(before))
        wait_for(lambda: len(imports(daemon)) == 5, what="another template")
        self.replaced(daemon)
        self.assertEqual(about(daemon)["imported_by"], str(imports(daemon)[-1]))
        self.assertEqual(len(imports(daemon)), 5)

    def test_what_the_import_leaves_behind_is_told(self) -> None:
        with preloaded(at_import="thread socket") as daemon:
            (threads,) = daemon.said("has started")
            self.assertIn("1 thread (poller), which no worker has", threads)
            (files,) = daemon.said("has left open")
            self.assertIn("1 socket, which all workers share", files)
            self.assertEqual(about(daemon)["threads"], ["MainThread"])

    def test_an_app_that_uses_the_reactor_when_it_is_imported(self) -> None:
        with preloaded() as daemon:
            command = [sys.executable, "-m", "stickyd", "check", "--load", *daemon.command[6:]]
            environment = daemon._environment
            fine = subprocess.run(command, env=environment, capture_output=True, text=True)
            self.assertEqual((fine.returncode, fine.stderr), (0, ""), fine.stderr)
            say(daemon, "reactor")
            wrong = subprocess.run(command, env=environment, capture_output=True, text=True)
            self.assertEqual(wrong.returncode, 1)
            last = wrong.stderr.splitlines()[-1]
            self.assertIn("reactor.callLater is used while the app is imported", last)
            self.assertIn("stickyd_preload_apps.py:", last)

    def test_a_call_is_made_once_and_files_are_watched(self) -> None:
        name = "stickyd_preload_apps:create('wsgi')"
        daemon = preloaded("--wsgi", name, "--reload")
        daemon.command += ["--reload-dir", daemon.directory.name]
        with daemon:
            self.assertEqual(len(imports(daemon)), 2)
            self.assertEqual(len(set(imports(daemon))), 1)
            generation = daemon.report()["generation"]
            (Path(daemon.directory.name) / "some.py").touch()
            wait_for(lambda: daemon.report()["generation"] > generation, what="a reload")
            self.assertEqual(about(daemon)["imported_by"], str(imports(daemon)[-1]))
            self.assertEqual(len(set(imports(daemon))), 2)


if __name__ == "__main__":
    unittest.main()
