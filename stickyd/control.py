"""What master and worker say to each other, beside the connections: AMP over one socket pair."""

import socket
from typing import Any

from twisted.internet.protocol import connectionDone
from twisted.protocols import amp
from twisted.python.failure import Failure

# Descriptor numbers in the worker; sending ends of all inboxes follow, then the board if any.
CONTROL_FD = 3
INBOX_FD = 4
SENDERS_FD = 5


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


class _Adopted:
    """`IReactorSocket.adoptStreamConnection` wants a factory; here is one for one protocol."""

    noisy = False

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol

    def buildProtocol(self, address: object) -> Any:
        """The one protocol."""
        return self._protocol

    def doStart(self) -> None:
        """Nothing to start."""

    def doStop(self) -> None:
        """Nothing to stop."""


def adopt_stream(reactor: Any, sock: socket.socket, protocol: Any) -> None:
    """Run ``protocol`` over a connected Unix socket; the socket is consumed."""
    sock.setblocking(False)
    reactor.adoptStreamConnection(sock.fileno(), socket.AF_UNIX, _Adopted(protocol))
    sock.close()
