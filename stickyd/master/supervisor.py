"""Keep every slot staffed: start, replace, retire."""

from typing import Any

from twisted.internet import defer
from twisted.logger import Logger
from twisted.python.failure import Failure

from stickyd.board import Board
from stickyd.control import CannotLoad
from stickyd.counters import add_up
from stickyd.master.process import WorkerProcess
from stickyd.master.slots import Slot, Slots, State
from stickyd.settings import Settings

BACKOFF_FIRST = 0.25
BACKOFF_MOST = 30.0
REPORT_PATIENCE = 1.0
KILL_AFTER = 1.0
"""Seconds a worker may overrun its grace before it is killed."""

_log = Logger("stickyd")


class StartFailed(Exception):
    """The daemon cannot start; the text is one line that says what to change."""


class Supervisor:
    """Runs one worker in every slot.

    :param board: None if slots have no bound.
    """

    def __init__(
        self, reactor: Any, settings: Settings, slots: Slots, board: Board | None = None
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._slots = slots
        self._board = board
        self._workers: dict[int, WorkerProcess] = {}
        self._early_deaths: dict[int, int] = {slot.number: 0 for slot in slots}
        self._respawns: dict[int, Any] = {}
        self._gone = add_up([])
        self._stopping = False
        self._told_misrouted = False

    def start(self) -> "defer.Deferred[None]":
        """Start every worker.

        :return: fires when all are ready; fails with `StartFailed` if one
            cannot be.
        """
        waits = [self._spawn(slot).started for slot in self._slots]
        gathered = defer.gatherResults(waits, consumeErrors=True)

        def failed(failure: Failure) -> None:
            failure.trap(defer.FirstError)
            assert isinstance(failure.value, defer.FirstError)
            cause = failure.value.subFailure.value
            if isinstance(cause, CannotLoad):
                raise StartFailed(str(cause))
            raise StartFailed(f"a worker {cause} before it was ready")

        return gathered.addCallbacks(lambda _: None, failed)

    def _spawn(self, slot: Slot) -> WorkerProcess:
        worker = WorkerProcess(self._reactor, slot, self._misrouted)
        self._workers[slot.number] = worker
        self._respawns.pop(slot.number, None)
        seat = None
        if (board := self._board) is not None:
            row = board.hand_out(slot.number)
            seat = board.descriptor, row
            worker.ended.addCallback(lambda _: board.fold(row))
        slot.state = State.STARTING
        slot.spawned += 1
        worker.ended.addCallback(self._ended, slot, worker)
        worker.started.addCallbacks(self._ready, self._not_ready, (slot,), {}, (slot, worker))
        slot.pid = worker.spawn(self._settings, self._slots.senders(), seat)
        return worker

    def _ready(self, _: None, slot: Slot) -> None:
        slot.state = State.READY
        self._early_deaths[slot.number] = 0
        _log.info("worker {slot} is ready (pid {pid})", slot=slot.number, pid=slot.pid)

    def _not_ready(self, failure: Failure, slot: Slot, worker: WorkerProcess) -> Failure | None:
        worker.signal("KILL")
        # The first start reports to its caller; a replacement only to the log.
        if slot.spawned == 1:
            return failure
        self._early_deaths[slot.number] += 1
        if not self._stopping:
            _log.error("worker {slot} is not ready: {why}", slot=slot.number, why=failure.value)
        return None

    def _ended(self, _: None, slot: Slot, worker: WorkerProcess) -> None:
        was_ready = slot.state in (State.READY, State.RETIRING)
        slot.state = State.DEAD
        slot.pid = None
        self._gone = add_up([self._gone, {**worker.take_last_report(), "open": 0}])
        if self._stopping:
            return
        if was_ready:
            _log.warn("worker {slot} ended and is replaced", slot=slot.number)
            self._spawn(slot)
            return
        if slot.spawned == 1:
            return
        delay = min(BACKOFF_FIRST * 2 ** self._early_deaths[slot.number], BACKOFF_MOST)
        _log.warn("worker {slot} is started again in {delay} s", slot=slot.number, delay=delay)
        self._respawns[slot.number] = self._reactor.callLater(delay, self._spawn, slot)

    def _misrouted(self, slot: int, named: int, source: str) -> None:
        if self._told_misrouted:
            return
        self._told_misrouted = True
        _log.warn(
            "a request on a kept-alive connection reached worker {slot}, but its {source} names"
            " worker {named}: something in front of stickyd shares connections between clients."
            " --affinity-scope request routes every request (said once; the counter is"
            " 'misrouted')",
            slot=slot,
            named=named,
            source=source,
        )

    def stop(self, grace: float) -> "defer.Deferred[None]":
        """Retire every worker; fires when the last one has ended."""
        self._stopping = True
        for respawn in self._respawns.values():
            respawn.cancel()
        waits = []
        for slot in self._slots:
            worker = self._workers.get(slot.number)
            if worker is None or worker.ended.called:
                continue
            if slot.state is State.READY:
                slot.state = State.RETIRING
                worker.retire(grace)
                killing = self._reactor.callLater(grace + KILL_AFTER, worker.signal, "KILL")
            else:
                worker.signal("KILL")
                killing = None
            waits.append(self._watch_end(worker, killing))
        return defer.gatherResults(waits).addCallback(lambda _: None)

    def _watch_end(self, worker: WorkerProcess, killing: Any) -> "defer.Deferred[None]":
        over: defer.Deferred[None] = defer.Deferred()

        def ended(result: None) -> None:
            if killing is not None and killing.active():
                killing.cancel()
            over.callback(None)

        worker.ended.addCallback(ended)
        return over

    def report(self) -> "defer.Deferred[dict[str, Any]]":
        """Slot states and counters of all workers, those that have ended included."""
        slots = list(self._slots)
        numbers = [slot.number for slot in slots]
        loads = self._board.loads(numbers) if self._board is not None else {}
        asked = [self._workers[slot.number].report(REPORT_PATIENCE) for slot in slots]

        def assemble(reports: list[dict[str, Any]]) -> dict[str, Any]:
            return {
                "slots": [
                    {
                        "slot": slot.number,
                        "state": slot.state.value,
                        "pid": slot.pid,
                        "spawned": slot.spawned,
                        "waiting": slot.outbox.waiting(),
                        "load": loads.get(slot.number),
                        "counters": report,
                    }
                    for slot, report in zip(slots, reports, strict=True)
                ],
                "workers": add_up([self._gone, *reports]),
            }

        return defer.gatherResults(asked).addCallback(assemble)
