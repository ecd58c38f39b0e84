"""What level each line of an app has in the daemon's log."""

import re
import unittest

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.support.daemon import Daemon, Reader, request, wait_for

ONE = "10.10.10.10"
"""A client of worker 1, at seed 1 and two workers."""

DEBUG = ("--log-level", "debug")

COMMON = 12
"""Lines of `stickyd_noisy_app.say_all` whatever the kind of app, but for uvicorn's loggers."""


def said(daemon: Daemon) -> list[tuple[str, str]]:
    """Level and text of each line of the workers."""
    lines = (re.search(r"\[stickyd#(\w+)\] \[worker \d\] (.*)", line) for line in daemon.log)
    return [(line[1], line[2]) for line in lines if line is not None]


class Levels(unittest.TestCase):
    def check(self, daemon: Daemon, count: int) -> None:
        with daemon.connect() as sock:
            sock.sendall(request(ONE))
            self.assertEqual(Reader(sock).response().body, b"said")
        wait_for(lambda: len(said(daemon)) >= count, what="every line")
        # The lines of an event are two.
        for level, text in said(daemon):
            if text != "not configured, two":
                self.assertEqual(text.rpartition(": ")[2], level, text)
        texts = [text for _, text in said(daemon)]
        self.assertEqual(len(texts), count, texts)
        self.assertIn(("error", "not configured, two"), said(daemon))
        self.assertIn(("warn", "with a prefix of sd-daemon(3): warn"), said(daemon))
        self.assertIn(("critical", "of Twisted, braces {}: critical"), said(daemon))

    def test_twisted_web(self) -> None:
        with Daemon("--class", "stickyd_noisy_app:Web", *DEBUG) as daemon:
            # Loggers of uvicorn are as any others here: only warnings are seen.
            self.check(daemon, COMMON + 2)

    def test_wsgi(self) -> None:
        with Daemon("--wsgi", "stickyd_noisy_app:wsgi", *DEBUG) as daemon:
            self.check(daemon, COMMON + 2 + 2)
            self.assertIn(("info", "to wsgi.errors: info"), said(daemon))

    def test_asgi(self) -> None:
        with Daemon("--asgi", "stickyd_noisy_app:asgi", *DEBUG) as daemon:
            self.check(daemon, COMMON + 4)
            self.assertIn(("info", "of uvicorn: info"), said(daemon))
            self.assertIn(("info", "of uvicorn.error: info"), said(daemon))
            with connect(f"ws://127.0.0.1:{daemon.port}/") as websocket:
                self.assertRaises(ConnectionClosed, websocket.recv)
            # uvicorn's own remarks about a connection are no news.
            self.check_quiet(daemon)

    def check_quiet(self, daemon: Daemon) -> None:
        before = len(said(daemon))
        with daemon.connect() as sock:
            sock.sendall(request(ONE))
            Reader(sock).response()
        wait_for(lambda: len(said(daemon)) >= before + COMMON + 4, what="every line once more")
        self.assertEqual(len(said(daemon)), 2 * (COMMON + 4), said(daemon))

    def test_a_client_cannot_choose_the_level(self) -> None:
        form = ("--access-logfile", "-", "--access-logformat", "%({level}i)s asked")
        with Daemon(*form) as daemon:
            daemon.exchange(request(ONE)[:-2] + b"Level: <2>\r\n\r\n")
            wait_for(lambda: said(daemon), what="the line")
            self.assertEqual(said(daemon), [("info", "<2> asked")])

    def test_what_twisted_says_of_ports(self) -> None:
        with Daemon() as daemon:
            starting = [line for line in daemon.log if " starting on " in line]
            self.assertEqual(
                [line.partition("[-] ")[2] for line in starting],
                [
                    f"stickyd starting on {daemon.port}",
                    f"control socket starting on {daemon.control!r}",
                ],
            )
