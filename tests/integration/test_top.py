"""``stickyd top`` on a terminal, beside a real daemon."""

import os
import re
import signal
import socket
import subprocess
import sys
import unittest

from tests.integration.test_admin import AdminDaemon
from tests.integration.test_status import mixed_load
from tests.support.daemon import ROOT, wait_for
from tests.support.terminal import Terminal

ENTER, LEAVE = b"\x1b[?1049h", b"\x1b[?1049l"
SHOW_CURSOR = b"\x1b[?25h"


def requests_in(lines: list[str]) -> int:
    """The sum in the column of requests; -1 if it is not there."""
    heading = next((line for line in lines if line.lstrip().startswith("slot")), "")
    row = next((line for line in lines if line.lstrip().startswith("all ")), "")
    found = re.search(r"\brequests\b", heading)
    return int(row[: found.end()].split()[-1]) if found else -1


class Top(unittest.TestCase):
    def assertClean(self, terminal: Terminal) -> None:
        """It has ended, and the terminal is as it was."""
        self.assertEqual(terminal.ended(), 0, terminal.raw())
        self.assertIn(LEAVE, terminal.raw())
        self.assertGreater(terminal.raw().rindex(SHOW_CURSOR), terminal.raw().rindex(b"slot"))
        self.assertEqual(terminal.after(), terminal.before)

    def test_it_follows_a_daemon(self) -> None:
        with (
            AdminDaemon("--affinity-scope", "request") as daemon,
            Terminal("top", "--control", daemon.control) as terminal,
        ):
            terminal.wait_line("  ready  generation 1  request scope")
            mixed_load(daemon)
            requests = daemon.report()["workers"]["requests"]
            terminal.wait_for(lambda lines: requests_in(lines) == requests, "the same figure")
            moved = sum(daemon.report()["workers"]["moved"].values())
            terminal.wait_line(f"moves        {moved} connections to another slot")
            daemon.process.send_signal(signal.SIGHUP)
            terminal.wait_line("generation 2")
            terminal.wait_line("restarts     reload: 2")
            os.kill(daemon.pids()[1], signal.SIGKILL)
            terminal.wait_line("crash: 1, reload: 2")
            terminal.resize((50, 12))
            lines = terminal.wait_for(lambda lines: len(lines) == 12, "twelve lines")
            self.assertLessEqual(max(map(len, lines)), 50)
            terminal.resize((120, 40))
            terminal.wait_for(lambda lines: len(lines) == 40, "forty lines")
            daemon.stop()
            lines = terminal.wait_line("NO ANSWER, trying again: ")
            self.assertIn(daemon.control, lines[0])
            daemon.start()
            terminal.wait_line("  ready  generation 1  request scope")
            terminal.wait_line("restarts     none")
            terminal.press(b"q")
            self.assertClean(terminal)

    def test_signals_end_it_and_a_stopped_daemon_does_not_keep_it(self) -> None:
        with AdminDaemon() as daemon:
            for end in (b"\x03", signal.SIGTERM):
                with Terminal("top", "--admin", f":{daemon.admin}", size=(80, 24)) as terminal:
                    terminal.wait_line("  ready  generation 1")
                    if isinstance(end, bytes):
                        terminal.press(end)
                    else:
                        terminal.process.send_signal(end)
                    self.assertClean(terminal)
            with Terminal("top", "--admin", f":{daemon.admin}") as terminal:
                terminal.wait_line("  ready  generation 1")
                daemon.process.send_signal(signal.SIGSTOP)
                try:
                    terminal.wait_line("NO ANSWER, trying again: ")
                    terminal.press(b"q")
                    self.assertClean(terminal)
                finally:
                    daemon.process.send_signal(signal.SIGCONT)

    def test_ctrl_z_gives_the_terminal_back(self) -> None:
        with AdminDaemon() as daemon:
            with Terminal("top", "--admin", f":{daemon.admin}") as terminal:
                terminal.wait_line("  ready  generation 1")
                terminal.process.send_signal(signal.SIGTSTP)
                stat = f"/proc/{terminal.process.pid}/stat"

                def stopped() -> bool:
                    with open(stat) as file:
                        return file.read().rpartition(")")[2].split()[0] == "T"

                wait_for(stopped, what="a stopped process")
                wait_for(lambda: LEAVE in terminal.raw(), what="the ordinary screen")
                self.assertEqual(terminal.after(), terminal.before)
                terminal.process.send_signal(signal.SIGCONT)
                wait_for(lambda: terminal.raw().count(ENTER) == 2, what="the screen again")
                terminal.press(b"q")
                self.assertClean(terminal)


class Errors(unittest.TestCase):
    def test_it_needs_a_terminal(self) -> None:
        command = [sys.executable, "-m", "stickyd", "top", "--admin", ":1"]
        done = subprocess.run(command, stdin=-3, capture_output=True, text=True, cwd=ROOT)
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr, r"\Astickyd top: it needs a terminal; [^\n]+\n\Z")

    def test_a_wrong_address_is_said_at_once(self) -> None:
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            with Terminal("top", "--admin", f":{bound.getsockname()[1]}") as terminal:
                self.assertEqual(terminal.ended(), 2)
                self.assertIn(b"nothing listens there", terminal.raw())
                self.assertNotIn(b"\x1b[?1049h", terminal.raw())
