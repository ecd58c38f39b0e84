"""A connection in the master, until its first head is complete."""

import socket
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from stickyd.core.head_reader import read_head
from stickyd.http1.error_response import Refusal
from stickyd.http1.head_parser import Head
from stickyd.http1.limits import Limits
from stickyd.master.frontend.admission import Admission
from stickyd.net.address import Address, canonical
from stickyd.net.lingering_close import LingeringClose
from stickyd.net.timeouts import Sweeper
from stickyd.stats import MasterCounters

PEEK = socket.MSG_PEEK | socket.MSG_DONTWAIT

Dispatch = Callable[["PendingHead", Head], None]


class Reception(Protocol):
    """What a connection needs of the listener that took it in."""

    reactor: Any
    index: int
    numbers: Iterator[int]
    dispatch: Dispatch
    limits: Limits
    head_timeout: float
    sweeper: Sweeper
    counters: MasterCounters
    admission: Admission
    waiting: "set[PendingConnection]"
    own: Address | None

    def left(self, connection: "PendingConnection") -> None:
        """It waits no more."""


class PendingConnection:
    """A connection that the master owns and may have to wait for.

    :ivar deadline: in the reactor's seconds; None until the first wait, since
        most connections bring at once what is asked of them.
    """

    def __init__(
        self,
        listener: Reception,
        sock: socket.socket,
        peer: Address | None,
        deadline: float | None = None,
    ) -> None:
        self._listener = listener
        self.socket = sock
        self.peer = peer
        self.deadline = deadline
        self._waits = False

    def look(self) -> None:
        """Read what there is and act on it."""
        raise NotImplementedError

    def expired(self) -> None:
        """For the sweeper: what we wait for took too long."""
        raise NotImplementedError

    def dismiss(self) -> None:
        """The listener stops, and has waited long enough."""
        raise NotImplementedError

    def release(self) -> None:
        """Close our copy: the connection belongs to another process now."""
        self._leave()
        self.socket.close()

    def end(self) -> None:
        """Close the connection, without an answer."""
        self.release()
        self._listener.admission.leave()

    def vanish(self) -> None:
        """The client is gone."""
        self._listener.counters.vanished += 1
        self.end()

    def _receive(self, most: int, flags: int) -> bytes:
        """What there is; nothing after seeing to it that we wait, or that the client is gone."""
        try:
            data = self.socket.recv(most, flags)
        except BlockingIOError:
            self._wait()
            return b""
        except OSError:
            data = b""
        if not data:
            self.vanish()
        return data

    def _wait(self) -> None:
        if not self._waits:
            self._waits = True
            if self.deadline is None:
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
            self._listener.left(self)

    def resume(self) -> None:
        """Go on with a connection that another program in our place has begun with."""
        if self.deadline is None:
            self.look()
        else:
            self._wait()

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
            self.vanish()


class PendingHead(PendingConnection):
    """A connection whose first head we read.

    Peeks once. A complete head stays in the socket, for the worker to read. An
    incomplete one is consumed and collected in ``unread``: looking again at
    bytes that stay would wake us for ever and cost quadratic time.

    :param announced: our end as a PROXY header names it; None to ask the socket.
    :param taken: bytes that the PROXY header had.
    """

    def __init__(
        self,
        listener: Reception,
        sock: socket.socket,
        peer: Address | None,
        deadline: float | None = None,
        announced: Address | None = None,
        taken: int = 0,
    ) -> None:
        super().__init__(listener, sock, peer, deadline)
        self.index = listener.index
        self.unread = b""
        self.taken = taken
        self.connection = next(listener.numbers)
        self.announced = announced

    def local(self) -> Address | None:
        """Our end of the connection; None on a Unix socket.

        :raise OSError: if the client is gone.
        """
        if self.announced is not None or self.peer is None:
            return self.announced
        if self._listener.own is not None:
            return self._listener.own
        host, port = self.socket.getsockname()[:2]
        return canonical(host) or host, port

    def look(self) -> None:
        """Read what there is; hand on, refuse or wait."""
        scanned = len(self.unread)
        most = self._listener.limits.head + 1 - scanned
        data = self._receive(most, socket.MSG_DONTWAIT if scanned else PEEK)
        if not data:
            return
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
        self.socket.setblocking(False)
        listener = self._listener
        last, over = refusal.response(), listener.admission.leave
        LingeringClose(listener.reactor, listener.sweeper, self.socket, last, over)

    def head_left(self) -> int:
        """Milliseconds until the head must be complete; 0 if the clock has not started."""
        if self.deadline is None:
            return 0
        return max(1, int((self.deadline - self._listener.reactor.seconds()) * 1000))

    def expired(self) -> None:
        """For the sweeper: the head took too long."""
        self._refuse_begun(Refusal(408, "request head not complete in time"))

    def dismiss(self) -> None:
        """The listener stops, and has waited long enough."""
        self._refuse_begun(Refusal(503, "shutting down"))

    def _refuse_begun(self, refusal: Refusal) -> None:
        """Refuse a request of which something has come; close in silence if nothing has.

        A client that has connected in advance would take the refusal for the answer to
        its next request. A PROXY header is the proxy's, not the client's.
        """
        if self.unread:
            self.refuse(refusal)
        else:
            self._listener.counters.silent += 1
            self.end()
