"""What a daemon that was killed has left must not bar the start of the next one, even if another
process has its PID by now; what belongs to a living one is left alone.
"""

import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

from stickyd.cli import pidfile
from stickyd.master.upgrade import own_pidfile
from stickyd.net import unix_socket
from tests.integration.test_start import run
from tests.support.daemon import Daemon, free_port, read_all, request, workers_in

TWISTD = os.path.join(os.path.dirname(sys.executable), "twistd")


def ask(path: str) -> list[int]:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(path)
        sock.sendall(request("10.10.10.10"))
        sock.shutdown(socket.SHUT_WR)
        return workers_in(read_all(sock))


def give_to_a_living_process(lock: str) -> None:
    """As if our own PID were the one of the daemon that was killed."""
    if os.path.lexists(lock):
        os.unlink(lock)
    os.symlink(str(os.getpid()), lock)


class Sockets(unittest.TestCase):
    def setUp(self) -> None:
        self.directory = self.enterContext(tempfile.TemporaryDirectory(prefix="stickyd-test-"))
        self.path = os.path.join(self.directory, "http")

    def check_starts_again(self, listen: str) -> None:
        with Daemon(listen=listen) as daemon:
            os.kill(daemon.process.pid, signal.SIGKILL)
            daemon.wait()
            for path in (self.path, daemon.control):
                self.assertTrue(stat.S_ISSOCK(os.lstat(path).st_mode))
                give_to_a_living_process(f"{path}.lock")
            daemon.start()
            self.assertEqual(ask(self.path), [1])
            self.assertEqual(daemon.report()["slots"][0]["state"], "ready")
            self.assertEqual(daemon.stop(), -signal.SIGTERM)
            self.assertEqual(os.listdir(daemon.directory.name), [])

    def test_a_lock_whose_pid_lives_again(self) -> None:
        self.check_starts_again(f"unix:{self.path}")
        self.assertEqual(os.listdir(self.directory), [])

    def test_a_socket_file_without_a_lock(self) -> None:
        self.check_starts_again(f"unix:{self.path}:lockfile=0")
        # Made by the test, and nobody's.
        self.assertEqual(os.listdir(self.directory), [])

    def test_a_lock_without_a_socket_file(self) -> None:
        give_to_a_living_process(f"{self.path}.lock")
        with Daemon(listen=f"unix:{self.path}"):
            self.assertEqual(ask(self.path), [1])
        self.assertEqual(os.listdir(self.directory), [])

    def check_is_left_alone(self, *options: str, says: str) -> None:
        before = {name: os.lstat(Path(self.directory, name)) for name in os.listdir(self.directory)}
        ended = run("run", "--workers", "1", *options)
        self.assertEqual(ended.returncode, 1, ended)
        (line,) = ended.stderr.splitlines()
        self.assertIn(says, line)
        for name, was in before.items():
            self.assertEqual(os.lstat(Path(self.directory, name)).st_ino, was.st_ino)

    def test_one_that_somebody_listens_on(self) -> None:
        for lock in ("", ":lockfile=0"):
            with Daemon(listen=f"unix:{self.path}{lock}") as daemon:
                says = "another process listens there"
                self.check_is_left_alone("--listen", f"unix:{self.path}{lock}", says=says)
                free = ("--listen", f"unix:{self.path}-too")
                self.check_is_left_alone(*free, "--control", daemon.control, says=says)
                self.assertEqual(ask(self.path), [1])
                self.assertEqual(len(daemon.report()["slots"]), 2)

    def test_one_whose_lock_names_a_pid_that_is_nobodys_here(self) -> None:
        """As when two containers share a directory, but no PIDs."""
        with subprocess.Popen([sys.executable, "-c", ""]) as ended:
            pass
        with Daemon(listen=f"unix:{self.path}") as daemon:
            lock = f"{self.path}.lock"
            os.unlink(lock)
            os.symlink(str(ended.pid), lock)
            says = "another process listens there"
            self.check_is_left_alone("--listen", f"unix:{self.path}", says=says)
            self.assertEqual(ask(self.path), [1])
            os.unlink(lock)
            os.symlink(str(daemon.process.pid), lock)

    def test_one_whose_backlog_is_full(self) -> None:
        with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as first:
            listening.bind(self.path)
            listening.listen(0)
            first.connect(self.path)
            says = "another process listens there"
            self.check_is_left_alone("--listen", f"unix:{self.path}", says=says)

    def test_an_abstract_one(self) -> None:
        for path in ("\0stickyd-test", ""):
            with contextlib.chdir(self.directory):
                Path(".lock").write_text("")
                unix_socket.make_way(path)
                self.assertTrue(Path(".lock").exists())

    def test_paths_in_descriptions(self) -> None:
        for description, path in (
            ("unix:/run/a", "/run/a"),
            ("unix:/run/a:mode=660:lockfile=0", "/run/a"),
            ("unix:address=/run/a:mode=660", "/run/a"),
            ("unix:/run/a\\:b", "/run/a:b"),
            ("tcp:80", None),
            ("systemd:domain=UNIX:index=0", None),
        ):
            self.assertEqual(unix_socket.path_in(description), path)

    def test_a_file_that_is_no_socket(self) -> None:
        Path(self.path).write_text("dear to somebody")
        self.check_is_left_alone("--listen", f"unix:{self.path}", says="Address already in use")
        self.assertEqual(Path(self.path).read_text(), "dear to somebody")


class Pidfile(unittest.TestCase):
    """twistd's, which refuses to start while a process with the PID in it lives."""

    def setUp(self) -> None:
        self.directory = self.enterContext(tempfile.TemporaryDirectory(prefix="stickyd-test-"))
        self.file = Path(self.directory, "twistd.pid")

    def process(self, *arguments: str) -> int:
        """The PID of a process with these in its command line."""
        code = "import sys; print(flush=True); sys.stdin.read()"
        process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.addCleanup(process.communicate)
        assert process.stdout is not None
        process.stdout.readline()
        return process.pid

    def write(self, pid: int, age: float = 0.0) -> None:
        self.file.write_text(str(pid))
        written = time.time() - age
        os.utime(self.file, (written, written))

    def daemon(self) -> Daemon:
        return Daemon(command=[TWISTD, "-n", f"--pidfile={self.file}", "stickyd"])

    def check_starts(self, daemon: Daemon) -> None:
        with daemon:
            self.assertEqual(workers_in(daemon.exchange(request("10.10.10.10"))), [1])
            self.assertEqual(self.file.read_text(), str(daemon.process.pid))
        self.assertFalse(self.file.exists())

    def test_the_pid_is_another_programs_by_now(self) -> None:
        self.write(self.process())
        self.check_starts(self.daemon())

    def test_the_pid_is_a_younger_daemons_by_now(self) -> None:
        self.write(self.process("twistd", "stickyd"), age=3600)
        self.check_starts(self.daemon())

    def test_a_daemon_that_lives(self) -> None:
        with self.daemon() as daemon:
            # It looks younger than the file, as after the clock was set, but it answers.
            self.write(daemon.process.pid, age=3600)
            second = subprocess.run(daemon.command, capture_output=True, text=True, timeout=30)
            self.assertEqual(second.returncode, 1)
            self.assertIn("Another twistd server is running", second.stderr)
            self.assertEqual(self.file.read_text(), str(daemon.process.pid))

    def test_a_daemon_that_parses_its_options_again_for_usr2_keeps_its_own(self) -> None:
        command = [TWISTD, "-n", f"--pidfile={self.file}", "stickyd"]
        with mock.patch.object(sys, "argv", command), mock.patch.object(pidfile, "_removed", False):
            self.assertIsNone(own_pidfile())
            self.write(os.getpid())
            self.assertEqual(own_pidfile(), str(self.file))
            self.assertTrue(self.file.exists())

    def test_where_somebody_answers(self) -> None:
        with self.daemon() as daemon:
            port, control = daemon.port, daemon.control
            for listen, path, answers in (
                ([f"tcp:{port}:interface=127.0.0.1"], None, True),
                ([f"tcp:port={port}"], None, True),
                ([f"tcp:{free_port()}", f"tcp:{port}:backlog=5:interface=127.0.0.1"], None, True),
                ([], control, True),
                ([f"unix:{control}:mode=600"], None, True),
                ([f"tcp:{free_port()}", f"tcp6:{free_port()}:interface=\\:\\:1"], None, False),
                ([f"unix:{self.file}"], f"{control}-too", False),
                (["systemd:domain=INET:index=0"], None, False),
            ):
                self.assertEqual(pidfile.accepts_connections(listen, path), answers, (listen, path))

    def test_one_that_may_have_written_it(self) -> None:
        self.write(self.process("twistd", "stickyd"))
        self.assertFalse(pidfile.is_stale(str(self.file), lambda: False))

    def test_our_own_pid_is_that_of_the_one_before_us(self) -> None:
        self.write(os.getpid())
        self.assertTrue(pidfile.is_stale(str(self.file), lambda: True))

    def test_what_is_not_there_or_says_nothing(self) -> None:
        self.assertFalse(pidfile.is_stale(str(self.file), lambda: False))
        for text in ("", "seven", "-1", "0"):
            self.file.write_text(text)
            self.assertFalse(pidfile.is_stale(str(self.file), lambda: False), text)
        # That of nobody is twistd's to see.
        with subprocess.Popen([sys.executable, "-c", ""]) as ended:
            pass
        self.write(ended.pid)
        self.assertFalse(pidfile.is_stale(str(self.file), lambda: False))
