"""Importing Twisted marks classes of the standard library; apps find them as Python made them."""

import json
import subprocess
import sys
import unittest

from tests.support.daemon import Daemon, Reader, request

IMPORTED = """
import abc, gc, sys
import stickyd.worker.__main__
from stickyd.worker.runtime.zope_marks import unmark
from zope.interface.declarations import ClassProvides

def marked():
    classes = [c for c in gc.get_objects() if isinstance(c, type)]
    found = [c for c in classes if isinstance(vars(c).get("__provides__"), ClassProvides)]
    return {c for c in found if str(c.__module__).partition(".")[0] in sys.stdlib_module_names}

before = marked()
assert abc.ABC in before, before
assert set(unmark()) >= before
assert not marked(), marked()
assert not unmark()
"""

DECLARED = """
import collections, io, string
from zope.interface import Interface, classImplements, directlyProvides, implementer, providedBy
from stickyd.worker.runtime.zope_marks import unmark

class IThing(Interface):
    pass

classImplements(collections.UserDict, IThing)
directlyProvides(string.Template, IThing)

@implementer(IThing)
class Passing(collections.UserList):
    pass

class Mine(Passing):
    pass

assert "__provides__" in vars(collections.UserList)
assert collections.UserList in unmark()
assert "__provides__" not in vars(collections.UserList)
for cls in (collections.UserDict, string.Template, Passing):
    assert "__provides__" in vars(cls), cls
for thing in (collections.UserDict(), string.Template, Passing(), Mine()):
    assert IThing.providedBy(thing), thing
for thing in (collections.UserList, collections.UserList(), string.Template("")):
    assert not IThing.providedBy(thing), thing
# A declaration that comes later reaches those that derive from it.
class ILater(Interface):
    pass

classImplements(collections.UserList, ILater)
for thing in (collections.UserList(), Passing(), Mine()):
    assert ILater.providedBy(thing), thing
assert not ILater.providedBy(collections.UserDict())
"""


class Apps(unittest.TestCase):
    def check(self, *app: str) -> None:
        with Daemon(*app, workers=1) as daemon, daemon.connect() as sock:
            for _ in range(2):
                sock.sendall(request("10.10.10.10"))
                told = json.loads(Reader(sock).response().body)
                self.assertEqual(told["marked"], [])
                self.assertEqual([name for name, right in told["known"].items() if not right], [])

    def test_twisted_web(self) -> None:
        self.check("--class", "stickyd_walking_app:Page")

    def test_wsgi(self) -> None:
        self.check("--wsgi", "stickyd_walking_app:wsgi")

    def test_asgi(self) -> None:
        self.check("--asgi", "stickyd_walking_app:asgi")


class Unmarked(unittest.TestCase):
    def test_all_that_the_workers_imports_have_marked(self) -> None:
        command = [sys.executable, "-W", "error", "-c", IMPORTED]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))

    def test_what_declares_something_keeps_its_mark(self) -> None:
        command = [sys.executable, "-W", "error", "-c", DECLARED]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))
