"""SIGUSR2 from a build with the compiled core to one without it, and back, under load."""

import os
import shutil
import signal
import tempfile
import threading
import unittest
from pathlib import Path

from stickyd.core.native import CORE
from stickyd.ipc.frame import VERSION
from tests.integration.test_lifecycle import ONE, TWO, Client, Life, reload, start
from tests.integration.test_upgrade import upgrade
from tests.support.daemon import ROOT, Daemon, request, wait_for

SLOTS = ((ONE, 1), (TWO, 2))
ROUNDS_LEAST = 20
"""Requests of each thread of the load while one program is there."""


class Build:
    """A copy of the package, as an installation has it: PYTHONPATH names its directory."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="stickyd-build-")
        self.close = self._directory.cleanup
        self.path = Path(self._directory.name, "lib")
        shutil.copytree(ROOT / "stickyd", self.path / "stickyd")
        self._modules = list(self.path.glob("stickyd/core/*.so"))

    def install(self, core: str) -> None:
        """Replace it by a build with or without the compiled core."""
        for module in self._modules:
            kept = Path(self._directory.name, module.name)
            if core == "python" and module.exists():
                module.rename(kept)
            elif core == "compiled" and kept.exists():
                kept.rename(module)


class Load:
    """Threads that ask; a request that fails, or is answered elsewhere, is in ``failures``."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._over = threading.Event()
        self.failures: list[str] = []
        self.answered = [0] * 4
        kinds = (self._kept, self._kept, self._fresh, self._fresh)
        self._threads = [
            threading.Thread(target=self._run, args=(kind, at)) for at, kind in enumerate(kinds)
        ]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def go_on(self) -> None:
        """Until every thread has had some more answers."""
        goal = [count + ROUNDS_LEAST for count in self.answered]
        wait_for(
            lambda: self.failures or all(a >= b for a, b in zip(self.answered, goal, strict=True)),
            what="answers",
        )

    def _run(self, kind, number: int) -> None:
        try:
            kind(number)
        except (OSError, EOFError, AssertionError) as error:
            self.failures.append(f"{kind.__name__}: {error!r}")

    def _kept(self, number: int) -> None:
        """One connection, whose requests move it to and fro."""
        client = Client(self._daemon)
        with client.sock:
            while not self._over.is_set():
                for name, slot in SLOTS:
                    self._ask(client, name, slot)
                self.answered[number] += 1

    def _fresh(self, number: int) -> None:
        """A connection for each request."""
        while not self._over.is_set():
            name, slot = SLOTS[self.answered[number] % 2]
            client = Client(self._daemon)
            with client.sock:
                self._ask(client, name, slot)
            self.answered[number] += 1

    def _ask(self, client: Client, name: str, slot: int) -> None:
        by, _ = client.who(name)
        assert by == slot, f"{name} was answered by {by}"


class WithBuild(Life):
    def setUp(self) -> None:
        self.build = Build()
        self.addCleanup(self.build.close)

    def start(self, *options: str) -> Daemon:
        daemon = start("--affinity-scope", "request", *options)
        paths = (self.build.path, ROOT, ROOT / "tests" / "apps")
        daemon._environment["PYTHONPATH"] = os.pathsep.join(map(str, paths))
        return daemon


class OnDisk(WithBuild):
    def test_a_reload_refuses_the_code_of_another_version(self) -> None:
        """Its workers could not read what this master sends; USR2 replaces the master first."""
        frame = self.build.path / "stickyd" / "ipc" / "frame.py"
        text = frame.read_text()
        with self.start() as daemon:
            client = self.client(daemon)
            before = client.who(ONE)
            frame.write_text(text.replace(f"\nVERSION = {VERSION}\n", "\nVERSION = 2001\n"))
            daemon.process.send_signal(signal.SIGHUP)
            daemon.said("reload: given up")
            self.assertEqual(len(daemon.said("send the master USR2 first")), 1)
            self.assertEqual(client.who(ONE), before)
            frame.write_text(text)
            reload(daemon)
            self.assertEqual(self.client(daemon).who(ONE)[0], before[0])


@unittest.skipIf(CORE.native is None, "needs the compiled core")
class Builds(WithBuild):
    def upgrade(self, daemon: Daemon, core: str) -> None:
        self.build.install(core)
        upgrade(daemon)
        self.assertEqual(daemon.report()["core"]["name"], core)

    def test_to_and_fro_under_load(self) -> None:
        with self.start() as daemon, Load(daemon) as load:
            idle = self.client(daemon)
            pid = idle.who(ONE)[1]
            self.assertEqual(daemon.report()["core"]["name"], "compiled")
            for core in ("python", "compiled"):
                silent, half = self.client(daemon), self.client(daemon)
                whole = request(ONE)
                half.sock.sendall(whole[:20])
                wait_for(lambda: daemon.report()["master"]["open"] >= 1, what="half a head")
                self.upgrade(daemon, core)
                load.go_on()
                # Workers of the build before under a master of the new one.
                self.assertEqual(idle.who(ONE), (1, pid))
                self.assertEqual(idle.who(TWO)[0], 2)
                half.sock.sendall(whole[20:])
                self.assertEqual(half.reader.response().status, 200)
                self.assertEqual(silent.who(ONE), (1, pid))
                reload(daemon)
                load.go_on()
                self.assertEqual(idle.who(TWO)[0], 2)
                slot, now = idle.who(ONE)
                self.assertEqual((slot, now), (1, daemon.pids()[1]))
                self.assertNotEqual(now, pid)
                pid = now
                for each in (silent, half):
                    self.assertEqual(each.who(ONE), (1, pid))
                    each.sock.close()
            report = daemon.report()
        self.assertEqual(load.failures, [])
        workers = report["workers"]
        self.assertEqual((workers["lost"], workers["misrouted"], workers["refused"]), (0, 0, {}))
        self.assertEqual((report["master"]["refused"], report["master"]["released"]), ({}, 0))

    def test_a_worker_of_the_other_build_is_killed(self) -> None:
        """The connection table is read by one build and was written by the other."""
        with self.start() as daemon:
            for rescued, core in enumerate(("python", "compiled"), 1):
                idle, late = self.client(daemon), self.client(daemon)
                pid = idle.who(ONE)[1]
                self.assertEqual(late.who(ONE), (1, pid))
                late.sock.sendall(request(ONE, "/late?s=300"))
                wait_for(lambda: daemon.report()["workers"]["open"] == 2, what="both adopted")
                self.upgrade(daemon, core)
                os.kill(pid, signal.SIGKILL)
                self.assertTrue(late.reader.at_end())
                slot, now = idle.who(ONE)
                self.assertEqual(slot, 1)
                self.assertNotEqual(now, pid)
                master = daemon.report()["master"]
                self.assertEqual((master["rescued"], master["released"]), (rescued, rescued))
                for each in (idle, late):
                    each.sock.close()
                wait_for(lambda: daemon.report()["connections"]["open"] == 0, what="none left")
                # The other worker is of the program's build, too.
                reload(daemon)
