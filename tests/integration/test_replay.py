"""``stickyd replay``: agrees with a daemon's own counters to the request."""

import gzip
import io
import os
import random
import subprocess
import sys
import tempfile
import unittest
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from stickyd.cli.replay.command import replay
from tests.support.daemon import ROOT, Daemon, Reader, request, wait_for

JSON = '{"client": "%(h)s", "connection": "%(connection)s", "slot": %(slot)s}'


def run(*arguments: str) -> tuple[int, str, str]:
    out, error = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(error):
        status = replay(list(arguments))
    return status, out.getvalue(), error.getvalue()


class Agrees(unittest.TestCase):
    def mix(self, daemon: Daemon) -> None:
        chosen = random.Random(7)
        for _ in range(8):
            with daemon.connect() as sock:
                reader = Reader(sock)
                for _ in range(40):
                    sock.sendall(request(f"10.0.0.{chosen.randrange(60)}"))
                    reader.response()

    def replayed(self, name: str, scope: str) -> tuple[str, dict[str, Any]]:
        """What replay says of a log in this format, and what the daemon that wrote it does."""
        with tempfile.TemporaryDirectory() as directory:
            log = f"{directory}/log"
            options = ("--access-logfile", log, "--access-logformat", name)
            with Daemon("--affinity-scope", scope, *options, workers=3) as daemon:
                self.mix(daemon)
                report = daemon.report()
            status, out, error = run(log, "-w", "3")
        self.assertEqual((status, error), (0, ""))
        return out, report

    def check_slots(self, out: str, report: dict[str, Any]) -> None:
        for slot in report["slots"]:
            requests = slot["counters"]["requests"]
            self.assertRegex(out, rf"(?m)^ +{slot['slot']}  +{requests}  ")

    def test_with_the_requests_of_each_slot(self) -> None:
        out, report = self.replayed("routed", "request")
        self.assertIn("320 requests of 60 clients (combined format)", out)
        self.check_slots(out, report)

    def test_with_the_misroutes_of_connection_scope(self) -> None:
        out, report = self.replayed(JSON, "connection")
        misrouted = report["workers"]["misrouted"]
        self.assertGreater(misrouted, 50)
        self.assertIn(f"connection scope: {misrouted} of 320 requests", out)
        self.assertIn(f"served elsewhere, as the log says: {misrouted} of 320 requests", out)
        # The same requests in request scope: what connection scope would misroute.
        out, report = self.replayed("json", "request")
        self.assertIn(f"connection scope: {misrouted} of 320 requests", out)
        self.assertIn("served elsewhere, as the log says: 0 of 320 requests", out)
        self.check_slots(out, report)


class Command(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        self.log = f"{self.directory}/log"
        line = '10.0.0.%d - - [25/Nov/2026:07:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "-"\n'
        Path(self.log).write_text("".join(line % (n % 9) for n in range(1000)))

    def test_gzip_and_standard_input_are_the_same(self) -> None:
        packed = f"{self.directory}/log.gz"
        Path(packed).write_bytes(gzip.compress(Path(self.log).read_bytes()))
        status, out, _ = run(self.log, "-w", "4")
        self.assertEqual(status, 0)
        self.assertIn("would move", out)
        self.assertEqual(run(packed, "-w", "4")[:2], (0, out))
        with open(packed, "rb") as log:
            command = [sys.executable, "-m", "stickyd", "replay", "-w", "4", "-"]
            ended = subprocess.run(command, stdin=log, capture_output=True, text=True, cwd=ROOT)
        self.assertEqual((ended.stdout, ended.stderr), (out, ""))

    def test_picture(self) -> None:
        file = f"{self.directory}/slots.svg"
        self.assertEqual(run(self.log, "-w", "4", "--picture", file)[0], 0)
        texts = "".join(ElementTree.parse(file).getroot().itertext())
        for slot in range(1, 5):
            self.assertIn(f"slot {slot}", texts)

    def test_errors_are_one_line(self) -> None:
        broken = f"{self.directory}/broken.gz"
        Path(broken).write_bytes(gzip.compress(Path(self.log).read_bytes())[:-20])
        other = f"{self.directory}/other"
        Path(other).write_text("nothing\nof the kind\n")
        for arguments, status in (
            ([], 2),
            ([self.log, "--picture", "x.png"], 2),
            ([self.log, "--format", "iis"], 2),
            ([f"{self.directory}/absent"], 1),
            ([self.directory], 1),
            ([other], 1),
            ([other, "--format", "json"], 1),
            ([broken], 1),
            ([self.log, "--picture", f"{self.directory}/absent/x.svg"], 1),
            ([os.devnull], 1),
        ):
            with self.subTest(arguments):
                found, out, error = run(*arguments)
                self.assertEqual((found, out), (status, ""))
                self.assertRegex(error, r"\Astickyd replay: [^\n]+\n\Z")

    def test_on_a_terminal_there_is_a_progress_bar(self) -> None:
        master, slave = os.openpty()
        with open(master, "rb", buffering=0) as terminal:
            command = [sys.executable, "-m", "stickyd", "replay", self.log]
            environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
            with subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=slave, cwd=ROOT, env=environment
            ) as child:
                os.close(slave)
                assert child.stdout is not None
                out = child.stdout.read()
            self.assertIn(b"1000 requests", out)
            shown: list[bytes] = []

            def bar() -> bool:
                shown.append(terminal.read(65536))
                return b"%" in b"".join(shown)

            wait_for(bar)
            self.assertIn(b"log", b"".join(shown))
