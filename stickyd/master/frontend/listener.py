"""Accept, and begin with each connection what its listener begins with."""

import errno
import socket
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from twisted.internet import defer
from twisted.logger import Logger

from stickyd.http1.limits import Limits
from stickyd.master.frontend.admission import Admission
from stickyd.master.frontend.pending import Dispatch, PendingConnection, PendingHead, Reception
from stickyd.master.frontend.proxy_pending import PendingProxyHeader, ProxyRule
from stickyd.net.address import Address, canonical
from stickyd.net.timeouts import Sweeper
from stickyd.stats import MasterCounters

ACCEPTS_A_TURN = 64
_NO_DESCRIPTOR = frozenset({errno.EMFILE, errno.ENFILE})
_SHORT_OF = _NO_DESCRIPTOR | {errno.ENOBUFS, errno.ENOMEM}
_PAUSE_WHEN_SHORT = 0.1

BACKLOG = 1024
"""Connections that wait to be accepted (listen(2)): while the master replaces its own program,
or a burst comes. The kernel bounds it by net.core.somaxconn."""

UNSENT_MOST = 128 * 1024
"""Bytes of an answer that the kernel holds beyond what the client's window takes. Otherwise it
holds megabytes for each client that reads slowly, and filling them stalls the others."""

_ALL = frozenset({"0.0.0.0", "::"})

Receive = Callable[[Reception, socket.socket, Address | None], PendingConnection]

_log = Logger("stickyd")


class Listener:
    """Takes connections off one listening socket.

    It reads the socket in place of the Twisted port it came from: a batch of
    accepts a turn, and no transport for a connection that leaves at once.

    :param proxy: from whom a PROXY header is required; None if no connection has one.
    :param ends_with_us: nobody goes on with the socket after us.
    :ivar unix: it is a Unix socket.
    :ivar own: our end of every connection; None where each has to be asked.
    """

    def __init__(
        self,
        reactor: Any,
        port: Any,
        index: int,
        numbers: Iterator[int],
        dispatch: Dispatch,
        limits: Limits,
        head_timeout: float,
        sweeper: Sweeper,
        counters: MasterCounters,
        admission: Admission,
        proxy: ProxyRule | None = None,
        ends_with_us: bool = True,
    ) -> None:
        self.reactor = reactor
        self.index = index
        self.numbers = numbers
        self.dispatch = dispatch
        self.limits = limits
        self.head_timeout = head_timeout
        self.sweeper = sweeper
        self.counters = counters
        self.admission = admission
        self._short = False
        self.waiting: set[PendingConnection] = set()
        self._all_left: defer.Deferred[None] | None = None
        self.proxy = proxy
        self._receive: Receive = (
            PendingHead if proxy is None else partial(PendingProxyHeader, rule=proxy)
        )
        self._port = port
        self._ends_with_us = ends_with_us
        self._socket: socket.socket = port.socket
        port.stopReading()
        self._socket.listen(BACKLOG)
        self.unix = self._socket.family == socket.AF_UNIX
        self.own = None if self.unix else _single(self._socket)
        if not self.unix:
            # Both are inherited by every connection accepted from it (tcp(7)).
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_MOST)

    def where(self) -> str:
        """Where it listens, for the log."""
        name = self._socket.getsockname()
        return f"unix:{name}" if self.unix else f"{name[0]} port {name[1]}"

    def start(self) -> None:
        """Begin to accept."""
        self.reactor.addReader(self)

    async def stop(self, patience: float) -> None:
        """Let go of the port, then of connections that have no whole head after ``patience``.

        :param patience: seconds. Whoever connected just before us has no second
            chance: a client tries again after a refused connection, rarely
            after a request that was answered by 503.
        """
        self.reactor.removeReader(self)
        if self._ends_with_us:
            # The kernel would reset what is in the backlog.
            for _ in range(BACKLOG // ACCEPTS_A_TURN):
                self._accept()
        await defer.maybeDeferred(self._port.stopListening)
        if self.waiting and patience > 0:
            self._all_left = defer.Deferred()
            self._all_left.addTimeout(patience, self.reactor, _enough)
            await self._all_left
        for connection in list(self.waiting):
            connection.dismiss()

    def left(self, connection: PendingConnection) -> None:
        """One of those that wait is on its way."""
        self.waiting.discard(connection)
        if self._all_left is not None and not self.waiting:
            # Later: it may be about to be handed on, or to wait for its head.
            self.reactor.callLater(0, self._look_whether_all_left)

    def _look_whether_all_left(self) -> None:
        if self._all_left is not None and not self._all_left.called and not self.waiting:
            self._all_left.callback(None)

    def fileno(self) -> int:
        """For the reactor."""
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """For the reactor."""
        return "listener"

    def connectionLost(self, reason: object) -> None:
        """For the reactor; a listening socket is lost only by closing it."""

    def doRead(self) -> None:
        """For the reactor."""
        self._accept()

    def _accept(self) -> None:
        """Accept a batch."""
        for _ in range(ACCEPTS_A_TURN):
            try:
                sock, address = self._socket.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _SHORT_OF:
                    self._pause(error)
                    return
                # accept(2): errors of the new connection itself are like EAGAIN.
                continue
            self._short = False
            self.counters.accepted += 1
            if self.admission.admit(sock):
                self._receive(self, sock, self._peer(address)).look()

    def _peer(self, address: Any) -> Address | None:
        if self.unix:
            return None
        return canonical(address[0].partition("%")[0]) or address[0], address[1]

    def _pause(self, error: OSError) -> None:
        """Refuse a batch by the reserve; the next ones wait in the backlog, so that we rest."""
        if not self._short:
            self._short = True
            _log.warn("cannot accept for now: {error} (said once)", error=error)
        if error.errno in _NO_DESCRIPTOR:
            for _ in range(ACCEPTS_A_TURN):
                if not self.admission.refuse_by_reserve(self._socket):
                    break
        self.reactor.removeReader(self)
        self.reactor.callLater(_PAUSE_WHEN_SHORT, self._resume)

    def _resume(self) -> None:
        if self._socket.fileno() >= 0:
            self.reactor.addReader(self)


def _single(sock: socket.socket) -> Address | None:
    """The address that ``sock`` listens on, if it is one and not all of the machine."""
    host, port = sock.getsockname()[:2]
    own = canonical(host)
    return None if own is None or own in _ALL else (own, port)


def _enough(result: object, seconds: float) -> None:
    """What was waited for takes too long, which is no failure."""
