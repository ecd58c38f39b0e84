"""Accept, peek at the head, hand the connection on."""

import errno
import socket
from collections.abc import Callable
from itertools import count
from typing import Any

from twisted.logger import Logger

from stickyd.counters import MasterCounters
from stickyd.deadlines import Sweeper
from stickyd.handoff.frame import Address
from stickyd.lingering import LingeringClose
from stickyd.routing.address import canonical
from stickyd.wire.head import Head, read_head
from stickyd.wire.limits import Limits
from stickyd.wire.refusal import Refusal

ACCEPTS_A_TURN = 64
_PEEK = socket.MSG_PEEK | socket.MSG_DONTWAIT
_SHORT_OF = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_PAUSE_WHEN_SHORT = 0.1

_log = Logger("stickyd")

Dispatch = Callable[["Arrival", Head], None]


class Arrival:
    """A connection that the master owns until its first head is complete.

    Peeks once. A complete head stays in the socket, for the worker to read. An
    incomplete one is consumed and collected in ``unread``: looking again at
    bytes that stay would wake us for ever and cost quadratic time.
    """

    def __init__(self, listener: "Listener", sock: socket.socket, peer: Address | None) -> None:
        self._listener = listener
        self.socket = sock
        self.peer = peer
        self.index = listener.index
        self.unread = b""
        self.connection = next(listener.numbers)
        self.deadline: float | None = None
        self._waits = False

    def local(self) -> Address | None:
        """Our end of the connection; None on a Unix socket."""
        if self.peer is None:
            return None
        host, port = self.socket.getsockname()[:2]
        return canonical(host) or host, port

    def look(self) -> None:
        """Read what there is; hand on, refuse or wait."""
        most = self._listener.limits.head + 1
        try:
            if self.unread:
                data = self.socket.recv(most - len(self.unread), socket.MSG_DONTWAIT)
            else:
                data = self.socket.recv(most, _PEEK)
        except BlockingIOError:
            self._wait()
            return
        except OSError:
            self._vanish()
            return
        if not data:
            self._vanish()
            return
        scanned = len(self.unread)
        head = read_head(self.unread + data, self._listener.limits, scanned)
        if isinstance(head, Head):
            if scanned:
                self.unread += data
            self._leave()
            self._listener.dispatch(self, head)
            return
        if not scanned:
            data = self.socket.recv(len(data), socket.MSG_DONTWAIT)
        self.unread += data
        if head is None:
            self._wait()
        else:
            self.refuse(head)

    def refuse(self, refusal: Refusal) -> None:
        """Answer and close."""
        self._leave()
        self._listener.counters.refused[refusal.status] += 1
        _log.debug("refused {peer}: {refusal}", peer=self.peer, refusal=refusal)
        self.socket.setblocking(False)
        LingeringClose(
            self._listener.reactor, self._listener.sweeper, self.socket, refusal.response()
        )

    def release(self) -> None:
        """Close our copy: the client is gone, or the connection belongs to another process now."""
        self._leave()
        self.socket.close()

    def _vanish(self) -> None:
        self._listener.counters.vanished += 1
        self.release()

    def head_left(self) -> int:
        """Milliseconds until the head must be complete; 0 if the clock has not started."""
        if self.deadline is None:
            return 0
        return max(1, int((self.deadline - self._listener.reactor.seconds()) * 1000))

    def _wait(self) -> None:
        if not self._waits:
            self._waits = True
            self.deadline = self._listener.reactor.seconds() + self._listener.head_timeout
            self._listener.waiting.add(self)
            self._listener.sweeper.add(self)
            self._listener.reactor.addReader(self)

    def _leave(self) -> None:
        """Unregister before anything else happens to the descriptor."""
        if self._waits:
            self._waits = False
            self._listener.reactor.removeReader(self)
            self._listener.sweeper.discard(self)
            self._listener.waiting.discard(self)

    def expired(self) -> None:
        """For the sweeper: the head took too long."""
        self.refuse(Refusal(408, "request head not complete in time"))

    def fileno(self) -> int:
        """For the reactor."""
        return self.socket.fileno()

    def logPrefix(self) -> str:
        """For the reactor."""
        return "arrival"

    def doRead(self) -> None:
        """For the reactor."""
        self.look()

    def connectionLost(self, reason: object) -> None:
        """For the reactor: reset by the client."""
        if self._waits:
            self._vanish()


class Listener:
    """Takes connections off one listening socket.

    It reads the socket in place of the Twisted port it came from: a batch of
    accepts a turn, and no transport for a connection that leaves at once.
    """

    def __init__(
        self,
        reactor: Any,
        port: Any,
        index: int,
        numbers: "count[int]",
        dispatch: Dispatch,
        limits: Limits,
        head_timeout: float,
        sweeper: Sweeper,
        counters: MasterCounters,
    ) -> None:
        self.reactor = reactor
        self.index = index
        self.numbers = numbers
        self.dispatch = dispatch
        self.limits = limits
        self.head_timeout = head_timeout
        self.sweeper = sweeper
        self.counters = counters
        self.waiting: set[Arrival] = set()
        self._port = port
        self._socket: socket.socket = port.socket
        port.stopReading()
        self._unix = self._socket.family == socket.AF_UNIX
        if not self._unix:
            # Inherited by every connection accepted from it (tcp(7)).
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def where(self) -> str:
        """Where it listens, for the log."""
        name = self._socket.getsockname()
        return f"unix:{name}" if self._unix else f"{name[0]} port {name[1]}"

    def start(self) -> None:
        """Begin to accept."""
        self.reactor.addReader(self)

    def stop(self) -> Any:
        """Accept no more, let go of the port and of connections that have sent nothing whole.

        :return: a Deferred, or None.
        """
        self.reactor.removeReader(self)
        for arrival in list(self.waiting):
            arrival.refuse(Refusal(503, "shutting down"))
        return self._port.stopListening()

    def fileno(self) -> int:
        """For the reactor."""
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """For the reactor."""
        return "listener"

    def connectionLost(self, reason: object) -> None:
        """For the reactor; a listening socket is lost only by closing it."""

    def doRead(self) -> None:
        """For the reactor: accept a batch."""
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
            self.counters.accepted += 1
            Arrival(self, sock, self._peer(address)).look()

    def _peer(self, address: Any) -> Address | None:
        if self._unix:
            return None
        return canonical(address[0].partition("%")[0]) or address[0], address[1]

    def _pause(self, error: OSError) -> None:
        """Out of descriptors: clients wait in the backlog instead of us spinning."""
        _log.warn("cannot accept for now: {error}", error=error)
        self.reactor.removeReader(self)
        self.reactor.callLater(_PAUSE_WHEN_SHORT, self._resume)

    def _resume(self) -> None:
        if self._socket.fileno() >= 0:
            self.reactor.addReader(self)
