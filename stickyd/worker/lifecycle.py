"""The life of a worker process: it loads the app, serves, and ends."""

import json
import os
import socket
from collections.abc import Callable
from typing import Any

from twisted.internet import defer
from twisted.internet.task import LoopingCall

from stickyd import keys
from stickyd.ipc import control_channel as control
from stickyd.net.own_descriptors import OwnDescriptors
from stickyd.process import freeze_gc
from stickyd.routing.policy import Placement
from stickyd.settings import Settings
from stickyd.shm.connection_table import ConnectionTable
from stickyd.shm.scoreboard import Scoreboard
from stickyd.shm.worker_stats import WorkerStats
from stickyd.worker.apps.loader import load_app
from stickyd.worker.garbage import GrowthCollector
from stickyd.worker.importer import with_traceback
from stickyd.worker.known_keys import KnownKeys
from stickyd.worker.retire_hook import RetireHook
from stickyd.worker.worker import Worker

BEAT_EVERY = 1.0
"""Seconds between two heartbeats."""

APP_LEAST = 0.3
"""Seconds an app has to put its things away when the grace is over."""

Ends = dict[int, socket.socket]


class WorkerLifecycle:
    """What a worker process is, whichever control channel leads to it.

    :ivar link: the control channel of the day.
    :ivar worker: None until the app is loaded.
    :param stop: called once, when the process has nothing more to do.
    :ivar own: the descriptors that the process cannot do without.
    """

    def __init__(self, reactor: Any, stop: Callable[[], None], own: OwnDescriptors) -> None:
        self._reactor = reactor
        self._stop = stop
        self.own = own
        self._retirement: RetireHook | None = None
        self._finishing = False
        self._told = b""
        self._told_to_end = False
        self.link: control.ControlLink | None = None
        self.worker: Worker | None = None

    # ---- it begins

    async def load(
        self,
        slot: int,
        about: bytes,
        inbox: socket.socket,
        tally: WorkerStats,
        board: Scoreboard | None,
        senders: Ends,
        ledger: int | None,
    ) -> None:
        """Load the app, and start it: it may take its time for that.

        :raise CannotLoad: with one line that says why, and the traceback if settings ask for it.
        """
        told = json.loads(about)
        chosen = Settings.from_json(told["settings"])
        try:
            await self._load(chosen, told, slot, inbox, tally, board, senders, ledger)
        except control.CannotLoad as error:
            raise with_traceback(error) if chosen.app.display_tracebacks else error from None
        freeze_gc()
        self._garbage = GrowthCollector()
        LoopingCall(self._beat).start(BEAT_EVERY, now=False)
        if self._told_to_end:
            self._reactor.callLater(0, self.told_to_end)

    async def _load(
        self,
        chosen: Settings,
        told: dict[str, Any],
        slot: int,
        inbox: socket.socket,
        tally: WorkerStats,
        board: Scoreboard | None,
        senders: Ends,
        ledger: int | None,
    ) -> None:
        lifecycle = chosen.lifecycle
        known = KnownKeys() if lifecycle.session_drain or lifecycle.on_retire else None
        os.environ["STICKYD_SLOT"] = str(slot)
        made = known.made.append if known is not None else lambda key: None
        keys.bind(slot, chosen.routing.seed, made)
        app = load_app(self._reactor, chosen)
        # Without the control channel the master would wait for an answer.
        self.own.check()
        self._retirement = RetireHook.load(lifecycle.on_retire, slot)
        if told.get("only_load"):
            # Nobody is served, and so nobody's state is handed over.
            self._retirement = RetireHook(slot, None)
        await app.start()
        self.worker = Worker(
            self._reactor,
            chosen,
            slot,
            app,
            inbox,
            senders,
            self._misrouted,
            tally,
            self.worn,
            chosen.policy(told["slots"], told["version"]),
            known,
            (board, told["row"]) if board is not None else None,
            ConnectionTable(ledger, told["owner"]) if ledger is not None else None,
            self.own,
        )

    # ---- what it tells the master

    def _tell(self, command: type, **arguments: Any) -> "defer.Deferred[None]":
        """Fires when the master has it, or is gone."""
        if self.link is None or self.link.transport is None:
            return defer.succeed(None)
        told: defer.Deferred[Any] = self.link.callRemote(command, **arguments)
        return told.addBoth(lambda _: None)

    def counters(self) -> bytes:
        """The counters, as JSON."""
        assert self.worker is not None
        return json.dumps(self.worker.report()).encode()

    def _beat(self) -> None:
        assert self.worker is not None
        self.own.check()
        self.worker.tally.beat(self._reactor.seconds())
        self.worker.settle()
        self._garbage.look()
        counters = self.counters()
        if counters != self._told:
            self._told = counters
            self._tell(control.Progress, counters=counters)

    def _misrouted(self, slot: int, placement: Placement) -> None:
        self._tell(control.Misrouted, slot=slot, named=placement.slot, source=placement.reason)

    def worn(self, reason: str) -> None:
        """Ask for a replacement, and go on until it is there."""
        self._tell(control.Recycle, reason=reason)

    # ---- it ends

    def retire(self, grace: float, to: list[int], reason: str) -> None:
        """Finish within ``grace`` seconds, tell the last counters, stop."""
        if self.worker is None:
            self._reactor.callLater(0, self._stop)
        elif self._finishing:
            self.worker.retire(grace, to)
        else:
            self._finish(grace, to, reason).addBoth(lambda _: self._end())

    def master_gone(self) -> None:
        """Finish what is being answered, then follow it."""
        if self.worker is None:
            self._stop()
        elif not self._finishing:
            grace = self.worker.settings.lifecycle.graceful_timeout
            self._finish(grace, [], "master gone").addBoth(lambda _: self._stop())

    def told_to_end(self) -> None:
        """SIGTERM, for this process alone or for the whole process group.

        While the app is loaded it waits: in a group it is the master who ends us.
        """
        self._told_to_end = True
        if self.worker is not None:
            self.worn("told to end by hand")

    def _finish(self, grace: float, to: list[int], reason: str) -> "defer.Deferred[None]":
        """Serve what is here, then let the app hand over its state."""
        self._finishing = True
        worker, retirement = self.worker, self._retirement
        assert worker is not None
        assert retirement is not None
        until = self._reactor.seconds() + grace

        def hand_over(_: object) -> "defer.Deferred[None]":
            known = worker.known.keys() if worker.known is not None else []
            left = until - self._reactor.seconds()
            return retirement.tell(self._reactor, reason, known, left)

        def put_away(_: object) -> "defer.Deferred[None]":
            return worker.app.stop(max(until - self._reactor.seconds(), APP_LEAST))

        return worker.retire(grace, to).addBoth(hand_over).addBoth(put_away)

    def _end(self) -> None:
        self._tell(control.Progress, counters=self.counters()).addBoth(lambda _: self._stop())
