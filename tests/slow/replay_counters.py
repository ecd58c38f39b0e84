"""``stickyd replay`` against the daemon's own counters, of the loads of the benchmarks.

    python -m tests.slow.replay_counters [--seconds 2]

wrk sends the loads of P1, P2 and P3 (`benchmarks.load`) to daemons of four workers, in both scopes
and with each of their own log formats; then P2 goes through nginx and through HAProxy, whose logs
are replayed. Then, or the exit status is 1:

- the log has a line for each request that the daemon counts;
- the requests that replay places on a slot are those that the slot's workers count, where requests
  are served where they belong: in request scope, and of any load on one client a connection;
- the misroutes that replay finds in a log that names connections, and the requests that it says
  another slot has served, are those that the workers count.

nginx and HAProxy are left out where they are not installed. HAProxy logs the address of its peer,
which wrk cannot choose: clients of this program, from many addresses, stand in for it.
"""

import argparse
import io
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import attrs

from benchmarks.load import CONNECTIONS, Load
from stickyd.cli.replay.command import replay
from tests.support.daemon import Daemon, Reader, at_rest, connected, free_port, wait_for

WORKERS = 4
OWN = '{"client": "%(h)s", "connection": "%(connection)s", "slot": %(slot)s}'
"""A format of docs/replay.md."""

WRITTEN = {"own": OWN, "json": "json", "combined": "combined", "routed": "routed"}
RECOGNISED = {"own": "json", "routed": "combined"}
"""What the command takes them for, where that has another name."""

NAMED = ("own", "json")
"""Formats that name connections and slots."""

LOADS = {"p1": Load(mixed=False), "p2": Load(mixed=True), "p3": Load(mixed=True, closing=True)}

NGINX = """
daemon off; master_process off; pid {directory}/nginx.pid; error_log {directory}/error.log warn;
events {{ worker_connections 1024; }}
http {{
  log_format main '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent '
                  '"$http_referer" "$http_user_agent" "$http_x_forwarded_for"';
  access_log {log} main; keepalive_requests 10000000;
  client_body_temp_path {directory}/b; proxy_temp_path {directory}/p;
  fastcgi_temp_path {directory}/f; uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
  upstream app {{ server 127.0.0.1:{app}; keepalive 32; keepalive_requests 10000000; }}
  server {{ listen 127.0.0.1:{port} backlog=1024; location / {{
    proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection "";
    # wrk leaves requests behind.
    proxy_ignore_client_abort on;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; }} }}
}}
"""

HAPROXY = """
defaults
  mode http
  log stdout format raw local0 info
  option httplog
  option forwardfor
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend in
  bind 127.0.0.1:{port}
  default_backend app
backend app
  server a 127.0.0.1:{app}
"""


class Report:
    """What the command prints about a log, whose format it has to recognise."""

    def __init__(self, path: Path, *options: str) -> None:
        out = io.StringIO()
        with redirect_stdout(out):
            status = replay([str(path), "--workers", str(WORKERS), *options])
        if status:
            raise AssertionError(f"stickyd replay ends with {status}")
        self._text = out.getvalue()
        found = re.match(r"(\d+) requests of \d+ clients \((\w+) format\)", self._text)
        assert found is not None, self._text
        self.total = int(found[1])
        self.format = found[2]
        lines = re.findall(r"(?m)^ +(\d+)  +(\d+)  +[0-9.]+ %", self._text)
        self.slots = {int(slot): int(requests) for slot, requests in lines[:WORKERS]}
        self.misrouted, self.connected = self._pair("connection scope")
        self.elsewhere, self.logged = self._pair("served elsewhere, as the log says")

    def _pair(self, what: str) -> tuple[int, int]:
        found = re.search(rf"(?m)^{what}: (\d+) of (\d+) requests", self._text)
        return (int(found[1]), int(found[2])) if found else (0, 0)


@attrs.frozen
class Counted:
    """What a daemon has counted.

    :ivar slots: requests by slot.
    """

    slots: dict[int, int]
    misrouted: int
    dropped: int

    @classmethod
    def of(cls, daemon: Daemon) -> "Counted":
        """When nothing is under way any more."""

        def look() -> tuple[dict[int, int], int, int]:
            report = daemon.report()
            slots = {slot["slot"]: slot["counters"]["requests"] for slot in report["slots"]}
            workers = report["workers"]
            return slots, workers["misrouted"], workers["log_dropped"]

        return cls(*at_rest(look))


def differences(log: Report, counted: Counted, name: str, at_home: bool) -> list[str]:
    """In which numbers the log and the counters differ.

    :param name: of a format in `WRITTEN`, or of a proxy.
    :param at_home: whether each request was served where it belongs.
    """
    total = sum(counted.slots.values())
    pairs: list[tuple[str, Any, Any]] = [
        ("format", log.format, RECOGNISED.get(name, name)),
        ("requests", log.total, total),
        ("dropped lines", 0, counted.dropped),
    ]
    if at_home:
        pairs += [
            ("requests by slot", log.slots, counted.slots),
            ("misrouted", 0, counted.misrouted),
        ]
    if name in NAMED:
        pairs += [
            ("served elsewhere", log.elsewhere, counted.misrouted),
            ("lines with a slot", log.logged, total),
            ("lines with a connection", log.connected, total),
        ]
        if not at_home:
            pairs.append(("misroutes", log.misrouted, counted.misrouted))
    return [
        f"{what}: {theirs} in the log, {ours} counted"
        for what, theirs, ours in pairs
        if theirs != ours
    ]


def wrk(port: int, load: Load, seconds: int, directory: Path) -> None:
    """One load."""
    script = directory / "load.lua"
    script.write_text(load.script())
    command = ["wrk", f"-t{load.threads()}", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(script)]
    subprocess.run(
        [*command, f"http://127.0.0.1:{port}/"], check=True, capture_output=True, timeout=120
    )


def addresses(port: int, requests: int) -> None:
    """Clients from many addresses, some requests on each connection."""
    chosen = random.Random(1)
    while requests > 0:
        with connected(port, f"127.{chosen.randrange(250)}.7.{chosen.randrange(1, 250)}") as sock:
            reader = Reader(sock)
            for _ in range(chosen.randrange(1, 6)):
                sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                assert reader.response().status == 200
                requests -= 1


def direct(name: str, scope: str, load: str, seconds: int) -> list[str]:
    """A daemon under a load of wrk."""
    with tempfile.TemporaryDirectory() as temporary:
        log = Path(temporary, "access.log")
        options = ("--access-logfile", str(log), "--access-logformat", WRITTEN[name])
        with Daemon("--affinity-scope", scope, *options, workers=WORKERS) as daemon:
            wrk(daemon.port, LOADS[load], seconds, Path(temporary))
            counted = Counted.of(daemon)
        told = Report(log)
        at_home = scope == "request" or load != "p2"
        found = differences(told, counted, name, at_home)
        if not at_home and not counted.misrouted:
            found.append("connection scope has misrouted nothing")
        title = f"{load}, {scope} scope, {name}"
        print(f"{title:32}{told.total:8} requests, {counted.misrouted:7} misrouted", flush=True)
        return [f"{title}: {text}" for text in found]


def behind(
    name: str, text: str, arguments: Sequence[str], ask: Callable[[int, Path], None], trusted: str
) -> list[str]:
    """A proxy in front of a daemon, whose log is replayed.

    :param arguments: of the proxy, before the path of its configuration.
    :param ask: given the proxy's port and a directory.
    :param trusted: the daemon's proxies, and those of the replay.
    """
    program = shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if program is None:
        print(f"without {name}: it is not installed")
        return []
    options = ("--forwarded-allow-ips", trusted)
    with (
        tempfile.TemporaryDirectory() as temporary,
        Daemon("--affinity-scope", "request", *options, workers=WORKERS) as daemon,
    ):
        directory, log = Path(temporary), Path(temporary, "proxy.log")
        port = free_port()
        conf = directory / "conf"
        conf.write_text(text.format(directory=directory, log=log, port=port, app=daemon.port))
        with log.open("ab") as out:
            proxy = subprocess.Popen([program, *arguments, str(conf)], stdout=out)
        try:
            wait_for(lambda: _listens(port), what=f"{name} listens")
            ask(port, directory)
            counted = Counted.of(daemon)
        finally:
            proxy.terminate()
            proxy.wait()
        told = Report(log, *options)
        print(f"p2 behind {name:22}{told.total:8} requests", flush=True)
        return [f"{name}: {each}" for each in differences(told, counted, name, True)]


def _listens(port: int) -> bool:
    try:
        connected(port).close()
    except OSError:
        return False
    return True


def main() -> int:
    """Run everything; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=int, default=2, help="of each load")
    seconds = parser.parse_args().seconds
    if shutil.which("wrk") is None:
        print("wrk is not installed (Debian: apt-get install wrk)")
        return 1
    failures: list[str] = []
    for scope in ("request", "connection"):
        for name in WRITTEN:
            failures += direct(name, scope, "p2", seconds)
        for load in ("p1", "p3"):
            failures += direct("json", scope, load, seconds)
    failures += behind(
        "nginx",
        NGINX,
        ("-c",),
        lambda port, directory: wrk(port, LOADS["p2"], seconds, directory),
        "127.0.0.0/8",
    )
    failures += behind(
        "haproxy", HAPROXY, ("-db", "-f"), lambda port, _: addresses(port, 3000), "127.0.0.1"
    )
    print("\n".join(failures) or "all agree to the request")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
