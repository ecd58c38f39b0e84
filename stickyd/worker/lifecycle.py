"""The lifecycle of a worker process: load the app, serve, end."""

import os
import socket
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet import defer
from twisted.internet.task import LoopingCall

from stickyd import keys
from stickyd.errors import CannotLoad
from stickyd.ipc import control_channel as control
from stickyd.net.own_descriptors import OwnDescriptors
from stickyd.process import freeze_gc, import_from_directory
from stickyd.routing.policy import Placement
from stickyd.settings import Settings
from stickyd.shm.connection_table import ConnectionTable
from stickyd.shm.learned_table import LearnedTable
from stickyd.shm.scoreboard import Scoreboard
from stickyd.shm.shared_ids import SharedIds
from stickyd.shm.worker_stats import WorkerStats
from stickyd.worker.apps.loader import load_app
from stickyd.worker.exit_signal import ExitSignal
from stickyd.worker.importer import with_traceback
from stickyd.worker.key_owner import KeyOwner
from stickyd.worker.known_keys import KnownKeys
from stickyd.worker.retire_hook import RetireHook
from stickyd.worker.runtime.garbage import GrowthCollector
from stickyd.worker.worker import Resources, Worker

BEAT_EVERY = 1.0
"""Seconds between two heartbeats."""

APP_LEAST = 0.3
"""Seconds an app has to stop when the grace period is over."""

Ends = dict[int, socket.socket]


@attrs.frozen
class Shared:
    """What the master shares with a worker (`stickyd.ipc.control_channel.Start`).

    :ivar scoreboard: a descriptor; None if no decision depends on loads.
    :ivar connections: the descriptor of the connection table; None if there is none.
    :ivar learned: that of the table of learned ids; None if none are learned.
    """

    slot: int
    inbox: socket.socket
    senders: Ends
    stats: WorkerStats
    scoreboard: int | None
    connections: int | None
    learned: int | None

    def resources(self, row: int, owner: int) -> Resources:
        """The objects on the descriptors.

        :param row: of the scoreboard.
        :param owner: the number of this worker in the connection table.
        """
        board = (Scoreboard(self.scoreboard), row) if self.scoreboard is not None else None
        table = ConnectionTable(self.connections, owner) if self.connections is not None else None
        ids = SharedIds(LearnedTable.attach(self.learned)) if self.learned is not None else None
        return Resources(self.slot, self.inbox, self.senders, self.stats, board, table, ids)


class WorkerLifecycle:
    """The states of a worker process, independent of the control channel.

    :param stop: called once, when the process has nothing more to do.
    :ivar link: the current control channel.
    :ivar worker: None until the app is loaded.
    :ivar own: the descriptors that the process cannot do without.
    :ivar alone: the master has ended.
    :ivar exit_signal: tells the app when its streams are to end.
    """

    def __init__(self, reactor: Any, stop: Callable[[], None], own: OwnDescriptors) -> None:
        self._reactor = reactor
        self._stop = stop
        self.own = own
        self._retire_hook: RetireHook | None = None
        self._finishing = False
        self._sigterm = False
        self._develops = False
        self.alone = False
        self.exit_signal = ExitSignal(lambda: reactor.callFromThread(self.on_sigterm))
        self.link: control.ControlLink | None = None
        self.worker: Worker | None = None

    # ---- start

    async def load(self, start: dict[str, Any], shared: Shared) -> None:
        """Load and start the app, which may take long.

        :param start: what `stickyd.ipc.control_channel.Start` tells about it.
        :raise CannotLoad: with one line that says why, and the traceback if settings ask for it.
        """
        settings = Settings.from_text(start["settings"])
        try:
            await self._load(settings, start, shared)
        except CannotLoad as error:
            raise with_traceback(error) if settings.app.display_tracebacks else error from None
        freeze_gc()
        self._garbage = GrowthCollector()
        LoopingCall(self._beat).start(BEAT_EVERY, now=False)
        if self._sigterm:
            self._reactor.callLater(0, self.on_sigterm)

    async def _load(self, settings: Settings, start: dict[str, Any], shared: Shared) -> None:
        lifecycle = settings.lifecycle
        memory = KnownKeys() if lifecycle.session.drain or settings.app.on_retire else None
        slot = shared.slot
        os.environ["STICKYD_SLOT"] = str(slot)
        made = memory.made.append if memory is not None else lambda key: None
        keys.bind(slot, settings.routing.seed, made)
        if settings.app.origin.directory:
            import_from_directory(settings.app.origin.directory)
        app = load_app(self._reactor, settings)
        # If the app has closed the control channel, the master would wait for an answer.
        self.own.check()
        self._retire_hook = RetireHook.load(settings.app.on_retire, slot)
        if start.get("only_load"):
            # It serves no client, so there is no state to hand over.
            self._retire_hook = RetireHook(slot, None)
        await app.start()
        self._grace = lifecycle.graceful_timeout
        self._develops = bool(settings.app.reload.directories)
        resources = shared.resources(start["row"], start["owner"])
        self.worker = Worker(
            self._reactor,
            settings,
            app,
            resources,
            events=self,
            policy=settings.policy(start["slots"], start["version"], resources.learned),
            keys=KeyOwner(memory, keeps=lifecycle.session.drain > 0),
            own=self.own,
        )

    # ---- reports to the master

    def _send(self, command: type, **arguments: Any) -> "defer.Deferred[None]":
        """Fires when the master has received it, or has ended."""
        if self.link is None or self.link.transport is None:
            return defer.succeed(None)
        sent: defer.Deferred[Any] = self.link.callRemote(command, **arguments)
        return sent.addBoth(lambda _: None)

    def _beat(self) -> None:
        assert self.worker is not None
        self.own.check()
        self.worker.context.accounting.stats.beat(self._reactor.seconds())
        self.worker.settle()
        self.worker.note()
        self._garbage.look()

    def misrouted(self, slot: int, placement: Placement) -> None:
        """For the worker."""
        self._send(control.Misrouted, slot=slot, named=placement.slot, source=placement.reason)

    def drained(self) -> None:
        """For the worker: it serves no key any more."""
        self._send(control.Drained)

    def request_replacement(self, reason: str) -> None:
        """Ask the master for a replacement, and continue until it is ready."""
        self._send(control.Recycle, reason=reason)

    # ---- end

    def retire(self, grace: float, heirs: list[int], reason: str) -> None:
        """Finish within ``grace`` seconds, then stop.

        :param heirs: slots that take the idle connections; see `Worker.retire`.
        """
        if self.worker is None:
            self._reactor.callLater(0, self._stop)
        elif self._finishing:
            self._retire_worker(self.worker, grace, heirs, reason)
        else:
            self._finish(grace, heirs, reason).addBoth(lambda _: self._end())

    def master_ended(self) -> None:
        """Finish the requests that have begun, then stop."""
        self.alone = True
        if self.worker is None:
            self._stop()
        elif not self._finishing:
            self._finish(self._grace, [], "master gone").addBoth(lambda _: self._stop())

    def on_sigterm(self) -> None:
        """SIGTERM, to this process alone or to the whole process group.

        It is deferred while the app is loaded: in a group the master ends its workers.
        """
        self._sigterm = True
        if self.worker is not None:
            self.request_replacement("told to end by hand")

    def _finish(self, grace: float, heirs: list[int], reason: str) -> "defer.Deferred[None]":
        """Finish the requests, then let the app hand over its state."""
        self._finishing = True
        worker, hook = self.worker, self._retire_hook
        assert worker is not None
        assert hook is not None
        until = self._reactor.seconds() + grace

        def hand_over(_: object) -> "defer.Deferred[None]":
            known = []
            memory = worker.context.routing.keys.memory
            if memory is not None:
                memory.take_made(self._reactor.seconds())
                known = memory.keys()
            left = until - self._reactor.seconds()
            return hook.call(self._reactor, reason, known, left)

        def stop_app(_: object) -> "defer.Deferred[None]":
            return worker.app.stop(max(until - self._reactor.seconds(), APP_LEAST))

        over = self._retire_worker(worker, grace, heirs, reason)
        return over.addBoth(hand_over).addBoth(stop_app)

    def _retire_worker(
        self, worker: Worker, grace: float, heirs: list[int], reason: str
    ) -> "defer.Deferred[None]":
        # While developing, a page that waits for its connection to end is to load again now.
        hurried = self._develops and reason == "reload"
        if hurried or not heirs:
            self.exit_signal.should_exit = True
        return worker.retire(grace, heirs, hurried=hurried)

    def _end(self) -> None:
        assert self.worker is not None
        self.worker.note()
        self._stop()
