"""What the options of other servers are called here."""

import contextlib
import io
import os
import re
import shlex
import tempfile
import unittest
from pathlib import Path

from stickyd.cli.command_tables import RUN
from stickyd.cli.main import main
from stickyd.cli.option_table import DAEMON
from stickyd.cli.start.other_servers import MEANT, with_meaning
from tests.support.daemon import ROOT

OURS = {f"--{option.name}" for option in (*DAEMON, *RUN)} | {
    f"-{option.short}" for option in DAEMON if option.short
}
OF_TWISTD = {"--pidfile", "--logfile", "--logger"}


class Meanings(unittest.TestCase):
    def test_none_is_an_option_of_ours(self) -> None:
        self.assertEqual(set(MEANT) & OURS, set())

    def test_what_to_use_instead_is_there(self) -> None:
        for name, meaning in MEANT.items():
            for word in re.findall(r"--[\w-]+", meaning):
                self.assertIn(word, OURS | OF_TWISTD, name)

    def test_other_lines_stay(self) -> None:
        for line in ("option --zzz not recognized", "option --seed requires argument", ""):
            self.assertEqual(with_meaning(line), line)


def status_of(words: list[str]) -> object:
    try:
        return main(words)
    except SystemExit as ended:
        return ended.code


class Document(unittest.TestCase):
    """Each line of the table in docs/starting.md, with `stickyd check`."""

    def test_what_people_type(self) -> None:
        text = (ROOT / "docs" / "starting.md").read_text()
        rows = re.findall(r"^\| `(.*)` \| (runs|`.*`) \|$", text, re.M)
        self.assertGreaterEqual(len(rows), 20)
        with tempfile.TemporaryDirectory() as directory, contextlib.chdir(directory):
            os.mkdir("src")
            Path(".env").write_text("A=1\n")
            for typed, result in rows:
                words = shlex.split(typed)
                del words[: 2 if words[0] == "twist" else 1]
                out, err = io.StringIO(), io.StringIO()
                with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                    status = status_of(["check", *words])
                if result == "runs":
                    self.assertEqual(status, 0, (typed, err.getvalue()))
                else:
                    self.assertEqual(status, 2, typed)
                    self.assertEqual(err.getvalue(), f"stickyd: {result[1:-1]}\n", typed)
