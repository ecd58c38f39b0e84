"""Stands for Twisted's reactor in a template process, which has none.

Apps import it where they are imported themselves: ``from twisted.internet import reactor``. That
would install one (`twisted.internet.reactor`), and its epoll would be the same in all workers. They
get this in its place, which cannot be used yet. A forked worker installs its own reactor, and what
the app has stored then is, or leads to, that one.
"""

import sys
from typing import Any

import twisted.internet
from zope.interface import providedBy

_NAME = "twisted.internet.reactor"
_TOO_EARLY = (
    "reactor.{name} is used while the app is imported, and with --preload there is no reactor"
    " before the app starts (docs/preload.md)"
)


class ReactorInUse(RuntimeError):
    """The reactor is used before there is one."""


class LaterReactor:
    """In place of the reactor; leads to it once it is known (`Places.put`)."""

    def __getattr__(self, name: str) -> Any:
        reactor = vars(self).get("_reactor")
        # What import, inspection and zope.interface look for is not a use of it.
        if reactor is None and name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        if reactor is None:
            raise ReactorInUse(_TOO_EARLY.format(name=name))
        return getattr(reactor, name)

    @property
    def __providedBy__(self) -> Any:
        """For zope.interface, which would store in the class that it has no interfaces."""
        reactor = vars(self).get("_reactor")
        return providedBy(reactor if reactor is not None else object())

    def __setattr__(self, name: str, value: object) -> None:
        reactor = vars(self).get("_reactor")
        if reactor is None:
            raise ReactorInUse(_TOO_EARLY.format(name=name))
        setattr(reactor, name, value)


def stand_in() -> LaterReactor:
    """Stand in for the reactor, which must not be installed.

    An app that installs a reactor of its own fails as it does in a worker, which has one.
    """
    assert _NAME not in sys.modules, "there is a reactor already"
    later = LaterReactor()
    sys.modules[_NAME] = twisted.internet.reactor = later  # type: ignore[assignment]
    return later


class Places:
    """Where modules have stored the stand-in.

    Found in the template: a worker that looked through all modules would write to the reference
    count of every object, and so no longer share their memory.
    """

    def __init__(self, later: LaterReactor) -> None:
        self._later = later
        # Not those of `twisted.internet`, where it stands in.
        self._found = [
            (vars(module), name)
            for key, module in list(sys.modules.items())
            if key != "twisted.internet" and hasattr(module, "__dict__") and key != _NAME
            for name, value in list(vars(module).items())
            if value is later
        ]

    def clear(self) -> None:
        """Stand in no longer: a reactor can be installed."""
        del sys.modules[_NAME]
        del twisted.internet.reactor

    def put(self, reactor: Any) -> None:
        """Put the reactor where modules have stored the stand-in, which leads to it elsewhere."""
        vars(self._later)["_reactor"] = reactor
        for names, name in self._found:
            names[name] = reactor
