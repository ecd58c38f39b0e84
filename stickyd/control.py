"""What master and worker say to each other, beside the connections: AMP over one socket pair."""

from typing import Any

from twisted.internet.protocol import connectionDone
from twisted.protocols import amp
from twisted.python.failure import Failure


class Link(amp.AMP):
    """One end of a control channel; unlike its parent it does not log that it exists."""

    def makeConnection(self, transport: Any) -> None:
        """For the transport."""
        amp.BinaryBoxProtocol.makeConnection(self, transport)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """For the transport."""
        amp.BinaryBoxProtocol.connectionLost(self, reason)
        self.transport = None


class CannotLoad(Exception):
    """The app cannot be loaded; the text is one line."""


class Start(amp.Command):
    """Master to worker: load the app and serve. The answer comes when the worker is ready."""

    arguments = [
        (b"settings", amp.String()),
        (b"slot", amp.Integer()),
    ]
    errors = {CannotLoad: b"CANNOT_LOAD"}


class Retire(amp.Command):
    """Master to worker: finish what you answer within ``grace`` seconds, then end."""

    arguments = [(b"grace", amp.Float())]


class Report(amp.Command):
    """Master to worker: your counters, as JSON."""

    response = [(b"counters", amp.String())]


class Beat(amp.Command):
    """Worker to master, every second while something changes: the counters, as JSON."""

    arguments = [(b"counters", amp.String())]


class Misrouted(amp.Command):
    """Worker to master: a request in connection scope named another slot; sent once a worker."""

    arguments = [(b"slot", amp.Integer()), (b"named", amp.Integer()), (b"source", amp.Unicode())]
