"""Accepts the connections of one listening socket, which several processes may share."""

import errno
import select
import socket
from typing import Any

from twisted.logger import Logger

from stickyd.net.address import Address, canonical
from stickyd.tls.handshake import Handshake
from stickyd.tls.shared import Shared

ACCEPTS_A_TURN = 64

PAUSE = 0.1
"""Seconds without accepting when there is no room."""

_SHORT_OF = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_log = Logger("stickyd")


class Acceptor:
    """Starts a handshake for each connection.

    :param listener: id of the listener in frames.
    """

    def __init__(self, shared: Shared, listening: socket.socket, listener: int) -> None:
        self._shared = shared
        self._socket = listening
        self._listener = listener
        self._reading = False
        self._short = False
        self._open = True

    def start(self) -> None:
        """Start accepting."""
        if self._open and not self._reading:
            self._reading = True
            # One process is woken for a connection, not all (epoll_ctl(2)).
            events = select.EPOLLIN | select.EPOLLEXCLUSIVE
            self._shared.poller.watch(self._socket.fileno(), self, events)

    def _stop(self) -> None:
        if self._reading:
            self._reading = False
            self._shared.poller.forget(self._socket.fileno())

    def close(self) -> None:
        """Accept what has connected, then close this process's copy of the socket."""
        if self._open:
            self._accept()
            self._stop()
            self._open = False
            self._socket.close()

    def ready(self, events: int) -> None:
        """For the poller."""
        self._accept()

    def abortConnection(self) -> None:
        """For the poller: a callback has failed; others may not."""

    def _accept(self) -> None:
        shared = self._shared
        for _ in range(ACCEPTS_A_TURN):
            if shared.full():
                self._pause()
                return
            try:
                client, address = self._socket.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _SHORT_OF:
                    self._say(error)
                    self._pause()
                    return
                # An error of the new connection itself is like EAGAIN (accept(2)).
                continue
            self._short = False
            client.setblocking(False)
            self._begin(client, address)

    def _begin(self, client: socket.socket, address: Any) -> None:
        try:
            local = None if not isinstance(address, tuple) else _end(client.getsockname())
        except OSError:
            # It has ended already.
            client.close()
            return
        peer = None if not isinstance(address, tuple) else _end(address)
        Handshake(self._shared, client, peer, local, self._listener).begin()

    def _pause(self) -> None:
        self._stop()
        self._shared.reactor.callLater(PAUSE, self.start)

    def _say(self, error: OSError) -> None:
        if not self._short:
            self._short = True
            _log.warn("cannot accept for now: {error} (said once)", error=error)


def _end(name: Any) -> Address:
    host: str = name[0].partition("%")[0]
    return canonical(host) or host, name[1]
