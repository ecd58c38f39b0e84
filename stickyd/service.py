"""The daemon as a Twisted service: listeners, slots, workers, and their end."""

import atexit
import json
import os
import resource
import signal
import socket
import sys
from itertools import count
from typing import Any

from twisted.application.service import Service
from twisted.internet import defer
from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from stickyd import __version__
from stickyd.balance import Balance
from stickyd.board import Board
from stickyd.counters import MasterCounters
from stickyd.deadlines import Sweeper
from stickyd.master.dispatcher import Dispatcher
from stickyd.master.listener import Listener
from stickyd.master.proxied import ProxyRule
from stickyd.master.slots import Slots
from stickyd.master.supervisor import StartFailed, Supervisor
from stickyd.options import Options
from stickyd.routing.selection import SlotTable, Table
from stickyd.settings import Settings

QUICK_GRACE = 1.0
"""Seconds that INT leaves for answers in flight."""

_log = Logger("stickyd")


class _Exit:
    """The exit status of a daemon that could not start: twistd itself always says 0."""

    status = 0


def _leave_with_status() -> None:
    if _Exit.status:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_Exit.status)


# Handlers run in reverse order: registered as early as this, ours comes last.
atexit.register(_leave_with_status)


class _Unused(Factory):
    """Endpoints want a factory; connections never reach it, since `Listener` accepts them."""

    noisy = False


class StickydService(Service):
    """Owns everything of the master process."""

    name = "stickyd"

    def __init__(self, reactor: Any, settings: Settings, listen: list[str], control: str | None):
        self._reactor = reactor
        self._settings = settings
        self._listen = listen
        self._control_path = control
        self._counters = MasterCounters()
        self._sweeper = Sweeper(reactor)
        self._listeners: list[Listener] = []
        self._control_port: Any = None
        self._slots: Slots | None = None
        self._board: Board | None = None
        self._supervisor: Supervisor | None = None
        self._quick = False

    # ---- start

    def startService(self) -> None:
        """Start as soon as the reactor runs."""
        super().startService()
        self._reactor.callWhenRunning(self._begin)

    def _begin(self) -> "defer.Deferred[None]":
        self._install_signals()
        _raise_descriptor_limit()
        started = defer.ensureDeferred(self._start())
        return started.addErrback(self._cannot_start)

    async def _start(self) -> None:
        settings = self._settings
        self._slots = Slots(self._reactor, settings.workers)
        policy = settings.policy()
        balance = self._balance(policy.table) if settings.balance_factor else None
        dispatcher = Dispatcher(
            policy, self._slots, self._counters, settings.inbox_timeout, balance
        )
        numbers = count(1)
        for index, description in enumerate(self._listen):
            endpoint = serverFromString(self._reactor, description)
            try:
                port = await endpoint.listen(_Unused())
            except Exception as error:
                raise StartFailed(f"cannot listen on {description}: {error}") from error
            if not isinstance(getattr(port, "socket", None), socket.socket):
                port.stopListening()
                raise StartFailed(f"cannot listen on {description}: it yields no plain socket")
            listener = Listener(
                self._reactor,
                port,
                index,
                numbers,
                dispatcher.dispatch,
                settings.limits,
                settings.head_timeout,
                self._sweeper,
                self._counters,
                ProxyRule.build(settings.proxy_protocol, settings.proxy_allow_from),
            )
            self._listeners.append(listener)
        self._listen_control()
        self._supervisor = Supervisor(self._reactor, settings, self._slots, self._board)
        await self._supervisor.start()
        if not self.running:
            return
        for listener in self._listeners:
            listener.start()
        self._say_ready()

    def _balance(self, table: Table) -> Balance:
        """The bounded choice, over a new board."""
        assert isinstance(table, SlotTable)
        try:
            self._board = board = Board.create(self._settings.workers)
        except OSError as error:
            raise StartFailed(f"no shared memory for --hash-balance-factor: {error}") from error
        return Balance(table, self._settings.balance_factor, board, board.row(0), self._counters)

    def _say_ready(self) -> None:
        _log.info(
            "stickyd {version} is ready: {workers} workers, scope {scope}, on {where}",
            version=__version__,
            workers=self._settings.workers,
            scope=self._settings.scope,
            where=", ".join(listener.where() for listener in self._listeners),
        )
        if self._settings.seed == 1:
            _log.warn(
                "seed 1 is public, so clients can choose their worker; give production"
                " a secret one: --seed @FILE"
            )
        if "*" in self._settings.trusted.split(","):
            _log.warn("--forwarded-allow-ips * lets every client say who it is")
        if self._settings.proxy_protocol != "off" and "*" in self._settings.proxy_allow_from:
            _log.warn("--proxy-allow-from * lets every client say who it is")

    def _cannot_start(self, failure: Failure) -> None:
        if not self.running:
            return
        if failure.check(StartFailed):
            line = f"stickyd: {failure.value}"
        else:
            _log.failure("stickyd cannot start", failure=failure)
            line = "stickyd: cannot start (the traceback above is a bug)"
        _log.critical("{line}", line=line)
        stderr = sys.__stderr__
        if stderr is not None and not stderr.closed:
            stderr.write(line + "\n")
            stderr.flush()
        _Exit.status = 1
        self._reactor.stop()

    def _install_signals(self) -> None:
        """INT is quick; twistd has installed its own handlers by now, which go on to stop us."""
        then = signal.getsignal(signal.SIGINT)

        def interrupt(number: int, frame: Any) -> None:
            self._quick = True
            if callable(then):
                then(number, frame)

        signal.signal(signal.SIGINT, interrupt)

    # ---- the control socket

    def _listen_control(self) -> None:
        if self._control_path is None:
            return
        factory = Factory.forProtocol(_ControlAnswer)
        factory.noisy = False
        factory.report = self.report  # type: ignore[attr-defined]
        try:
            self._control_port = self._reactor.listenUNIX(
                self._control_path, factory, mode=0o600, wantPID=True
            )
        except Exception as error:
            raise StartFailed(f"cannot listen on {self._control_path}: {error}") from error

    def report(self) -> "defer.Deferred[dict[str, Any]]":
        """Everything that ``--control`` tells."""
        assert self._supervisor is not None
        told = self._supervisor.report()

        def add_master(report: dict[str, Any]) -> dict[str, Any]:
            waiting = sum(len(listener.waiting) for listener in self._listeners)
            return {
                "version": __version__,
                "scope": self._settings.scope,
                "master": {"pid": os.getpid(), **self._counters.as_json(), "open": waiting},
                **report,
            }

        return told.addCallback(add_master)

    # ---- stop

    def stopService(self) -> "defer.Deferred[None]":
        """Stop the whole family; fires when no process, socket or file is left."""
        super().stopService()
        grace = QUICK_GRACE if self._quick else self._settings.graceful_timeout
        grace = min(grace, self._settings.graceful_timeout)
        return defer.ensureDeferred(self._stop(grace))

    async def _stop(self, grace: float) -> None:
        for listener in self._listeners:
            await defer.maybeDeferred(listener.stop)
        if self._supervisor is not None:
            await self._supervisor.stop(grace)
        if self._control_port is not None:
            await defer.maybeDeferred(self._control_port.stopListening)
        if self._slots is not None:
            self._slots.close()
        if self._board is not None:
            self._board.close()
        self._sweeper.stop()


class _ControlAnswer(Protocol):
    """Answers whoever connects with one JSON document and a newline, then closes."""

    def connectionMade(self) -> None:
        """Someone asks."""
        self.factory.report().addCallbacks(self._tell, lambda _: self.transport.loseConnection())  # type: ignore[union-attr]

    def _tell(self, report: dict[str, Any]) -> None:
        assert self.transport is not None
        self.transport.write(json.dumps(report, indent=1).encode() + b"\n")
        self.transport.loseConnection()


def _raise_descriptor_limit() -> None:
    """A connection is a descriptor: take as many as we may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def makeService(options: Options) -> StickydService:
    """For the plugin: a service from a parsed command line."""
    from twisted.internet import reactor

    return StickydService(reactor, options.settings, options["listen"], options["control"])
