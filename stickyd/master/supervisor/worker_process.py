"""One worker process, as the master sees it: a child process and its control channel."""

import json
import signal
import socket
from collections.abc import Mapping
from typing import Any, Protocol

import attrs
from twisted.internet import defer, error
from twisted.python.failure import Failure

from stickyd.ipc import control_channel as control
from stickyd.ipc.control_channel import adopt_end, adopt_stream
from stickyd.ipc.exec_state import Packed, close_on_exec, keep_on_exec
from stickyd.logs.child_lines import ChildLines
from stickyd.logs.record import mark_of
from stickyd.master.supervisor.child_process import ChildProcess, how_it_ended, new_tag, unless_over
from stickyd.master.supervisor.control_link import MasterControlLink, Senders, as_ends
from stickyd.master.supervisor.spawn import Born, Spawner
from stickyd.master.supervisor.worker_heartbeat import WorkerHeartbeat
from stickyd.net.process_group import LeftGroups
from stickyd.settings import Settings
from stickyd.shm.worker_stats import WorkerStats


class WorkerEvents(Protocol):
    """Receives what worker processes report on their own."""

    def misrouted(self, slot: int, named: int, source: str) -> None:
        """The worker of ``slot`` served a request whose key, from ``source``, names ``named``."""

    def recycle_requested(self, worker: "WorkerProcess", reason: str) -> None:
        """A worker asks to be replaced."""

    def drained(self, worker: "WorkerProcess") -> None:
        """A worker that drains serves no key any more."""


@attrs.frozen(eq=False)
class WorkerStart:
    """What a worker gets when it starts.

    :ivar version: of the slot table, whose slots are ``slots``.
    :ivar inbox: receiving end of the slot's inbox.
    :ivar tables: descriptors of `stickyd.shm.shared_tables`.
    :ivar connection_table: descriptor; None if connections are not guarded.
    :ivar only_load: the worker will not serve.
    """

    settings: Settings
    version: int
    slots: list[int]
    inbox: socket.socket
    senders: Senders
    tables: Mapping[str, int] = attrs.field(factory=dict)
    connection_table: int | None = None
    only_load: bool = False


class WorkerProcess:
    """Starts a worker for a slot and sends it commands.

    :param row: of the scoreboard; None if no decision depends on loads.
    :param owner: the worker's number in the connection table; 0 if connections are not guarded.
    :ivar link: sends commands to the worker.
    :ivar loaded: fires when the app is loaded and the worker could serve; fails
        with `stickyd.errors.CannotLoad`, or when the process ends before.
    :ivar ready: ``loaded`` has fired without a failure.
    :ivar ended: fires with None when the process has ended.
    :ivar retiring: it was asked to retire.
    :ivar retire_reason: why it will be, while it drains.
    :ivar exit_status: as of waitpid(2), once the process has ended.
    :ivar killed_for: why the master kills it, in a word; empty if it does not.
    :ivar version: of the slot table that it was sent last.
    :ivar stats: its counters, in shared memory; closed when it has ended.
    :ivar generation: of the app's code that it loads, counted as the reloads are; 0 if unknown.
    """

    def __init__(
        self,
        reactor: Any,
        slot: int,
        events: WorkerEvents,
        stats: WorkerStats,
        row: int | None = None,
        owner: int = 0,
    ) -> None:
        self._reactor = reactor
        self._events = events
        self.link = MasterControlLink(self)
        self._child: ChildProcess | None = None
        self._tag = ""
        self._doomed = False
        self.slot = slot
        self.heartbeat = WorkerHeartbeat(reactor.seconds())
        self.ready = False
        self.killed_for = ""
        self.retiring = False
        self.retire_reason = "reload"
        self.exit_status: int | None = None
        self.version = 0
        self.generation = 0
        self.stats = stats
        self.row = row
        self.owner = owner
        self.loaded: defer.Deferred[None] = defer.Deferred()
        self.ended: defer.Deferred[None] = defer.Deferred()

    @property
    def pid(self) -> int:
        """The process id; 0 until there is a process."""
        return self._child.pid if self._child is not None else 0

    # ---- start

    def start(self, start: WorkerStart, spawner: Spawner) -> None:
        """Start the process, which loads the app.

        If it cannot be started, ``loaded`` fails and ``ended`` fires.
        """
        self.version = start.version
        self._tag = new_tag(start.settings.log.format)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        spawned = spawner.spawn(start.settings, theirs, self._tag)
        spawned.addBoth(_closing, theirs)
        spawned.addCallbacks(self._spawned, self._not_spawned)
        if self.ended.called:
            ours.close()
            return
        adopt_stream(self._reactor, ours, self.link)
        about = {
            "layouts": control.layouts(),
            "settings": start.settings.to_text(),
            "version": start.version,
            "slots": start.slots,
            "row": self.row,
            "owner": self.owner,
            "only_load": start.only_load,
        }
        started = self.link.ask(
            control.Start,
            slot=self.slot,
            about=json.dumps(about).encode("utf-8"),
            inbox=start.inbox.fileno(),
            tally=self.stats.descriptor,
            board=start.tables.get("scoreboard"),
            senders=as_ends(start.senders),
            ledger=start.connection_table,
            learned=start.tables.get("learned"),
        )
        started.addCallbacks(lambda _: self._settle_loaded(None), self._start_failed)

    def _spawned(self, born: Born) -> None:
        self._watch(*born)
        self.heartbeat.reset(self._reactor.seconds())
        if self._doomed:
            self.signal(signal.SIGKILL)

    def _not_spawned(self, failure: Failure) -> None:
        if failure.check(OSError):
            failure = Failure(RuntimeError(f"cannot be started: {failure.getErrorMessage()}"))
        if self.link.transport is not None:
            self.link.transport.loseConnection()
        self._settle_loaded(failure)
        self.ended.callback(None)

    def _watch(self, pid: int, output: int) -> None:
        mark = mark_of(self._tag)
        lines = ChildLines(f"worker {self.slot}", "worker", pid, self.slot, mark)
        self._child = ChildProcess(self._reactor, pid, output, lines, mark)
        self._child.ended.addCallback(self._process_ended)

    def _start_failed(self, failure: Failure) -> None:
        # A lost channel means that the process ends; its exit status says why.
        if not failure.check(error.ConnectionDone, error.ConnectionLost):
            self._settle_loaded(failure)

    def _settle_loaded(self, failure: Failure | None) -> None:
        self.heartbeat.reset(self._reactor.seconds())
        if not self.loaded.called:
            if failure is None:
                self.ready = True
                self.loaded.callback(None)
            else:
                self.loaded.errback(failure)

    def _process_ended(self, status: int) -> None:
        self.exit_status = status
        self._settle_loaded(Failure(RuntimeError(how_it_ended(status))))
        self.ended.callback(None)

    # ---- reports of the worker, for its control link

    def misrouted(self, slot: int, named: int, source: str) -> None:
        """The worker has served its first misrouted request."""
        self._events.misrouted(slot, named, source)

    def recycle_requested(self, reason: str) -> None:
        """The worker asks to be replaced."""
        self._events.recycle_requested(self, reason)

    def drained(self) -> None:
        """The worker drains, and serves no key any more."""
        self._events.drained(self)

    # ---- commands (the others: `link`)

    def update_slots(
        self, version: int, slots: list[int], added: Senders
    ) -> "defer.Deferred[None]":
        """Send a new slot table; fires when the worker uses it, or has ended."""
        self.version = version
        return self.link.update_slots(version, slots, added)

    def refresh(self, patience: float) -> "defer.Deferred[None]":
        """Fires when the worker has updated its counters, or after ``patience`` seconds."""
        if not self.loaded.called:
            return defer.succeed(None)
        asked = self.link.ask(control.Report).addTimeout(patience, self._reactor)
        return asked.addBoth(lambda _: None)

    # ---- the master's program is replaced

    def pack(self, channel: socket.socket | None) -> Packed:
        """The process, and the master's end of the channel that `relink` made; then unwatched."""
        assert self._child is not None
        pid, output = self._child.detach()
        return {
            "pid": pid,
            "output": keep_on_exec(output),
            "channel": keep_on_exec(channel.detach()) if channel is not None else None,
            "retiring": self.retiring,
            "version": self.version,
            "row": self.row,
            "tally": keep_on_exec(self.stats.descriptor),
            "owner": self.owner,
            "tag": self._tag,
            "generation": self.generation,
        }

    @classmethod
    def unpack(
        cls, reactor: Any, slot: int, events: WorkerEvents, packed: Packed
    ) -> "WorkerProcess":
        """A worker that the previous program packed; `attach` watches its process."""
        stats = WorkerStats(close_on_exec(packed["tally"]))
        worker = cls(reactor, slot, events, stats, packed["row"], packed["owner"])
        worker.retiring = packed["retiring"]
        worker.version = packed["version"]
        worker._tag = packed["tag"]
        # Older programs do not have it.
        worker.generation = packed.get("generation", 0)
        return worker

    def attach(self, packed: Packed) -> None:
        """Watch the process that the previous program started.

        Without a channel the worker has lost its master, and ends.
        """
        self._watch(packed["pid"], close_on_exec(packed["output"]))
        channel = packed["channel"]
        if channel is not None:
            adopt_end(self._reactor, close_on_exec(channel), self.link)
        self.loaded.callback(None)

    # ---- end

    def leave(self, groups: LeftGroups, grace: float) -> None:
        """The process has ended: what it has left ends within ``grace`` seconds."""
        if self._child is not None:
            groups.add(f"worker {self.slot}", self._child.group, self._child.left, grace)

    def signal(self, number: int) -> None:
        """Send a signal, unless the process has ended; before there is one, SIGKILL only."""
        if self._child is not None:
            self._child.signal(number)
        elif number == signal.SIGKILL:
            self._doomed = True

    def kill(self, after: float = 0.0, show_stacks: bool = False) -> None:
        """Send SIGKILL in ``after`` seconds, unless the process has ended by then.

        :param show_stacks: let it write the stacks of its threads first (faulthandler),
            which a stopped process cannot.
        """
        if show_stacks:
            self.signal(signal.SIGABRT)
        if after <= 0:
            self.signal(signal.SIGKILL)
            return
        unless_over(self._reactor, self.ended, after, self.signal, signal.SIGKILL)


def _closing(result: Any, end: socket.socket) -> Any:
    """Close ``end``, and pass on the result."""
    end.close()
    return result
