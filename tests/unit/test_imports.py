"""The rules of the tree: what may import what, and how large its parts may be."""

import importlib
import inspect
import re
import subprocess
import sys
import unittest
import warnings
from collections import Counter

from stickyd import __version__
from tests.support.daemon import ROOT
from tests.support.modules import PACKAGE, Import, circles, imports, modules, package_of

BELOW = ("net", "http1", "routing", "core", "ipc", "shm", "logs")
LEAVES = ("errors", "stats", "settings", "process", "keys")

MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "": (),
    "errors": (),
    "process": (),
    "stats": (),
    "keys": ("routing",),
    "settings": ("", "errors", "http1", "routing"),
    "tap": ("cli", "logs", "master"),
    "__main__": (),
    "net": (),
    # The JSON of any text.
    "logs": ("http1",),
    "http1": ("net",),
    "routing": ("net", "http1"),
    "core": ("net", "http1", "routing"),
    "ipc": ("net", "errors"),
    "shm": ("net", "routing", "stats"),
    "master": (
        *(*BELOW, *LEAVES, ""),
        *("master.frontend", "master.supervisor", "master.admin", "master.tls"),
    ),
    "master.template": (*BELOW, *LEAVES, "", "master.supervisor"),
    "master.admin": (*BELOW, *LEAVES, "", "master", "master.frontend"),
    "master.supervisor": (*BELOW, *LEAVES, ""),
    "master.tls": (
        *BELOW,
        *LEAVES,
        "",
        "master.supervisor",
        "tls.certificates",
        "tls.commands",
        "tls.groups",
    ),
    "master.frontend": (*BELOW, *LEAVES, "", "master.supervisor"),
    "worker.interfaces": (*BELOW, *LEAVES, "worker.connection", "worker.connection_set"),
    "worker.connection": (
        *BELOW,
        *LEAVES,
        "worker.handover",
        "worker.interfaces",
        # What the context of a connection consists of.
        "worker.accounting",
        "worker.connection_set",
        "worker.slot_routing",
    ),
    # What an app of twisted.web implements.
    "worker.handover.interfaces": (),
    "worker.handover": (
        *BELOW,
        *LEAVES,
        "worker.connection",
        "worker.connection_set",
        "worker.handover.interfaces",
        "worker.interfaces",
    ),
    "worker.runtime": (*BELOW, *LEAVES),
    "worker": (
        *BELOW,
        *LEAVES,
        "worker.connection",
        "worker.interfaces",
        "worker.lifecycle",
        "worker.runtime",
    ),
    "worker.template": (
        *BELOW,
        *LEAVES,
        "worker.importer",
        "worker.process",
        "worker.runtime",
        "worker.apps",
    ),
    "worker.lifecycle": (
        *BELOW,
        *LEAVES,
        "worker",
        "worker.connection",
        "worker.interfaces",
        "worker.runtime",
        "worker.apps",
    ),
    "worker.apps": (
        *BELOW,
        *LEAVES,
        "worker.connection",
        "worker.handover",
        "worker.interfaces",
        "worker.importer",
        # The cookie that an answer gets, and the ids that it hands out.
        "worker.answer_ids",
    ),
    # Of a process of its own.
    "tls": (*BELOW, *LEAVES, "tls.certificates", "tls.commands", "worker.runtime"),
    # What the master, too, needs of it, without OpenSSL.
    "tls.certificates": ("settings",),
    "tls.commands": ("tls.certificates",),
    # Needs its version, of the pyOpenSSL that Twisted has imported already.
    "tls.groups": (),
    "helper": (*LEAVES, "logs", "net", "worker.importer", "worker.runtime"),
    "cli": ("", "settings", "errors", "net", "http1", "routing", "cli.start", "cli.option_tables"),
    "cli.option_tables": ("cli", "http1", "logs", "net", "routing", "settings"),
    "cli.status": ("cli", "cli.start", "net"),
    "cli.start": ("cli", "errors", "settings"),
    "cli.verify": ("", "errors", "cli", "net"),
    "cli.replay": ("cli", "net", "routing"),
}
"""What each part may import besides itself: packages and modules of stickyd/, each without that
prefix; "" is stickyd/__init__.py. The rule with the longest name that fits a module is its rule."""

MAY_IMPORT_LAZILY: dict[str, tuple[str, ...]] = {
    # What starts the daemon, and what `--version` asks: `explain` and `verify` do without them.
    "cli": (
        *("master", "master.supervisor", "core", "ipc", "tls.certificates"),
        *("cli.verify", "cli.replay", "cli.status"),
    ),
    # Health checks run `status`: it does without the other commands, and without rich in pipes.
    "__main__": ("cli", "cli.status"),
    "cli.status": ("cli.status",),
    # Without --admin its libraries are not loaded, nor ctypes without --preload.
    "master": ("master.admin", "master.template"),
    # An app of one kind does without the libraries of the others.
    "worker.apps": ("worker.apps",),
}
"""What may be imported within functions besides; everything else stands at the top."""

KNOWN: set[tuple[str, str]] = set()
"""Imports that break a rule, as (importer, imported): to become none."""

KNOWN_CIRCLES: list[list[str]] = []
KNOWN_MEETINGS: dict[tuple[str, str], str] = {}

MOST_MODULES = {"": 8}
MODULES_OF_A_PACKAGE = 20
MOST_LINES = 300
MOST_ARGUMENTS = 8

KNOWN_LONG: set[str] = set()
KNOWN_ARGUMENTS: dict[str, int] = {}
"""What is too large yet, exactly: to become none."""

WITHOUT_TWISTED = ("http1", "routing", "core", "shm")
WITHOUT_REACTOR = ("net", "ipc", "logs", "master", "worker")


def short(module: str) -> str:
    """The name of a module without the prefix."""
    return module.removeprefix("stickyd").removeprefix(".")


def part(module: str) -> str:
    """The key of MAY_IMPORT that a module comes under."""
    name = short(module)
    while name not in MAY_IMPORT:
        name, dot, _ = name.rpartition(".")
        assert dot or name in MAY_IMPORT, f"{module} has no rule in MAY_IMPORT"
    return name


def allowed(found: Import, rules: dict[str, tuple[str, ...]]) -> bool:
    """Whether a rule names the imported module, or the part that it is in."""
    names = rules.get(part(found.importer), ())
    return short(found.imported) in names or part(found.imported) in names


def broken(lazy: bool) -> set[tuple[str, str]]:
    """The imports that break a rule."""
    return {
        (short(found.importer), short(found.imported))
        for found in imports()
        if found.lazy is lazy
        and not (part(found.importer) == part(found.imported) and not lazy)
        and not allowed(found, MAY_IMPORT_LAZILY if lazy else MAY_IMPORT)
    }


class Rules(unittest.TestCase):
    maxDiff = None

    def test_imports(self) -> None:
        self.assertGreater(len(imports()), 200)
        self.assertEqual(broken(lazy=False), KNOWN)

    def test_imports_within_functions(self) -> None:
        self.assertEqual(broken(lazy=True), set())

    def test_no_circle(self) -> None:
        found = [[short(module) for module in circle] for circle in circles()]
        self.assertEqual(found, KNOWN_CIRCLES)

    def test_every_rule_has_its_modules(self) -> None:
        names = {short(module) for module in modules()}
        for key, others in MAY_IMPORT.items():
            for name in (key, *others):
                self.assertIn(name, names)

    def test_a_master_and_a_worker_never_meet(self) -> None:
        """Not even through others."""
        for one, other in (("master", "worker"), ("worker", "master"), ("worker", "cli")):
            code = "import sys\n" + "".join(
                f"import {module}\n" for module in modules() if _is_in(module, one)
            )
            code += f"print(*[m for m in sys.modules if m.startswith('stickyd.{other}')])"
            with self.subTest(one=one, other=other):
                self.assertEqual(run(code), KNOWN_MEETINGS.get((one, other), ""))


class Libraries(unittest.TestCase):
    def test_rich_is_loaded_on_terminals_only(self) -> None:
        names = ("cli.main", "cli.status.command", "cli.replay.command", "cli.verify.command")
        for name in (*names, "master.service", "worker.worker"):
            with self.subTest(name):
                loaded = "print(*[m for m in sys.modules if m.split('.')[0] == 'rich'])"
                self.assertEqual(run(f"import sys, stickyd.{name}; {loaded}"), "")


class Reactor(unittest.TestCase):
    """Packages that have their reactor given, or need none."""

    def loaded(self, package: str, prefix: str) -> str:
        names = [module for module in modules() if _is_in(module, package)]
        self.assertGreater(len(names), 3)
        code = "import sys\n" + "".join(f"import {name}\n" for name in names)
        return run(code + f"print(*[m for m in sys.modules if m.startswith({prefix!r})])")

    def test_no_twisted(self) -> None:
        for package in WITHOUT_TWISTED:
            with self.subTest(package):
                self.assertEqual(self.loaded(package, "twisted"), "")

    def test_no_reactor(self) -> None:
        for package in WITHOUT_REACTOR:
            with self.subTest(package):
                self.assertEqual(self.loaded(package, "twisted.internet.reactor"), "")


class Sizes(unittest.TestCase):
    def test_packages(self) -> None:
        count = Counter(
            short(package_of(module))
            for module, path in modules().items()
            if path.name != "__init__.py" or module == "stickyd"
        )
        for package, number in count.items():
            most = MOST_MODULES.get(package, MODULES_OF_A_PACKAGE)
            self.assertLessEqual(number, most, package or "stickyd")

    def test_modules(self) -> None:
        sources = [*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.pyx")]
        long = {
            path.relative_to(PACKAGE).as_posix()
            for path in sources
            if len(path.read_text().splitlines()) > MOST_LINES
        }
        self.assertEqual(long, KNOWN_LONG)

    def test_constructors(self) -> None:
        """Those of named tuples excepted: values with the fields of a format."""
        many = {}
        for module in modules():
            if module.endswith("__main__"):
                continue
            with warnings.catch_warnings():
                # Twisted's own, of its twisted.web.static.
                warnings.simplefilter("ignore", DeprecationWarning)
                names = vars(importlib.import_module(module))
            for name, value in names.items():
                if (
                    inspect.isclass(value)
                    and value.__module__ == module
                    and not issubclass(value, tuple)
                    and "__init__" in vars(value)
                ):
                    number = len(inspect.signature(value.__init__).parameters) - 1
                    if number > MOST_ARGUMENTS:
                        many[f"{short(module)}.{name}"] = number
        self.assertEqual(many, KNOWN_ARGUMENTS)


class Habits(unittest.TestCase):
    def test_only_the_inbox_passes_descriptors(self) -> None:
        for path in PACKAGE.rglob("*.py"):
            if path.name not in ("fd_queue.py", "fork_channel.py"):
                calls = re.findall(
                    r"\.(?:sendmsg|recvmsg\w*|send_fds|recv_fds)\(", path.read_text()
                )
                self.assertEqual(calls, [], path)

    def test_no_pickle(self) -> None:
        for path in PACKAGE.rglob("*.py"):
            self.assertNotRegex(path.read_text(), r"import (pickle|marshal|shelve)", path)

    def test_the_changelog_knows_the_version(self) -> None:
        self.assertRegex((ROOT / "CHANGELOG.md").read_text(), rf"## \[?{re.escape(__version__)}\b")


def _is_in(module: str, package: str) -> bool:
    """Whether it is in a package, or in one of that; what is run as a program excepted."""
    return f"{module}.".startswith(f"stickyd.{package}.") and not module.endswith("__main__")


def run(code: str) -> str:
    """What a Python that has imported nothing prints."""
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout.strip()
