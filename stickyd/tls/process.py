"""The life of a TLS process: what the master commands."""

import contextlib
import json
import os
import resource
import socket
from collections.abc import Callable
from typing import Any

from twisted.internet import defer
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from stickyd.ipc.control_channel import ControlLink, Relink, adopt_end
from stickyd.ipc.fd_queue import adopt_inbox_end
from stickyd.ipc.fd_sender import InboxSender
from stickyd.net.epoll import Poller
from stickyd.net.own_descriptors import OwnDescriptors
from stickyd.net.timeouts import Sweeper
from stickyd.process import freeze_gc
from stickyd.tls import commands
from stickyd.tls.acceptor import Acceptor
from stickyd.tls.certificates import unpacked
from stickyd.tls.contexts import Contexts
from stickyd.tls.shared import Bounds, Shared

RESERVE = 64
"""Descriptors that are not for connections, each of which takes three at most."""


class TlsProcess:
    """Accepts connections, until the master says otherwise or is gone.

    :param stop: called once, when nothing is left to be done.
    :ivar link: the current control channel.
    """

    def __init__(self, reactor: Any, stop: Callable[[], None]) -> None:
        self._reactor = reactor
        self._stop = stop
        self._shared: Shared | None = None
        self._acceptors: list[Acceptor] = []
        self._grace = 0.0
        self._current: tuple[bytes, Contexts] | None = None
        self._finishing = False
        self._no_handshake: defer.Deferred[None] | None = None
        self.link: ControlLink | None = None

    # ---- commands

    def open(self, about: bytes, secrets: int, gate: int, listeners: list[dict[str, int]]) -> None:
        """Get ready."""
        told = json.loads(about)
        reactor = self._reactor
        limit = (resource.getrlimit(resource.RLIMIT_NOFILE)[0] - RESERVE) // 3
        poller = Poller(reactor, OwnDescriptors())
        shared = Shared(
            reactor,
            poller,
            Sweeper(reactor),
            InboxSender(reactor, adopt_inbox_end(gate)),
            self._contexts(secrets).default,
            Bounds(told["head"], told["send"], max(1, min(limit, told["most"]))),
            told["debug"],
            told["asks_clients"],
        )
        shared.on_over = self._look
        self._grace = told["grace"]
        self._shared = shared
        for each in listeners:
            os.set_inheritable(each["socket"], False)
            listening = socket.socket(fileno=each["socket"])
            listening.setblocking(False)
            self._acceptors.append(Acceptor(shared, listening, each["id"]))
        freeze_gc()

    def accept(self) -> None:
        """Accept connections."""
        for acceptor in self._acceptors:
            acceptor.start()

    def renew(self, secrets: int) -> None:
        """Use other certificates for new connections."""
        assert self._shared is not None
        self._shared.context = self._contexts(secrets).default

    def _contexts(self, secrets: int) -> Contexts:
        """Those of before, if the certificates are the same: so session tickets stay valid."""
        data = _content(secrets)
        if self._current is None or self._current[0] != data:
            self._current = data, Contexts(unpacked(data))
        return self._current[1]

    def stop_accepting(self, patience: float) -> "defer.Deferred[None]":
        """Close the listening sockets; fires when no handshake is under way."""
        acceptors, self._acceptors = self._acceptors, []
        for acceptor in acceptors:
            acceptor.close()
        shared = self._shared
        if shared is None or not shared.handshakes or patience <= 0:
            return defer.succeed(None)
        waiting: defer.Deferred[None] = defer.Deferred()
        self._no_handshake = waiting
        return waiting.addTimeout(patience, self._reactor, lambda *_: None)

    def finish(self, grace: float) -> None:
        """End when every client has what is written, or after ``grace`` seconds."""
        self._finishing = True
        shared = self._shared
        if shared is not None:
            for handshake in list(shared.handshakes):
                handshake.drop()
        self._reactor.callLater(grace, self._end)
        self._look()

    def master_ended(self) -> None:
        """Let the connections end as the workers end."""
        self.stop_accepting(0)
        self.finish(self._grace)

    # ---- the end

    def _look(self) -> None:
        """A handshake or a connection is over."""
        shared, waiting = self._shared, self._no_handshake
        if waiting is not None and not waiting.called and shared and not shared.handshakes:
            waiting.callback(None)
        if self._finishing:
            # Later: it may have something to send still.
            self._reactor.callLater(0, self._end_if_idle)

    def _end_if_idle(self) -> None:
        shared = self._shared
        if shared is None or not (shared.relays or shared.sweeper.members):
            self._end()

    def _end(self) -> None:
        stop, self._stop = self._stop, lambda: None
        stop()


class TlsControlLink(ControlLink):
    """The process's end of its control channel."""

    def __init__(self, reactor: Any, process: TlsProcess) -> None:
        super().__init__()
        self._reactor = reactor
        self._process = process
        process.link = self

    @commands.Open.responder
    def open(
        self, about: bytes, secrets: int, gate: int, listeners: list[dict[str, int]]
    ) -> dict[str, Any]:
        """Get ready."""
        self._process.open(about, secrets, gate, listeners)
        return {}

    @commands.Accept.responder
    def accept(self) -> dict[str, Any]:
        """Accept connections."""
        self._process.accept()
        return {}

    @commands.Renew.responder
    def renew(self, secrets: int) -> dict[str, Any]:
        """Use other certificates."""
        self._process.renew(secrets)
        return {}

    @commands.StopAccepting.responder
    def stop_accepting(self, patience: float) -> "defer.Deferred[dict[str, Any]]":
        """Accept no more."""
        return self._process.stop_accepting(patience).addCallback(lambda _: {})

    @commands.Finish.responder
    def finish(self, grace: float) -> dict[str, Any]:
        """End soon."""
        self._process.finish(grace)
        return {}

    @Relink.responder
    def relink(self, channel: int) -> dict[str, Any]:
        """The master replaces its program, which uses another control channel."""
        adopt_end(self._reactor, channel, TlsControlLink(self._reactor, self._process))
        return {}

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """If this was the current channel, the master has ended."""
        super().connectionLost(reason)
        if self._process.link is self:
            self._process.master_ended()


def _content(descriptor: int) -> bytes:
    """What an anonymous file has, which other processes read as well."""
    with contextlib.closing(open(descriptor, "rb")) as file:
        return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0)
