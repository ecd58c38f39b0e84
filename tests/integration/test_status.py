"""``stickyd status``: the figures of ``--control``, from a real daemon."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path
from typing import Any

from tests.integration.test_admin import AdminDaemon
from tests.support.daemon import ROOT, Reader, at_rest, free_port, request, wait_for
from tests.support.terminal import Terminal

CHANGING = ("memory", "cpu", "age")


def status(
    *arguments: str, cwd: str | Path = ROOT, **environment: str
) -> "subprocess.CompletedProcess[str]":
    path = {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "stickyd", "status", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **path, **environment},
        timeout=60,
    )


def steady(report: Any) -> Any:
    """The report without what changes on its own."""
    if isinstance(report, dict):
        return {name: steady(value) for name, value in report.items() if name not in CHANGING}
    return [steady(each) for each in report] if isinstance(report, list) else report


def mixed_load(daemon: AdminDaemon, requests: int = 60) -> None:
    """Clients of both slots on one connection, so that it moves."""
    with daemon.connect() as sock:
        reader = Reader(sock)
        for number in range(requests):
            sock.sendall(request(f"10.0.0.{number}"))
            assert reader.response().status == 200


def rows_of(text: str) -> dict[str, list[str]]:
    """The rows of the table by their first word."""
    return {row.split()[0]: row.split() for row in text.split("\n\n")[1].splitlines()}


class Figures(unittest.TestCase):
    def check(self, daemon: AdminDaemon) -> None:
        """At rest, everything agrees with ``--control``."""
        report = at_rest(lambda: steady(daemon.report()))
        for source in (("--control", daemon.control), ("--admin", f":{daemon.admin}")):
            done = status(*source, "--json")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertEqual(steady(json.loads(done.stdout)), report)
        done = status("--admin", f"127.0.0.1:{daemon.admin}")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        rows = rows_of(done.stdout)
        self.assertLessEqual(max(map(len, done.stdout.splitlines())), 80)
        for slot in report["slots"]:
            found = rows[str(slot["slot"])]
            (worker,) = slot["workers"]
            expected = [slot["pid"], worker["generation"], "ready", worker["open"], worker["idle"]]
            expected += [worker["upgraded"], slot["totals"]["requests"]]
            self.assertEqual(found[1:8], [str(each) for each in expected])
        moved = sum(report["workers"]["moved"].values())
        self.assertIn(f"\nmoves        {moved} connections", done.stdout)
        self.assertEqual(rows["all"][4], str(report["workers"]["requests"]))
        restarts = [f"{name}: {count}" for name, count in report["master"]["restarts"].items()]
        self.assertIn(f"\nrestarts     {', '.join(restarts) or 'none'}\n", done.stdout)
        self.assertIn(f"  ready  generation {report['generation']}  request scope", done.stdout)

    def test_they_are_those_of_control_after_moves_a_reload_and_a_kill(self) -> None:
        with AdminDaemon("--affinity-scope", "request") as daemon:
            mixed_load(daemon)
            self.check(daemon)
            over = threading.Event()

            def load() -> None:
                while not over.is_set():
                    mixed_load(daemon)

            thread = threading.Thread(target=load)
            thread.start()
            try:
                daemon.process.send_signal(signal.SIGHUP)
                wait_for(lambda: daemon.report()["generation"] == 2, what="reload")
            finally:
                over.set()
                thread.join()
            pid = daemon.pids()[1]
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda: len(daemon.pids()) == 2 and pid not in daemon.pids().values())
            mixed_load(daemon)
            self.assertGreater(sum(daemon.report()["workers"]["moved"].values()), 20)
            self.assertEqual(daemon.report()["master"]["restarts"], {"crash": 1, "reload": 2})
            self.check(daemon)

    def test_readiness_and_where_the_address_is_from(self) -> None:
        # As long as the test takes: a second TERM ends it.
        with AdminDaemon("--shutdown-delay", "60") as daemon:
            with tempfile.TemporaryDirectory() as directory:
                self.assertEqual(status(STICKYD_CONTROL=daemon.control).returncode, 0)
                self.assertEqual(status(STICKYD_ADMIN=f":{daemon.admin}").returncode, 0)
                file = Path(directory, "stickyd.toml")
                file.write_text(f'workers = 2\nadmin = ":{daemon.admin}"\n')
                self.assertEqual(status(cwd=directory).returncode, 0)
                self.assertEqual(status("--config", str(file)).returncode, 0)
                # The environment has precedence over the file, the command line over both.
                done = status(cwd=directory, STICKYD_CONTROL="/nowhere")
                self.assertEqual(done.returncode, 2)
                self.assertIn("'/nowhere': there is no such socket", done.stderr)
                arguments = ("--admin", f":{daemon.admin}")
                done = status(*arguments, cwd=directory, STICKYD_CONTROL="/nowhere")
                self.assertEqual(done.returncode, 0)
            with Terminal("status", "--control", daemon.control, size=(80, 24)) as terminal:
                self.assertEqual(terminal.ended(), 0)
                self.assertIn(b"\x1b[1;32mready\x1b[0m", terminal.raw())
            environment = {"NO_COLOR": "1"}
            with Terminal("status", *arguments, environment=environment) as terminal:
                self.assertEqual(terminal.ended(), 0)
                self.assertNotRegex(terminal.raw(), rb"\x1b\[[\d;]*3\d")
                self.assertIn(b"ready", terminal.raw())
            daemon.process.send_signal(signal.SIGTERM)
            wait_for(lambda: not daemon.report()["ready"], what="unreadiness")
            done = status("--control", daemon.control)
            self.assertEqual((done.returncode, done.stderr), (1, ""))
            self.assertRegex(done.stdout, r"\Astickyd \S+  NOT READY  .*\nstopping\n")


class Errors(unittest.TestCase):
    def check(self, text: str, *arguments: str, **environment: str) -> None:
        done = status(*arguments, **environment)
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertRegex(done.stderr, rf"\Astickyd status: [^\n]*{text}[^\n]*\n\Z")

    def test_they_are_one_line_that_says_what_to_change(self) -> None:
        with tempfile.TemporaryDirectory(dir="/tmp") as directory:
            cwd = directory
            done = status(cwd=cwd)
            self.assertEqual(done.returncode, 2)
            self.assertIn("which daemon? Give --control PATH or --admin ADDR", done.stderr)
            path = f"{directory}/control"
            with socket.socket(socket.AF_UNIX) as sock:
                sock.bind(path)
                self.check("nothing listens there; .* --control", "--control", path)
        port = free_port()
        self.check("nothing listens there; .* --admin", "--admin", f":{port}")
        self.check("--admin: 'x' is not HOST:PORT", "--admin", "x")
        self.check("--admin: 'systemd:.*does not say where to connect", "--admin", "systemd:a:1")
        self.check(r"\$STICKYD_ADMIN: 'x' is not HOST:PORT", STICKYD_ADMIN="x")
        self.check("--config: /nowhere: No such file", "--config", "/nowhere")
        self.check("not recognized", "--nothing")

    def test_what_listens_there_is_something_else(self) -> None:
        answers = {
            b"SSH-2.0-OpenSSH_9\r\n": "does not speak HTTP",
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n": "is answered with 404",
            b"HTTP/1.1 200 OK\r\n\r\nhello": "it sent no JSON",
            b'HTTP/1.1 200 OK\r\n\r\n{"a": 1}': "it has no master",
            b'HTTP/1.1 200 OK\r\n\r\n["\\u001b[2J"]': "it is no object",
            b"": "does not speak HTTP|closed before",
        }
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(60)

            def serve() -> None:
                for answer in answers:
                    sock, _ = server.accept()
                    with sock:
                        sock.settimeout(60)
                        sock.recv(65536)
                        sock.sendall(answer)

            thread = threading.Thread(target=serve)
            thread.start()
            for text in answers.values():
                self.check(text, "--admin", f":{server.getsockname()[1]}")
            thread.join()
