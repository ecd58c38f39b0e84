"""The socket of ``--control``: sends one JSON document to each client."""

import json
import socket
from collections.abc import Callable
from typing import Any
from typing import Protocol as Typed

from twisted.internet import defer, interfaces
from twisted.internet.interfaces import ILoggingContext
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.protocols.policies import TimeoutMixin
from twisted.python.failure import Failure
from zope.interface import implementer

from stickyd.net.acceptor import Acceptor
from stickyd.net.unix_socket import make_way

Report = dict[str, Any]
Ask = Callable[[], "defer.Deferred[Report]"]

ANSWER_SECONDS = 10.0
"""Seconds that a client has to read its document."""

LAST_ANSWERS = 2.0
"""Seconds that connected clients have to read their document when the socket is paused."""


class ListeningPort(Typed):
    """A listening port: of Twisted, or inherited from the previous program."""

    socket: socket.socket

    def stopReading(self) -> None:
        """Stop accepting."""

    def stopListening(self) -> Any:
        """Close it, and remove its file."""


@implementer(ILoggingContext)
class StatsSocket(Factory):
    """Accepts clients of a Unix socket, and sends each the report.

    :param ask: returns the report.
    """

    noisy = False

    def __init__(self, reactor: Any, ask: Ask) -> None:
        self.ask = ask
        self.answering: set[_Answer] = set()
        self._reactor = reactor
        self._port: ListeningPort | None = None
        self._acceptor: Acceptor | None = None
        self._on_quiet: list[defer.Deferred[None]] = []

    def listen(self, path: str) -> None:
        """Listen on a new socket with mode 0600.

        :raise CannotListenError: if it cannot be bound.
        :raise ValueError: if another process listens there.
        """
        make_way(path)
        self.resume(self._reactor.listenUNIX(path, self, mode=0o600, wantPID=True))

    def resume(self, port: ListeningPort) -> None:
        """Use a socket that listens already."""
        self._port = port
        port.stopReading()
        self._acceptor = Acceptor(self._reactor, port.socket, self._serve, self.logPrefix())

    def pack(self) -> int:
        """The descriptor of the socket, for the program that replaces this one."""
        assert self._port is not None
        return self._port.socket.fileno()

    # ---- clients

    def logPrefix(self) -> str:
        """For Twisted's log lines about the port."""
        return "control socket"

    def _serve(self, sock: socket.socket) -> None:
        self._reactor.adoptStreamConnection(sock.fileno(), socket.AF_UNIX, self)

    def buildProtocol(self, address: object) -> Protocol:
        """A protocol for a client."""
        return _Answer(self)

    # ---- stop

    def gone(self, answer: "_Answer") -> None:
        """A client has its report, or has disconnected."""
        self.answering.discard(answer)
        if not self.answering:
            waiting, self._on_quiet = self._on_quiet, []
            for each in waiting:
                each.callback(None)

    async def pause(self) -> None:
        """Stop accepting; returns when all connected clients have their report.

        Clients that connect from now on wait in the backlog of the socket.
        """
        if self._acceptor is not None:
            self._acceptor.stop()
        if self.answering:
            quiet: defer.Deferred[None] = defer.Deferred()
            self._on_quiet.append(quiet)
            quiet.addTimeout(LAST_ANSWERS, self._reactor)
            await quiet.addErrback(lambda failure: failure.trap(defer.TimeoutError))

    async def stop(self) -> None:
        """Pause, then close the socket and remove its file."""
        await self.pause()
        if self._port is not None:
            await defer.maybeDeferred(self._port.stopListening)


@implementer(interfaces.IHalfCloseableProtocol)
class _Answer(Protocol, TimeoutMixin):
    """Sends one document and a newline, also to a client that has shut down its sending side."""

    def __init__(self, control: StatsSocket) -> None:
        self._control = control

    def connectionMade(self) -> None:
        """A client has connected."""
        self._control.answering.add(self)
        self.setTimeout(ANSWER_SECONDS)
        self._control.ask().addCallbacks(self._tell, lambda _: self._end())

    def _tell(self, report: Report) -> None:
        assert self.transport is not None
        self.transport.write(json.dumps(report, indent=1).encode() + b"\n")
        self._end()

    def _end(self) -> None:
        assert self.transport is not None
        self.transport.loseConnection()

    def timeoutConnection(self) -> None:
        """The client does not read its document."""
        assert self.transport is not None
        self.transport.abortConnection()  # type: ignore[attr-defined]

    def readConnectionLost(self) -> None:
        """The client has shut down its sending side; its document is still sent."""

    def writeConnectionLost(self) -> None:
        """For the transport; this side is never shut down alone."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection has ended."""
        self.setTimeout(None)
        self._control.gone(self)
