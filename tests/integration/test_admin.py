"""The listener of ``--admin``: health, readiness, status and metrics, whatever the workers do."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from stickyd.master.admin.listener import CLIENTS_MOST
from tests.integration.test_upgrade import upgrades
from tests.support.daemon import Daemon, Reader, free_port, read_all, request, wait_for
from tests.unit.master.admin.test_metrics import Samples, samples_in


class AdminDaemon(Daemon):
    def __init__(self, *options: str, environment: dict[str, str] | None = None) -> None:
        self.admin = free_port()
        super().__init__("--admin", f":{self.admin}", *options, environment=environment)

    def get(self, path: str, **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=30)
        with contextlib.closing(connection):
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            return response.status, response.read()

    def samples(self) -> Samples:
        status, body = self.get("/metrics")
        assert status == 200, body
        return samples_in(body.decode())

    def total(self, name: str) -> float:
        return sum(value for (n, _), value in self.samples().items() if n == f"stickyd_{name}")

    def ask(self, client: str, count: int = 1) -> None:
        with self.connect() as sock:
            reader = Reader(sock)
            for _ in range(count):
                sock.sendall(request(client))
                assert reader.response().status == 200


class Pages(unittest.TestCase):
    def test_health_readiness_and_status(self) -> None:
        with AdminDaemon() as daemon:
            self.assertEqual(daemon.get("/healthz"), (200, b"ok\n"))
            self.assertEqual(daemon.get("/readyz"), (200, b"ready\n"))
            status, body = daemon.get("/api/status")
            self.assertEqual((status, json.loads(body).keys()), (200, daemon.report().keys()))
            self.assertEqual(daemon.get("/nothing")[0], 404)
            self.assertEqual(daemon.get("/metrics/more")[0], 404)

    def test_off_by_default(self) -> None:
        with Daemon() as daemon:
            self.assertEqual(len([n for n in daemon.log if "stickyd starting on" in n]), 1)

    def test_on_loopback_unless_said(self) -> None:
        with AdminDaemon() as daemon:
            line = f":{daemon.admin:04X} 00000000:0000 0A"
            listening = [n for n in Path("/proc/net/tcp").read_text().splitlines() if line in n]
            self.assertEqual([n.split()[1][:8] for n in listening], ["0100007F"])

    def test_a_unix_socket_is_removed(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            path = f"{directory}/admin"
            with Daemon("--admin", f"unix:{path}:mode=600"):
                with socket.socket(socket.AF_UNIX) as sock:
                    sock.connect(path)
                    sock.sendall(b"GET /readyz HTTP/1.0\r\n\r\n")
                    self.assertIn(b"200 OK", read_all(sock))
            self.assertEqual(os.listdir(directory), [])

    def test_invalid_addresses(self) -> None:
        for address in ("nowhere", "example.org:80", ":70000", "ssl:1", "unix:"):
            command = [sys.executable, "-m", "stickyd", "run", "--admin", address]
            ended = subprocess.run(command, capture_output=True, text=True)
            self.assertEqual((ended.returncode, ended.stdout), (2, ""))
            self.assertRegex(ended.stderr, r"\Astickyd: --admin: .*\n\Z")

    def test_a_port_in_use_is_one_line(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            daemon = Daemon("--admin", f":{taken.getsockname()[1]}")
            daemon.start(wait=False)
            self.assertEqual(daemon.wait(), 1)
            daemon.said("--admin: cannot listen on")
            daemon.directory.cleanup()


class Readiness(unittest.TestCase):
    def test_not_while_a_slot_has_no_worker(self) -> None:
        with AdminDaemon("--class", "stickyd_slow_start:Root") as daemon:
            os.kill(daemon.pids()[2], signal.SIGKILL)
            answer = wait_for(lambda: _if_503(daemon.get("/readyz")))
            self.assertEqual(answer[1], b"slots without a worker: 2\n")
            Path(daemon.directory.name, "go").touch()
            wait_for(lambda: daemon.get("/readyz")[0] == 200)

    def test_not_while_starting_or_stopping(self) -> None:
        daemon = AdminDaemon("--class", "stickyd_slow_start:Root")
        go = Path(daemon.directory.name, "go")
        Path(daemon.directory.name, "hold").touch()
        daemon.start(wait=False)
        try:
            daemon.said(f"starting on {daemon.admin}")
            self.assertEqual(daemon.get("/readyz"), (503, b"starting\n"))
            self.assertEqual(daemon.get("/healthz")[0], 200)
            go.touch()
            wait_for(lambda: daemon.get("/readyz")[0] == 200)
            with daemon.connect() as sock:
                # A request that is being answered when the daemon stops.
                sock.sendall(request("10.0.0.1", "/wait"))
                wait_for(lambda: daemon.total("requests_total") == 1)
                daemon.process.send_signal(signal.SIGTERM)
                self.assertEqual(wait_for(lambda: _if_503(daemon.get("/readyz")))[1], b"stopping\n")
                self.assertEqual(daemon.get("/healthz")[0], 200)
                Path(daemon.directory.name, "answer").touch()
                self.assertEqual(Reader(sock).response().status, 200)
        finally:
            daemon.stop()
            daemon.directory.cleanup()


def _if_503(answer: tuple[int, bytes]) -> tuple[int, bytes] | None:
    return answer if answer[0] == 503 else None


class Stopped(unittest.TestCase):
    def test_it_answers_while_every_worker_is_stopped(self) -> None:
        with AdminDaemon("--timeout", "0") as daemon:
            daemon.ask("10.0.0.1", 3)
            pids = daemon.pids().values()
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            try:
                self.assertEqual(daemon.total("requests_total"), 3)
                self.assertEqual(daemon.get("/readyz")[0], 200)
                workers = json.loads(daemon.get("/api/status")[1])["workers"]
                self.assertEqual(workers["requests"], 3)
            finally:
                for pid in pids:
                    os.kill(pid, signal.SIGCONT)


class Counters(unittest.TestCase):
    """What clients have been answered is counted, whatever becomes of the workers."""

    def test_a_killed_worker_loses_no_count(self) -> None:
        with AdminDaemon("--affinity-scope", "request") as daemon:
            total = 0
            for kill in range(3):
                for client in range(40):
                    daemon.ask(f"10.0.{kill}.{client}")
                    total += 1
                pids = daemon.pids()
                for pid in pids.values():
                    os.kill(pid, signal.SIGKILL)
                wait_for(lambda pids=pids: len(set(daemon.pids().values()) - {*pids.values()}) == 2)
                self.assertEqual(daemon.total("requests_total"), total)
                for times in ("queue", "first_byte", "request"):
                    self.assertEqual(daemon.total(f"{times}_duration_seconds_count"), total)
            self.assertEqual(daemon.report()["workers"]["requests"], total)
            self.assertEqual(daemon.report()["master"]["restarts"], {"crash": 6})

    def test_reloads_upgrades_and_removed_slots(self) -> None:
        with AdminDaemon("--affinity-scope", "request") as daemon:
            for client in range(40):
                daemon.ask(f"10.0.0.{client}")
            before = daemon.samples()
            daemon.process.send_signal(signal.SIGHUP)
            wait_for(lambda: daemon.report()["generation"] == 2)
            self._has_not_gone_back(before, before := daemon.samples())
            daemon.process.send_signal(signal.SIGUSR2)
            wait_for(lambda: upgrades(daemon) == 1)
            self._has_not_gone_back(before, before := daemon.samples())
            daemon.process.send_signal(signal.SIGTTOU)
            wait_for(lambda: len(daemon.report()["slots"]) == 1)
            self._has_not_gone_back(before, daemon.samples())
            self.assertEqual(daemon.total("requests_total"), 40)

    def _has_not_gone_back(self, before: Samples, after: Samples) -> None:
        for key, value in before.items():
            if key[0].endswith(("_total", "_bucket", "_sum", "_count")):
                self.assertGreaterEqual(after.get(key, -1), value, key)

    def test_sources(self) -> None:
        with AdminDaemon("--affinity", "cookie(a),xff", "--affinity-scope", "request") as daemon:
            with daemon.connect() as sock:
                reader = Reader(sock)
                # The first is placed by the master, the others by workers; some of them move.
                for number in range(30):
                    sock.sendall(request(f"10.1.0.{number}"))
                    reader.response()
                plain = b"GET / HTTP/1.1\r\nHost: a\r\n%s\r\n"
                for number in range(20):
                    sock.sendall(plain % (b"Cookie: a=%d\r\n" % number))
                    reader.response()
                for _ in range(10):
                    sock.sendall(plain % b"")
                    reader.response()
            by_source: dict[str, float] = {}
            for (name, labels), value in daemon.samples().items():
                if name == "stickyd_requests_total":
                    source = dict(labels)["source"]
                    by_source[source] = by_source.get(source, 0) + value
            self.assertEqual(by_source, {"xff": 30, "cookie(a)": 20, "none": 10})


class Hostile(unittest.TestCase):
    def test_other_names_bodies_and_methods(self) -> None:
        with AdminDaemon() as daemon:
            self.assertEqual(daemon.get("/metrics", Host="evil.example")[0], 421)
            self.assertEqual(daemon.get("/metrics", Host="127.0.0.1.evil.example:80")[0], 421)
            self.assertEqual(daemon.get("/healthz", Host="[::1]:80")[0], 200)
            for request_line, status in (
                (b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5", b"413"),
                (b"POST /metrics HTTP/1.0\r\nHost: localhost\r\nContent-Length: 0", b"405"),
                (b"DELETE / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked", b"413"),
                (b"\x16\x03\x01", b"400"),
                (b"GET /" + b"a" * 70000, b""),
            ):
                with socket.create_connection(("127.0.0.1", daemon.admin), 30) as sock:
                    with contextlib.suppress(ConnectionError):
                        sock.sendall(request_line + b"\r\n\r\n")
                        self.assertIn(status, read_all(sock)[:16])
            self.assertEqual(daemon.get("/healthz")[0], 200)

    def test_silent_clients_lock_nobody_out(self) -> None:
        with AdminDaemon() as daemon:
            with contextlib.ExitStack() as held:
                for _ in range(CLIENTS_MOST + 5):
                    held.enter_context(socket.create_connection(("127.0.0.1", daemon.admin), 30))
                self.assertEqual(daemon.get("/healthz")[0], 200)
                self.assertLess(daemon.descriptors()[daemon.process.pid], CLIENTS_MOST + 60)


APP = """
import os
from prometheus_client import Counter, Gauge
from twisted.web.resource import Resource

COUNT = Counter("app_hits", "Requests")
LIVE = Gauge("app_workers", "Workers alive", multiprocess_mode="livesum")
LIVE.set(1)

class Root(Resource):
    isLeaf = True
    def render_GET(self, request):
        COUNT.inc()
        return b"x"
"""


class Apps(unittest.TestCase):
    def test_the_metrics_of_apps_are_merged(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            values = Path(directory, "values")
            values.mkdir()
            Path(directory, "stickyd_counting.py").write_text(APP)
            environment = {"PROMETHEUS_MULTIPROC_DIR": str(values)}
            daemon = AdminDaemon("--class", "stickyd_counting:Root", environment=environment)
            daemon._cwd = directory
            with daemon:
                for client in range(20):
                    daemon.ask(f"10.0.0.{client}")
                samples = daemon.samples()
                self.assertEqual(samples["app_hits_total", ()], 20)
                self.assertEqual(samples["app_workers", ()], 2)
                pids = daemon.pids()
                os.kill(pids[1], signal.SIGKILL)
                wait_for(lambda: daemon.pids().get(1) not in (None, pids[1]))
                samples = daemon.samples()
                self.assertEqual(samples["app_hits_total", ()], 20)
                self.assertEqual(samples["app_workers", ()], 2)
                # A file that is not whole costs the apps' metrics, not ours.
                Path(values, "counter_1.db").write_bytes(b"\x64\0\0\0\0\0\0\0" + b"\x7f" * 92)
                samples = daemon.samples()
                self.assertNotIn(("app_hits_total", ()), samples)
                self.assertEqual(daemon.total("requests_total"), 20)
