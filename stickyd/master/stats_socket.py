"""The socket of ``--control``: answers whoever connects with one JSON document."""

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

from stickyd.net.unix_socket import make_way

Report = dict[str, Any]
Ask = Callable[[], "defer.Deferred[Report]"]

ANSWER_SECONDS = 10.0
"""Seconds in which a client must have taken its document."""

LAST_ANSWERS = 2.0
"""Seconds that clients which have connected have to take theirs, when nobody is to be left."""

RETRY_AFTER = 1.0
"""Seconds until connections are accepted again when the process is out of descriptors."""


class ListeningPort(Typed):
    """What is bound: a port of Twisted's, or a socket of the program before us."""

    socket: socket.socket

    def stopReading(self) -> None:
        """Accept nothing."""

    def stopListening(self) -> Any:
        """Close it, and remove its file."""


@implementer(ILoggingContext)
class StatsSocket(Factory):
    """Accepts clients of a Unix socket, and answers them.

    :param port: accepts nothing of its own accord.
    :param ask: for the document.
    """

    noisy = False

    def __init__(self, reactor: Any, ask: Ask) -> None:
        self.ask = ask
        self.answering: set[_Answer] = set()
        self._reactor = reactor
        self._port: ListeningPort | None = None
        self._retry: Any = None
        self._on_quiet: list[defer.Deferred[None]] = []

    def listen(self, path: str) -> None:
        """Listen on a new socket that only its owner may use.

        :raise CannotListenError: if it cannot be bound.
        :raise ValueError: if somebody listens there already.
        """
        make_way(path)
        self.resume(self._reactor.listenUNIX(path, self, mode=0o600, wantPID=True))

    def resume(self, port: ListeningPort) -> None:
        """Go on with a socket that listens already."""
        self._port = port
        port.stopReading()
        self._reactor.addReader(self)

    def pack(self) -> int:
        """The descriptor of the socket, for another program in our place."""
        assert self._port is not None
        return self._port.socket.fileno()

    # ---- for the reactor

    def fileno(self) -> int:
        """The listening socket's."""
        return -1 if self._port is None else self._port.socket.fileno()

    def logPrefix(self) -> str:
        """For the log, and for Twisted's remark on the socket."""
        return "control socket"

    def doRead(self) -> None:
        """Somebody connects."""
        assert self._port is not None
        try:
            sock, _ = self._port.socket.accept()
        except BlockingIOError:
            return
        except OSError:
            # Out of descriptors (accept(2)): the client waits in the backlog.
            self._reactor.removeReader(self)
            self._retry = self._reactor.callLater(RETRY_AFTER, self._accept_again)
            return
        with sock:
            sock.setblocking(False)
            self._reactor.adoptStreamConnection(sock.fileno(), socket.AF_UNIX, self)

    def _accept_again(self) -> None:
        self._retry = None
        self._reactor.addReader(self)

    def connectionLost(self, reason: Failure) -> None:
        """The reactor stops."""

    def buildProtocol(self, address: object) -> Protocol:
        """For a client."""
        return _Answer(self)

    # ---- the end

    def gone(self, answer: "_Answer") -> None:
        """A client has been answered, or is gone."""
        self.answering.discard(answer)
        if not self.answering:
            waiting, self._on_quiet = self._on_quiet, []
            for each in waiting:
                each.callback(None)

    async def pause(self) -> None:
        """Accept nobody any more; returns when those who have connected are answered.

        Clients that connect from now on wait in the backlog of the socket.
        """
        self._reactor.removeReader(self)
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if self.answering:
            quiet: defer.Deferred[None] = defer.Deferred()
            self._on_quiet.append(quiet)
            quiet.addTimeout(LAST_ANSWERS, self._reactor)
            await quiet.addErrback(lambda failure: failure.trap(defer.TimeoutError))

    async def stop(self) -> None:
        """Answer who has connected, then listen no longer, and remove the file."""
        await self.pause()
        if self._port is not None:
            await defer.maybeDeferred(self._port.stopListening)


@implementer(interfaces.IHalfCloseableProtocol)
class _Answer(Protocol, TimeoutMixin):
    """One document and a newline, then the end, also to a client that has finished sending."""

    def __init__(self, control: StatsSocket) -> None:
        self._control = control

    def connectionMade(self) -> None:
        """Someone asks."""
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
        """It does not take its document."""
        assert self.transport is not None
        self.transport.abortConnection()  # type: ignore[attr-defined]

    def readConnectionLost(self) -> None:
        """It has finished sending, and waits for its document."""

    def writeConnectionLost(self) -> None:
        """We have never finished sending before the end."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The client is gone."""
        self.setTimeout(None)
        self._control.gone(self)
