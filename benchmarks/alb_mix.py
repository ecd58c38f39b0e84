"""P2, the ALB mix: kept-alive connections, another client with every request.

    python -m benchmarks.alb_mix [--rounds 5] [--seconds 4]

Contestants, all real: stickyd in request scope with 4 workers; nginx
(`hash $http_x_forwarded_for consistent`, upstream keepalive) and HAProxy
(`balance hdr`, `hash-type consistent`, `http-reuse always`), each in front of
4 stock twisted.web processes. All processes of a contestant share one core,
wrk has another; rounds interleave the contestants. What counts is CPU time a
request, summed over the contestant's process tree from /proc/PID/stat.
Answers are checked for their worker by `stickyd verify`, not here: a wrong
answer is fast.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.daemon import ROOT, free_port, wait_for

SERVER_CORE, LOAD_CORE = "1", "0"
WORKERS = 4
CONNECTIONS = 32
TICKS = os.sysconf("SC_CLK_TCK")

WRK_SCRIPT = """
local n = 0
request = function()
  n = n + 1
  local address = string.format("10.%d.%d.%d", n % 7, n % 239, n % 251)
  return wrk.format("GET", "/", {["X-Forwarded-For"] = address})
end
"""

NGINX = """
daemon off; master_process on; worker_processes 1; pid {directory}/nginx.pid;
error_log {directory}/error.log warn;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_body_temp_path {directory}/b; proxy_temp_path {directory}/p;
  fastcgi_temp_path {directory}/f; uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
  keepalive_requests 10000000;
  upstream app {{ hash $http_x_forwarded_for consistent; {servers} keepalive 64; }}
  server {{ listen 127.0.0.1:{port}; location / {{
    proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection "";
    proxy_set_header X-Forwarded-For $http_x_forwarded_for; }} }}
}}
"""

HAPROXY = """
global
  nbthread 1
  maxconn 2000
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend in
  bind 127.0.0.1:{port}
  default_backend app
backend app
  balance hdr(X-Forwarded-For)
  hash-type consistent
{servers}
"""

STOCK = """
import sys
from twisted.internet import reactor
from twisted.web.resource import Resource
from twisted.web.server import Site
class Hello(Resource):
    isLeaf = True
    def render_GET(self, request):
        request.setHeader(b"Content-Type", b"text/plain")
        return b"From worker " + sys.argv[2].encode() + b" hello\\n"
site = Site(Hello())
site.startFactory = lambda: None
reactor.listenTCP(int(sys.argv[1]), site, interface="127.0.0.1")
reactor.run()
"""


class Contestant:
    """Processes on one core, and the port that serves."""

    def __init__(self, name: str, port: int, processes: list[subprocess.Popen[bytes]]) -> None:
        self.name = name
        self.port = port
        self.processes = processes

    def cpu(self) -> float:
        """CPU seconds of the whole tree so far."""
        return sum(_cpu(pid) for process in self.processes for pid in _tree(process.pid))

    def stop(self) -> None:
        """End what we started."""
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(30)


def _tree(pid: int) -> Iterator[int]:
    yield pid
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            yield from _tree(int(child))


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _spawn(*command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["taskset", "-c", SERVER_CORE, *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'apps'}"},
    )


def _stock(count: int) -> tuple[list[int], list[subprocess.Popen[bytes]]]:
    ports = [free_port() for _ in range(count)]
    started = [
        _spawn(sys.executable, "-c", STOCK, str(port), str(at)) for at, port in enumerate(ports, 1)
    ]
    return ports, started


def stickyd(scope: str, workers: int = WORKERS) -> Contestant:
    """stickyd with the same page."""
    port = free_port()
    options = ["--workers", str(workers), "--affinity-scope", scope, "--class"]
    listen = ["--listen", f"tcp:{port}:interface=127.0.0.1"]
    run = [sys.executable, "-m", "stickyd.cli", "run", *options, "stickyd_test_apps:Hello"]
    return Contestant(f"stickyd, {scope} scope, {workers}", port, [_spawn(*run, *listen)])


def stock() -> Contestant:
    """One bare twisted.web process: what a request costs without any routing."""
    ports, started = _stock(1)
    return Contestant("twisted.web, bare", ports[0], started)


def nginx(directory: str) -> Contestant:
    """nginx in front of stock twisted.web."""
    ports, started = _stock(WORKERS)
    port = free_port()
    servers = " ".join(f"server 127.0.0.1:{p};" for p in ports)
    config = Path(directory, "nginx.conf")
    config.write_text(NGINX.format(directory=directory, port=port, servers=servers))
    proxy = _spawn(shutil.which("nginx") or "/usr/sbin/nginx", "-c", str(config))
    return Contestant("nginx + twisted.web", port, [*started, proxy])


def haproxy(directory: str) -> Contestant:
    """HAProxy in front of stock twisted.web."""
    ports, started = _stock(WORKERS)
    port = free_port()
    servers = "\n".join(f"  server s{p} 127.0.0.1:{p}" for p in ports)
    config = Path(directory, "haproxy.cfg")
    config.write_text(HAPROXY.format(port=port, servers=servers))
    proxy = _spawn(shutil.which("haproxy") or "/usr/sbin/haproxy", "-db", "-f", str(config))
    return Contestant("HAProxy + twisted.web", port, [*started, proxy])


def load(contestant: Contestant, script: str, seconds: float) -> tuple[float, float]:
    """Requests a second, and CPU microseconds a request."""
    command = ["taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:g}s"]
    before = contestant.cpu()
    said = subprocess.run(
        [*command, "-s", script, f"http://127.0.0.1:{contestant.port}/"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    used = contestant.cpu() - before
    match = re.search(r"(\d+) requests in", said)
    assert match, said
    assert "Non-2xx" not in said, said
    count = int(match[1])
    return count / seconds, used / count * 1e6


def _answers(port: int) -> bool:
    import urllib.request

    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--only", default="", help="part of a contestant's name")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    results: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as directory:
        script = Path(directory, "mix.lua")
        script.write_text(WRK_SCRIPT)
        os.chmod(directory, 0o755)
        makers = {
            "stickyd, request scope": lambda: stickyd("request"),
            "stickyd, connection scope": lambda: stickyd("connection"),
            "one worker": lambda: stickyd("connection", 1),
            "nginx + twisted.web": lambda: nginx(directory),
            "HAProxy + twisted.web": lambda: haproxy(directory),
            "twisted.web, bare": stock,
        }
        started = [make() for name, make in makers.items() if arguments.only in name]
        try:
            for contestant in started:
                wait_for(lambda c=contestant: _answers(c.port), 30, contestant.name)
                load(contestant, str(script), 1)
            for _ in range(arguments.rounds):
                for contestant in started:
                    figures = load(contestant, str(script), arguments.seconds)
                    results.setdefault(contestant.name, []).append(figures)
                    # The next one's turn begins when this one has closed its connections.
                    time.sleep(0.2)
        finally:
            for contestant in started:
                contestant.stop()
    if arguments.json:
        print(json.dumps(results))
        return
    print(f"{'P2, ALB mix':28} {'req/s':>8} {'CPU us/request':>16} {'spread':>14}")
    for name, figures in results.items():
        rates, costs = zip(*figures, strict=True)
        spread = f"{min(costs):.0f}-{max(costs):.0f}"
        median = statistics.median
        print(f"{name:28} {median(rates):8.0f} {median(costs):16.1f} {spread:>14}")


if __name__ == "__main__":
    main()
