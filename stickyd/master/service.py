"""The daemon as a Twisted service: start, signals, upgrade, stop."""

import os
import signal
from collections.abc import Sequence
from typing import Any

from twisted.application.service import Service
from twisted.internet import defer
from twisted.logger import Logger
from twisted.python.failure import Failure

from stickyd import __version__
from stickyd.core.native import CORE
from stickyd.errors import CannotUpgrade, StartFailed
from stickyd.ipc.exec_state import Packed
from stickyd.logs.stream import LAST_LINES, LogStream
from stickyd.master.adopted import wait_for_adopted
from stickyd.master.bootstrap import (
    fail_with,
    log_startup_warnings,
    raise_descriptor_limit,
)
from stickyd.master.frontend.listen_sockets import ListenSockets
from stickyd.master.master import Master
from stickyd.master.reloader import Reloader
from stickyd.master.reporting import Reporting
from stickyd.master.sd_notify import Notifier
from stickyd.master.shutdown_delay import ShutdownDelay
from stickyd.master.signals import also_on, only_on
from stickyd.master.supervisor.replacement import KILL_AFTER
from stickyd.master.supervisor.spawn import environment
from stickyd.master.tls.credentials import Credentials
from stickyd.master.upgrade import (
    check,
    own_pidfile,
    replace_program,
    resumed,
)
from stickyd.process import block_signals, freeze_gc, unblock_signals
from stickyd.settings import Settings

QUICK_GRACE = 1.0
"""Seconds that SIGINT leaves for requests in progress."""

FIRST_HEADS = 1.0
"""Seconds that connections accepted just before the stop have to send their first head."""

STOP_MARGIN = 5.0
"""Seconds that the stop may take beyond the workers' grace; for the service manager."""

_log = Logger("stickyd")


class StickydService(Service):
    """The service of the master process.

    :param listen: Twisted endpoint descriptions.
    :param control: path of the ``--control`` socket.
    :param arguments: the options as given, for `stickyd check`.
    :param output: the log's stream, if the log goes to standard output.
    """

    name = "stickyd"

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        listen: list[str],
        control: str | None,
        arguments: Sequence[str] = (),
        output: LogStream | None = None,
    ) -> None:
        self._reactor = reactor
        self._output = output
        self._settings = settings
        self._resumed = resumed()
        self._listen_sockets = ListenSockets(reactor, listen)
        self._credentials = Credentials(settings.tls)
        self._notifier = Notifier(reactor, os.environ)
        self._arguments = arguments
        self._master: Master | None = None
        self._reporting = Reporting(reactor, control, settings.log.admin, output)
        self._reloader = Reloader(reactor, settings.app.reload, self._reload)
        self._quick = False
        self._upgrading = False
        # Nobody is to be waited for before the daemon accepts connections.
        self._delay = 0.0
        self._delaying = ShutdownDelay(reactor)

    # ---- start

    def privilegedStartService(self) -> None:
        """For twistd, before it drops root's rights (``--uid``)."""
        super().privilegedStartService()
        if self._resumed is None:
            self._credentials.read_once()
            self._listen_sockets.bind_privileged()
            self._reporting.bind_privileged()

    def startService(self) -> None:
        """Start once the reactor runs."""
        super().startService()
        self._reactor.callWhenRunning(self._begin)

    def _begin(self) -> "defer.Deferred[None]":
        raise_descriptor_limit()
        begin = self._start() if self._resumed is None else self._resume(self._resumed)
        return defer.ensureDeferred(begin).addErrback(self._cannot_start)

    async def _start(self) -> None:
        if why := self._credentials.read_once():
            raise StartFailed(why)
        master = self._use(Master.create(self._reactor, self._settings))
        master.listen(await self._listen_sockets.listen(), self._credentials)
        await self._reporting.listen(master)
        self._react()
        await master.start()
        if self.running:
            self._open(master)

    async def _resume(self, packed: Packed) -> None:
        """Continue where the previous program stopped."""
        master = self._use(Master.unpack(self._reactor, self._settings, packed))
        ports = self._listen_sockets.resume(packed["ports"])
        master.listen(ports, self._credentials, packed["front"]["gate"])
        master.resume(packed)
        self._reporting.resume(master, packed["reporting"])
        self._react()
        unblock_signals()
        self._open(master)

    def _use(self, master: Master) -> Master:
        self._master = master
        self._notifier.start(master.status)
        return master

    def _react(self) -> None:
        self._install_signals()
        # The program before this one may have been run with --preload.
        adopts = self._settings.app.origin.preload or self._resumed is not None
        wait_for_adopted(self._reactor, adopts, self._running_master().spawner.forks)
        self._reloader.start()

    def _open(self, master: Master) -> None:
        """Start accepting, and log it."""
        freeze_gc()
        master.accept()
        self._delay = self._settings.lifecycle.end.shutdown_delay
        _log.info(
            "stickyd {version} is ready: {workers} workers, scope {scope}, on {where}",
            version=__version__,
            workers=len(master.slots),
            scope=self._settings.routing.scope,
            where=master.frontend.where(),
        )
        _log.info("stickyd runs on the {core}", core=CORE)
        self._notifier.ready(master.status())
        log_startup_warnings(self._settings, master.frontend.on_unix())

    def _cannot_start(self, failure: Failure) -> None:
        if not self.running:
            return
        if failure.check(StartFailed):
            line = f"stickyd: {failure.value}"
        else:
            _log.failure("stickyd cannot start", failure=failure)
            line = "stickyd: cannot start (the traceback above is a bug)"
        _log.critical("{line}", line=line)
        # Only once if the log goes to the same place.
        logged = self._output is not None and self._output.leads_to(2)
        fail_with("" if logged else line)
        self._notifier.status(line)
        self._reactor.stop()

    def _install_signals(self) -> None:
        """Install the handlers beside those that twistd has installed."""
        master = self._running_master()
        supervisor = master.supervisor

        def quick() -> None:
            self._quick = True

        also_on(self._reactor, signal.SIGINT, quick, at_once=True)
        supervisor.on_reloaded = lambda: self._notifier.ready(master.status())
        also_on(self._reactor, signal.SIGHUP, self._reload)
        also_on(self._reactor, signal.SIGTTIN, supervisor.add_slot)
        also_on(self._reactor, signal.SIGTTOU, supervisor.remove_slot)
        also_on(self._reactor, signal.SIGUSR1, supervisor.reopen_logs)
        also_on(self._reactor, signal.SIGUSR2, self.upgrade)

    def _reload(self) -> None:
        if not self.running:
            return
        self._notifier.reloading()
        self._running_master().reload()

    def _running_master(self) -> Master:
        assert self._master is not None
        return self._master

    # ---- upgrade

    def upgrade(self) -> None:
        """Replace the program of this process by the one on disk (SIGUSR2)."""
        if self.running and not self._upgrading:
            self._upgrading = True
            defer.ensureDeferred(self._upgrade()).addErrback(self._cannot_upgrade)

    async def _upgrade(self) -> None:
        pidfile = own_pidfile()
        await check(self._reactor, self._arguments, environment())
        if not self.running:
            return
        master = self._running_master()
        _log.info("upgrade: becoming the program on disk")
        block_signals()
        await self._reporting.pause()
        workers = await master.detach()
        if self._output is not None:
            self._output.writer.close(LAST_LINES)
        self._reporting.count_dropped()
        # From here until execve nothing may return to the reactor.
        state = {
            "ports": self._listen_sockets.pack(),
            "reporting": self._reporting.pack(),
            **master.pack(workers),
        }
        if pidfile is not None:
            os.remove(pidfile)
        replace_program(state)

    def _cannot_upgrade(self, failure: Failure) -> None:
        self._upgrading = False
        if failure.check(CannotUpgrade):
            _log.error("upgrade: given up: {why}", why=failure.getErrorMessage())
            return
        # Part of the state is packed already: stop in order instead of running without it.
        _log.failure("upgrade: failed on the way", failure=failure)
        self._delay = 0.0
        unblock_signals()
        fail_with()
        self._reactor.stop()

    # ---- stop

    def stopService(self) -> "defer.Deferred[None]":
        """Stop the daemon; fires when no process, socket or file is left."""
        super().stopService()
        self._reloader.stop()
        grace = QUICK_GRACE if self._quick else self._settings.lifecycle.graceful_timeout
        grace = min(grace, self._settings.lifecycle.graceful_timeout)
        delay = 0.0 if self._quick else self._delay
        if self._master is not None:
            self._master.accepts = False
        self._notifier.stopping(delay + grace + KILL_AFTER + STOP_MARGIN)
        # Twisted's handlers would stop the reactor a second time.
        only_on(self._reactor, signal.SIGTERM, self._delaying.end)
        only_on(self._reactor, signal.SIGINT, self._hurry)
        return defer.ensureDeferred(self._stop(delay, grace))

    def _hurry(self) -> None:
        """SIGINT during a stop shortens delay and grace."""
        if not self._quick:
            self._quick = True
            self._delaying.end()
            if self._master is not None:
                self._master.supervisor.hurry(QUICK_GRACE)

    async def _stop(self, delay: float, grace: float) -> None:
        await self._delaying.wait(delay, self._notifier.status)
        until = self._reactor.seconds() + grace
        master = self._master
        if master is not None:
            await master.frontend.stop(min(FIRST_HEADS, grace / 4))
            left = QUICK_GRACE if self._quick else until - self._reactor.seconds()
            await master.stop(max(0.0, min(left, grace)))
        await self._reporting.stop()
        if master is not None:
            master.close()
        self._notifier.stop()
