"""A real Prometheus scrapes a daemon through reloads and kills: no counter goes back, sums agree.

``python -m tests.slow.prometheus_scrapes`` needs prometheus (Debian's package) and takes some two
minutes. Requests are sent all the time but while a worker is killed: what is in progress then is
lost with the worker, counted or not. Kills under load follow, where the count lies between the
answered and the sent requests.

The histograms of requests count as many as there are requests, that of the time in the inbox as
many as there are connections that were handed off, moved or passed on with a request.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.integration.test_admin import AdminDaemon
from tests.support.daemon import Reader, connected, free_port, request, wait_for

RELOADS = 10
KILLS = 20
CLIENTS = 8
REQUESTS = (
    "stickyd_requests_total",
    "stickyd_request_duration_seconds_count",
    "stickyd_first_byte_duration_seconds_count",
)
"""What counts each request once."""
HAND_OFFS = (
    "stickyd_handed_off_connections_total",
    "stickyd_moved_connections_total",
    "stickyd_passed_connections_total",
)
"""What counts each put into an inbox that a request is the reason of."""
QUEUED = "stickyd_queue_duration_seconds_count"
CONFIGURATION = """
global:
  scrape_interval: 1s
scrape_configs:
  - job_name: stickyd
    static_configs:
      - targets: ["127.0.0.1:{port}"]
"""


class Prometheus:
    """A Prometheus that scrapes one port every second."""

    def __init__(self, program: str, directory: str, port: int) -> None:
        self.port = free_port()
        Path(directory, "prometheus.yml").write_text(CONFIGURATION.format(port=port))
        self.process = subprocess.Popen(
            [
                program,
                f"--config.file={directory}/prometheus.yml",
                f"--storage.tsdb.path={directory}/data",
                f"--web.listen-address=127.0.0.1:{self.port}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The samples of an instant query; none while it starts."""
        query = urllib.parse.urlencode({"query": expression})
        url = f"http://127.0.0.1:{self.port}/api/v1/query?{query}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return list(json.load(answer)["data"]["result"])
        except OSError:
            return []

    def number(self, expression: str) -> float:
        """The value of the only sample; -1 without one."""
        found = self.query(expression)
        return float(found[0]["value"][1]) if found else -1.0

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


class Load:
    """Clients that send requests on kept-alive connections, as a proxy does."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._lock = threading.Condition()
        self._paused = self._over = False
        self._busy = 0
        self.answered = self.sent = self.connections = 0
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def _run(self, number: int) -> None:
        sock, reader = None, None
        count = 0
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._over or not self._paused)
                if self._over:
                    break
                self._busy += 1
                self.sent += 1
            count += 1
            try:
                if sock is None or reader is None:
                    sock = connected(self._port)
                    reader = Reader(sock)
                    with self._lock:
                        self.connections += 1
                sock.sendall(request(f"10.{number}.{count >> 8 & 255}.{count & 255}"))
                answered = reader.response().status == 200
            except (OSError, EOFError):
                answered, sock = False, None
            with self._lock:
                self.answered += answered
                self._busy -= 1
                self._lock.notify_all()
        if sock is not None:
            sock.close()

    def pause(self) -> None:
        """Returns when no request is unanswered."""
        with self._lock:
            self._paused = True
            self._lock.wait_for(lambda: not self._busy)

    def go_on(self) -> None:
        with self._lock:
            self._paused = False
            self._lock.notify_all()

    def stop(self) -> None:
        with self._lock:
            self._over = True
            self._lock.notify_all()
        for thread in self._threads:
            thread.join()


def replaced(daemon: AdminDaemon, pid: int) -> bool:
    """Whether both slots are served, and not by this worker."""
    pids = daemon.pids()
    return len(pids) == 2 and pid not in pids.values()


def kill_one(daemon: AdminDaemon, number: int) -> None:
    pid = daemon.pids()[1 + number % 2]
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: replaced(daemon, pid), what="a replacement")


def scraped(prometheus: Prometheus, names: Sequence[str]) -> dict[str, float]:
    """The sums that Prometheus knows, once it has scraped after this call."""
    now = time.time()
    last = "min(timestamp(stickyd_requests_total))"
    wait_for(lambda: prometheus.number(last) > now, what="a scrape")
    # A sum of no series has no sample.
    return {name: max(0.0, prometheus.number(f"sum({name})")) for name in names}


def judged(daemon: AdminDaemon) -> list[str]:
    """What ``promtool check metrics`` finds in the metrics of this daemon."""
    with urllib.request.urlopen(f"http://127.0.0.1:{daemon.admin}/metrics", timeout=10) as answer:
        text = answer.read()
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True)
    return (done.stdout + done.stderr).decode().splitlines() if done.returncode else []


def told(sums: dict[str, float]) -> str:
    """For the terminal."""
    return "\n".join(f"  {number:9.0f} {name}" for name, number in sums.items())


def main() -> int:
    program = shutil.which("prometheus")
    if program is None or shutil.which("promtool") is None:
        print("prometheus is not installed (Debian: apt-get install prometheus)")
        return 1
    with (
        tempfile.TemporaryDirectory() as directory,
        AdminDaemon("--affinity-scope", "request") as daemon,
    ):
        prometheus = Prometheus(program, directory, daemon.admin)
        load = Load(daemon.port)
        try:
            wait_for(lambda: prometheus.number("up") == 1, 60, "the first scrape")
            for number in range(RELOADS):
                daemon.process.send_signal(signal.SIGHUP)
                wait_for(lambda n=number: daemon.report()["generation"] == n + 2, what="reload")
            for number in range(KILLS // 2):
                load.pause()
                kill_one(daemon, number)
                load.go_on()
            load.pause()
            known = scraped(prometheus, [*REQUESTS, *HAND_OFFS, QUEUED])
            print(f"{RELOADS} reloads, {KILLS // 2} kills: {load.answered} of {load.sent} answered")
            print(f"on {load.connections} connections; Prometheus knows\n{told(known)}")
            failures = [
                f"{name} is {known[name]:.0f}"
                for name in REQUESTS
                if not known[name] == load.answered == load.sent
            ]
            if known[HAND_OFFS[0]] != load.connections:
                failures.append("other connections were handed off than were opened")
            if known[QUEUED] != sum(known[name] for name in HAND_OFFS):
                failures.append(f"{QUEUED} is {known[QUEUED]:.0f}")
            load.go_on()
            for number in range(KILLS // 2):
                kill_one(daemon, number)
            load.pause()
            known = scraped(prometheus, REQUESTS)
            print(f"{KILLS // 2} kills under load: {load.answered} of {load.sent} answered")
            print(f"Prometheus knows\n{told(known)}")
            failures += [
                f"{name} is not between answered and sent requests"
                for name in REQUESTS
                if not load.answered <= known[name] <= load.sent
            ]
            names = '{__name__=~"stickyd_.*(_total|_bucket|_count|_sum)"}'
            reset = prometheus.query(f"resets({names}[1h]) > 0")
            failures += [f"went back: {each['metric']}" for each in reset]
            restarts = prometheus.number('stickyd_worker_restarts_total{reason="crash"}')
            if restarts != KILLS:
                failures.append(f"{restarts} restarts instead of {KILLS}")
            failures += judged(daemon)
            series = prometheus.number(f"count({names})")
            print(f"{series:.0f} counters, {len(reset)} of them went back")
        finally:
            load.stop()
            prometheus.stop()
    print("\n".join(failures) or "all agree")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
