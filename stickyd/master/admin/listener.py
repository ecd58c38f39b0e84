"""Accepts the clients of ``--admin``."""

import socket
from typing import Any

from twisted.internet import defer
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory

from stickyd.errors import StartFailed
from stickyd.ipc.exec_state import Packed
from stickyd.master.admin.processes import Processes
from stickyd.master.admin.site import AdminSite
from stickyd.master.facts import Watched
from stickyd.master.frontend.listen_sockets import ListenSockets
from stickyd.net.acceptor import Acceptor

CLIENTS_MOST = 32
"""Clients at a time; a further one takes the place of the one that has been there longest."""

END_SECONDS = 1.0
"""Seconds that clients have to read the rest of their answers when the listener stops."""


class AdminListener:
    """The sockets of ``--admin``, and the web server behind them.

    Apart from the clients' listeners, so that it answers whatever these are busy with.

    :param descriptions: Twisted endpoint descriptions.
    """

    def __init__(self, reactor: Any, descriptions: list[str], watched: Watched) -> None:
        self._reactor = reactor
        self._sockets = ListenSockets(reactor, descriptions)
        self._processes = Processes()
        self._site = AdminSite(watched, self._processes, reactor)
        self._clients = _Clients(self._site)
        self._ports: list[Any] = []
        self._acceptors: list[Acceptor] = []

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
        self._ports = ports
        self._acceptors = [
            Acceptor(self._reactor, port.socket, self._serve, "admin") for port in ports
        ]

    def _serve(self, sock: socket.socket) -> None:
        self._reactor.adoptStreamConnection(sock.fileno(), sock.family, self._clients)

    def where(self) -> str:
        """The addresses, for the log."""
        return ", ".join(_where(port.socket) for port in self._ports)

    # ---- stop

    async def pause(self) -> None:
        """Stop accepting; returns when the clients' connections have ended."""
        self._stop_accepting()
        self._site.streams.close()
        await self._clients.close(self._reactor)

    def pack(self) -> Packed:
        """For the program that replaces this one."""
        return {"sockets": self._sockets.pack(), "processes": self._processes.pack()}

    def _stop_accepting(self) -> None:
        for each in self._acceptors:
            each.stop()

    async def stop(self) -> None:
        """Stop accepting, close the sockets and the clients' connections."""
        await self.pause()
        self._acceptors = []
        for port in self._ports:
            await defer.maybeDeferred(port.stopListening)
        self._ports = []


def _where(listening: socket.socket) -> str:
    name = listening.getsockname()
    return f"{name[0]}:{name[1]}" if isinstance(name, tuple) else str(name)


class _Clients(WrappingFactory):
    """The clients' connections, oldest first."""

    noisy = False

    def __init__(self, site: AdminSite) -> None:
        super().__init__(site)
        self._all_gone: list[defer.Deferred[None]] = []

    def registerProtocol(self, p: ProtocolWrapper) -> None:
        """For the wrapper: a client has connected."""
        if len(self.protocols) >= CLIENTS_MOST:
            next(iter(self.protocols)).abortConnection()
        super().registerProtocol(p)

    def unregisterProtocol(self, p: ProtocolWrapper) -> None:
        """For the wrapper: a client has gone."""
        super().unregisterProtocol(p)
        if not self.protocols:
            waiting, self._all_gone = self._all_gone, []
            for each in waiting:
                each.callback(None)

    async def close(self, reactor: Any) -> None:
        """End all connections; what was written is sent, to those who take it in `END_SECONDS`."""
        for each in list(self.protocols):
            each.loseConnection()
        if self.protocols:
            gone: defer.Deferred[None] = defer.Deferred()
            self._all_gone.append(gone)
            gone.addTimeout(END_SECONDS, reactor)
            await gone.addErrback(lambda failure: failure.trap(defer.TimeoutError))
        for each in list(self.protocols):
            each.abortConnection()
