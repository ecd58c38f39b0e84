"""One worker process, as the master sees it: a child, and a control channel to it."""

import json
import os
import signal
import socket
from collections.abc import Callable
from typing import Any

from twisted.internet import defer, error
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

from stickyd.ipc import control_channel as control
from stickyd.ipc.control_channel import adopt_stream
from stickyd.logs.levels import split
from stickyd.master.supervisor.child_process import ChildProcess, how_it_ended
from stickyd.master.supervisor.control_link import MasterControlLink
from stickyd.master.supervisor.spawn import spawn_worker
from stickyd.settings import Settings
from stickyd.shm.scoreboard import Scoreboard
from stickyd.shm.worker_stats import WorkerStats

Senders = dict[int, socket.socket]
"""The sending ends of inboxes, by slot."""

_log = Logger("stickyd")

_LEVELS = [LogLevel.critical] * 3 + [LogLevel.error, LogLevel.warn]
_LEVELS += [LogLevel.info] * 2 + [LogLevel.debug]
"""By priority of syslog(3)."""


class WorkerProcess:
    """Spawns a worker for a slot and speaks with it.

    :ivar loaded: fires when the app is loaded and the worker could serve; fails
        with `stickyd.errors.CannotLoad`, or when the process ends before.
    :ivar ready: that has happened, and well.
    :ivar ended: fires with None when the process has ended.
    :ivar silent: seconds without a heartbeat, counted by the supervisor's pulse.
    :ivar heard: when the last one was, in the reactor's seconds.
    :ivar counters: the last it told.
    :ivar retiring: it has been told to finish.
    :ivar version: of the slot table it has been told.
    :ivar tally: what it notes of its connections.
    :ivar row: of the board, its own; None if slots have no bound.
    :ivar owner: by which number it signs in the ledger.
    :ivar given_up: it has been silent for too long and is being killed.
    """

    def __init__(
        self,
        reactor: Any,
        slot: int,
        on_misrouted: Callable[[int, int, str], None],
        on_worn: Callable[["WorkerProcess", str], None],
        tally: WorkerStats,
        row: int | None,
    ) -> None:
        self._reactor = reactor
        self._link = MasterControlLink(self._take, on_misrouted, lambda why: on_worn(self, why))
        self._child: ChildProcess | None = None
        self.slot = slot
        self.counters: dict[str, Any] = {}
        self.record_heartbeat()
        self.ready = False
        self.retiring = False
        self.given_up = False
        self.version = 0
        self.tally = tally
        self.row = row
        self.owner = 0
        self.loaded: defer.Deferred[Any] = defer.Deferred()
        self.ended: defer.Deferred[None] = defer.Deferred()

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._child is not None
        return self._child.pid

    # ---- its life

    def record_heartbeat(self) -> None:
        """It has given a sign of life."""
        self.silent = 0.0
        self.heard = self._reactor.seconds()

    def listen(self) -> None:
        """Look for a heartbeat."""
        beat = self.tally.last_beat()
        if beat > self.heard:
            self.silent = 0.0
            self.heard = beat

    def start(
        self,
        settings: Settings,
        version: int,
        slots: list[int],
        inbox: socket.socket,
        ends: Senders,
        board: Scoreboard | None,
        ledger: int | None,
        *,
        only_load: bool = False,
    ) -> None:
        """Start the process and let it load the app.

        :param slots: those of the slot table, whose version is ``version``.
        :param ledger: descriptor of the ledger, if connections are guarded.
        :param only_load: it will serve nobody.

        If it cannot be started, ``loaded`` fails and ``ended`` fires.
        """
        self.version = version
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            try:
                pid, output = spawn_worker(settings, theirs.fileno())
            except OSError as failed:
                ours.close()
                self.loaded.errback(Failure(RuntimeError(f"cannot be started: {failed}")))
                self.ended.callback(None)
                return
        self._watch(pid, output)
        adopt_stream(self._reactor, ours, self._link)
        about = {
            "settings": settings.to_json(),
            "version": version,
            "slots": slots,
            "row": self.row,
            "owner": self.owner,
            "only_load": only_load,
        }
        started = self._ask(
            control.Start,
            slot=self.slot,
            about=json.dumps(about).encode("utf-8"),
            inbox=inbox.fileno(),
            tally=self.tally.descriptor,
            board=board.descriptor if board is not None else None,
            senders=_as_ends(ends),
            ledger=ledger,
        )
        started.addCallbacks(lambda _: self._settle_loaded(None), self._start_failed)

    def relink(self, patience: float) -> "defer.Deferred[socket.socket | None]":
        """Give the worker another control channel; our end of it, to be passed on.

        None if it does not answer in ``patience`` seconds: it then ends when
        the channel of now does.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        asked = self._ask(control.Relink, channel=theirs.fileno())
        asked.addTimeout(patience, self._reactor)

        def answered(result: object) -> socket.socket | None:
            theirs.close()
            if not isinstance(result, Failure):
                return ours
            ours.close()
            return None

        return asked.addBoth(answered)

    def detach(self) -> tuple[int, int]:
        """Watch the process no longer; pid, and the pipe with its output."""
        assert self._child is not None
        return self._child.detach()

    def attach(self, pid: int, output: int, channel: socket.socket | None) -> None:
        """Go on with a process that another program in our place has started.

        Without a ``channel`` the worker has lost its master, and ends.
        """
        self._watch(pid, output)
        if channel is not None:
            adopt_stream(self._reactor, channel, self._link)
        self.loaded.callback(None)

    def _watch(self, pid: int, output: int) -> None:
        self._child = ChildProcess(self._reactor, pid, output, self._print)
        self._child.ended.addCallback(self._process_ended)

    def _start_failed(self, failure: Failure) -> None:
        # A lost link means that the process ends; its end says how.
        if not failure.check(error.ConnectionDone, error.ConnectionLost):
            self._settle_loaded(failure)

    def _settle_loaded(self, failure: Failure | None) -> None:
        self.record_heartbeat()
        if not self.loaded.called:
            if failure is None:
                self.ready = True
                self.loaded.callback(None)
            else:
                self.loaded.errback(failure)

    def _process_ended(self, status: int) -> None:
        self._settle_loaded(Failure(RuntimeError(how_it_ended(status))))
        self.ended.callback(None)

    def signal(self, number: int) -> None:
        """Send a signal, unless the process is gone."""
        if self._child is not None:
            self._child.signal(number)

    # ---- what it is told

    def _ask(self, command: type, **arguments: Any) -> "defer.Deferred[Any]":
        if self._link.transport is None:
            return defer.fail(error.ConnectionLost())
        asked: defer.Deferred[Any] = self._link.callRemote(command, **arguments)
        return asked

    def _tell(self, command: type, **arguments: Any) -> "defer.Deferred[None]":
        """Fires when the worker has done it, or will never do anything again."""
        return self._ask(command, **arguments).addBoth(lambda _: None)

    def serve(self, private: socket.socket | None = None) -> None:
        """Let it take connections: out of ``private`` while a predecessor drains."""
        # AMP sends descriptors when the reactor comes to it: one of ours that stays until then.
        end = None if private is None else os.dup(private.fileno())
        told = self._tell(control.Serve, private=end)
        if end is not None:
            told.addBoth(lambda _: os.close(end))

    def succeed(self) -> None:
        """The predecessor has ended; the slot's inbox is this worker's."""
        self._tell(control.Succeeded)

    def drain(self, successor: socket.socket) -> None:
        """Serve the keys it knows, pass others into ``successor``, which is consumed."""
        self._tell(control.Drain, successor=successor.fileno()).addBoth(lambda _: successor.close())

    def table(self, version: int, slots: list[int], added: Senders) -> "defer.Deferred[None]":
        """Tell it a new slot table; fires when it acts by it, or has ended."""
        self.version = version
        return self._tell(control.Table, version=version, slots=slots, added=_as_ends(added))

    def retire(self, grace: float, to: list[int], reason: str) -> None:
        """Ask it to finish within ``grace`` seconds, and to give idle connections to slots."""
        self._tell(control.Retire, grace=grace, to=to, reason=reason)

    def close_idle(self, count: int) -> None:
        """Ask it to close up to ``count`` connections that idle."""
        self._tell(control.CloseIdle, count=count)

    def reopen_log(self) -> None:
        """Ask it to go on in a new access log."""
        self._tell(control.Reopen)

    def report(self, patience: float) -> "defer.Deferred[dict[str, Any]]":
        """The worker's counters; the last known ones if it does not answer in time."""
        if not self.loaded.called:
            return defer.succeed(self.counters)
        asked = self._ask(control.Report).addTimeout(patience, self._reactor)

        def keep(response: dict[str, bytes]) -> dict[str, Any]:
            self.counters = json.loads(response["counters"])
            return self.counters

        return asked.addCallback(keep).addErrback(lambda _: self.counters)

    def _take(self, counters: dict[str, Any]) -> None:
        self.counters = counters

    def take_last_report(self) -> dict[str, Any]:
        """The last counters of a worker that has ended; given once."""
        last, self.counters = self.counters, {}
        return last

    # ---- its death

    def kill(self, after: float = 0.0, show_stacks: bool = False) -> None:
        """End it by force in ``after`` seconds if it has not ended by then.

        :param show_stacks: let it write where its threads are first
            (faulthandler), which a stopped process cannot.
        """
        if show_stacks:
            self.signal(signal.SIGABRT)
        if after <= 0:
            self.signal(signal.SIGKILL)
            return
        killing = self._reactor.callLater(after, self.signal, signal.SIGKILL)
        self.ended.addCallback(lambda _: killing.active() and killing.cancel())

    def _print(self, line: str) -> None:
        priority, text = split(line)
        _log.emit(_LEVELS[priority], "[worker {slot}] {line}", slot=self.slot, line=text)


def _as_ends(senders: Senders) -> list[dict[str, int]]:
    return [{"slot": slot, "end": sender.fileno()} for slot, sender in senders.items()]
