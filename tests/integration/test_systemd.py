"""The daemon as systemd runs it: readiness, activation, watchdog, reload, the units themselves."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path

from stickyd.master.service import STOP_MARGIN
from stickyd.master.supervisor.replacement import KILL_AFTER
from stickyd.process import SERVICE_MANAGER_VARIABLES
from stickyd.settings import Settings
from tests.support.activation import Activated, Unit
from tests.support.daemon import ROOT, Reader, request, wait_for, workers_in
from tests.support.extent import slow

ANALYZE = shutil.which("systemd-analyze")
APP = ("--class", "stickyd_whoami_app:App")


class Installed(unittest.TestCase):
    """With the units as ``make install`` leaves them."""

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory(prefix="stickyd-test-")
        self.addCleanup(directory.cleanup)
        self.root = Path(directory.name)
        self.install()

    def install(self) -> None:
        command = ["make", "-s", "install-units", f"DESTDIR={self.root}"]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)

    def unit(self) -> Unit:
        return Unit((self.root / "lib/systemd/system/stickyd.service").read_text())


class Ready(Installed):
    def test_only_when_workers_answer_and_then_clients_of_before_are_served(self) -> None:
        gate = self.root / "gate"
        os.mkfifo(gate)
        with self.gated(gate) as daemon, daemon.connect() as early:
            early.sendall(request("10.10.10.10"))
            daemon.start(wait=False)
            self.assertEqual(
                daemon.told("STATUS"), {"STATUS": "0 of 2 workers ready, generation 1"}
            )
            # Comes back when a worker is loading the app.
            with open(gate, "wb"):
                self.assertEqual([m for m in daemon.messages if "READY" in m], [])
                self.assertEqual(daemon.log_of("is ready"), [])
            opening = threading.Thread(target=self.open_for_all, args=(gate, daemon))
            opening.start()
            ready = daemon.told("READY")
            opening.join()
            self.assertEqual(ready, {"READY": "1", "STATUS": "2 of 2 workers ready, generation 1"})
            self.assertEqual(Reader(early).response().status, 200)

    def gated(self, gate: Path) -> "Gated":
        return Gated(self.root, *APP, environment={"GATE": str(gate)})

    def open_for_all(self, gate: Path, daemon: Activated) -> None:
        """Let through whoever opens the gate, until all have."""
        while not any("READY" in message for message in daemon.messages):
            try:
                os.close(os.open(gate, os.O_WRONLY | os.O_NONBLOCK))
            except OSError:
                # ENXIO: nobody reads now. Another process's import has no event to wait for.
                time.sleep(0.01)

    def test_workers_get_nothing_of_it(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as unused:
            daemon = Activated(self.root, *APP, more={"unused": unused})
            with daemon, daemon.connect() as sock:
                sock.sendall(request("10.10.10.10"))
                about = json.loads(Reader(sock).response().body)
                self.assertEqual(SERVICE_MANAGER_VARIABLES & about["environment"].keys(), set())
                inodes = {os.fstat(s.fileno()).st_ino for s in (unused, daemon.listening)}
                _, *workers = daemon.family()
                for pid in workers:
                    held = {os.stat(fd).st_ino for fd in Path(f"/proc/{pid}/fd").iterdir()}
                    self.assertEqual(held & inodes, set())

    def test_nobody_at_the_socket(self) -> None:
        environment = {"NOTIFY_SOCKET": "/nonexistent/notify", "WATCHDOG_USEC": "100000"}
        with Activated(self.root, environment=environment) as daemon:
            self.assertEqual(len(workers_in(daemon.exchange(request("10.10.10.10")))), 1)


class Gated(Activated):
    """Not waited for when its context begins."""

    def __enter__(self) -> "Gated":
        return self

    def log_of(self, text: str) -> list[str]:
        return [line for line in self.log if text in line]


class Restart(Installed):
    def test_refuses_nobody(self) -> None:
        with Activated(self.root) as daemon:
            counts: dict[str, int] = {"answers": 0}
            over = threading.Event()
            client = threading.Thread(target=self.ask_on_and_on, args=(daemon, counts, over))
            client.start()
            try:
                wait_for(lambda: counts["answers"] > 20, what="answers")
                daemon.stop()
                daemon.start()
                before = counts["answers"]
                wait_for(lambda: counts["answers"] > before + 20, what="answers")
            finally:
                over.set()
                client.join()
            self.assertEqual(counts, {"answers": counts["answers"]})

    def ask_on_and_on(
        self, daemon: Activated, counts: dict[str, int], over: threading.Event
    ) -> None:
        while not over.is_set():
            try:
                answer = daemon.exchange(request("10.10.10.10"))
                what = "answers" if workers_in(answer) else repr(answer)
            except OSError as error:
                what = repr(error)
            counts[what] = counts.get(what, 0) + 1

    def test_a_unix_socket_stays_and_stopping_is_told(self) -> None:
        path = str(self.root / "http")
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(path)
            # SocketMode= of the unit, none that the daemon would choose.
            os.chmod(path, 0o646)
            listening.listen(100)
            options = ("--listen", "systemd:domain=UNIX:name=local")
            options += ("--graceful-timeout", "7")
            with Activated(self.root, *options, more={"local": listening}) as daemon:
                self.assertEqual(os.stat(path).st_mode & 0o777, 0o646)
                daemon.stop()
                stopping = daemon.told("STOPPING")
                most = round((7 + KILL_AFTER + STOP_MARGIN) * 1e6)
                self.assertEqual(stopping, {"STOPPING": "1", "EXTEND_TIMEOUT_USEC": str(most)})
                self.assertEqual(os.stat(path).st_mode & 0o777, 0o646)
                with socket.socket(socket.AF_UNIX) as client:
                    client.settimeout(30)
                    client.connect(path)
                    client.sendall(request("10.10.10.10"))
                    daemon.start()
                    self.assertEqual(Reader(client).response().status, 200)


def state(pid: int) -> str:
    """One letter (proc_pid_stat(5))."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


class Alive(Installed):
    def test_the_watchdog_is_fed_twice_in_its_time(self) -> None:
        with Activated(self.root, watchdog=0.6) as daemon:
            daemon.told("READY")
            times = []
            for _ in range(5):
                self.assertEqual(daemon.told("WATCHDOG", 5), {"WATCHDOG": "1"})
                times.append(time.monotonic())
            self.assertGreater(times[-1] - times[0], 0.9)
            # A master that hangs says nothing.
            os.kill(daemon.process.pid, signal.SIGSTOP)
            wait_for(lambda: state(daemon.process.pid) == "T", what="a stopped master")
            while daemon.next_message(0.0):
                pass
            self.assertIsNone(daemon.next_message(0.9))
            os.kill(daemon.process.pid, signal.SIGCONT)
            daemon.told("WATCHDOG", 5)

    def test_a_reload_begins_and_ends_well_or_not(self) -> None:
        apps = self.root / "apps"
        apps.mkdir()
        module = apps / "stickyd_fading_app.py"
        module.write_text("from stickyd_whoami_app import App\n")
        path = os.pathsep.join(map(str, (ROOT, ROOT / "tests" / "apps", apps)))
        environment = {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        options = ("--class", "stickyd_fading_app:App")
        with Activated(self.root, *options, environment=environment) as daemon:
            daemon.told("READY")
            earliest = time.monotonic_ns() // 1000
            daemon.reload()
            reloading = daemon.told("RELOADING")
            self.assertEqual(reloading["RELOADING"], "1")
            told_at = int(reloading["MONOTONIC_USEC"])
            self.assertTrue(earliest <= told_at <= time.monotonic_ns() // 1000)
            self.assertEqual(daemon.told("READY")["STATUS"], "2 of 2 workers ready, generation 2")
            module.write_text("raise RuntimeError\n")
            daemon.process.send_signal(signal.SIGHUP)
            daemon.told("RELOADING")
            self.assertEqual(daemon.told("READY")["STATUS"], "2 of 2 workers ready, generation 2")
            daemon.process.send_signal(signal.SIGTTOU)
            while "1 of 1" not in daemon.told("STATUS")["STATUS"]:
                pass

    @slow
    def test_a_program_that_is_replaced_goes_on_telling(self) -> None:
        with Activated(self.root, watchdog=1.0) as daemon:
            daemon.told("READY")
            pid = daemon.process.pid
            daemon.process.send_signal(signal.SIGUSR2)
            self.assertEqual(daemon.told("READY")["READY"], "1")
            daemon.told("WATCHDOG", 5)
            self.assertEqual(daemon.report()["master"]["upgrades"], 1)
            self.assertEqual(daemon.report()["master"]["pid"], pid)
            self.assertTrue(workers_in(daemon.exchange(request("10.10.10.10"))))

    def test_why_it_did_not_start(self) -> None:
        daemon = Gated(self.root, "--class", "no.such:App")
        with daemon:
            daemon.start(wait=False)
            self.assertEqual(daemon.wait(), 1)
            while "cannot load" not in daemon.told("STATUS", 1)["STATUS"]:
                pass


class Units(Installed):
    def test_times_fit_the_daemons_defaults(self) -> None:
        unit, defaults = self.unit(), Settings().lifecycle
        stop = defaults.graceful_timeout + KILL_AFTER + STOP_MARGIN
        self.assertGreater(float(unit.one("TimeoutStopSec")), stop)
        self.assertGreater(float(unit.one("TimeoutStartSec")), defaults.start_timeout)

    def test_configuration_is_not_overwritten_and_outlives_uninstall(self) -> None:
        default = self.root / "etc/default/stickyd"
        # It has the secret seed.
        self.assertEqual(default.stat().st_mode & 0o777, 0o600)
        default.write_text(default.read_text() + "STICKYD_OPTIONS=-w3\n")
        mine = default.read_text()
        self.install()
        self.assertEqual(default.read_text(), mine)
        subprocess.run(
            ["make", "-s", "uninstall", f"DESTDIR={self.root}"],
            cwd=ROOT,
            check=True,
            capture_output=True,
        )
        self.assertEqual(default.read_text(), mine)
        self.assertEqual(os.listdir(self.root / "lib/systemd/system"), [])

    def test_prefix(self) -> None:
        command = ["make", "-s", "install-units", f"DESTDIR={self.root}", "PREFIX=/opt/it"]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        self.assertTrue(self.unit().one("ExecStart").startswith("/opt/it/lib/stickyd/bin/stickyd "))

    def analyze(self, *arguments: str) -> str:
        if ANALYZE is None:
            self.skipTest("systemd-analyze is not installed (Debian: systemd)")
        units = self.root / "lib/systemd/system"
        # The program is not installed here.
        service = units / "stickyd.service"
        service.write_text(
            re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", service.read_text())
        )
        names = [str(service)] if arguments[0] == "security" else [str(f) for f in units.iterdir()]
        ended = subprocess.run([ANALYZE, *arguments, *names], capture_output=True, text=True)
        self.assertEqual((ended.returncode, ended.stderr), (0, ""), ended)
        return ended.stdout

    def test_verify(self) -> None:
        self.assertEqual(self.analyze("verify"), "")

    def test_exposure(self) -> None:
        said = self.analyze("security", "--offline=true", "--no-pager")
        exposure = re.search(r"Overall exposure level for stickyd.service: ([0-9.]+)", said)
        assert exposure, said
        self.assertLessEqual(float(exposure[1]), 2.0)
