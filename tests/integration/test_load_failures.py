"""Why an app does not load: one line, the traceback for who asks, and `stickyd check --load`."""

import os
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from tests.support.daemon import ROOT, Daemon, free_port, wait_for

ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'apps'}"}
BROKEN = "stickyd_broken_app"

# Options, what the one line says, and what the traceback has.
FAILURES = (
    (("--class", f"{BROKEN}:resource"), "RuntimeError: does not load", "in _deep"),
    (("--wsgi", "nosuch:app"), "No module named 'nosuch'", "ModuleNotFoundError"),
    (("--asgi", f"{BROKEN}:asgi", "--factory"), "RuntimeError: does not load", "in _deep"),
    (("--asgi", f"{BROKEN}:lifespan_raises"), "Cause: the first cause", "in _deep"),
    (("--asgi", f"{BROKEN}:lifespan_fails"), "OSError: no database", "  told by the app"),
    (("--on-retire", f"{BROKEN}:nothing"), "no attribute 'nothing'", "AttributeError"),
)


def stickyd(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "stickyd", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=ENVIRONMENT)


def run(*options: str) -> subprocess.CompletedProcess[str]:
    listen = f"tcp:{free_port()}:interface=127.0.0.1"
    return stickyd("run", "--workers", "2", "--listen", listen, *options)


class Start(unittest.TestCase):
    def test_without_the_option_it_is_one_line(self) -> None:
        for options, says, _ in FAILURES:
            with self.subTest(options=options):
                ended = run(*options)
                self.assertEqual((ended.returncode, ended.stderr.count("\n")), (1, 1))
                self.assertIn(says, ended.stderr)
                self.assertNotIn("Traceback", ended.stdout)

    def test_display_tracebacks_puts_it_into_the_log_once(self) -> None:
        for options, says, shows in FAILURES:
            with self.subTest(options=options):
                ended = run("--display-tracebacks", *options)
                self.assertEqual((ended.returncode, ended.stderr.count("\n")), (1, 1))
                self.assertIn(says, ended.stderr)
                self.assertEqual(ended.stdout.count(shows), 1, ended.stdout)

    def test_a_message_without_end(self) -> None:
        ended = run("--display-tracebacks", "--class", f"{BROKEN}:long")
        self.assertEqual((ended.returncode, ended.stderr.count("\n")), (1, 1), ended.stderr[:500])
        self.assertIn("RuntimeError: xxx", ended.stderr)

    def test_at_a_reload(self) -> None:
        daemon = Daemon("--class", "mine:Page", "--display-tracebacks")
        file = Path(daemon.directory.name, "mine.py")
        file.write_text("from twisted.web.resource import Resource as Page\n")
        with daemon:
            file.write_text("def f():\n    raise OSError('broken on purpose')\nf()\n")
            daemon.process.send_signal(signal.SIGHUP)
            daemon.said("given up")
            self.assertEqual(len(daemon.said("cannot load --class mine:Page: OSError")), 1)
            self.assertEqual(len(daemon.said(f'File "{file}", line 2, in f')), 1)
            # Nothing of ours, nor of the import's, stands in front of it.
            wait_for(lambda: any("Traceback" in line for line in daemon.log))
            (at,) = [n for n, line in enumerate(daemon.log) if "Traceback" in line]
            self.assertIn(f'File "{file}", line 3', daemon.log[at + 1])
            # It is here on purpose.
            daemon.log[:] = [line for line in daemon.log if "Traceback" not in line]


class Check(unittest.TestCase):
    def check(self, *options: str) -> tuple[int, str, str]:
        ended = stickyd("check", *options)
        return ended.returncode, ended.stdout, ended.stderr

    def test_without_load_it_says_what_it_has_not_checked(self) -> None:
        for options in (("--asgi", "nosuch:app"), ("--on-retire", "nosuch:app")):
            status, said, _ = self.check(*options)
            self.assertEqual(status, 0)
            self.assertIn("the options are right; not checked: ", said)
            self.assertIn(f"whether {' '.join(options)} can be loaded (--load)", said)
            self.assertEqual(said.count("\n"), 1)
        for options in ((), ("--path", "/")):
            _, said, _ = self.check(*options)
            self.assertNotIn("loaded", said)

    def test_an_app_that_loads(self) -> None:
        for options in (
            ("--asgi", f"{BROKEN}:starts"),
            ("--class", "stickyd_test_apps:Page", "--hash-balance-factor", "150"),
            ("--wsgi", "stickyd_wsgi_apps:app", "--session-drain", "5"),
            ("--path", "/"),
            (),
        ):
            with self.subTest(options=options):
                status, said, errors = self.check("--load", *options)
                self.assertEqual(status, 0, errors)
                self.assertEqual(said.count("\n"), 1, said)
                self.assertIn("the options are right, and the app loads", said)
                self.assertNotIn("can be loaded", said)

    def test_it_is_started_and_ended_as_in_a_worker(self) -> None:
        options = ("--asgi", f"{BROKEN}:starts", "--on-retire", f"{BROKEN}:retired")
        status, _, errors = self.check("--load", *options)
        self.assertEqual(status, 0, errors)
        lines = [line.partition("] ")[2] for line in errors.splitlines()]
        # --on-retire is loaded too, but nobody retires.
        self.assertEqual(lines, ["the app starts", "the app ends"])

    def test_one_that_does_not_load_shows_the_traceback(self) -> None:
        for options, says, shows in FAILURES:
            with self.subTest(options=options):
                status, said, errors = self.check("--load", *options)
                self.assertEqual((status, said), (1, ""))
                last = errors.splitlines()[-1]
                self.assertTrue(last.startswith("stickyd: "), last)
                self.assertIn(says, last)
                self.assertEqual(errors.count(shows), 1, errors)

    def test_one_that_ends_the_process_or_hangs(self) -> None:
        status, said, errors = self.check("--load", "--class", "stickyd_test_apps:exits")
        self.assertEqual((status, said, errors.count("\n")), (1, "", 1))
        self.assertIn("a worker ended with exit code 3 before it was ready", errors)
        with tempfile.TemporaryDirectory() as directory:
            Path(directory, "hangs-1").touch()
            status, said, errors = stickyd_in(
                directory, "check", "--load", "--start-timeout", "0.5", *LIFE
            )
        self.assertEqual((status, said), (1, ""))
        self.assertIn("the app has not loaded within 0.5 s", errors.splitlines()[-1])

    def test_wrong_options_come_first(self) -> None:
        status, said, errors = self.check("--load", "--workers", "many")
        self.assertEqual((status, said, errors.count("\n")), (2, "", 1))

    def test_run_knows_no_load(self) -> None:
        self.assertEqual(run("--load").returncode, 2)


LIFE = ("--class", "stickyd_life_app:App")


def stickyd_in(directory: str, *arguments: str) -> tuple[int, str, str]:
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-m", "stickyd", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**ENVIRONMENT, "LIFE": directory},
        cwd=directory,
    )
    return ended.returncode, ended.stdout, ended.stderr
