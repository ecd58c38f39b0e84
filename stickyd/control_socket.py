"""The socket of ``--control``: answers whoever connects with one JSON document."""

import json
from collections.abc import Callable
from typing import Any

from twisted.internet import defer
from twisted.internet.interfaces import ILoggingContext
from twisted.internet.protocol import Factory, Protocol
from zope.interface import implementer

Report = dict[str, Any]
Ask = Callable[[], "defer.Deferred[Report]"]


@implementer(ILoggingContext)
class ControlSocket(Factory):
    """Listens on a Unix socket that only its owner may use.

    :param ask: for the document.
    """

    noisy = False

    def logPrefix(self) -> str:
        """For Twisted's remark on the socket."""
        return "control socket"

    def __init__(self, reactor: Any, path: str, ask: Ask) -> None:
        self._port = reactor.listenUNIX(path, self, mode=0o600, wantPID=True)
        self.ask = ask

    def buildProtocol(self, address: object) -> Protocol:
        """Someone asks."""
        return _Answer(self.ask)

    def stop(self) -> "defer.Deferred[Any]":
        """Listen no longer, and remove the file."""
        return defer.maybeDeferred(self._port.stopListening)


class _Answer(Protocol):
    """One document and a newline, then the end."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def connectionMade(self) -> None:
        """Someone asks."""
        assert self.transport is not None
        self._ask().addCallbacks(self._tell, lambda _: self.transport.loseConnection())  # type: ignore[union-attr]

    def _tell(self, report: Report) -> None:
        assert self.transport is not None
        self.transport.write(json.dumps(report, indent=1).encode() + b"\n")
        self.transport.loseConnection()
