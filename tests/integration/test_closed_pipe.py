"""Commands whose output nobody reads any more, as in ``stickyd explain --help | head``."""

import os
import subprocess
import sys
import unittest

from tests.support.daemon import ROOT

AS_BY_SIGPIPE = 141
"""The status that a shell gives a program which SIGPIPE has ended: 128 + 13."""

LOG = str(ROOT / "tests" / "integration" / "test_closed_pipe.py")

TO_OUTPUT = (
    (),
    ("--help",),
    ("--version",),
    ("run", "--help"),
    ("run", "--version"),
    ("explain", "--help"),
    ("explain", "10.0.0.1"),
    ("check", "--help"),
    ("check",),
    ("check", "--format=0"),
    ("verify", "--help"),
    ("replay", "--help"),
)
TO_ERRORS = (
    ("unknown",),
    ("run", "--workers", "x"),
    ("explain", "--workers", "x", "10.0.0.1"),
    ("check", "--workers", "x"),
    ("verify", "--requests", "x", "http://127.0.0.1:1/"),
    ("verify", "http://127.0.0.1:1/"),
    ("replay", "/nowhere"),
    ("replay", LOG),
)


class Closed(unittest.TestCase):
    def setUp(self) -> None:
        reading, self.writing = os.pipe()
        os.close(reading)
        self.addCleanup(os.close, self.writing)

    def run_all(self, commands: tuple[tuple[str, ...], ...], stream: str, other: str) -> None:
        """At the same time: each is a Python that starts."""
        for unbuffered in ("", "1"):
            running = [
                subprocess.Popen(
                    [sys.executable, "-m", "stickyd", *command],
                    **{stream: self.writing, other: subprocess.PIPE},  # type: ignore[call-overload]
                    cwd=ROOT,
                    text=True,
                    env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
                )
                for command in commands
            ]
            for command, process in zip(commands, running, strict=True):
                with self.subTest(command=command, unbuffered=unbuffered), process:
                    output = "".join(text or "" for text in process.communicate(timeout=60))
                    self.assertNotIn("Traceback", output)
                    self.assertNotIn("BrokenPipe", output)
                    self.assertEqual(process.returncode, AS_BY_SIGPIPE, output)

    def test_standard_output(self) -> None:
        self.run_all(TO_OUTPUT, "stdout", "stderr")

    def test_standard_error(self) -> None:
        self.run_all(TO_ERRORS, "stderr", "stdout")

    def test_a_reader_that_leaves_after_the_first_line(self) -> None:
        command = f"'{sys.executable}' -m stickyd run --help | head -1; exit ${{PIPESTATUS[0]}}"
        run = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=ROOT)
        self.assertEqual((run.stdout.count("\n"), run.stderr), (1, ""))
        self.assertIn(run.returncode, (0, AS_BY_SIGPIPE))
