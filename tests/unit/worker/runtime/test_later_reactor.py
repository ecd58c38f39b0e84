"""What stands for the reactor while an app is imported that workers are forked from."""

import subprocess
import sys
import unittest

from tests.support.daemon import ROOT

PROGRAM = """
import sys, types
from stickyd.worker.runtime.later_reactor import Places, ReactorInUse, stand_in

later = stand_in()
app = types.ModuleType("app")
sys.modules["app"] = app
exec('''
from twisted.internet import reactor
import twisted.internet.reactor as same
from twisted.internet.interfaces import IReactorTime

kept = [reactor]
early = IReactorTime.providedBy(reactor)

def default(reactor=reactor):
    return reactor

def use():
    reactor.callLater(0, print)
''', vars(app))
for what in (app.use, lambda: setattr(app.reactor, "name", 1)):
    try:
        what()
    except ReactorInUse as error:
        print(error)
try:
    from twisted.internet import epollreactor
    epollreactor.install()
except Exception as error:
    print(type(error).__name__)
places = Places(later)
places.clear()
from twisted.internet import reactor
places.put(reactor)
print(app.reactor is reactor, app.same is reactor, app.early)
for leads in (app.kept[0], app.default()):
    print(leads is reactor, leads.seconds == reactor.seconds, app.IReactorTime.providedBy(leads))
    leads.name = 1
print(reactor.name)
"""


class LaterReactor(unittest.TestCase):
    def test_it_becomes_the_reactor(self) -> None:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", PROGRAM],
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=60,
        )
        self.assertEqual(done.stderr, "")
        early = (
            "reactor.{} is used while the app is imported, and with --preload there is no reactor"
            " before the app starts (docs/preload.md)"
        )
        self.assertEqual(
            done.stdout.splitlines(),
            [
                early.format("callLater"),
                early.format("name"),
                "ReactorAlreadyInstalledError",
                "True True False",
                "False True True",
                "False True True",
                "1",
            ],
        )


if __name__ == "__main__":
    unittest.main()
