"""The four rows of the verification, by every way to start the daemon."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import venv
from pathlib import Path

from tests.support import readme
from tests.support.daemon import ROOT, SEED, Daemon, workers_in

ANSWER = re.compile(
    rb"HTTP/1\.1 200 OK\r\n"
    rb"Content-Type: text/plain\r\n"
    rb"Date: [A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT\r\n"
    rb"Connection: keep-alive\r\n"
    rb"Transfer-Encoding: chunked\r\n"
    rb"\r\n"
    rb"([0-9a-f]+)\r\n"
    rb"(Hello World! From worker (\d) x-forwarded-for=([0-9.]+) with pid: \d+ \n)\r\n"
    rb"0\r\n\r\n"
)
MSG1 = (SEED / "msg1").read_bytes()
MSG2 = (SEED / "msg2").read_bytes()
CRLF1 = (SEED / "msg1.crlf").read_bytes()
CRLF2 = (SEED / "msg2.crlf").read_bytes()


def rows(first: bytes, second: bytes) -> list[bytes]:
    return [first, second, first + second, second + first]


BEFORE = [[1], [2], [1, 1], [2, 2]]
AFTER = [[1], [2], [1, 2], [2, 1]]


def seen(daemon: Daemon, first: bytes, second: bytes) -> list[list[int]]:
    return [workers_in(daemon.exchange(row)) for row in rows(first, second)]


class Verification(unittest.TestCase):
    def check_text(self, answer: bytes, clients: list[bytes]) -> None:
        parts = list(ANSWER.finditer(answer))
        self.assertEqual(b"".join(part[0] for part in parts), answer)
        self.assertEqual([part[4] for part in parts], clients)
        for part in parts:
            self.assertEqual(int(part[1], 16), len(part[2]))

    def test_rows_text_and_framing(self) -> None:
        one, two = b"10.10.10.10", b"10.10.12.11"
        with Daemon() as daemon:
            for first, second in ((MSG1, MSG2), (CRLF1, CRLF2)):
                whose = [[one], [two], [one, two], [two, one]]
                for row, clients in zip(rows(first, second), whose, strict=True):
                    self.check_text(daemon.exchange(row), clients)
                self.assertEqual(seen(daemon, first, second), BEFORE)

    def test_fifty_times_and_after_restarts(self) -> None:
        for _ in range(2):
            with Daemon() as daemon:
                for _ in range(25):
                    self.assertEqual(seen(daemon, MSG1, MSG2), BEFORE)
                    self.assertEqual(seen(daemon, CRLF1, CRLF2), BEFORE)

    def test_request_scope_solves_the_mixed_rows(self) -> None:
        with Daemon("--affinity-scope", "request") as daemon:
            for first, second in ((MSG1, MSG2), (CRLF1, CRLF2)):
                self.assertEqual(seen(daemon, first, second), AFTER)
                for row, expected in zip(rows(first, second), AFTER, strict=True):
                    pieces = [bytes([byte]) for byte in row]
                    self.assertEqual(workers_in(daemon.exchange(row, pieces)), expected)


def openbsd_netcat() -> bool:
    """Whether ``nc`` is the netcat that the README names; others have no ``-q``."""
    if shutil.which("nc") is None:
        return False
    said = subprocess.run(["nc", "-h"], capture_output=True, text=True)
    return "OpenBSD netcat" in said.stdout + said.stderr


class Readme(unittest.TestCase):
    def test_its_rows_and_its_table(self) -> None:
        expected = rows(MSG1, MSG2)
        self.assertEqual([row.data() for row in readme.rows()], expected)
        self.assertEqual([row.workers for row in readme.rows()], BEFORE)
        for row in readme.rows():
            self.assertEqual(row.netcat[-2:], ["localhost", "3000"])

    def test_the_bytes_it_sends(self) -> None:
        with Daemon() as daemon:
            for row in readme.rows():
                for half_close in (False, True):
                    with self.subTest(files=row.files, half_close=half_close):
                        seen = readme.answers(daemon.port, row, half_close)
                        self.assertEqual(seen, row.workers)

    @unittest.skipUnless(openbsd_netcat(), "needs nc (Debian: netcat-openbsd)")
    def test_its_commands(self) -> None:
        with Daemon() as daemon:
            for row in readme.rows():
                said = subprocess.run(
                    [*row.netcat[:-1], str(daemon.port)],
                    input=row.data(),
                    capture_output=True,
                    timeout=20,
                    check=True,
                )
                self.assertEqual(workers_in(said.stdout), row.workers)


class WaysToStart(unittest.TestCase):
    """The same through twistd, twist, the .tac, and an installed wheel."""

    def test_twistd(self) -> None:
        command = [os.path.join(os.path.dirname(sys.executable), "twistd")]
        with Daemon(command=[*command, "-n", "--pidfile=", "stickyd"]) as daemon:
            self.assertEqual(seen(daemon, MSG1, MSG2), BEFORE)

    def test_twist(self) -> None:
        twist = os.path.join(os.path.dirname(sys.executable), "twist")
        with Daemon(command=[twist, "stickyd"]) as daemon:
            self.assertEqual(seen(daemon, MSG1, MSG2), BEFORE)

    def test_tac(self) -> None:
        twistd = os.path.join(os.path.dirname(sys.executable), "twistd")
        daemon = Daemon()
        daemon.command = [twistd, "--pidfile=", "-ny", str(ROOT / "stickyd.tac")]
        daemon._environment["STICKYD_LISTEN"] = f"tcp:{daemon.port}:interface=127.0.0.1"
        with daemon:
            self.assertEqual(seen(daemon, MSG1, MSG2), BEFORE)

    def test_installed_wheel_in_an_empty_directory(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            source = Path(directory, "source")
            shutil.copytree(
                ROOT,
                source,
                ignore=shutil.ignore_patterns(
                    ".git", ".venv", "*.egg-info", "build", ".*_cache", "_trial_temp*"
                ),
            )
            pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
            subprocess.run(
                [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", directory, str(source)],
                check=True,
                capture_output=True,
                # Without the compiled core: tests of its own build it.
                env={**os.environ, "STICKYD_NATIVE": "0"},
            )
            (wheel,) = Path(directory).glob("*.whl")
            # Dependencies come from the environment of the tests, stickyd from the wheel.
            place = Path(directory, "venv")
            venv.create(place, with_pip=False, symlinks=True)
            site = next(place.glob("lib/python*/site-packages"))
            subprocess.run(
                [*pip, "install", "--no-deps", "--target", str(site), str(wheel)],
                check=True,
                capture_output=True,
            )
            dependencies = [p for p in sys.path if p.endswith("site-packages")]
            # Behind a .pth: nothing of the checkout itself is on the path.
            (site / "dependencies.pth").write_text("\n".join(dependencies) + "\n")
            empty = Path(directory, "empty")
            empty.mkdir()
            python = str(place / "bin" / "python")
            run = "import sys; from stickyd.cli.main import main; sys.exit(main())"
            daemon = Daemon(command=[python, "-P", "-c", run, "run"], cwd=str(empty))
            del daemon._environment["PYTHONPATH"]
            with daemon:
                self.assertEqual(seen(daemon, MSG1, MSG2), BEFORE)
                where = subprocess.run(
                    [python, "-P", "-c", "import stickyd; print(stickyd.__file__)"],
                    capture_output=True,
                    text=True,
                    check=True,
                    cwd=empty,
                )
                self.assertIn(str(site), where.stdout)
