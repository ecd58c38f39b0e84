"""Accepts the clients of ``--admin``."""

import socket
from typing import Any

from twisted.internet import defer
from twisted.internet.interfaces import ILoggingContext
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from stickyd.errors import StartFailed
from stickyd.ipc.exec_state import Packed
from stickyd.master.admin.processes import Processes
from stickyd.master.admin.site import AdminSite
from stickyd.master.facts import Watched
from stickyd.master.frontend.listen_sockets import ListenSockets

CLIENTS_MOST = 32
"""Clients at a time; a further one takes the place of the one that has been there longest."""

RETRY_AFTER = 1.0
"""Seconds until connections are accepted again when the process is out of descriptors."""


class AdminListener:
    """The sockets of ``--admin``, and the web server behind them.

    Apart from the clients' listeners, so that it answers whatever these are busy with.

    :param descriptions: Twisted endpoint descriptions.
    """

    def __init__(self, reactor: Any, descriptions: list[str], watched: Watched) -> None:
        self._reactor = reactor
        self._sockets = ListenSockets(reactor, descriptions)
        self._processes = Processes()
        self._clients = _Clients(AdminSite(watched, self._processes, reactor))
        self._accepting: list[_Accepting] = []

    def bind_privileged(self) -> None:
        """Bind what may need root's rights, before twistd drops them."""
        self._sockets.bind_privileged()

    async def listen(self) -> None:
        """Begin to accept.

        :raise StartFailed: if a socket cannot be bound.
        """
        try:
            self._start(await self._sockets.listen())
        except StartFailed as error:
            raise StartFailed(str(error).replace("cannot", "--admin: cannot", 1)) from error

    def resume(self, packed: Packed) -> None:
        """Continue with what `pack` of the previous program returned."""
        self._processes.resume(packed["processes"])
        self._start(self._sockets.resume(packed["sockets"]))

    def _start(self, ports: list[Any]) -> None:
        self._accepting = [_Accepting(self._reactor, port, self._serve) for port in ports]

    def _serve(self, sock: socket.socket) -> None:
        self._reactor.adoptStreamConnection(sock.fileno(), sock.family, self._clients)

    def where(self) -> str:
        """The addresses, for the log."""
        return ", ".join(each.where() for each in self._accepting)

    # ---- stop

    def pack(self) -> Packed:
        """For the program that replaces this one; clients' connections end with this one."""
        self._stop_accepting()
        return {"sockets": self._sockets.pack(), "processes": self._processes.pack()}

    def _stop_accepting(self) -> None:
        for each in self._accepting:
            each.stop()

    async def stop(self) -> None:
        """Stop accepting, close the sockets and the clients' connections."""
        self._stop_accepting()
        for each in self._accepting:
            await defer.maybeDeferred(each.port.stopListening)
        self._accepting = []
        self._clients.abort()


class _Clients(WrappingFactory):
    """The clients' connections, oldest first."""

    noisy = False

    def registerProtocol(self, p: ProtocolWrapper) -> None:
        """For the wrapper: a client has connected."""
        if len(self.protocols) >= CLIENTS_MOST:
            next(iter(self.protocols)).abortConnection()
        super().registerProtocol(p)

    def abort(self) -> None:
        """End all connections."""
        for each in list(self.protocols):
            each.abortConnection()


@implementer(ILoggingContext)
class _Accepting:
    """Accepts from one socket; the reactor's own port would not survive execve(2)."""

    def __init__(self, reactor: Any, port: Any, serve: Any) -> None:
        self._reactor = reactor
        self.port = port
        self._serve = serve
        self._retry: Any = None
        reactor.addReader(self)

    def where(self) -> str:
        name = self.port.socket.getsockname()
        return f"{name[0]}:{name[1]}" if isinstance(name, tuple) else str(name)

    def fileno(self) -> int:
        return int(self.port.socket.fileno())

    def logPrefix(self) -> str:
        return "admin"

    def doRead(self) -> None:
        try:
            sock, _ = self.port.socket.accept()
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
        pass

    def stop(self) -> None:
        self._reactor.removeReader(self)
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
