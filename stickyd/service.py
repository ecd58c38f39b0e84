"""The daemon as a Twisted service: listeners, slots, workers, and their end."""

import atexit
import json
import os
import resource
import signal
import sys
from itertools import count
from typing import Any

from twisted.application.service import Service
from twisted.internet import defer
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from stickyd import __version__
from stickyd.counters import MasterCounters
from stickyd.deadlines import Sweeper
from stickyd.ledger import Ledger
from stickyd.master.admission import Admission
from stickyd.master.dispatcher import Dispatcher
from stickyd.master.guardian import Guardian
from stickyd.master.listener import Listener
from stickyd.master.ports import Ports
from stickyd.master.proxied import ProxyRule
from stickyd.master.slots import Slots, State
from stickyd.master.succession import KILL_AFTER
from stickyd.master.supervisor import StartFailed, Supervisor
from stickyd.notify import Notifier
from stickyd.options import Options
from stickyd.places import Places, shed_under
from stickyd.privileges import is_root
from stickyd.settings import Settings
from stickyd.signals import also_on

QUICK_GRACE = 1.0
"""Seconds that INT leaves for answers in flight."""

_STOP_MARGIN = 5.0
"""Seconds that the end may take beyond what workers are given; for the service manager."""

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


class StickydService(Service):
    """Owns everything of the master process."""

    name = "stickyd"

    def __init__(self, reactor: Any, settings: Settings, listen: list[str], control: str | None):
        self._reactor = reactor
        self._settings = settings
        self._ports = Ports(reactor, listen)
        self._notifier = Notifier(reactor, os.environ)
        self._control_path = control
        self._counters = MasterCounters()
        self._sweeper = Sweeper(reactor)
        self._places = Places(settings.max_connections)
        self._admission: Admission | None = None
        self._listeners: list[Listener] = []
        self._control_port: Any = None
        self._slots: Slots | None = None
        self._guardian: Guardian | None = None
        self._supervisor: Supervisor | None = None
        self._quick = False

    # ---- start

    def privilegedStartService(self) -> None:
        """For twistd, before it gives up root's rights (``--uid``)."""
        super().privilegedStartService()
        self._ports.bind_privileged()

    def startService(self) -> None:
        """Start as soon as the reactor runs."""
        super().startService()
        self._reactor.callWhenRunning(self._begin)

    def _begin(self) -> "defer.Deferred[None]":
        _raise_descriptor_limit()
        started = defer.ensureDeferred(self._start())
        return started.addErrback(self._cannot_start)

    async def _start(self) -> None:
        settings = self._settings
        self._slots = Slots(self._reactor, settings.workers)
        self._notifier.start(self._status)
        policy = settings.policy()
        if settings.guardian:
            self._guardian = Guardian(
                self._reactor,
                Ledger.create(settings.max_connections),
                self._slots,
                self._places,
                self._counters,
                settings.keep_alive,
            )
        dispatcher = Dispatcher(
            policy, self._slots, self._counters, settings.inbox_timeout, self._guardian
        )
        lingering = shed_under(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        self._admission = Admission(
            self._reactor, self._sweeper, self._counters, self._places, lingering, self._ease
        )
        numbers = count(1)
        for index, port in enumerate(await self._ports.listen()):
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
                self._admission,
                ProxyRule.build(settings.proxy_protocol, settings.proxy_allow_from),
            )
            self._listeners.append(listener)
        self._listen_control()
        self._supervisor = Supervisor(
            self._reactor,
            settings,
            self._slots,
            self._places,
            dispatcher.take_table,
            self._guardian,
        )
        self._install_signals()
        await self._supervisor.start()
        if not self.running:
            return
        for listener in self._listeners:
            listener.start()
        self._say_ready()

    def _ease(self, count: int) -> None:
        if self._supervisor is not None:
            self._supervisor.ease(count)

    def _say_ready(self) -> None:
        _log.info(
            "stickyd {version} is ready: {workers} workers, scope {scope}, on {where}",
            version=__version__,
            workers=self._settings.workers,
            scope=self._settings.scope,
            where=", ".join(listener.where() for listener in self._listeners),
        )
        self._notifier.ready(self._status())
        if is_root():
            _log.warn("the app runs as root; give twistd --uid and --gid, or the unit a User=")
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
        self._notifier.status(line)
        self._reactor.stop()

    def _status(self) -> str:
        """For the service manager."""
        slots = list(self._slots or [])
        ready = sum(slot.state is State.READY for slot in slots)
        generation = self._supervisor.generation if self._supervisor is not None else 1
        return f"{ready} of {len(slots)} workers ready, generation {generation}"

    def _install_signals(self) -> None:
        """Ours, now that twistd has installed its own, which go on to do their part."""
        supervisor = self._supervisor
        assert supervisor is not None

        def quick() -> None:
            self._quick = True

        also_on(self._reactor, signal.SIGINT, quick, at_once=True)
        supervisor.on_reloaded = lambda: self._notifier.ready(self._status())
        also_on(self._reactor, signal.SIGHUP, self._notifier.reloading)
        also_on(self._reactor, signal.SIGHUP, supervisor.reload)
        also_on(self._reactor, signal.SIGTTIN, supervisor.add_slot)
        also_on(self._reactor, signal.SIGTTOU, supervisor.remove_slot)

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
        return defer.ensureDeferred(self._report())

    async def _report(self) -> dict[str, Any]:
        assert self._supervisor is not None
        report = await self._supervisor.report()
        waiting = sum(len(listener.waiting) for listener in self._listeners)
        return {
            "version": __version__,
            "scope": self._settings.scope,
            "master": {"pid": os.getpid(), **self._counters.as_json(), "open": waiting},
            "connections": {
                "open": self._places.open(),
                "most": self._places.most,
                "guarded": len(self._guardian or ()),
            },
            **report,
        }

    # ---- stop

    def stopService(self) -> "defer.Deferred[None]":
        """Stop the whole family; fires when no process, socket or file is left."""
        super().stopService()
        grace = QUICK_GRACE if self._quick else self._settings.graceful_timeout
        grace = min(grace, self._settings.graceful_timeout)
        self._notifier.stopping(grace + KILL_AFTER + _STOP_MARGIN)
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
        if self._guardian is not None:
            self._guardian.close()
        if self._admission is not None:
            self._admission.close()
        self._sweeper.stop()
        self._notifier.stop()


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
