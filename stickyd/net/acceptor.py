"""Accepts connections of a listening socket that the daemon keeps across execve(2)."""

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import ILoggingContext
from twisted.python.failure import Failure
from zope.interface import implementer

RETRY_AFTER = 1.0
"""Seconds until connections are accepted again when the process is out of descriptors."""


@implementer(ILoggingContext)
class Acceptor:
    """Reads one listening socket from now on; a port of the reactor would not survive execve(2).

    :param listening: non-blocking.
    :param serve: called with each connection, non-blocking, which is closed after the call.
    :param name: for the reactor's log lines.
    """

    def __init__(
        self,
        reactor: Any,
        listening: socket.socket,
        serve: Callable[[socket.socket], None],
        name: str,
    ) -> None:
        self._reactor = reactor
        self._listening = listening
        self._serve = serve
        self._name = name
        self._retry: Any = None
        reactor.addReader(self)

    def fileno(self) -> int:
        """For the reactor: the listening socket's."""
        return self._listening.fileno()

    def logPrefix(self) -> str:
        """For the reactor."""
        return self._name

    def doRead(self) -> None:
        """For the reactor: accept a client."""
        try:
            sock, _ = self._listening.accept()
        except BlockingIOError:
            return
        except OSError:
            # Out of descriptors (accept(2)): the client waits in the backlog.
            self._reactor.removeReader(self)
            self._retry = self._reactor.callLater(RETRY_AFTER, self._accept_again)
            return
        with sock:
            sock.setblocking(False)
            self._serve(sock)

    def _accept_again(self) -> None:
        self._retry = None
        self._reactor.addReader(self)

    def connectionLost(self, reason: Failure) -> None:
        """For the reactor; a listening socket has no connection to lose."""

    def stop(self) -> None:
        """Accept no more; clients wait in the backlog until the socket is closed."""
        self._reactor.removeReader(self)
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
