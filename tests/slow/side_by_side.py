"""``status``, ``top``, the live page, ``/api/status``, ``/metrics`` and ``--control`` agree.

``python -m tests.slow.side_by_side`` takes about a minute. Clients of all slots share kept-alive
connections, so that these move, or in connection scope cause misroutes; there are WebSockets,
refused requests, a reload and a worker that is killed. The load pauses, every source is asked, and
each figure that it has is compared with that of ``--control``.
"""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from typing import Any

from tests.integration.test_admin import AdminDaemon
from tests.slow.prometheus_scrapes import Load
from tests.support.daemon import (
    ROOT,
    Reader,
    at_rest,
    connected,
    read_all,
    request,
    wait_for,
)
from tests.support.terminal import Terminal
from tests.support.upgraded import OFFER

Figures = Mapping[str, float]
"""By name: ``requests``, ``requests 1`` (of a slot), ``refused 400``, ``restarts crash``, ..."""

SLOTS = 3
COLUMNS = {"open": "open", "idle": "idle", "ws": "websockets", "requests": "requests"}
"""Columns of the tables, and the figure that each has."""


def of_report(report: dict[str, Any]) -> dict[str, float]:
    """All figures, from the report of ``--control``."""
    master, workers = report["master"], report["workers"]
    figures: dict[str, float] = {
        "generation": report["generation"],
        "ready": report["ready"],
        "open": report["connections"]["open"],
        "idle": report["connections"]["idle"],
        "most": report["connections"]["most"],
        "websockets": workers["upgraded"],
        "requests": workers["requests"],
        "moved": sum(workers["moved"].values()),
        "misrouted": workers["misrouted"],
    }
    for part in (master, workers):
        for name, count in part["refused"].items():
            figures[f"refused {name}"] = figures.get(f"refused {name}", 0) + count
    figures |= {f"restarts {name}": count for name, count in master["restarts"].items()}
    for slot in report["slots"]:
        number = slot["slot"]
        (worker,) = slot["workers"]
        figures[f"pid {number}"] = worker["pid"]
        figures[f"open {number}"] = worker["open"]
        figures[f"idle {number}"] = worker["idle"]
        figures[f"websockets {number}"] = worker["upgraded"]
        figures[f"requests {number}"] = slot["totals"]["requests"]
        figures[f"moved {number}"] = sum(slot["totals"]["moved"].values())
    return figures


def of_table(lines: list[str]) -> dict[str, float]:
    """The figures that ``status`` or ``top`` shows."""
    text = "\n".join(lines)
    figures: dict[str, float] = {"ready": "NOT READY" not in lines[0]}
    for name, pattern in (
        ("generation", r"generation (\d+)"),
        ("open", r"^(\d+) connections"),
        ("most", r"at most (\d+)"),
        ("idle", r"(\d+) idle"),
        ("moved", r"^moves +(\d+)"),
        ("misrouted", r"^misroutes +(\d+)"),
    ):
        found = re.search(pattern, text, re.M)
        assert found, (name, text)
        figures[name] = int(found[1])
    for name, label in (("refusals", "refused"), ("restarts", "restarts")):
        found = re.search(rf"^{name} +(.*)$", text, re.M)
        assert found, text
        pairs = re.findall(r"([^:,]+): (\d+)", found[1])
        figures |= {f"{label} {key.strip()}": int(count) for key, count in pairs}
    at = next(n for n, line in enumerate(lines) if line.lstrip().startswith("slot "))
    ends = {found[0]: found.end() for found in re.finditer(r"\S+", lines[at])}
    for row in lines[at + 1 :]:
        label = row[: ends["slot"]].strip()
        if label == "all" or label.isdigit():
            suffix = "" if label == "all" else f" {label}"
            for heading, figure in COLUMNS.items():
                if heading in ends:
                    figures[figure + suffix] = int(row[: ends[heading]].split()[-1])
            if suffix:
                figures[f"pid{suffix}"] = int(row.split()[1])
    return figures


def of_metrics(daemon: AdminDaemon) -> dict[str, float]:
    """The figures of ``/metrics``."""
    names = {
        "generation": "generation",
        "open_connections": "open",
        "idle_connections": "idle",
        "max_connections": "most",
        "moved_connections_total": "moved",
        "misrouted_requests_total": "misrouted",
        "requests_total": "requests",
        "open_websockets": "websockets",
        "slot_open_connections": "slot open",
    }
    figures: dict[str, float] = {}

    def add(name: str, value: float) -> None:
        figures[name] = figures.get(name, 0) + value

    for (name, labels), value in daemon.samples().items():
        own = name.removeprefix("stickyd_")
        by = dict(labels)
        if own == "slot_open_connections":
            add(f"open {by['slot']}", value)
        elif own in names:
            add(names[own], value)
            if "slot" in by and own != "misrouted_requests_total":
                add(f"{names[own]} {by['slot']}", value)
        elif own == "refused_requests_total":
            add(f"refused {by['status']}", value)
        elif own == "worker_restarts_total" and value:
            add(f"restarts {by['reason']}", value)
    return figures


class Rows(HTMLParser):
    """The rows of the page's tables, as texts of their cells by table and ``data-key``."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[tuple[str, str], list[str]] = {}
        self._table = ""
        self._row: list[str] = []
        self._in_cell = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        if tag == "section":
            self._table = names.get("id") or ""
        elif tag == "tr":
            self._row = self.rows.setdefault((self._table, names.get("data-key") or ""), [])
        elif tag == "td":
            self._in_cell = True
            self._row.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == "td":
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self._row[-1] += data


def number(text: str) -> int:
    """Of the first line of a cell, as ``1,234``; a dash is 0."""
    return int(re.sub(r"\D", "", text.partition("\n")[0]) or 0)


def of_page(daemon: AdminDaemon) -> dict[str, float]:
    """The figures of the live page as a browser without JavaScript shows them."""
    parser = Rows()
    parser.feed(daemon.get("/")[1].decode())
    figures: dict[str, float] = {}
    for key in ("requests", "moved", "misrouted", "open", "idle", "websockets"):
        numbers = [number(text) for text in parser.rows["slots", key]]
        suffixes = [f" {slot}" for slot in range(1, len(numbers))] + [""]
        figures |= {key + suffix: count for suffix, count in zip(suffixes, numbers, strict=True)}
    for (table, key), texts in parser.rows.items():
        if table == "restarts" and key:
            figures[f"restarts {key.removeprefix('restart:')}"] = number(texts[0])
    return figures


def by_status(*source: str) -> dict[str, float]:
    command = [sys.executable, "-m", "stickyd", "status", *source]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert not done.stderr, done.stderr
    return of_table(done.stdout.splitlines())


def by_json(*source: str) -> dict[str, float]:
    command = [sys.executable, "-m", "stickyd", "status", "--json", *source]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    return of_report(json.loads(done.stdout))


def by_api(daemon: AdminDaemon) -> dict[str, float]:
    return of_report(json.loads(daemon.get("/api/status")[1]))


def by_top(terminal: Terminal, expected: Figures) -> dict[str, float]:
    """What ``top`` shows once it has asked since the load paused; its last frame if it differs."""
    shown: list[dict[str, float]] = [{}]

    def same() -> bool:
        shown[0] = of_table(terminal.lines())
        return not differences(shown[0], expected)

    try:
        wait_for(same, what="the same figures")
    except AssertionError:
        pass
    return shown[0]


def differences(found: Figures, expected: Figures) -> list[str]:
    """The figures that both have, and that are not the same."""
    return [
        f"{name}: {found[name]:g} instead of {expected[name]:g}"
        for name in sorted(found.keys() & expected.keys())
        if found[name] != expected[name]
    ]


def compare(daemon: AdminDaemon, terminal: Terminal, what: str) -> list[str]:
    """Ask everything while nothing happens; what differs."""
    expected = at_rest(lambda: of_report(daemon.report()))
    control, admin = ("--control", daemon.control), ("--admin", f":{daemon.admin}")
    # Each returns figures by the names of `of_report`, those that it has.
    views: dict[str, Callable[[], Figures]] = {
        "status --control": lambda: by_status(*control),
        "status --admin": lambda: by_status(*admin),
        "status --json": lambda: by_json(*control),
        "top": lambda: by_top(terminal, expected),
        "/api/status": lambda: by_api(daemon),
        "/metrics": lambda: of_metrics(daemon),
        "live page": lambda: of_page(daemon),
    }
    failures = []
    counts = []
    for name, ask in views.items():
        found = ask()
        counts.append(f"{name} {len(found.keys() & expected.keys())}")
        failures += [f"{what}: {name}: {each}" for each in differences(found, expected)]
        if len(found.keys() & expected.keys()) < 10:
            failures.append(f"{what}: {name} has but {sorted(found)}")
    named = ("requests", "moved", "misrouted", "websockets")
    numbers = ", ".join(f"{name} {expected[name]:.0f}" for name in named)
    print(f"{what}: {numbers}; figures compared: {', '.join(counts)}", flush=True)
    if differences(of_report(daemon.report()), expected):
        failures.append(f"{what}: the daemon was not at rest")
    return failures


def refuse(daemon: AdminDaemon) -> None:
    """A request that the master refuses, and one that a worker refuses."""
    with connected(daemon.port) as sock:
        sock.sendall(b"nonsense\r\n\r\n")
        read_all(sock)
    with connected(daemon.port) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n\r\n")
        read_all(sock)


def websocket(daemon: AdminDaemon, client: str) -> socket.socket:
    """A WebSocket that stays open."""
    sock = connected(daemon.port)
    sock.sendall(request(client, "/ws").removesuffix(b"\r\n") + OFFER)
    assert Reader(sock).response().status == 101
    return sock


def run(scope: str) -> list[str]:
    failures = []
    options = ("--affinity-scope", scope, "--workers", str(SLOTS), "--graceful-timeout", "2")
    with (
        AdminDaemon("--class", "stickyd_websocket_app:root", *options) as daemon,
        Terminal("top", "--admin", f":{daemon.admin}", size=(132, 40)) as terminal,
        contextlib.ExitStack() as sockets,
    ):

        def more_websockets() -> None:
            for number in range(4):
                sockets.enter_context(websocket(daemon, f"10.8.0.{number}"))

        terminal.wait_line("generation 1")
        load = Load(daemon.port)
        try:
            wait_for(lambda: daemon.report()["workers"]["requests"] > 500, what="requests")
            refuse(daemon)
            more_websockets()
            load.pause()
            failures += compare(daemon, terminal, f"{scope} scope, load")
            load.go_on()
            daemon.process.send_signal(signal.SIGHUP)
            terminal.wait_line("starting")
            terminal.wait_line("generation 2")
            wait_for(lambda: settled(daemon, set()), what="the end of the old workers")
            more_websockets()
            load.pause()
            failures += compare(daemon, terminal, f"{scope} scope, reload")
            load.go_on()
            pids = set(daemon.pids().values())
            os.kill(daemon.pids()[2], signal.SIGKILL)
            wait_for(lambda: settled(daemon, pids), what="a replacement")
            load.pause()
            failures += compare(daemon, terminal, f"{scope} scope, kill")
        finally:
            load.stop()
        terminal.press(b"q")
        if terminal.ended() != 0:
            failures.append("top did not end")
    return failures


def settled(daemon: AdminDaemon, before: set[int]) -> bool:
    """Whether each slot has one worker, which serves; not all those of before."""
    slots = daemon.report()["slots"]
    alone = all(len(s["workers"]) == 1 and s["state"] == "ready" for s in slots)
    return alone and {slot["pid"] for slot in slots} != before


def main() -> int:
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        failures = run("request") + run("connection")
    print("\n".join(failures) or "all agree")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
