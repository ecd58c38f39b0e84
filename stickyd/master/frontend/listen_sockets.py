"""The listening sockets: bound by the daemon, passed by systemd, or inherited over execve."""

import contextlib
import os
import socket
from typing import Any

from twisted.internet import defer
from twisted.internet.endpoints import AdoptedStreamServerEndpoint, serverFromString
from twisted.internet.interfaces import ILoggingContext
from twisted.internet.protocol import Factory
from zope.interface import implementer

from stickyd.errors import StartFailed
from stickyd.ipc.exec_state import Packed, close_on_exec, keep_on_exec
from stickyd.net.listen_description import with_mode
from stickyd.net.unix_socket import lock_of, make_way, path_in


@implementer(ILoggingContext)
class _Unused(Factory):
    """The factory that endpoints need; `Listener` accepts the connections instead."""

    noisy = False

    def logPrefix(self) -> str:
        """For Twisted's log line about the port."""
        return "stickyd"


class ActivatedSocket:
    """A listening socket that systemd passed (sd_listen_fds(3)).

    Only this process's copy of the descriptor is closed: a Twisted port would shut a
    Unix socket down and remove its file, and clients would be refused during a restart.

    :param descriptor: consumed.
    """

    def __init__(self, descriptor: int) -> None:
        self.socket = socket.socket(fileno=descriptor)
        self.socket.setblocking(False)
        self.socket.set_inheritable(False)

    def stopReading(self) -> None:
        """Only the `Listener` reads it."""

    def stopListening(self) -> None:
        """Close the copy; clients wait in the backlog for the next process that accepts."""
        self.socket.close()


class InheritedSocket(ActivatedSocket):
    """A listening socket that the previous program bound; this one closes it, file included.

    Not a Twisted port, which would set the mode of a socket file again.
    """

    def stopListening(self) -> None:
        """Close it, and remove a socket file and its lock (twisted.python.lockfile)."""
        name = self.socket.getsockname()
        self.socket.close()
        if isinstance(name, str) and not name.startswith("\0"):
            for path in (name, lock_of(name)):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)


class ListenSockets:
    """The sockets of the ``--listen`` options.

    :param descriptions: Twisted endpoint descriptions.
    """

    def __init__(self, reactor: Any, descriptions: list[str]) -> None:
        self._reactor = reactor
        self._descriptions = descriptions
        self._bound: dict[int, defer.Deferred[Any]] = {}
        self._ports: list[Any] = []

    def bind_privileged(self) -> None:
        """Bind the sockets that may need root's rights, before twistd drops them.

        Unix sockets are bound later: their files must belong to the user that removes them.
        """
        for index, description in enumerate(self._descriptions):
            if not description.startswith("unix:"):
                self._bind(index)

    def _bind(self, index: int) -> "defer.Deferred[Any]":
        if index not in self._bound:
            self._bound[index] = defer.maybeDeferred(self._listen, self._descriptions[index])
        return self._bound[index]

    def _listen(self, description: str) -> Any:
        try:
            endpoint = serverFromString(self._reactor, with_mode(description))
        except LookupError:
            why = "systemd has passed no such socket (LISTEN_FDS, LISTEN_FDNAMES)"
            raise ValueError(why) from None
        if isinstance(endpoint, AdoptedStreamServerEndpoint):
            return ActivatedSocket(endpoint.fileno)
        path = path_in(description)
        if path is not None:
            make_way(path)
        return endpoint.listen(_Unused()).addCallback(_plain)

    async def listen(self) -> list[Any]:
        """Bind the sockets that are not bound yet.

        :return: the ports, in order; each has ``socket``, ``stopReading`` and ``stopListening``.
        :raise StartFailed: if one cannot be bound; then all are closed.
        """
        waits = [self._bind(index) for index in range(len(self._descriptions))]
        results = await defer.DeferredList(waits, consumeErrors=True)
        for description, (bound, failure) in zip(self._descriptions, results, strict=True):
            if not bound:
                ports = [port for got, port in results if got]
                await defer.DeferredList([defer.maybeDeferred(p.stopListening) for p in ports])
                raise StartFailed(f"cannot listen on {description}: {failure.value}")
        self._ports = [port for _, port in results]
        return self._ports

    # ---- the master's program is replaced

    def pack(self) -> list[Packed]:
        """The sockets in order, for the program that replaces this one."""
        return [
            {
                "fd": keep_on_exec(port.socket.fileno()),
                "passed": not ends_with_us(port),
            }
            for port in self._ports
        ]

    def resume(self, packed: list[Packed]) -> list[Any]:
        """The ports, as `listen` returns them, from what the previous program packed."""
        self._ports = [self._adopt(each) for each in packed]
        return self._ports

    def _adopt(self, packed: Packed) -> Any:
        kind = ActivatedSocket if packed["passed"] else InheritedSocket
        return kind(close_on_exec(packed["fd"]))


def ends_with_us(port: Any) -> bool:
    """Whether no other process continues with a port's socket after this one."""
    return not isinstance(port, ActivatedSocket) or isinstance(port, InheritedSocket)


def _plain(port: Any) -> Any:
    if not isinstance(getattr(port, "socket", None), socket.socket):
        port.stopListening()
        raise ValueError("it yields no plain socket")
    # Otherwise the port would accept connections itself.
    port.stopReading()
    return port
