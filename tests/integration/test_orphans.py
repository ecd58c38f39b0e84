"""Processes that an app has started, when its worker ends."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import unittest
from pathlib import Path

from tests.integration.test_upgrade import upgrade
from tests.support.daemon import ROOT, Daemon, Reader, _alive, request, wait_for

ONE = "10.10.10.10"
APP = ("--class", "stickyd_orphan_app:App")


def ask(daemon: Daemon, path: str) -> list[int]:
    with daemon.connect() as sock:
        sock.sendall(request(ONE, path))
        found: list[int] = json.loads(Reader(sock).response().body)
        return found


def running(command: bytes) -> list[str]:
    """The processes with exactly this command line (proc_pid_cmdline(5))."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if file.read_bytes() == command:
                found.append(file.parent.name)
    return found


class Orphans(unittest.TestCase):
    def gone(self, pids: list[int], seconds: float = 30.0) -> None:
        wait_for(lambda: not [pid for pid in pids if _alive(pid)], seconds, what="their end")

    def started(self, daemon: Daemon) -> list[int]:
        pids = ask(daemon, "/all")
        self.assertGreaterEqual(len(pids), 5)
        self.assertEqual([pid for pid in pids if not _alive(pid)], [])
        self.addCleanup(self.kill, pids)
        return pids

    def kill(self, pids: list[int]) -> None:
        for pid in pids:
            if _alive(pid):
                os.kill(pid, signal.SIGKILL)

    def test_a_killed_worker(self) -> None:
        with Daemon(*APP, workers=1) as daemon:
            pids, (detached,) = self.started(daemon), ask(daemon, "/detached")
            self.addCleanup(self.kill, [detached])
            (own,) = ask(daemon, "/own")
            os.kill(own, signal.SIGKILL)
            self.gone(pids)
            self.assertNotEqual(ask(daemon, "/own"), [own])
            daemon.said("worker 1 has left")
            # In a session of its own: it shall go on.
            self.assertTrue(_alive(detached))
            wait_for(lambda: len(daemon.family()) == 2, what="the entry of the old worker")

    def test_a_reload_and_a_stop(self) -> None:
        with Daemon(*APP, workers=1) as daemon:
            pids = self.started(daemon)
            daemon.process.send_signal(signal.SIGHUP)
            self.gone(pids)
            pids = self.started(daemon)
            daemon.stop()
            self.assertEqual([pid for pid in pids if _alive(pid)], [])

    def test_one_that_does_not_listen_has_the_grace(self) -> None:
        with Daemon(*APP, "--graceful-timeout", "2", workers=1) as daemon:
            (stubborn,) = ask(daemon, "/stubborn")
            self.addCleanup(self.kill, [stubborn])
            (own,) = ask(daemon, "/own")
            began = time.monotonic()
            os.kill(own, signal.SIGKILL)
            daemon.said("worker 1 has left 1 process, which ends within 2 s")
            # The replacement does not wait for it.
            wait_for(lambda: daemon.pids().get(1, own) != own, what="a replacement")
            self.gone([stubborn])
            self.assertGreater(time.monotonic() - began, 1.9)

    def test_one_that_does_not_listen_at_the_stop(self) -> None:
        with Daemon(*APP, "--graceful-timeout", "2", workers=1) as daemon:
            (stubborn,) = ask(daemon, "/stubborn")
            self.addCleanup(self.kill, [stubborn])
            daemon.stop()
            self.assertFalse(_alive(stubborn))

    def test_one_that_does_not_listen_when_the_master_is_replaced(self) -> None:
        with Daemon(*APP, workers=1) as daemon:
            (stubborn,), (own,) = ask(daemon, "/stubborn"), ask(daemon, "/own")
            self.addCleanup(self.kill, [stubborn])
            os.kill(own, signal.SIGKILL)
            wait_for(lambda: daemon.pids().get(1, own) != own, what="a replacement")
            self.assertTrue(_alive(stubborn))
            upgrade(daemon)
            self.gone([stubborn])
            pids = self.started(daemon)
            (own,) = ask(daemon, "/own")
            os.kill(own, signal.SIGKILL)
            self.gone(pids)
            wait_for(lambda: len(daemon.family()) == 2, what="the entries of both workers")

    def test_a_killed_master(self) -> None:
        daemon = Daemon(*APP, workers=1)
        daemon.start()
        pids = self.started(daemon)
        (stubborn,) = ask(daemon, "/stubborn")
        self.addCleanup(self.kill, [stubborn])
        daemon.process.kill()
        daemon.wait()
        self.gone([*pids, stubborn])
        daemon.directory.cleanup()

    def test_a_forked_process_ends_when_it_is_told_to(self) -> None:
        with Daemon(*APP, workers=1) as daemon:
            self.assertEqual(ask(daemon, "/terminated"), [-signal.SIGTERM])

    def test_a_check_of_an_app_that_starts_some(self) -> None:
        marked = ROOT / "tests" / "apps"
        code = "import subprocess; CHILD = subprocess.Popen(['sleep', '1234.5'])\n"
        with Daemon(workers=1) as daemon:
            path = os.path.join(daemon.directory.name, "starting.py")
            with open(path, "w") as file:
                file.write(code + "from stickyd_orphan_app import App\n")
            command = [sys.executable, "-m", "stickyd", "check", "--load", "--class"]
            environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{marked}"}
            done = subprocess.run(
                [*command, "starting:App"],
                cwd=daemon.directory.name,
                env=environment,
                capture_output=True,
                text=True,
                timeout=60,
            )
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(running(b"sleep\0001234.5\0"), [])


IN_A_NAMESPACE = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
"""A command becomes PID 1, as in a container (unshare(1)); needs root."""


def isolated() -> bool:
    try:
        return subprocess.run([*IN_A_NAMESPACE, "true"], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


@unittest.skipUnless(isolated(), "PID namespaces cannot be made here")
class FirstProcess(unittest.TestCase):
    def children(self, pid: int) -> dict[int, bool]:
        """Whether each child lives."""
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return {int(child): _alive(int(child)) for child in found}

    def test_the_master_waits_for_processes_that_it_has_not_started(self) -> None:
        command = [*IN_A_NAMESPACE, sys.executable, "-W", "error", "-m", "stickyd", "run"]
        with Daemon(*APP, command=command, workers=1) as daemon:
            (master,) = self.children(daemon.process.pid)
            (before,) = self.children(master)
            self.assertEqual(ask(daemon, "/adopted"), [0, 0, 0])
            wait_for(lambda: self.children(master) == {before: True}, what="their removal")
            # Its own it waits for as ever.
            os.kill(before, signal.SIGKILL)
            wait_for(lambda: len(daemon.said("is ready (pid")) == 2, what="another worker")
            self.assertEqual(ask(daemon, "/adopted"), [0, 0, 0])
            wait_for(lambda: [*self.children(master).values()] == [True], what="their removal")
            self.assertNotIn(before, self.children(master))
            os.kill(master, signal.SIGTERM)
            self.assertEqual(daemon.wait(), 0)
