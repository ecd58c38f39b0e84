"""What the rooms may know of each other."""

import pkgutil
import re
import subprocess
import sys
import unittest

import stickyd.core
import stickyd.http1
import stickyd.ipc
import stickyd.routing
from stickyd import __version__
from tests.support.daemon import ROOT

PURE = [stickyd.http1, stickyd.routing, stickyd.ipc, stickyd.core]


class Rooms(unittest.TestCase):
    def test_pure_rooms_import_no_reactor(self) -> None:
        names = [
            f"{package.__name__}.{module.name}"
            for package in PURE
            for module in pkgutil.iter_modules(package.__path__)
            if module.name != "control_channel"
        ]
        self.assertGreater(len(names), 10)
        names += [f"stickyd.worker.connection.{name}" for name in ("next_step", "timeout_rules")]
        names += ["stickyd.logs.buffer", "stickyd.logs.levels"]
        names += ["stickyd.master.supervisor.orphan_policy", "stickyd.master.file_changes"]
        code = f"import sys, {', '.join(names)}\n"
        code += "print([m for m in sys.modules if m.startswith('twisted')])"
        said = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
        )
        self.assertEqual(said.stdout.strip(), "[]")

    def test_only_the_inbox_passes_descriptors(self) -> None:
        for path in (ROOT / "stickyd").rglob("*.py"):
            if path.name != "fd_queue.py":
                calls = re.findall(
                    r"\.(?:sendmsg|recvmsg\w*|send_fds|recv_fds)\(", path.read_text()
                )
                self.assertEqual(calls, [], path)

    def test_no_pickle(self) -> None:
        for path in (ROOT / "stickyd").rglob("*.py"):
            self.assertNotRegex(path.read_text(), r"import (pickle|marshal|shelve)", path)

    def test_the_changelog_knows_the_version(self) -> None:
        self.assertIn(f"## {__version__}", (ROOT / "CHANGELOG.md").read_text())
