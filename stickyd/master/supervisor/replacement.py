"""How one worker follows another in a slot."""

from collections.abc import Callable
from typing import Any

from twisted.internet import defer
from twisted.logger import Logger
from twisted.python.failure import Failure

from stickyd.errors import CannotLoad
from stickyd.ipc.fd_queue import make_inbox
from stickyd.master.exec_state import Packed, unpack_tally, unpack_worker
from stickyd.master.supervisor.connection_limit import ConnectionLimit
from stickyd.master.supervisor.guardian import Guardian
from stickyd.master.supervisor.slots import Slot, Slots
from stickyd.master.supervisor.worker_process import WorkerProcess
from stickyd.settings import Settings
from stickyd.shm.scoreboard import Scoreboard
from stickyd.shm.worker_stats import WorkerStats

KILL_AFTER = 1.0
"""Seconds a worker may overrun its grace before it is killed."""

_log = Logger("stickyd")


class Replacement:
    """Brings workers, lets them take over, and lets those before them leave.

    :ivar stopping: nobody follows anybody any more.
    :param on_ended: told of each process that is gone, before its slot forgets it.
    :param on_served: told of each slot that has a new worker serving it.
    """

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        slots: Slots,
        places: ConnectionLimit,
        board: Scoreboard | None,
        on_ended: Callable[[Slot, WorkerProcess], None],
        on_served: Callable[[Slot], None],
        on_misrouted: Callable[[int, int, str], None],
        on_worn: Callable[[WorkerProcess, str], None],
        guardian: Guardian | None,
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._slots = slots
        self._places = places
        self._board = board
        self._on_ended = on_ended
        self._on_served = on_served
        self._on_misrouted = on_misrouted
        self._on_worn = on_worn
        self._guardian = guardian
        self.stopping = False

    def bring(self, slot: Slot) -> WorkerProcess:
        """Spawn a worker that loads the app for a slot."""
        row = self._board.hand_out(slot.number) if self._board is not None else None
        worker = slot.coming = self._worker_of(slot, WorkerStats.shared(), row)
        slot.spawned += 1
        slots = self._slots
        ledger = None
        if self._guardian is not None:
            worker.owner = self._guardian.next_owner()
            ledger = self._guardian.ledger.descriptor
        worker.start(
            self._settings,
            slots.version,
            slots.taking_part(),
            slot.receiver,
            slots.senders(),
            self._board,
            ledger,
        )
        return worker

    def _worker_of(self, slot: Slot, tally: WorkerStats, row: int | None) -> WorkerProcess:
        told = self._on_misrouted, self._on_worn
        worker = WorkerProcess(self._reactor, slot.number, *told, tally, row)
        worker.ended.addCallback(lambda _: self._on_ended(slot, worker))
        self._places.watch(worker.tally)
        if self._board is not None and row is not None:
            board = self._board
            worker.ended.addCallback(lambda _: board.fold(row))
        return worker

    def attach(self, slot: Slot, packed: Packed, workers: dict[str, Packed]) -> None:
        """Go on with the workers that another program in our place has started.

        :param packed: the slot's.
        :param workers: those that live, by pid.
        """
        pids = [packed["serving"], *packed["leaving"]]
        # Who has lost its channel ends by itself: nobody serves, others leave.
        for pid in pids:
            if str(pid) not in workers:
                continue
            of_worker = workers[str(pid)]
            worker = self._worker_of(slot, unpack_tally(of_worker), of_worker["row"])
            if pid == packed["serving"] and of_worker["channel"] is not None:
                slot.serving = worker
            else:
                slot.leaving.append(worker)
            if pid == packed["draining"]:
                slot.draining = worker
            unpack_worker(of_worker, worker)
        for worker in slot.leaving:
            if worker is slot.draining and not worker.retiring:
                self._end_drain_later(slot, worker, "reload")
            else:
                worker.kill(after=self._settings.lifecycle.graceful_timeout + KILL_AFTER)

    async def all_loaded(self, workers: list[WorkerProcess]) -> list[Failure]:
        """Wait for all of them; the failures."""
        results = await defer.DeferredList([w.loaded for w in workers], consumeErrors=True)
        return [result for _, result in results if isinstance(result, Failure)]

    def hand_over(self, slot: Slot, reason: str) -> None:
        """The worker that has come serves from now on; the one before it leaves."""
        new, old = slot.coming, slot.serving
        assert new is not None
        slot.coming, slot.serving = None, new
        slot.early_deaths = 0
        slot.empty_since = None
        _log.info("worker {slot} is ready (pid {pid})", slot=slot.number, pid=new.pid)
        slots = self._slots
        if new.version != slots.version:
            new.table(slots.version, slots.taking_part(), slots.senders())
        if old is None:
            new.serve(slot.private)
        else:
            if slot.draining is not None:
                # One generation drains at a time: the keys of this one have had their share.
                self.retire(slot, slot.draining, reason)
            slot.leaving.append(old)
            if self._settings.lifecycle.session_drain:
                self._drain(slot, old, new, reason)
            else:
                new.serve()
                self.retire(slot, old, reason)
        self._on_served(slot)

    def _drain(self, slot: Slot, old: WorkerProcess, new: WorkerProcess, reason: str) -> None:
        """The old one goes on with the keys it knows, and passes others to the new one."""
        sender, slot.private = make_inbox()
        slot.draining = old
        new.serve(slot.private)
        old.drain(sender)
        self._end_drain_later(slot, old, reason)

    def _end_drain_later(self, slot: Slot, worker: WorkerProcess, reason: str) -> None:
        seconds = self._settings.lifecycle.session_drain
        over = self._reactor.callLater(seconds, self.retire, slot, worker, reason)
        worker.ended.addCallback(lambda _: over.active() and over.cancel())

    def retire(self, slot: Slot, worker: WorkerProcess, reason: str) -> None:
        """Let a worker finish what it has; once."""
        if worker.retiring:
            return
        worker.retiring = True
        grace = self._settings.lifecycle.graceful_timeout
        to = self._slots.taking_part() if slot.going else [slot.number]
        worker.retire(grace, to, reason)
        worker.kill(after=grace + KILL_AFTER)
        if worker is slot.draining:
            slot.end_of_draining()

    def dismiss(self, worker: WorkerProcess, grace: float, reason: str) -> None:
        """End a worker that has come in vain: in order if its app has started."""
        if worker.ready:
            worker.retire(grace, [worker.slot], reason)
        worker.kill(after=grace + KILL_AFTER if worker.ready else 0.0)

    async def replace(self, slots: list[Slot], reason: str) -> bool:
        """New workers in ``slots``, in all of them or in none."""
        pairs = [(slot, self.bring(slot)) for slot in slots if slot.coming is None]
        for slot, worker in pairs:
            worker.loaded.addCallback(_then(self.fill, slot, worker, reason))
        failures = await self.all_loaded([worker for _, worker in pairs])
        # Those that come while we stop are killed, and that is no fault.
        for failure in failures[: 0 if self.stopping else 1]:
            _log.error("{reason}: {why}", reason=reason, why=why(failure))
            log_traceback(failure)
        lost = [slot for slot, worker in pairs if worker not in (slot.coming, slot.serving)]
        if not failures and not lost:
            for slot, worker in pairs:
                if slot.coming is worker:
                    self.hand_over(slot, reason)
            return True
        for slot, worker in pairs:
            if slot.coming is worker:
                self.dismiss(worker, self._settings.lifecycle.graceful_timeout, reason)
                await worker.ended
        return False

    def fill(self, slot: Slot, worker: WorkerProcess, reason: str) -> None:
        """A worker has loaded; if its slot lost the old one meanwhile, it need not wait."""
        if slot.serving is None and slot.coming is worker and not self.stopping:
            self.hand_over(slot, reason)


def _then(call: Callable[..., None], *arguments: Any) -> Callable[[object], None]:
    """A callback that takes no notice of the result."""
    return lambda _: call(*arguments)


def why(failure: Failure) -> str:
    """Why a worker could not be brought, in one line."""
    if failure.check(CannotLoad):
        return str(failure.value).partition("\n")[0]
    return f"a worker {failure.getErrorMessage()} before it was ready"


def traceback_of(failure: Failure) -> str:
    """The traceback that a worker has told (``--display-tracebacks``), or nothing."""
    return str(failure.value).partition("\n")[2] if failure.check(CannotLoad) else ""


def log_traceback(failure: Failure) -> None:
    """Put it into the log."""
    text = traceback_of(failure)
    if text:
        _log.error("{text}", text=text)
