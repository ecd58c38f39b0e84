"""A log that nobody reads: the daemon goes on, and says afterwards what is missing."""

import contextlib
import fcntl
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import tty
import unittest
from pathlib import Path

from tests.support.daemon import ROOT, Daemon, Reader, at_rest, request, wait_for, workers_in

ONE, TWO = "10.10.10.10", "10.10.12.11"
"""Clients of worker 1 and worker 2, at seed 1 and two workers."""

CHATTER = ("--class", "stickyd_noisy_app:Chatter")
NOISE = 20_000
"""Lines of 100 bytes: more than a pipe and the daemon's own buffer hold."""

TWISTD = [os.path.join(os.path.dirname(sys.executable), "twistd"), "-n", "--pidfile=", "stickyd"]
TWIST = [sys.executable, "-m", "twisted"]


class Unread(Daemon):
    """A daemon whose standard output is ``out``, which nobody reads unless the test does."""

    def start_unread(self, out: int, error: int | None = None) -> None:
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out if error is None else error,
            env=self._environment,
            cwd=self._cwd,
        )
        wait_for(self._is_ready, what="a ready daemon")

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, self.process.returncode
        with contextlib.suppress(OSError, ValueError):
            return len(self.pids()) == 2 and self.exchange(request(ONE)) != b""
        return False

    def wait(self, seconds: float = 40.0) -> int:
        try:
            return int(self.process.wait(seconds))
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("the daemon did not end") from None

    def __enter__(self) -> "Unread":
        return self


class Collector(threading.Thread):
    """Reads a descriptor to its end."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(daemon=True)
        self.descriptor = descriptor
        self.data = b""
        self.start()

    def run(self) -> None:
        with contextlib.suppress(OSError):
            while data := os.read(self.descriptor, 65536):
                self.data += data

    def text(self) -> str:
        return self.data.decode()


class Output(unittest.TestCase):
    """Standard output of the daemon."""

    def pipe(self) -> tuple[int, int]:
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        return reading, writing

    def unread(self) -> int:
        """The writing end of a pipe."""
        return self.pipe()[1]

    def check(self, daemon: Unread, reading: int, writing: int) -> None:
        with daemon:
            daemon.start_unread(writing)
            os.close(writing)
            with daemon.connect() as sock:
                sock.sendall(request(ONE, f"/?n={NOISE}"))
                self.assertEqual(workers_in(Reader(sock).response().body), [1])
            dropped = wait_for(lambda: daemon.report()["master"]["log_dropped"], what="a drop")
            self.assertEqual(workers_in(daemon.exchange(request(TWO))), [2])
            # Whoever reads again is told.
            log = Collector(reading)
            wait_for(lambda: " lines of the log were dropped" in log.text(), what="the notice")
            last = wait_for(lambda: re.findall(r"(\d+) lines of the log were", log.text()))
            self.assertGreaterEqual(daemon.report()["master"]["log_dropped"], dropped)
            self.assertEqual(len(last), 1)
            numbers = [int(n) for n in re.findall(r"line +(\d+) ", log.text())]
            self.assertEqual(numbers, sorted(set(numbers)))
            # Nothing is half there.
            self.assertEqual(len(re.findall(r"line +\d+ \.+$", log.text(), re.M)), len(numbers))
            self.assertEqual(int(last[0]), daemon.report()["master"]["log_dropped"])
            self.assertEqual(len(numbers) + int(last[0]), NOISE)
            # Once, and it goes on as before.
            with daemon.connect() as sock:
                sock.sendall(request(ONE, "/?n=1"))
                Reader(sock).response()
            wait_for(lambda: len(re.findall(r"line +0 ", log.text())) == 2, what="another line")
            self.assertEqual(len(re.findall(r"lines of the log were", log.text())), 1)
            daemon.stop()
            log.join(10)
            self.assertIn("Main loop terminated", log.text())

    def test_a_pipe_under_stickyd_run(self) -> None:
        self.check(Unread(*CHATTER), *self.pipe())

    def test_a_pipe_under_twistd(self) -> None:
        self.check(Unread(*CHATTER, command=TWISTD), *self.pipe())

    def test_a_pipe_under_twist(self) -> None:
        command = [*TWIST, "--log-format=text", "stickyd"]
        self.check(Unread(*CHATTER, command=command), *self.pipe())

    def test_a_socket_as_journald_gives(self) -> None:
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.check(Unread(*CHATTER), ours.fileno(), theirs.detach())

    def test_a_terminal(self) -> None:
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        tty.setraw(theirs)
        self.check(Unread(*CHATTER), ours, theirs)

    def test_a_named_fifo(self) -> None:
        daemon = Unread(*CHATTER)
        path = os.path.join(daemon.directory.name, "out")
        os.mkfifo(path)
        reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reading)
        writing = os.open(path, os.O_WRONLY)
        os.set_blocking(reading, True)
        self.check(daemon, reading, writing)

    def check_ends(self, daemon: Unread, number: int) -> None:
        writing = self.unread()
        with daemon:
            daemon.start_unread(writing)
            os.close(writing)
            with daemon.connect() as sock:
                sock.sendall(request(ONE, f"/?n={NOISE}"))
                Reader(sock).response()
            wait_for(lambda: daemon.report()["master"]["log_dropped"], what="a drop")
            daemon.process.send_signal(number)
            self.assertIn(daemon.wait(15), (-number, 0))
            self.assertEqual(os.listdir(daemon.directory.name), [])

    def test_term_ends_it(self) -> None:
        self.check_ends(Unread(*CHATTER), signal.SIGTERM)

    def test_int_ends_it(self) -> None:
        self.check_ends(Unread(*CHATTER, command=TWISTD), signal.SIGINT)

    def test_another_program_goes_on_counting(self) -> None:
        writing = self.unread()
        with Unread(*CHATTER) as daemon:
            daemon.start_unread(writing)
            os.close(writing)
            with daemon.connect() as sock:
                sock.sendall(request(ONE, f"/?n={NOISE}"))
                Reader(sock).response()
            dropped = wait_for(lambda: daemon.report()["master"]["log_dropped"], what="a drop")
            daemon.process.send_signal(signal.SIGUSR2)

            def upgraded() -> bool:
                with contextlib.suppress(OSError, ValueError):
                    return daemon.report()["master"]["upgrades"] == 1
                return False

            wait_for(upgraded, what="another program")
            self.assertGreaterEqual(daemon.report()["master"]["log_dropped"], dropped)
            self.assertEqual(workers_in(daemon.exchange(request(TWO))), [2])

    def test_a_reader_that_has_gone(self) -> None:
        reading, writing = os.pipe()
        with Unread(*CHATTER) as daemon:
            daemon.start_unread(writing)
            os.close(writing)
            os.close(reading)
            with daemon.connect() as sock:
                sock.sendall(request(ONE, "/?n=10") + request(TWO))
                Reader(sock).response()
            wait_for(lambda: daemon.report()["master"]["log_dropped"] >= 10, what="ten drops")
            self.assertEqual(daemon.stop(), -signal.SIGTERM)

    def test_others_that_share_the_pipe_are_left_as_they_are(self) -> None:
        """O_NONBLOCK belongs to the open file, which a shell may share (open(2))."""
        writing = self.unread()
        with Unread(*CHATTER) as daemon:
            daemon.start_unread(writing)
            self.assertFalse(fcntl.fcntl(writing, fcntl.F_GETFL) & os.O_NONBLOCK)
            daemon.stop()
            self.assertFalse(fcntl.fcntl(writing, fcntl.F_GETFL) & os.O_NONBLOCK)
            os.close(writing)

    def test_a_start_that_fails(self) -> None:
        writing = self.unread()
        os.set_blocking(writing, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writing, bytes(4096))
        os.set_blocking(writing, True)
        with Unread("--class", "no.such") as daemon:
            daemon.process = subprocess.Popen(
                daemon.command,
                stdin=subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                env=daemon._environment,
            )
            os.close(writing)
            self.assertEqual(daemon.wait(20), 1)

    def test_a_twistd_in_the_background_lets_go_of_the_output(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            daemon = Daemon(command=[TWISTD[0], "--pidfile=pid", "stickyd"], cwd=directory)
            self.addCleanup(daemon.directory.cleanup)
            # Comes back when the last process that holds the pipe has let it go.
            subprocess.run(
                daemon.command,
                env=daemon._environment,
                cwd=directory,
                stdout=subprocess.PIPE,
                timeout=30,
                check=True,
            )
            log, pid = Path(directory, "twistd.log"), Path(directory, "pid")
            try:
                wait_for(lambda: " is ready: " in log.read_text(), what="a ready daemon")
            finally:
                os.kill(int(pid.read_text()), signal.SIGTERM)
            wait_for(lambda: not pid.exists(), what="its end")

    def test_twistd_says_that_its_log_file_is_no_fifo(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "fifo")
            os.mkfifo(path)
            command = [*TWISTD[:-1], f"--logfile={path}", "stickyd"]
            ended = subprocess.run(command, capture_output=True, text=True, timeout=30, cwd=ROOT)
        self.assertEqual((ended.returncode, ended.stdout), (2, ""))
        self.assertEqual(len(ended.stderr.splitlines()), 1, ended.stderr)
        self.assertIn("--logfile", ended.stderr)


class AccessLog(unittest.TestCase):
    FORMAT = "%(slot)s %({number}i)s %({padding}i)s."

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name, "access.log")

    def start(self, *options: str) -> Daemon:
        log = ("--access-logfile", str(self.path), "--access-logformat", self.FORMAT)
        return Daemon("--timeout", "2", *options, *log)

    def ask(self, daemon: Daemon, count: int, size: int = 8000) -> None:
        """Requests of both clients, in turn; every one is answered."""
        with daemon.connect() as one, daemon.connect() as two:
            asking = [(one, Reader(one), ONE), (two, Reader(two), TWO)]
            for number in range(count):
                sock, reader, client = asking[number % 2]
                head = request(client)[:-2] + f"Number: {number}\r\n".encode()
                sock.sendall(head + b"Padding: " + b"p" * size + b"\r\n\r\n")
                self.assertEqual(reader.response().status, 200)

    def check_lines(self, text: str, asked: int, dropped: int) -> None:
        lines = text.splitlines()
        for line in lines:
            self.assertRegex(line, r"^[12] \d+ p{8000}\.$")
        numbers = [int(line.split()[1]) for line in lines]
        self.assertEqual(len(set(numbers)), len(numbers))
        self.assertEqual(len(numbers) + dropped, asked)

    def test_a_fifo_that_is_not_read(self) -> None:
        os.mkfifo(self.path)
        for app in ((), ("--asgi", "stickyd_asgi_apps:app"), ("--wsgi", "stickyd_wsgi_apps:app")):
            with self.subTest(app=app), self.start(*app) as daemon:
                self.check_fifo(daemon)

    def check_fifo(self, daemon: Daemon) -> None:
        # Not even a reader yet.
        pids = daemon.pids()
        self.ask(daemon, 200)
        # A client may have its answer before the line of it is dropped.
        dropped = at_rest(lambda: daemon.report()["workers"]["log_dropped"])
        self.assertGreater(dropped, 0)
        self.assertEqual(daemon.pids(), pids)
        reading = os.open(self.path, os.O_RDONLY)
        self.addCleanup(os.close, reading)
        log = Collector(reading)
        wait_for(lambda: log.data.count(b"\n") == 200 - dropped, what="the others")
        self.check_lines(log.text(), 200, dropped)
        said = wait_for(lambda: self.said(daemon, dropped), what="what was dropped")
        self.assertLessEqual(len(said), 2)
        # It flows again, and nothing more is said.
        self.ask(daemon, 10)
        wait_for(lambda: log.data.count(b"\n") == 210 - dropped, what="ten more")
        self.assertEqual(daemon.report()["workers"]["log_dropped"], dropped)
        self.assertEqual(self.said(daemon, dropped), said)
        self.assertEqual(daemon.pids(), pids)

    def said(self, daemon: Daemon, dropped: int) -> list[str]:
        said = [line for line in daemon.log if " lines of the access log were dropped" in line]
        numbers = [int(re.findall(r"(\d+) lines of the access log", line)[0]) for line in said]
        return said if sum(numbers) == dropped else []

    def test_a_fifo_outlives_its_reader(self) -> None:
        os.mkfifo(self.path)
        with self.start() as daemon:
            for first in (0, 1):
                with open(self.path) as reading:
                    self.ask(daemon, 2, 10)
                    lines = sorted(reading.readline() for _ in range(2))
                    self.assertEqual([line[:3] for line in lines], ["1 0", "2 1"], first)
            self.assertEqual(daemon.report()["workers"]["log_dropped"], 0)

    def test_a_full_disk(self) -> None:
        self.path.symlink_to("/dev/full")
        with self.start() as daemon:
            self.ask(daemon, 10, 10)
            wait_for(lambda: daemon.report()["workers"]["log_dropped"] == 10, what="ten drops")
            said = daemon.said("the access log cannot be written")
            self.assertEqual(len(said), 2)
            # On an ordinary file it goes on.
            self.path.unlink()
            daemon.process.send_signal(signal.SIGUSR1)
            wait_for(self.path.exists, what="a new file")
            wait_for(lambda: self.ask(daemon, 2, 10) or self.path.read_text().count("\n") >= 4)

    def test_in_the_daemons_own_log_that_is_not_read(self) -> None:
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        options = ("--access-logfile", "-", "--access-logformat", self.FORMAT, "--timeout", "2")
        with Unread(*options) as daemon:
            daemon.start_unread(writing)
            os.close(writing)
            pids = daemon.pids()
            self.ask(daemon, 200)
            wait_for(lambda: daemon.report()["master"]["log_dropped"], what="a drop")
            self.assertEqual(daemon.pids(), pids)
