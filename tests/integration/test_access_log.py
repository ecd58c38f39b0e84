"""The access log: formats, one line a request whatever the app, and new files on SIGUSR1."""

import os
import signal
import tempfile
import unittest
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from stickyd.http1.access_log_format import FormatError, compiled
from stickyd.http1.access_log_record import Record
from stickyd.http1.head_parser import Head, read_head
from stickyd.http1.limits import Limits
from tests.support.daemon import Daemon, Reader, read_all, request, wait_for

ONE, TWO = "10.10.10.10", "10.10.12.11"
"""Clients of worker 1 and worker 2, at seed 1 and two workers."""

HEAD = b'GET /a?b=%c HTTP/1.1\r\nHost: x\r\nReferer: http://r/\r\nUser-Agent: a "b" \\c\r\n\r\n'


WHY = 'cookie("): no cookie "'


def record(**changes: Any) -> Record:
    head = read_head(HEAD, Limits())
    assert isinstance(head, Head)
    known = Record(ONE, head, 200, 123, 1e9 + 0.5, 0.25, 2, "xff", "k\n", 7, WHY)
    return known._replace(**changes)


class Formats(unittest.TestCase):
    def test_combined(self) -> None:
        self.assertEqual(
            compiled("combined")(record()),
            b'10.10.10.10 - - [09/Sep/2001:01:46:40 +0000] "GET /a?b=%c HTTP/1.1" 200 123'
            b' "http://r/" "a \\x22b\\x22 \\x5cc"\n',
        )

    def test_atoms(self) -> None:
        for text, line in (
            ("%(slot)s %(reason)s %(key)s %(connection)s", "2 xff k\\x0a 7"),
            ("%(why)s", "cookie(\\x22): no cookie \\x22"),
            ("%(m)s %(U)s %(H)s", "GET /a?b=%c HTTP/1.1"),
            ("%(D)s %(L)s %(p)s", f"250000 0.250000 {os.getpid()}"),
            ("%({HOST}i)s|%({x-not}i)s|100%%", "x|-|100%"),
            ("", ""),
        ):
            with self.subTest(text=text):
                self.assertEqual(compiled(text)(record()).decode(), line + "\n")
        self.assertEqual(compiled("%(h)s %(s)s")(record(client="", status=0)), b"- -\n")

    def test_what_is_no_format(self) -> None:
        for text in ("%(x)s", "%s", "%(h)", "100%", "%({a b}i)s", "a\nb", "%(h)d"):
            with self.subTest(text=text):
                self.assertRaises(FormatError, compiled, text)

    @given(st.text(), st.binary(max_size=50))
    def test_nothing_ends_a_line_or_a_quoted_part(self, key: str, value: bytes) -> None:
        fields = [(b"user-agent", value)]
        head = record().head._replace(fields=fields)
        line = compiled('"%(a)s" %(key)s %(why)s')(record(key=key, head=head, why=key))
        self.assertEqual((line.count(b"\n"), line.count(b'"')), (1, 2))
        self.assertEqual(line[-1:], b"\n")
        self.assertTrue(line[:-1].decode("ascii").isprintable())


class Logged(unittest.TestCase):
    FORMAT = "%(slot)s %(reason)s %(h)s %(r)s %(s)s %(O)s"

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name, "access.log")

    def start(self, *options: str) -> Daemon:
        log = ("--access-logfile", str(self.path), "--access-logformat", self.FORMAT)
        return Daemon(*options, *log)

    def lines(self, count: int) -> list[str]:
        wait_for(lambda: len(self.path.read_text().splitlines()) >= count, what="a line")
        return self.path.read_text().splitlines()

    def test_every_kind_of_app(self) -> None:
        for options in (
            ("--affinity-scope", "request"),
            ("--wsgi", "stickyd_wsgi_apps:app"),
            ("--asgi", "stickyd_asgi_apps:app"),
        ):
            with self.subTest(options=options), self.start(*options) as daemon:
                with daemon.connect() as sock:
                    sock.sendall(request(ONE))
                    reader = Reader(sock)
                    status = reader.response().status
                    sock.sendall(request(TWO))
                    reader.response()
                one, two = self.lines(2)
                self.assertRegex(one, rf"^1 xff {ONE} GET / HTTP/1.1 {status} \d+$")
                slot = "2" if "request" in options else "1"
                self.assertRegex(two, rf"^{slot} xff {TWO} GET / HTTP/1.1 {status} \d+$")
                self.assertGreater(int(one.split()[-1]), 50)
            self.path.unlink()

    def test_refused_and_lost(self) -> None:
        limits = ("--limit-request-body", "10", "--half-close-timeout", "0.1")
        with self.start(*limits, "--class", "stickyd_life_app:App") as daemon:
            with daemon.connect() as sock:
                sock.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n")
                size = len(read_all(sock))
            self.assertTrue(self.lines(1)[0].endswith(f" POST / HTTP/1.1 413 {size}"))
            with daemon.connect() as sock:
                sock.sendall(request(ONE, "/late?s=30"))
                wait_for(lambda: daemon.report()["workers"]["requests"] == 1)
            self.assertRegex(self.lines(2)[1], r"GET /late\?s=30 HTTP/1.1 - 0$")

    def test_a_new_file_on_sigusr1(self) -> None:
        with self.start() as daemon:
            daemon.exchange(request(ONE))
            self.lines(1)
            moved = self.path.rename(self.path.with_suffix(".1"))
            daemon.process.send_signal(signal.SIGUSR1)
            wait_for(self.path.exists, what="a new file")
            # Each worker opens it for itself.
            wait_for(lambda: self._holders(daemon, moved) == 0, what="the old one let go")
            daemon.exchange(request(TWO))
            self.assertEqual(len(self.lines(1)), 1)
            self.assertEqual(len(moved.read_text().splitlines()), 1)
            self.assertEqual(daemon.process.poll(), None)

    def _holders(self, daemon: Daemon, path: Path) -> int:
        held = 0
        for pid in daemon.family():
            for name in os.listdir(f"/proc/{pid}/fd"):
                held += os.readlink(f"/proc/{pid}/fd/{name}") == str(path)
        return held

    def test_in_the_daemons_own_log(self) -> None:
        with Daemon("--access-logfile", "-", "--access-logformat", "seen %(h)s") as daemon:
            daemon.exchange(request(ONE))
            wait_for(lambda: f"seen {ONE}" in "\n".join(daemon.log), what="the line")

    def test_sigusr1_without_any_log(self) -> None:
        with Daemon() as daemon:
            daemon.process.send_signal(signal.SIGUSR1)
            wait_for(lambda: "logs are reopened" in "\n".join(daemon.log), what="the line")
            self.assertIn(b"worker 1", daemon.exchange(request(ONE)))
