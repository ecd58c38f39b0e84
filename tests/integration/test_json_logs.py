"""Logs in JSON, ids of requests, and traces: whatever apps and clients send."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path
from typing import Any, ClassVar

from stickyd.http1.json_text import joined
from tests.apps.stickyd_json_logs_app import FORGED, LONG
from tests.support.daemon import START_SECONDS, Daemon, Reader, request, wait_for
from tests.unit.http1.test_access_log_json import PARENT, SPAN, TRACE
from tests.unit.http1.test_json_text import strictly

ONE, TWO = "10.10.10.10", "10.10.12.11"
"""Clients of worker 1 and worker 2, at seed 1 and two workers."""

JSON = ("--log-format", "json", "--access-logformat", "json")
HOSTILE = b'\xff\xc3"\\ \t\x80\xed\xa0\x80{"a":1}' + "ä\u2028".encode()


class JsonDaemon(Daemon):
    """A daemon whose log is JSON, in a file: of a pipe not read in time lines are dropped."""

    def start(self, wait: bool = True) -> None:
        path = Path(self.directory.name, "log")
        with path.open("wb") as output:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._environment,
                cwd=self._cwd,
            )
        # Closed by `wait`.
        self.process.stdout = path.open(encoding="utf-8", newline="\n")
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        self._ready.wait(START_SECONDS)
        assert self.process.poll() is None, self.log

    def _read_log(self) -> None:
        held = ""
        while True:
            ended = self.process.poll() is not None
            held += self.process.stdout.read()
            *lines, held = held.split("\n")
            for line in lines:
                self.take(line)
            if not lines:
                if ended:
                    break
                # A file has no event for what is appended.
                time.sleep(0.01)
        self._ready.set()

    def take(self, line: str) -> None:
        """A line of the log."""
        self.log.append(line)
        if " is ready: " in line and '"logger":"stickyd"' in line:
            self._ready.set()

    def lines(self) -> list[dict[str, Any]]:
        """Every line of the log."""
        return [strictly(line) for line in list(self.log)]

    def __exit__(self, kind: Any, value: Any, trace: Any) -> None:
        # What the apps fail with on purpose is no fault.
        lines = self.lines
        kept: list[dict[str, Any]] = []
        try:
            self.stop()
            kept += lines()
            self.log.clear()
        finally:
            super().__exit__(kind, value, trace)
        assert kept[-1]["message"] == "Server Shut Down.", kept[-1]


class Silent(Daemon):
    """A daemon that prints nothing."""

    def __enter__(self) -> "Silent":
        self.start(wait=False)
        return self


class EachKind(unittest.TestCase):
    """The same of every kind of app, with one daemon each."""

    KINDS: ClassVar[tuple[tuple[str, str], ...]] = (
        ("--class", "stickyd_json_logs_app:Web"),
        ("--wsgi", "stickyd_json_logs_app:wsgi"),
        ("--asgi", "stickyd_json_logs_app:asgi"),
    )

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.access = Path(directory.name, "access.log")

    def test_logs_and_ids(self) -> None:
        for kind in self.KINDS:
            file = ("--access-logfile", str(self.access))
            scope = ("--affinity-scope", "request", "--request-id")
            with self.subTest(kind=kind), JsonDaemon(*kind, *JSON, *file, *scope) as daemon:
                self.check_ids(daemon)
                self.check_log(daemon)
                self.check_failure(daemon)
            self.access.unlink()

    def requests(self, count: int) -> list[dict[str, Any]]:
        """The lines of the access log."""

        def lines() -> list[bytes]:
            return self.access.read_bytes().splitlines()

        wait_for(lambda: len(lines()) >= count, what=f"{count} lines")
        return [strictly(line.decode("ascii")) for line in lines()]

    def check_ids(self, daemon: Daemon) -> None:
        heads = (b"X-Request-ID: id-1\r\n", b"", b"X-Request-ID: " + HOSTILE + b"\r\n")
        asked = []
        with daemon.connect() as sock:
            reader = Reader(sock)
            for client, more in zip((ONE, TWO, ONE), heads, strict=True):
                head = request(client, "/?q=%22")[:-2] + b"Traceparent: " + PARENT + b"\r\n" + more
                sock.sendall(head + b'User-Agent: "' + HOSTILE + b"\r\n\r\n")
                asked.append(json.loads(reader.response().body))
        self.assertEqual(asked[0]["id"], "id-1")
        lines = self.requests(3)
        for line, app in zip(lines, asked, strict=True):
            self.assertEqual(line["request_id"], app["id"])
            self.assertEqual(app["parent"].encode(), PARENT)
            self.assertEqual((line["trace_id"], line["span_id"]), (TRACE, SPAN))
            self.assertEqual((line["path"], line["query"], line["status"]), ("/", "q=%22", 200))
            self.assertEqual(joined(line, "user_agent"), b'"' + HOSTILE)
            self.assertIn(line["client"], (ONE, TWO))
        self.assertEqual([line["slot"] for line in lines], [1, 2, 1])
        # The first has been placed by the master.
        self.assertEqual([line["moved"] for line in lines], [False, True, True])
        self.assertEqual(len({line["connection"] for line in lines}), 1)
        for app in asked[1:]:
            self.assertRegex(app["id"], r"\A[0-9a-f]{32}\Z")
        self.assertNotEqual(asked[1]["id"], asked[2]["id"])

    def check_log(self, daemon: JsonDaemon) -> None:
        daemon.exchange(request(ONE, "/log"))
        pid = daemon.pids()[1]

        def lines() -> list[dict[str, Any]]:
            return [line for line in daemon.lines() if line["process"] == "worker"]

        wait_for(lambda: [x for x in lines() if x["message"] == " and the rest"], what="the last")
        self.assertEqual({(line["slot"], line["pid"]) for line in lines()}, {(1, pid)})
        printed = [line for line in lines() if line["logger"] == "output"]
        self.assertEqual(
            [joined(line, "message") for line in printed],
            [
                b'printed "as it is" \\ \t\x1b[0m',
                b"a lone surrogate '\\udcff'",
                b"half of a character: \xc3",
                FORGED,
                b"of level error",
                b"no line end",
                b" and the rest",
            ],
        )
        of = {line["message"]: line for line in lines()}
        self.assertEqual(of["of level error"]["level"], "error")
        warning = of["a lone surrogate: \\udcff"]
        self.assertEqual((warning["level"], warning["logger"]), ("warn", "its.logger"))
        self.assertEqual(joined(warning, "message"), b"a lone surrogate: \xed\xb3\xbf")
        self.assertEqual(warning["fields"], {"user": 7})
        failed = of["it failed"]
        self.assertTrue(failed["traceback"].startswith("Traceback"))
        self.assertTrue(failed["traceback"].endswith("ValueError: two\nlines"))
        self.assertEqual(of["0.5 of Twisted"]["fields"], {"n": 0.5})
        self.assertEqual((of[LONG]["level"], of[LONG]["logger"]), ("error", "its.logger"))
        self.assertEqual(of["behind it"]["logger"], "its.logger")

    def check_failure(self, daemon: JsonDaemon) -> None:
        with contextlib.suppress(ConnectionError):
            self.assertIn(b" 500 ", daemon.exchange(request(ONE, "/raise")))

        def failures() -> list[dict[str, Any]]:
            return [line for line in daemon.lines() if "of the app" in line.get("traceback", "")]

        (failed,) = wait_for(failures, what="the traceback")
        self.assertEqual(failed["process"], "worker")
        self.assertTrue(failed["traceback"].endswith("RuntimeError: of the app"))
        self.assertIn(failed["level"], ("error", "critical"))


class OneLog(unittest.TestCase):
    """All in the daemon's own log."""

    def test_many_writers(self) -> None:
        web = ("--class", "stickyd_json_logs_app:Web", "--access-logfile", "-", *JSON)
        hook = ("--child-exit", "stickyd_json_logs_app:asked")
        with JsonDaemon(*web, *hook, "--request-id", "X-Id") as daemon:
            pad = b"Referer: " + b"\xff" * 8000 + b"\r\n"
            with daemon.connect() as busy, daemon.connect() as sock:
                busy.sendall(request(TWO, "/shout"))
                reader = Reader(sock)
                # No more bytes than the worker keeps for a master that is busy.
                for number in range(40):
                    more = pad if number < 3 else b""
                    sock.sendall(request(TWO, f"/{number}")[:-2] + more + b"\r\n")
                for _ in range(40):
                    self.assertEqual(reader.response().status, 200)
                self.assertEqual(Reader(busy).response().status, 200)

            def said(logger: str) -> list[dict[str, Any]]:
                return [line for line in daemon.lines() if line["logger"] == logger]

            wait_for(lambda: len(said("access")) == 41, what="every request")
            access = [line["fields"] for line in said("access")]
            self.assertEqual(
                {line["path"] for line in access}, {"/shout", *(f"/{n}" for n in range(40))}
            )
            long = [line for line in access if line["referer"] is not None]
            # Not compared as lists, whose difference would take minutes.
            self.assertTrue(all(joined(line, "referer") == b"\xff" * 8000 for line in long))
            self.assertEqual(len(long), 3)
            self.assertRegex(access[0]["request_id"], r"\A[0-9a-f]{32}\Z")
            wait_for(lambda: len(said("thread-3")) == 20, what="every record")
            # What another program writes goes on after an upgrade.
            daemon.process.send_signal(signal.SIGUSR2)
            wait_for(lambda: self.upgraded(daemon), what="another program")
            daemon.exchange(request(ONE, "/log"))
            wait_for(lambda: [x for x in said("its.logger") if "traceback" in x], what="a record")
            # The helper's exceptions are one line, too: its callable wants two arguments.
            os.kill(daemon.pids()[2], signal.SIGKILL)
            failed = wait_for(
                lambda: [x for x in daemon.lines() if x["process"] == "child-exit"], what="its line"
            )
            self.assertIn("TypeError", failed[0]["traceback"])

    def upgraded(self, daemon: Daemon) -> bool:
        with contextlib.suppress(OSError, ValueError):
            return bool(daemon.report()["master"]["upgrades"])
        return False

    def test_twistds_own_log_file(self) -> None:
        twistd = os.path.join(os.path.dirname(sys.executable), "twistd")
        with tempfile.TemporaryDirectory() as directory:
            file = Path(directory, "log")
            command = [twistd, "-n", "--pidfile=", "-l", str(file), "stickyd"]
            daemon = Silent("--log-format", "json", "--log-level", "warn", command=command)

            def lines(path: Path) -> list[dict[str, Any]]:
                return [strictly(line) for line in path.read_text().splitlines()]

            with daemon:
                wait_for(lambda: file.exists() and len(lines(file)) >= 1, what="a warning")
                wait_for(lambda: os.path.exists(daemon.control) and daemon.pids(), what="workers")
                daemon.process.send_signal(signal.SIGUSR1)
                old = file.with_suffix(".1")
                wait_for(old.exists, what="a new file")
            self.assertEqual({line["level"] for line in lines(old)}, {"warn"})
            self.assertEqual(lines(file), [])


class Refused(unittest.TestCase):
    def check(self, *options: str) -> str:
        run = subprocess.run(
            [sys.executable, "-m", "stickyd", "check", *options], capture_output=True, text=True
        )
        self.assertEqual((run.returncode, run.stderr.count("\n")), (2, 1), run.stderr)
        return run.stderr

    def test_one_line(self) -> None:
        for options, line in (
            (("--log-format", "xml"), "--log-format: 'xml' is none of text, json"),
            (("--log-level", "loud"), "--log-level: 'loud' is none of debug, info, warn"),
            (("--request-id", "a b"), "--request-id: 'a b' is not a header name"),
            (
                ("--request-id", "--affinity", "hdr(x-request-id),src"),
                "--request-id X-Request-ID: --affinity takes the key from this header",
            ),
            (
                ("--access-logfile", "-", "--log-level", "warn"),
                "--log-level warn leaves out the lines of --access-logfile -",
            ),
            (("--access-logformat", "jsn %(x)s"), "--access-logformat: unknown atom 'x'"),
        ):
            with self.subTest(options=options):
                self.assertTrue(self.check(*options).startswith(f"stickyd: {line}"))

    def test_syslog_has_text(self) -> None:
        twistd = os.path.join(os.path.dirname(sys.executable), "twistd")
        run = subprocess.run(
            [twistd, "-n", "--pidfile=", "--syslog", "stickyd", "--log-format", "json"],
            capture_output=True,
            text=True,
        )
        self.assertEqual(
            run.stderr, "stickyd: --log-format json is not for --syslog, which has lines of text\n"
        )
