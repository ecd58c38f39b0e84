"""Which core is loaded, and why not the compiled one."""

import sys
import unittest
from unittest import mock

from stickyd.core import sources
from stickyd.core.native import load
from tests.support.core_agreement import NATIVE


class WhichCore(unittest.TestCase):
    """And why not the other."""

    def test_compiled(self) -> None:
        if NATIVE is not None:
            core = load(None, sources.digest())
            self.assertEqual(
                (core.name, core.why_not, str(core)), ("compiled", "", "compiled core")
            )
            self.assertEqual(load("1", sources.digest()), core)

    def python(self, switch: str | None, expected: str, why: str) -> None:
        core = load(switch, expected)
        self.assertEqual((core.native, core.name), (None, "python"))
        self.assertIn(why, core.why_not)
        self.assertEqual(str(core), f"Python core, the compiled one is {core.why_not}")

    def test_switched_off(self) -> None:
        self.python("0", sources.digest(), "switched off (STICKYD_NATIVE=0)")

    @unittest.skipIf(NATIVE is None, "the compiled core is not built")
    def test_built_from_other_sources(self) -> None:
        self.python(None, "0" * 16, "built from other sources")

    def test_not_built(self) -> None:
        with mock.patch.dict(sys.modules):
            sys.modules.pop("stickyd.core._native", None)
            with mock.patch.object(sys, "meta_path", [_Absent, *sys.meta_path]):
                self.python(None, sources.digest(), "not built")

    @unittest.skipIf(NATIVE is None, "the compiled core is not built")
    def test_built_in_part(self) -> None:
        with mock.patch.dict(sys.modules, {"stickyd.core._lane": None}):
            self.python(None, sources.digest(), "not built")
        other = mock.Mock(BUILT_FROM="0" * 16)
        with mock.patch.dict(sys.modules, {"stickyd.core._lane": other}):
            self.python(None, sources.digest(), "built from other sources")

    def test_not_loadable(self) -> None:
        with mock.patch.dict(sys.modules):
            sys.modules.pop("stickyd.core._native", None)
            with mock.patch.object(sys, "meta_path", [_Broken, *sys.meta_path]):
                self.python(None, sources.digest(), "not loadable: no symbol")


class _Absent:
    """Finds no compiled module."""

    error: ImportError = ModuleNotFoundError("absent", name="stickyd.core._native")

    @classmethod
    def find_spec(cls, name: str, path: object = None, target: object = None) -> None:
        if name == "stickyd.core._native":
            raise cls.error


class _Broken(_Absent):
    """Finds one that does not fit this machine."""

    error = ImportError("no symbol")
