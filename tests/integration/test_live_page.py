"""The live page of --admin: its files, and its stream of events, whatever the workers do."""

import contextlib
import http.client
import json
import os
import signal
import unittest
from collections.abc import Iterator
from typing import Any

from stickyd.master.admin.page.files import TYPES
from stickyd.master.admin.page.stream import STREAMS_MOST
from tests.integration.test_admin import AdminDaemon
from tests.integration.test_upgrade import upgrades
from tests.support.daemon import Reader, request, wait_for

View = dict[str, Any]


class Stream:
    """A page's stream of events."""

    def __init__(self, daemon: AdminDaemon) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", daemon.admin, timeout=30)
        self._connection.request("GET", "/events")
        self.response = self._connection.getresponse()
        self.retry = b""

    def view(self) -> View | None:
        """The next one; None at the end. http.client.IncompleteRead if it ends otherwise."""
        while line := self.response.readline():
            if line.startswith(b"retry: "):
                self.retry = line
            if line.startswith(b"data: "):
                view: View = json.loads(line[6:])
                return view
        return None

    def until(self, condition: Any) -> View:
        """The first view of which this is true."""
        for _ in range(40):
            view = self.view()
            assert view is not None
            if condition(view):
                return view
        raise AssertionError(f"no such view; the last: {view}")

    def close(self) -> None:
        self.response.close()
        self._connection.close()


@contextlib.contextmanager
def streaming(daemon: AdminDaemon) -> Iterator[Stream]:
    stream = Stream(daemon)
    try:
        yield stream
    finally:
        stream.close()


def row(view: View, table: str, key: str) -> list[str]:
    """The texts of a row."""
    for each in view["tables"]:
        for group in each["groups"]:
            for one in group["rows"]:
                if (each["key"], one["key"]) == (table, key):
                    return [cell if isinstance(cell, str) else cell[0] for cell in one["cells"]]
    raise AssertionError(f"no {key} in {table}")


def total(view: View, key: str) -> int:
    return int(row(view, "slots", key)[-1].replace(",", ""))


class Shared(unittest.TestCase):
    daemon: AdminDaemon

    @classmethod
    def setUpClass(cls) -> None:
        cls.daemon = AdminDaemon("--affinity-scope", "request", "--timeout", "0")
        cls.enterClassContext(cls.daemon)

    def test_the_page_and_its_files(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.daemon.admin, timeout=30)
        with contextlib.closing(connection):
            for path, kind in {"/": "text/html; charset=utf-8"}.items() | {
                (f"/{name}", kind) for name, kind in TYPES.items()
            }:
                for method in ("GET", "HEAD"):
                    connection.request(method, path)
                    response = connection.getresponse()
                    body = response.read()
                    self.assertEqual(
                        (response.status, response.headers["content-type"]), (200, kind)
                    )
                    self.assertEqual(bool(body), method == "GET")
                    policy = response.headers["content-security-policy"]
                    self.assertNotIn("unsafe", policy)
            connection.request("HEAD", "/events")
            response = connection.getresponse()
            self.assertEqual(response.headers["content-type"], "text/event-stream")
            self.assertEqual(response.read(), b"")
        self.assertEqual(self.daemon.get("/events", Host="evil.example")[0], 421)
        page = self.daemon.get("/")[1]
        self.assertIn(b'<link rel="stylesheet" href="page.css">', page)

    def test_the_figures_are_those_of_the_report(self) -> None:
        with streaming(self.daemon) as stream:
            stream.view()
            self.assertEqual(stream.retry, b"retry: 2000\n")
            with self.daemon.connect() as sock:
                reader = Reader(sock)
                for client in range(60):
                    sock.sendall(request(f"10.2.0.{client}"))
                    self.assertEqual(reader.response().status, 200)
                report = self.daemon.report()
                workers = report["workers"]
                moved = sum(workers["moved"].values())
                self.assertGreater(moved, 5)
                view = stream.until(lambda view: total(view, "requests") >= workers["requests"])
                self.assertEqual(total(view, "requests"), workers["requests"])
                self.assertEqual(total(view, "moved"), moved)
                self.assertEqual(total(view, "arrived"), workers["arrived"])
                self.assertEqual(total(view, "source:xff"), workers["requests"])
                pids = [f"pid {slot['pid']}" for slot in report["slots"]]
                serving = row(view, "slots", "ready")[:-1]
                self.assertEqual([text.split("\n")[0] for text in serving], pids)
                self.assertEqual([text.split("\n")[1] for text in serving], ["generation 1"] * 2)

    def test_it_goes_on_while_every_worker_is_stopped(self) -> None:
        with streaming(self.daemon) as stream:
            pids = self.daemon.pids().values()
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            try:
                times = {
                    view["time"] for view in (stream.view(), stream.view(), stream.view()) if view
                }
                self.assertGreater(len(times), 1)
                self.assertIn(b"<table>", self.daemon.get("/")[1])
            finally:
                for pid in pids:
                    os.kill(pid, signal.SIGCONT)

    def test_pages_lock_nobody_out(self) -> None:
        before = self.daemon.settled_descriptors()
        with contextlib.ExitStack() as stack:
            streams = [stack.enter_context(streaming(self.daemon)) for _ in range(STREAMS_MOST)]
            self.assertEqual(self.daemon.get("/events")[0], 503)
            self.assertEqual(self.daemon.get("/metrics")[0], 200)
            for each in streams:
                self.assertIsNotNone(each.view())
        # Their places are free again.
        with streaming_when_there_is_room(self.daemon) as stream:
            self.assertIsNotNone(stream.view())
        self.assertEqual(self.daemon.settled_descriptors(), before)


@contextlib.contextmanager
def streaming_when_there_is_room(daemon: AdminDaemon) -> Iterator[Stream]:
    def attempt() -> Stream | None:
        stream = Stream(daemon)
        if stream.response.status == 200:
            return stream
        stream.close()
        return None

    stream = wait_for(attempt, what="room")
    with contextlib.closing(stream):
        yield stream


class Changes(unittest.TestCase):
    def test_reload_kill_upgrade_and_stop(self) -> None:
        with AdminDaemon() as daemon:
            with streaming(daemon) as stream:
                daemon.process.send_signal(signal.SIGHUP)
                stream.until(lambda view: "generation 2 serves" in texts(view))
                pid = daemon.pids()[2]
                os.kill(pid, signal.SIGKILL)
                stream.until(lambda view: f"slot 2: worker {pid} has ended" in texts(view))
                view = stream.until(lambda view: row(view, "restarts", "restart:crash") != ["0"])
                self.assertIn("1 worker replaced: crash", texts(view))
                # The end is in order, not in the middle of a view.
                wait_for(lambda: 2 in daemon.pids())
                daemon.process.send_signal(signal.SIGUSR2)
                while stream.view() is not None:
                    pass
            wait_for(lambda: upgrades(daemon) == 1)
            with streaming(daemon) as stream:
                view = stream.view()
                assert view is not None
                lines = [text.split("\n")[1] for text in row(view, "slots", "ready")[:-1]]
                self.assertEqual(lines, ["generation 2"] * 2)
                daemon.process.send_signal(signal.SIGTERM)
                while stream.view() is not None:
                    pass
            self.assertEqual(daemon.wait(), -signal.SIGTERM)


def texts(view: View) -> list[str]:
    return [event["text"] for event in view["events"]]
