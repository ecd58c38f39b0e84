"""Starts workers, and replaces one worker of a slot by another."""

from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet import defer
from twisted.logger import Logger
from twisted.python.failure import Failure

from stickyd.errors import CannotLoad
from stickyd.ipc.exec_state import Packed
from stickyd.ipc.fd_queue import adopt_inbox_end, make_inbox
from stickyd.master.supervisor.child_process import unless_over
from stickyd.master.supervisor.context import MasterContext
from stickyd.master.supervisor.slots import Drained, Draining, Slot
from stickyd.master.supervisor.spawn import Spawner
from stickyd.master.supervisor.worker_process import WorkerEvents, WorkerProcess, WorkerStart
from stickyd.shm.worker_stats import WorkerStats

KILL_AFTER = 1.0
"""Seconds that a worker may overrun its grace before it is killed."""

END_DRAIN_MOST = 5.0
"""Seconds until a worker reports that it has closed the connections in use."""

_log = Logger("stickyd")


class SlotEvents(WorkerEvents, Protocol):
    """Receives what happens to the workers of the slots."""

    def worker_ended(self, slot: Slot, worker: WorkerProcess) -> None:
        """A process has ended; its slot still has it."""

    def slot_served(self, slot: Slot) -> None:
        """A new worker serves the slot."""


class Replacement:
    """Starts workers, switches slots over to them, and retires those before them.

    :ivar stopping: no worker is replaced any more.
    :ivar generation: of the workers that are started.
    """

    def __init__(self, context: MasterContext, events: SlotEvents, spawner: Spawner) -> None:
        self._context = context
        self._spawner = spawner
        self._reactor = context.reactor
        self._lifecycle = context.settings.lifecycle
        self._slots = context.slots
        self._events = events
        self.stopping = False
        self.generation = 1

    def spawn(self, slot: Slot) -> WorkerProcess:
        """Start a worker that loads the app for a slot."""
        context, slots = self._context, self._slots
        board, guardian = context.scoreboard, context.guardian
        row = board.hand_out(slot.number) if board is not None else None
        owner = guardian.next_owner() if guardian is not None else 0
        worker = WorkerProcess(
            self._reactor, slot.number, self._events, WorkerStats.shared(), row, owner
        )
        worker.generation = self.generation
        self._observe(slot, worker)
        slot.starting = worker
        slot.spawned += 1
        worker.start(
            WorkerStart(
                context.settings,
                slots.version,
                slots.taking_part(),
                slot.receiver,
                slots.senders(),
                context.tables.descriptors(),
                guardian.table.descriptor if guardian is not None else None,
            ),
            self._spawner,
        )
        return worker

    def _observe(self, slot: Slot, worker: WorkerProcess) -> None:
        """Account for a worker until it has ended."""
        worker.ended.addCallback(lambda _: self._events.worker_ended(slot, worker))
        self._context.connection_limit.watch(worker.stats)
        board, row = self._context.scoreboard, worker.row
        if board is not None and row is not None:
            worker.ended.addCallback(lambda _: board.fold(row))

    def attach(self, slot: Slot, packed: Packed, workers: dict[str, Packed]) -> None:
        """Continue with the workers that the previous program started.

        :param packed: the slot's state.
        :param workers: state of the workers that are alive, by pid.
        """
        # A worker that has lost its channel ends on its own: it must not count as serving.
        for pid in [packed["serving"], *packed["leaving"]]:
            state = workers.get(str(pid))
            if state is None:
                continue
            worker = WorkerProcess.unpack(self._reactor, slot.number, self._events, state)
            self._observe(slot, worker)
            if pid == packed["serving"] and state["channel"] is not None:
                slot.serving = worker
            else:
                slot.retiring.append(worker)
            for each in packed["draining"]:
                if pid == each["pid"]:
                    successor = adopt_inbox_end(each["successor"])
                    slot.draining.append(Draining(worker, successor))
            worker.attach(state)
        # Older programs do not have it.
        for each in packed.get("drained", ()):
            of_slot = {worker.pid: worker for worker in slot.workers()}
            writer, reader = of_slot.get(each["writer"]), of_slot.get(each["reader"])
            receiver = adopt_inbox_end(each["receiver"])
            if writer is not None and reader is not None:
                slot.drained.append(Drained(writer, reader, receiver))
            else:
                receiver.close()
        for worker in slot.retiring:
            if not worker.retiring and any(each.worker is worker for each in slot.draining):
                self._retire_after(self._drain_most, slot, worker, "reload")
            else:
                worker.kill(after=self._lifecycle.graceful_timeout + KILL_AFTER)

    async def first(self) -> list[Failure]:
        """Start a worker for every slot, and wait until each has loaded the app; the failures."""
        try:
            await self._spawner.renew()
        except Exception:
            return [Failure()]
        failures = await self.all_loaded([self.spawn(slot) for slot in self._slots])
        self._spawner.settle(replaced=not failures)
        return failures

    async def all_loaded(self, workers: list[WorkerProcess]) -> list[Failure]:
        """Wait until each has loaded the app or failed; the failures."""
        loaded: list[defer.Deferred[Any]] = [worker.loaded for worker in workers]
        results = await defer.DeferredList(loaded, consumeErrors=True)
        return [result for _, result in results if isinstance(result, Failure)]

    def switch_over(self, slot: Slot, reason: str) -> None:
        """Let the starting worker serve; the serving one retires."""
        new, old = slot.starting, slot.serving
        assert new is not None
        slot.starting, slot.serving = None, new
        slot.early_deaths = 0
        slot.unserved_since = None
        _log.info("worker {slot} is ready (pid {pid})", slot=slot.number, pid=new.pid)
        slots = self._slots
        if new.version != slots.version:
            new.update_slots(slots.version, slots.taking_part(), slots.senders())
        if old is None:
            new.link.serve(slot.private)
        else:
            for each in slot.draining:
                each.worker.link.end_drain()
            slot.retiring.append(old)
            self._context.counters.restarts[reason] += 1
            if self._context.settings.app.reload.directories:
                # While developing, pages are to load again now.
                new.link.serve()
                self.retire(slot, old, reason)
            else:
                self._drain(slot, old, new, reason)
        self._events.slot_served(slot)

    def _drain(self, slot: Slot, old: WorkerProcess, new: WorkerProcess, reason: str) -> None:
        """The old worker continues with keys in use, and passes others to the new one."""
        sender, receiver = make_inbox()
        slot.draining.append(Draining(old, receiver))
        new.link.serve(receiver)
        old.link.drain(sender)
        old.retire_reason = reason
        self._retire_after(self._drain_most, slot, old, reason)

    @property
    def _drain_most(self) -> float:
        """Seconds after which a worker is retired that does not report that it has drained."""
        lifecycle = self._lifecycle
        in_use = max(lifecycle.session.drain, lifecycle.graceful_timeout)
        return in_use + lifecycle.end.close_spread + END_DRAIN_MOST

    def _retire_after(self, seconds: float, slot: Slot, worker: WorkerProcess, reason: str) -> None:
        unless_over(self._reactor, worker.ended, seconds, self.retire, slot, worker, reason)

    def drained(self, slot: Slot, worker: WorkerProcess) -> None:
        """A worker that drains serves no key any more."""
        if any(each.worker is worker for each in slot.draining):
            self.retire(slot, worker, worker.retire_reason)

    def retire(self, slot: Slot, worker: WorkerProcess, reason: str) -> None:
        """Let a worker finish its requests and end; only the first call has an effect."""
        if worker.retiring:
            return
        worker.retiring = True
        grace = self._lifecycle.graceful_timeout
        to = self._slots.taking_part() if slot.in_change else [slot.number]
        worker.link.retire(grace, to, reason)
        worker.kill(after=grace + KILL_AFTER)
        slot.end_draining(worker)

    def discard(self, worker: WorkerProcess, grace: float, reason: str) -> None:
        """End a worker that will not serve: in order if its app has started."""
        if worker.ready:
            worker.link.retire(grace, [worker.slot], reason)
        worker.kill(after=grace + KILL_AFTER if worker.ready else 0.0)

    async def replace(self, slots: list[Slot], reason: str) -> bool:
        """Start new workers in ``slots``, and switch over in all of them or in none."""
        pairs = [(slot, self.spawn(slot)) for slot in slots if slot.starting is None]
        for slot, worker in pairs:
            worker.loaded.addCallback(_then(self.serve_if_unserved, slot, worker, reason))
        failures = await self.all_loaded([worker for _, worker in pairs])
        # Workers that were starting at the stop are killed; that is not a failure.
        for failure in failures[: 0 if self.stopping else 1]:
            _log.error("{reason}: {why}", reason=reason, why=why(failure))
            log_traceback(failure)
        lost = [slot for slot, worker in pairs if worker not in (slot.starting, slot.serving)]
        if not failures and not lost:
            for slot, worker in pairs:
                if slot.starting is worker:
                    self.switch_over(slot, reason)
            return True
        for slot, worker in pairs:
            if slot.starting is worker:
                self.discard(worker, self._lifecycle.graceful_timeout, reason)
                await worker.ended
        return False

    async def replace_all(self, reason: str) -> bool:
        """Replace all workers by such that run the app as it is now, or none."""
        try:
            if await self._spawner.renew():
                # Forked before: they are replaced when they serve.
                starting = [slot.starting.loaded for slot in self._slots if slot.starting]
                await defer.DeferredList(starting)
        except Exception:
            if not self.stopping:
                failure = Failure()
                _log.error("{reason}: {why}", reason=reason, why=why(failure))
                log_traceback(failure)
            return False
        replaced = not self.stopping and await self.replace(list(self._slots), reason)
        self._spawner.settle(replaced)
        return replaced

    def serve_if_unserved(self, slot: Slot, worker: WorkerProcess, reason: str) -> None:
        """A worker has loaded; if its slot lost the old one meanwhile, it serves at once."""
        if slot.serving is None and slot.starting is worker and not self.stopping:
            self.switch_over(slot, reason)


def _then(call: Callable[..., None], *arguments: Any) -> Callable[[object], None]:
    """A callback that ignores the result."""
    return lambda _: call(*arguments)


def why(failure: Failure) -> str:
    """Why a worker, or a template process, did not load, in one line."""
    if failure.check(CannotLoad):
        return str(failure.value).partition("\n")[0]
    return f"a worker {failure.getErrorMessage()} before it was ready"


def traceback_of(failure: Failure) -> str:
    """The traceback that a worker has sent (``--display-tracebacks``), or an empty text."""
    return str(failure.value).partition("\n")[2] if failure.check(CannotLoad) else ""


def log_traceback(failure: Failure) -> None:
    """Log the traceback that a worker has sent, if any."""
    text = traceback_of(failure)
    if text:
        _log.error("{text}", text=text)
