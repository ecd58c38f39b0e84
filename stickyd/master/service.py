"""The daemon as a Twisted service: listeners, slots, workers, and their end."""

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
from stickyd.logs.stream import LAST_LINES, LogStream
from stickyd.master.bootstrap import (
    fail_with,
    log_startup_warnings,
    raise_descriptor_limit,
)
from stickyd.master.exec_state import Packed, keep, taken
from stickyd.master.frontend.listen_sockets import InheritedSocket, ListenSockets
from stickyd.master.master import Master
from stickyd.master.reloader import Reloader
from stickyd.master.sd_notify import Notifier
from stickyd.master.signals import also_on, only_on
from stickyd.master.stats_socket import StatsSocket
from stickyd.master.supervisor.replacement import KILL_AFTER
from stickyd.master.supervisor.spawn import environment
from stickyd.master.upgrade import (
    check,
    own_pidfile,
    replace_program,
    resumed,
)
from stickyd.process import block_signals, freeze_gc, unblock_signals
from stickyd.settings import Settings

QUICK_GRACE = 1.0
"""Seconds that INT leaves for answers in flight."""

FIRST_HEADS = 1.0
"""Seconds that connections accepted just before the stop have to send their first head."""

STOP_MARGIN = 5.0
"""Seconds that the end may take beyond what workers are given; for the service manager."""

_log = Logger("stickyd")


class StickydService(Service):
    """Owns everything of the master process.

    :param arguments: the options as they were given, for `stickyd check`.
    :param output: where the log goes, if that is standard output.
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
        self._ports = ListenSockets(reactor, listen)
        self._notifier = Notifier(reactor, os.environ)
        self._control_path = control
        self._arguments = arguments
        self._control: StatsSocket | None = None
        self._house: Master | None = None
        self._watch = Reloader(reactor, settings.app.reload, self._reload)
        self._quick = False
        self._upgrading = False

    # ---- start

    def privilegedStartService(self) -> None:
        """For twistd, before it gives up root's rights (``--uid``)."""
        super().privilegedStartService()
        if self._resumed is None:
            self._ports.bind_privileged()

    def startService(self) -> None:
        """Start as soon as the reactor runs."""
        super().startService()
        self._reactor.callWhenRunning(self._begin)

    def _begin(self) -> "defer.Deferred[None]":
        raise_descriptor_limit()
        begin = self._start() if self._resumed is None else self._resume(self._resumed)
        return defer.ensureDeferred(begin).addErrback(self._cannot_start)

    async def _start(self) -> None:
        house = self._move_into(Master.create(self._reactor, self._settings))
        house.front.listen(await self._ports.listen())
        self._listen_control()
        self._begin_to_hear()
        await house.supervisor.start()
        if self.running:
            self._open(house)

    async def _resume(self, packed: Packed) -> None:
        """Go on where the program before us has stopped."""
        house = self._move_into(Master.unpack(self._reactor, self._settings, packed))
        house.front.listen(self._ports.resume(packed["ports"]))
        house.resume(packed)
        self._resume_control(packed["control"])
        self._begin_to_hear()
        unblock_signals()
        self._open(house)

    def _move_into(self, house: Master) -> Master:
        self._house = house
        self._notifier.start(house.status)
        return house

    def _begin_to_hear(self) -> None:
        self._install_signals()
        self._watch.start()

    def _open(self, house: Master) -> None:
        """Begin to accept, and say so."""
        freeze_gc()
        house.front.start()
        _log.info(
            "stickyd {version} is ready: {workers} workers, scope {scope}, on {where}",
            version=__version__,
            workers=len(house.slots),
            scope=self._settings.routing.scope,
            where=house.front.where(),
        )
        _log.info("stickyd runs on the {core}", core=CORE)
        self._notifier.ready(house.status())
        log_startup_warnings(self._settings, house.front.on_unix())

    def _cannot_start(self, failure: Failure) -> None:
        if not self.running:
            return
        if failure.check(StartFailed):
            line = f"stickyd: {failure.value}"
        else:
            _log.failure("stickyd cannot start", failure=failure)
            line = "stickyd: cannot start (the traceback above is a bug)"
        _log.critical("{line}", line=line)
        # Once, where the log goes to the same place.
        seen = self._output is not None and self._output.leads_to(2)
        fail_with("" if seen else line)
        self._notifier.status(line)
        self._reactor.stop()

    def _install_signals(self) -> None:
        """Ours, now that twistd has installed its own, which go on to do their part."""
        house = self._at_home()
        supervisor = house.supervisor

        def quick() -> None:
            self._quick = True

        also_on(self._reactor, signal.SIGINT, quick, at_once=True)
        supervisor.on_reloaded = lambda: self._notifier.ready(house.status())
        also_on(self._reactor, signal.SIGHUP, self._reload)
        also_on(self._reactor, signal.SIGTTIN, supervisor.add_slot)
        also_on(self._reactor, signal.SIGTTOU, supervisor.remove_slot)
        also_on(self._reactor, signal.SIGUSR1, supervisor.reopen_logs)
        also_on(self._reactor, signal.SIGUSR2, self.upgrade)

    def _reload(self) -> None:
        self._notifier.reloading()
        self._at_home().supervisor.reload()

    def _at_home(self) -> Master:
        assert self._house is not None
        return self._house

    # ---- the control socket

    def _listen_control(self) -> None:
        if self._control_path is None:
            return
        control = StatsSocket(self._reactor, self.report)
        try:
            control.listen(self._control_path)
        except Exception as error:
            raise StartFailed(f"cannot listen on {self._control_path}: {error}") from error
        self._control = control

    def _resume_control(self, descriptor: int | None) -> None:
        if descriptor is not None:
            self._control = StatsSocket(self._reactor, self.report)
            self._control.resume(InheritedSocket(taken(descriptor)))

    def report(self) -> "defer.Deferred[dict[str, Any]]":
        """Everything that ``--control`` tells."""
        self._count_dropped()
        return defer.ensureDeferred(self._at_home().report())

    def _count_dropped(self) -> None:
        if self._output is not None:
            self._at_home().front.counters.log_dropped += self._output.writer.take_dropped()

    # ---- another program in our place

    def upgrade(self) -> None:
        """Replace our program by the one on disk, in place."""
        if self.running and not self._upgrading:
            self._upgrading = True
            defer.ensureDeferred(self._upgrade()).addErrback(self._cannot_upgrade)

    async def _upgrade(self) -> None:
        pidfile = own_pidfile()
        await check(self._reactor, self._arguments, environment())
        if not self.running:
            return
        house = self._at_home()
        _log.info("upgrade: becoming the program on disk")
        block_signals()
        control = None
        if self._control is not None:
            await self._control.pause()
            control = keep(self._control.pack())
        workers = await house.supervisor.pack()
        if self._output is not None:
            self._output.writer.close(LAST_LINES)
        self._count_dropped()
        # From here to the new program nothing waits for anything.
        state = {"ports": self._ports.pack(), "control": control, **house.pack(workers)}
        if pidfile is not None:
            os.remove(pidfile)
        replace_program(state)

    def _cannot_upgrade(self, failure: Failure) -> None:
        self._upgrading = False
        if failure.check(CannotUpgrade):
            _log.error("upgrade: given up: {why}", why=failure.getErrorMessage())
            return
        # Half of us has been given away: an end in order is better than a half.
        _log.failure("upgrade: failed on the way", failure=failure)
        unblock_signals()
        fail_with()
        self._reactor.stop()

    # ---- stop

    def stopService(self) -> "defer.Deferred[None]":
        """Stop the whole family; fires when no process, socket or file is left."""
        super().stopService()
        self._watch.stop()
        grace = QUICK_GRACE if self._quick else self._settings.lifecycle.graceful_timeout
        grace = min(grace, self._settings.lifecycle.graceful_timeout)
        self._notifier.stopping(grace + KILL_AFTER + STOP_MARGIN)
        # Twisted's would try to stop what is stopping.
        only_on(self._reactor, signal.SIGTERM, lambda: None)
        only_on(self._reactor, signal.SIGINT, self._hurry)
        return defer.ensureDeferred(self._stop(grace))

    def _hurry(self) -> None:
        """SIGINT while we stop: as if it had come first."""
        if not self._quick:
            self._quick = True
            if self._house is not None:
                self._house.supervisor.hurry(QUICK_GRACE)

    async def _stop(self, grace: float) -> None:
        until = self._reactor.seconds() + grace
        house = self._house
        if house is not None:
            await house.front.stop(min(FIRST_HEADS, grace / 4))
            left = QUICK_GRACE if self._quick else until - self._reactor.seconds()
            await house.supervisor.stop(max(0.0, min(left, grace)))
        if self._control is not None:
            await self._control.stop()
        if house is not None:
            house.close()
        self._notifier.stop()
