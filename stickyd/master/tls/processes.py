"""The TLS processes of a daemon: started, replaced when they end, stopped."""

import socket
import time
from collections.abc import Mapping
from typing import Any

from twisted.internet import defer
from twisted.logger import Logger
from twisted.python.failure import Failure

from stickyd.errors import StartFailed
from stickyd.ipc.exec_state import Packed, as_bytes, as_text
from stickyd.master.supervisor.respawn import BACKOFF_FIRST, BACKOFF_MOST
from stickyd.master.tls.credentials import DAY, Credentials
from stickyd.master.tls.process import TlsChild
from stickyd.settings import Settings
from stickyd.tls.certificates import CertificateError

LIVED = 5.0
"""Seconds after which an end is not an early one, so that the replacement starts at once."""

LAST_BYTES = 2.0
"""Seconds that clients have to take what is written when all workers have ended."""

KILL_AFTER = 1.0
RELINK_PATIENCE = 5.0

_log = Logger("stickyd")


class TlsProcesses:
    """Keeps as many TLS processes as the settings say.

    :param gate: sending end of the inbox in which the master takes their connections.
    """

    def __init__(
        self, reactor: Any, settings: Settings, credentials: Credentials, gate: socket.socket
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._credentials = credentials
        self._gate = gate
        self._listening: Mapping[int, socket.socket] = {}
        self._children: list[TlsChild] = []
        self._accepting = False
        self._stopping = False
        self._early = 0
        self._respawns: set[Any] = set()
        self._warning: Any = None

    def pids(self) -> list[int]:
        """Their process ids."""
        return [child.pid for child in self._children]

    async def start(self, listening: Mapping[int, socket.socket]) -> None:
        """Start all; returns when they could accept.

        :param listening: the listening sockets, by the ids of their listeners.
        :raise StartFailed: if one does not start.
        """
        self._listening = listening
        waits = [self._spawn(number) for number in range(1, self._settings.tls.processes + 1)]
        try:
            await defer.gatherResults(waits, consumeErrors=True)
        except defer.FirstError as first:
            why = first.subFailure.getErrorMessage()
            if not first.subFailure.check(CertificateError):
                why = f"a TLS process does not start: {why}"
            raise StartFailed(why) from None

    def expiries(self) -> dict[str, float]:
        """When each certificate expires, in seconds since 1970, by its file."""
        return self._credentials.expiries()

    def _warn_of_expiry(self) -> None:
        self._credentials.warn_of_expiry(time.time())
        if not self._stopping:
            self._warning = self._reactor.callLater(DAY, self._warn_of_expiry)

    def accept(self) -> None:
        """Let them accept connections."""
        if self._warning is None:
            self._warn_of_expiry()
        self._accepting = True
        for child in self._children:
            child.accept()

    def _spawn(self, number: int) -> "defer.Deferred[None]":
        child = TlsChild(self._reactor, number)
        try:
            child.start(self._settings, self._credentials, self._gate, self._listening)
        except OSError as error:
            return defer.fail(RuntimeError(str(error)))
        self._take(child)
        return child.opened

    def _take(self, child: TlsChild) -> None:
        self._children.append(child)
        child.ended.addCallback(self._ended, child)

    def _ended(self, how: str, child: TlsChild) -> str:
        self._children.remove(child)
        if not self._stopping:
            lived = self._reactor.seconds() - child.started
            self._early = 0 if lived > LIVED else self._early + 1
            delay = min(BACKOFF_FIRST * 2 ** (self._early - 1), BACKOFF_MOST) if self._early else 0
            _log.error("tls {number} {how}", number=child.number, how=how)
            self._later(child.number, delay)
        return how

    def _later(self, number: int, delay: float) -> None:
        if not self._accepting:
            # The start of the daemon has failed.
            return
        _log.warn("tls {number} is started again in {delay} s", number=number, delay=delay)

        def again() -> None:
            self._respawns.discard(call)
            self._spawn(number).addCallbacks(lambda _: self.accept(), self._not_started, (), {})

        call = self._reactor.callLater(delay, again)
        self._respawns.add(call)

    def _not_started(self, failure: Failure) -> None:
        _log.error("a TLS process does not start: {why}", why=failure.getErrorMessage())

    # ---- certificates

    def renew(self) -> None:
        """Read the certificates anew; if one cannot be used, all stay as they are."""
        before = self._credentials.data

        def stay(why: object) -> None:
            self._credentials.data = before
            _log.error("certificates stay as they are: {why}", why=why)

        try:
            self._credentials.read()
        except CertificateError as error:
            stay(error)
            return
        self._credentials.warn_of_expiry(time.time())
        used = [child.renew(self._credentials) for child in self._children]
        defer.gatherResults(used, consumeErrors=True).addCallbacks(
            lambda _: _log.info("certificates are read anew"),
            lambda failure: stay(failure.value.subFailure.getErrorMessage()),
        )

    # ---- the end

    async def stop_accepting(self, patience: float) -> None:
        """Returns when no handshake is under way, after ``patience`` seconds at most."""
        self._stopping = True
        for call in self._respawns:
            call.cancel()
        self._respawns.clear()
        if self._warning is not None:
            self._warning.cancel()
            self._warning = None
        await defer.DeferredList([child.stop_accepting(patience) for child in self._children])

    async def stop(self) -> None:
        """The workers have ended: returns when no process is left."""
        self._stopping = True
        ends = [defer.ensureDeferred(c.finish(LAST_BYTES, KILL_AFTER)) for c in self._children]
        await defer.DeferredList(ends)

    # ---- the master's program is replaced

    async def detach(self) -> None:
        """Give each process another control channel, for the next program."""
        await defer.DeferredList(
            [defer.ensureDeferred(child.relink(RELINK_PATIENCE)) for child in self._children]
        )

    def pack(self) -> Packed:
        """The processes, for the next program, after `detach`."""
        return {
            "secrets": as_text(self._credentials.data),
            "children": [child.pack() for child in self._children],
        }

    def resume(self, packed: Packed, listening: Mapping[int, socket.socket]) -> None:
        """Continue with what the previous program packed."""
        self._listening = listening
        self._credentials.data = as_bytes(packed["secrets"])
        for each in packed["children"]:
            self._take(TlsChild.unpack(self._reactor, each))
        missing = set(range(1, self._settings.tls.processes + 1))
        self._accepting = True
        for number in missing - {child.number for child in self._children}:
            self._later(number, 0)
