"""The master replaces its own program in place (SIGUSR2)."""

import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from tests.integration.test_lifecycle import ONE, TWO, Life, life, reload, start
from tests.support.daemon import (
    ROOT,
    Daemon,
    Reader,
    _alive,
    read_all,
    request,
    wait_for,
    workers_in,
)
from tests.support.extent import slow


def upgrades(daemon: Daemon) -> int:
    """How often the program has been replaced; -1 while nobody answers."""
    try:
        return int(daemon.report()["master"]["upgrades"])
    except (OSError, ValueError):
        return -1


def upgrade(daemon: Daemon) -> None:
    before = upgrades(daemon)
    daemon.process.send_signal(signal.SIGUSR2)
    wait_for(lambda: upgrades(daemon) == before + 1, 20, "another program")


class Upgrade(Life):
    def test_everything_goes_on(self) -> None:
        with start("--affinity-scope", "request") as daemon:
            idle, half, late = (self.client(daemon) for _ in range(3))
            whole = request(ONE)
            half.sock.sendall(whole[:20])
            before = idle.who(ONE), idle.who(TWO)
            late.sock.sendall(request(ONE, "/late?s=3"))
            wait_for(lambda: daemon.report()["workers"]["requests"] == 3)
            wait_for(lambda: daemon.report()["master"]["open"] == 1, what="half a head")
            pids = daemon.pids()
            descriptors = daemon.settled_descriptors()[daemon.process.pid]
            for _ in range(3):
                upgrade(daemon)
                self.assertEqual(daemon.pids(), pids)
                self.assertEqual((idle.who(ONE), idle.who(TWO)), before)
            report = daemon.report()
            self.assertEqual(report["master"]["pid"], daemon.process.pid)
            self.assertEqual(report["master"]["accepted"], 3)
            self.assertEqual(report["connections"]["open"], 3)
            self.assertLessEqual(daemon.settled_descriptors()[daemon.process.pid], descriptors + 1)
            half.sock.sendall(whole[20:])
            self.assertEqual(half.reader.response().body.split()[1], b"%d" % pids[1])
            self.assertEqual(late.reader.response().body, b"1 %d late" % pids[1])
            # The new program is as able as the old one.
            reload(daemon)
            self.assertEqual(idle.who(ONE), (1, daemon.pids()[1]))
            self.assertNotEqual(daemon.pids()[1], pids[1])
            os.kill(daemon.pids()[2], signal.SIGKILL)
            self.assertEqual(self.client(daemon).who(TWO)[0], 2)
            daemon.process.send_signal(signal.SIGTTIN)
            wait_for(lambda: daemon.report()["table"]["slots"] == [1, 2, 3])
            upgrade(daemon)
            self.assertEqual(daemon.report()["table"], {"version": 2, "slots": [1, 2, 3]})
            self.assertEqual(idle.who(ONE)[0], 1)

    def test_nobody_is_refused_meanwhile(self) -> None:
        with start() as daemon:
            over = threading.Event()
            answers: list[bytes] = []

            def ask() -> None:
                while not over.is_set():
                    answers.append(daemon.exchange(request(ONE)))

            asking = [threading.Thread(target=ask) for _ in range(4)]
            for thread in asking:
                thread.start()
            for _ in range(2):
                upgrade(daemon)
            over.set()
            for thread in asking:
                thread.join()
            self.assertGreater(len(answers), 20)
            self.assertEqual([a for a in answers if not a.startswith(b"HTTP/1.1 200 ")], [])

    def test_a_program_that_would_not_start_is_not_begun_with(self) -> None:
        daemon = start()
        seed = life(daemon) / "seed"
        seed.write_text("7")
        daemon.command += ["--seed", f"@{seed}"]
        with daemon:
            pids = daemon.pids()
            seed.write_text("no number")
            daemon.process.send_signal(signal.SIGUSR2)
            (line,) = daemon.said("upgrade: given up")
            self.assertIn("the seed is not a whole number", line)
            self.assertEqual(upgrades(daemon), 0)
            self.assertEqual(daemon.pids(), pids)
            seed.write_text("7")
            upgrade(daemon)
            self.assertEqual(daemon.pids(), pids)

    @slow
    def test_a_worker_that_leaves_and_one_that_drains_are_taken_along(self) -> None:
        with start("--session-drain", "30") as daemon:
            client, late = self.client(daemon), self.client(daemon)
            _, old = client.who(ONE)
            reload(daemon)
            late.sock.sendall(request(ONE, "/late?s=3"))
            upgrade(daemon)
            self.assertEqual(client.who(ONE), (1, old))
            self.assertEqual(late.reader.response().body, b"1 %d late" % old)
            self.assertEqual(self.client(daemon).who("10.10.12.10"), (1, daemon.pids()[1]))
            os.kill(old, signal.SIGKILL)
            self.assertEqual(self.client(daemon).who(ONE), (1, daemon.pids()[1]))

    def test_a_worker_that_is_killed_meanwhile_is_replaced(self) -> None:
        with start() as daemon:
            pid = daemon.pids()[1]
            daemon.process.send_signal(signal.SIGUSR2)
            os.kill(pid, signal.SIGKILL)
            client = self.client(daemon)
            slot, by = client.who(ONE)
            self.assertEqual(slot, 1)
            self.assertNotEqual(by, pid)
            wait_for(lambda: upgrades(daemon) == 1, 20, "another program")
            self.assertEqual(client.who(ONE), (1, daemon.pids()[1]))

    @slow
    def test_a_blocked_worker_ends_with_its_answer(self) -> None:
        with start() as daemon:
            client = self.client(daemon)
            pid = daemon.pids()[1]
            os.mkfifo(life(daemon) / "hold")
            client.sock.sendall(request(ONE, "/hold"))
            wait_for(lambda: daemon.report()["connections"]["open"] == 1)
            upgrade(daemon)
            (life(daemon) / "hold").write_bytes(b"go on")
            self.assertEqual(client.reader.response().body.split()[1], b"%d" % pid)
            # Until it hears of its master it may take what is in the inbox.
            wait_for(lambda: not _alive(pid), what="the end of the blocked one")
            self.assertEqual(self.client(daemon).who(ONE), (1, daemon.pids()[1]))

    def test_a_unix_socket_and_a_pidfile(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        path, pidfile = Path(directory.name, "socket"), Path(directory.name, "pid")
        twistd = os.path.join(os.path.dirname(sys.executable), "twistd")
        command = [twistd, "-n", f"--pidfile={pidfile}", "stickyd"]
        daemon = Daemon(command=command, listen=f"unix:{path}:mode=600")

        def exchange() -> list[int]:
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(10)
                sock.connect(str(path))
                sock.sendall(request(ONE))
                sock.shutdown(socket.SHUT_WR)
                return workers_in(read_all(sock))

        with daemon:
            self.assertEqual(exchange(), [1])
            upgrade(daemon)
            self.assertEqual(exchange(), [1])
            self.assertEqual(pidfile.read_text(), str(daemon.process.pid))
            upgrade(daemon)
            self.assertEqual(exchange(), [1])
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        self.assertEqual(os.listdir(directory.name), [])

    def test_half_a_proxy_header(self) -> None:
        with start("--proxy-protocol", "v1", "--affinity", "src") as daemon:
            client = self.client(daemon)
            header = b"PROXY TCP4 10.10.12.11 10.0.0.1 4000 80\r\n"
            client.sock.sendall(header[:15])
            wait_for(lambda: daemon.report()["master"]["open"] == 1)
            upgrade(daemon)
            client.sock.sendall(header[15:])
            self.assertEqual(client.who("192.0.2.1")[0], 2)


class Check(Life):
    def check(self, *arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "stickyd", "check", *arguments],
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def test_right_and_wrong(self) -> None:
        status, text = self.check("--workers", "3")
        self.assertEqual(status, 0)
        self.assertIn("the options are right", text)
        status, text = self.check("--workers", "many")
        self.assertEqual((status, text.count("\n")), (2, 1))
        self.assertEqual(self.check("--format=0")[0], 3)


class Streams(Life):
    def test_a_reader_on_an_answer_that_is_streamed(self) -> None:
        options = ("--class", "stickyd_test_apps:Page")
        with Daemon(*options) as daemon, daemon.connect() as sock:
            sock.sendall(request(ONE, "/drip?n=150"))
            upgrade(daemon)
            self.assertEqual(Reader(sock).response().body.count(b"line\n"), 150)
