"""The compiled core as it is built, shipped and said to be in use, and without it."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import unittest
import zipfile
from pathlib import Path

from stickyd.core import sources
from stickyd.core.native import CORE
from tests.support.core_agreement import NATIVE
from tests.support.daemon import ROOT, Daemon

COMPILER = shutil.which(os.environ.get("CC", "cc"))
MODULES = {path.stem for path in sources.files() if path.suffix == ".pyx"}
SHIPPED = {f"stickyd/core/{path.name}" for path in sources.files()}
SHIPPED |= {"stickyd/core/_lane.pyi", "stickyd/core/_native.pyi"}
SOURCES = ["stickyd", "twisted", "README.md", "MANIFEST.in", "setup.py"]
SOURCES += ["setup.cfg", "pyproject.toml"]
READ = """
from stickyd.core.head_reader import read_head
from stickyd.core.native import CORE
from stickyd.http1.limits import Limits
print(CORE, read_head(b"GET / HTTP/1.0\\r\\n\\r\\n", Limits(), 0).method)
"""


class Said(unittest.TestCase):
    """`--version`, the log and `--control` say which core runs."""

    def test_by_the_command(self) -> None:
        for switch, expected in ((None, str(CORE)), ("0", "switched off (STICKYD_NATIVE=0)")):
            environment = {**os.environ, **({"STICKYD_NATIVE": switch} if switch else {})}
            for command in (
                [sys.executable, "-m", "stickyd", "--version"],
                [sys.executable, "-m", "stickyd.core"],
            ):
                said = subprocess.run(
                    command, capture_output=True, text=True, cwd=ROOT, env=environment
                )
                self.assertIn(expected, said.stdout)
                self.assertEqual(len(said.stdout.splitlines()), 1)

    def test_by_the_daemon(self) -> None:
        with Daemon() as daemon:
            self.assertEqual(len(daemon.said(f"stickyd runs on the {CORE}")), 1)
            core = daemon.report()["core"]
            self.assertEqual(core, {"name": CORE.name, "why_not": CORE.why_not})

    def test_by_a_daemon_without_it(self) -> None:
        with Daemon(environment={"STICKYD_NATIVE": "0"}) as daemon:
            daemon.said("stickyd runs on the Python core, the compiled one is switched off")
            self.assertEqual(daemon.report()["core"]["name"], "python")
            request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
            self.assertIn(b" 200 ", daemon.exchange(request))


class Built(unittest.TestCase):
    """From a copy of the sources, as an installation builds it."""

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory(prefix="stickyd-test-")
        self.addCleanup(directory.cleanup)
        self.root = Path(directory.name)
        self.tree = self.root / "tree"
        self.tree.mkdir()
        generated = shutil.ignore_patterns("__pycache__", "*.so", "*.c", "dropin.cache")
        for name in SOURCES:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, self.tree / name, ignore=generated)
            else:
                shutil.copy(ROOT / name, self.tree)

    def make(self, what: str, **variables: str) -> Path:
        """A wheel or an sdist; its path."""
        environment = {k: v for k, v in os.environ.items() if k not in ("STICKYD_NATIVE", "CC")}
        code = f"from setuptools.build_meta import build_{what} as b; b({str(self.root / what)!r})"
        (self.root / what).mkdir()
        made = subprocess.run(
            [sys.executable, "-c", code],
            cwd=self.tree,
            env={**environment, **variables},
            capture_output=True,
            text=True,
        )
        self.assertEqual(made.returncode, 0, made.stderr)
        (path,) = (self.root / what).iterdir()
        return path

    def installed(self, wheel: Path, *, at: str = "site") -> str:
        """What a program says that has nothing of ours but the wheel."""
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(self.root / at)
        environment = {k: v for k, v in os.environ.items() if k != "STICKYD_NATIVE"}
        environment["PYTHONPATH"] = str(self.root / at)
        said = subprocess.run(
            [sys.executable, "-c", READ],
            cwd=self.root,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return said.stdout.strip()

    @unittest.skipIf(COMPILER is None or NATIVE is None, "there is no C compiler")
    def test_a_wheel_with_it(self) -> None:
        # Compiled fast: how fast it runs is not the question.
        wheel = self.make("wheel", CFLAGS="-O0")
        names = set(zipfile.ZipFile(wheel).namelist())
        suffix = sysconfig.get_config_var("EXT_SUFFIX")
        built = {f"stickyd/core/{module}{suffix}" for module in MODULES}
        self.assertLessEqual(SHIPPED | built, names)
        self.assertEqual([name for name in names if name.endswith(".c")], [])
        self.assertEqual(self.installed(wheel), "compiled core b'GET'")
        # Nothing that was generated is left among the sources.
        core = {path.name for path in (self.tree / "stickyd" / "core").iterdir()}
        self.assertEqual([name for name in core if name.endswith(".c")], [])

    def test_a_wheel_where_there_is_no_compiler(self) -> None:
        wheel = self.make("wheel", CC="/nonexistent/cc")
        names = zipfile.ZipFile(wheel).namelist()
        self.assertEqual([name for name in names if name.endswith(".so")], [])
        said = self.installed(wheel)
        self.assertEqual(said, "Python core, the compiled one is not built b'GET'")

    def test_an_sdist(self) -> None:
        sdist = self.make("sdist")
        with tarfile.open(sdist) as archive:
            names = {name.partition("/")[2] for name in archive.getnames()}
        self.assertLessEqual({*SHIPPED, "setup.py", "pyproject.toml"}, names)
        self.assertEqual(
            [n for n in names if n.endswith((".c", ".so")) or n.startswith("build/")], []
        )

    def test_switched_off_it_is_not_built(self) -> None:
        wheel = self.make("wheel", STICKYD_NATIVE="0")
        self.assertTrue(wheel.name.endswith("-none-any.whl"), wheel.name)
        self.assertIn("not built", self.installed(wheel))


class Sanitized(unittest.TestCase):
    """`make sanitize`."""

    def sanitize(self, **variables: str) -> subprocess.CompletedProcess[str]:
        command = ["make", "-s", "sanitize", *(f"{k}={v}" for k, v in variables.items())]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    def test_without_a_compiler_it_is_skipped(self) -> None:
        ended = self.sanitize(CC="/nonexistent/cc")
        self.assertEqual(ended.returncode, 0, ended.stderr)
        self.assertIn("skipped", ended.stdout)

    @unittest.skipIf(COMPILER is None, "there is no C compiler")
    def test_it_finds_a_read_behind_the_end(self) -> None:
        """With one bound taken out it must fail."""
        with tempfile.TemporaryDirectory(prefix="stickyd-test-") as directory:
            broken = Path(directory)
            for path in sources.files():
                shutil.copy(path, broken)
            header = broken / "head.h"
            text = header.read_text()
            bound = "if (at == end || (*at == '\\r' && at + 1 == end))"
            self.assertEqual(text.count(bound), 1)
            header.write_text(text.replace(bound, "if (at == end)"))
            ended = self.sanitize(FUZZ="20000", HEADERS=directory, FUZZERS=f"{directory}/fuzz_core")
        if "skipped" not in ended.stdout:
            self.assertNotEqual(ended.returncode, 0)
            self.assertIn("heap-buffer-overflow", ended.stderr)
