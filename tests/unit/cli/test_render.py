"""What is committed is what the option tables render."""

import contextlib
import io
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from stickyd.cli import render
from stickyd.cli.command_tables import CHECK, EXPLAIN, RUN, VERIFY
from stickyd.cli.man_page import man_page
from stickyd.cli.option_table import DAEMON
from tests.support.daemon import ROOT

EVERY = (*DAEMON, *RUN, *CHECK, *EXPLAIN, *VERIFY)


class Committed(unittest.TestCase):
    def test_docs(self) -> None:
        self.assertEqual((ROOT / "docs/options.md").read_text(), render.reference())

    def test_readme(self) -> None:
        text = (ROOT / "README.md").read_text()
        self.assertEqual(text, render.in_readme(text))

    def test_man_page(self) -> None:
        self.assertEqual((ROOT / "man/stickyd.1").read_text(), man_page())


class Rendered(unittest.TestCase):
    def test_every_option_is_in_each(self) -> None:
        reference, man, readme = render.reference(), man_page(), render.readme()
        for option in EVERY:
            self.assertIn(f"--{option.name}", reference)
            self.assertIn(f"--{option.name}".replace("-", "\\-"), man)
        for option in (*DAEMON, *RUN):
            self.assertIn(f"--{option.name}", readme)

    def test_a_readme_without_markers_is_refused(self) -> None:
        with self.assertRaisesRegex(ValueError, "README.md needs the lines"):
            render.in_readme("# stickyd\n")

    def test_roff_does_not_interpret_text(self) -> None:
        for line in man_page().splitlines():
            if line.startswith("."):
                self.assertRegex(line, r"^\.(TH|SH|SS|TP|B|br|\\\")( |$)")
            self.assertNotRegex(line, r"^'")

    @unittest.skipUnless(shutil.which("groff"), "groff is not installed")
    def test_roff_has_no_warning(self) -> None:
        said = subprocess.run(
            ["groff", "-man", "-Tutf8", "-ww", "-z"],
            input=man_page(),
            capture_output=True,
            text=True,
        )
        self.assertEqual((said.returncode, said.stderr), (0, ""))


class Command(unittest.TestCase):
    def test_pages_are_printed(self) -> None:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            self.assertEqual(render.main(["man"]), 0)
        self.assertEqual(out.getvalue(), man_page())

    def test_an_unknown_page_is_refused(self) -> None:
        err = io.StringIO()
        with contextlib.redirect_stderr(err):
            self.assertEqual(render.main(["html"]), 2)
        self.assertIn("options|readme|man|--write", err.getvalue())

    def test_write_replaces_what_is_old(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            root = Path(directory)
            (root / "docs").mkdir()
            (root / "README.md").write_text(f"a\n{render.BEGIN}\nold\n{render.END}\nb\n")
            render.write(root)
            text = (root / "README.md").read_text()
            self.assertEqual(text, f"a\n{render.BEGIN}\n\n{render.readme()}\n{render.END}\nb\n")
            self.assertEqual((root / "man/stickyd.1").read_text(), man_page())
            self.assertEqual((root / "docs/options.md").read_text(), render.reference())
