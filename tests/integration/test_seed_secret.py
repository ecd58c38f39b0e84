"""The seed that the environment gives: it decides the placement, and no app gets to see it."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from stickyd.settings import RoutingSettings, Settings
from tests.integration.test_lifecycle import reload
from tests.integration.test_upgrade import upgrade
from tests.support.activation import Activated
from tests.support.daemon import ROOT, Daemon, Reader, request, wait_for

SEED = 918273645546372819
CLIENT = "10.10.12.11"
MASTERS = {"STICKYD_SEED", "STICKYD_OPTIONS"}
APP = "stickyd_whoami_app:App"
BIN = os.path.dirname(sys.executable)
TAC = f"""
from twisted.application.service import Application
from stickyd.cli.options import Options
from stickyd.tap import makeService

options = Options()
options.parseOptions([{{arguments}}, "--class", "{APP}"])
application = Application("stickyd")
makeService(options).setServiceParent(application)
"""


class SeedFromTheEnvironment(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory(prefix="stickyd-test-")
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.slot = (
            Settings(workers=2, routing=RoutingSettings(seed=SEED))
            .policy()
            .table.slot_of(CLIENT.encode())
        )
        # Or the seed would not show.
        assert self.slot == 1
        assert Settings(workers=2).policy().table.slot_of(CLIENT.encode()) == 2

    def daemon(self, command: list[str] | None = None, seed: str = str(SEED)) -> Daemon:
        environment = {"STICKYD_SEED": seed, "MINE": "stays"}
        return Daemon("--class", APP, command=command, environment=environment)

    def check(self, daemon: Daemon) -> None:
        """The seed places, and is in no worker: not at import, not for the children of an app."""
        with daemon.connect() as sock:
            sock.sendall(request(CLIENT))
            variables = json.loads(Reader(sock).response().body)["environment"]
        self.assertEqual(variables["STICKYD_SLOT"], str(self.slot))
        self.assertEqual(variables["MINE"], "stays")
        self.assertEqual(MASTERS & variables.keys(), set())
        for pid in daemon.pids().values():
            began_with = Path(f"/proc/{pid}/environ").read_bytes()
            self.assertIn(b"MINE=stays", began_with)
            for name in MASTERS:
                self.assertNotIn(name.encode(), began_with)

    def check_upgraded(self, daemon: Daemon) -> None:
        """Also when the master has become another program, twice, which loads the app anew."""
        self.check(daemon)
        for _ in range(2):
            # The new program has no other way to the seed than the environment.
            upgrade(daemon)
            self.check(daemon)
        reload(daemon)
        self.check(daemon)

    def test_stickyd_run(self) -> None:
        with self.daemon() as daemon:
            self.check_upgraded(daemon)
            killed = daemon.pids()[self.slot]
            os.kill(killed, signal.SIGKILL)
            wait_for(lambda: daemon.pids().get(self.slot, killed) != killed, what="a replacement")
            self.check(daemon)

    def test_a_file(self) -> None:
        file = self.directory / "seed"
        file.write_text(f"{SEED}\n")
        with self.daemon(seed=f"@{file}") as daemon:
            self.check_upgraded(daemon)

    def test_twistd(self) -> None:
        command = [os.path.join(BIN, "twistd"), "-n", "--pidfile=", "stickyd"]
        with self.daemon(command) as daemon:
            self.check(daemon)

    def test_twist(self) -> None:
        with self.daemon([os.path.join(BIN, "twist"), "stickyd"]) as daemon:
            self.check(daemon)

    def test_tac(self) -> None:
        daemon = self.daemon()
        # What `Daemon` would give on the command line.
        given = daemon.command[daemon.command.index("run") + 1 :]
        tac = self.directory / "site.tac"
        tac.write_text(TAC.format(arguments=", ".join(map(repr, given))))
        daemon.command = [os.path.join(BIN, "twistd"), "--pidfile=", "-ny", str(tac)]
        with daemon:
            self.check_upgraded(daemon)

    def test_systemd(self) -> None:
        """The unit's file has the options, too, in which a seed may stand."""
        command = ["make", "-s", "install-units", f"DESTDIR={self.directory}"]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        environment = {"STICKYD_SEED": str(SEED), "MINE": "stays"}
        with Activated(self.directory, "--class", APP, environment=environment) as daemon:
            self.check_upgraded(daemon)


class SettingsText(unittest.TestCase):
    def test_the_seed_is_not_in_it(self) -> None:
        """Error pages and logs print local variables."""
        self.assertNotIn(str(SEED), repr(Settings(routing=RoutingSettings(seed=SEED))))
        self.assertNotIn(str(SEED), repr(Settings(routing=RoutingSettings(seed=SEED)).policy()))
