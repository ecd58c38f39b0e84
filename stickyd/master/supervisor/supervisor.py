"""Keeps one worker serving in every slot: start, reload, recycling, scaling, stop.

Every change of workers is the same: a new worker loads the app beside the old one, and
when all new ones of a change could serve, each takes over its slot's inbox while the
old one finishes its connections (`stickyd.master.supervisor.replacement`). A reload
is that for every slot, recycling for one, a crash without an old worker, a new slot
likewise. Requested changes run one at a time; a crash is handled at once.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from twisted.internet import defer
from twisted.logger import Logger

from stickyd.errors import StartFailed
from stickyd.ipc.exec_state import Packed
from stickyd.master.supervisor.context import MasterContext
from stickyd.master.supervisor.heartbeat import HeartbeatMonitor
from stickyd.master.supervisor.misroute_warning import MisrouteWarning
from stickyd.master.supervisor.replacement import KILL_AFTER, Replacement, log_traceback, why
from stickyd.master.supervisor.respawn import Respawner
from stickyd.master.supervisor.scaling import Scaling
from stickyd.master.supervisor.slot_table import SlotTablePublisher
from stickyd.master.supervisor.slots import Slot
from stickyd.master.supervisor.spawn import Spawner
from stickyd.master.supervisor.stats_report import Report, report_on
from stickyd.master.supervisor.worker_process import WorkerProcess
from stickyd.net.process_group import LeftGroups
from stickyd.shm.counter_totals import CounterTotals

RELINK_PATIENCE = 5.0
"""Seconds that a worker may take to switch to another control channel; after that it ends."""

_log = Logger("stickyd")


class Supervisor:
    """Runs one worker in every slot.

    :param on_table: called whenever the slot table changes.
    :param spawner: makes the worker processes.
    :ivar on_generation: called when a reload has succeeded.
    :ivar on_child_exit: called with pid, slot and exit status (waitpid(2)) of each ended worker.
    :ivar ended_counters: of the workers that have ended.
    :ivar on_reloaded: called when a reload has succeeded or failed, and no other waits.
    """

    def __init__(
        self, context: MasterContext, on_table: Callable[[], None], spawner: Spawner
    ) -> None:
        self._context = context
        self._spawner = spawner
        self._reactor = context.reactor
        self._slots = context.slots
        self._misroutes = MisrouteWarning()
        self._publisher = SlotTablePublisher(context, on_table)
        self._replacement = Replacement(context, self, spawner)
        self._respawner = Respawner(context.reactor, self._replacement)
        self._scaling = Scaling(context, self._replacement, self._publisher, self._respawner)
        # Requested changes take turns.
        self._turn = defer.DeferredLock()
        self._heartbeats = HeartbeatMonitor(
            *(context.reactor, context.settings, context.slots),
            lambda slot: self._in_turn(self._fail_over, slot),
        )
        self.ended_counters = CounterTotals()
        self._reload_waits = False
        self._packing = False
        self._left_groups = LeftGroups(context.reactor)
        self.generation = 1
        self.on_generation: Callable[[], None] = lambda: None
        self.on_child_exit: Callable[[int, int, int], None] = lambda pid, slot, status: None
        self.on_reloaded: Callable[[], None] = lambda: None

    # ---- start

    async def start(self) -> None:
        """Start every worker.

        :raise StartFailed: if one does not load the app.
        """
        await self._turn.run(lambda: defer.ensureDeferred(self._start()))

    async def _start(self) -> None:
        for failure in await self._replacement.first():
            log_traceback(failure)
            raise StartFailed(why(failure))
        for slot in self._slots:
            self._replacement.switch_over(slot, "start")
        self._heartbeats.start()

    # ---- requested changes, one at a time

    def _in_turn(self, change: Callable[..., Awaitable[None]], *arguments: Any) -> None:
        async def take_turn() -> None:
            await self._turn.acquire()
            try:
                if not self._replacement.stopping:
                    await change(*arguments)
            except Exception:
                _log.failure("a change of workers failed")
            finally:
                self._turn.release()

        defer.ensureDeferred(take_turn())

    def reload(self) -> None:
        """Replace every worker by one with the app's new code, or none."""
        if not self._reload_waits:
            self._reload_waits = True
            self._in_turn(self._reload)

    async def _reload(self) -> None:
        self._reload_waits = False
        try:
            await self._replace_all()
        finally:
            # With another reload requested meanwhile, only the end of that one counts.
            if not self._reload_waits:
                self.on_reloaded()

    async def _replace_all(self) -> None:
        _log.info("reload: loading the app anew")
        for slot in self._slots:
            self._respawner.cancel(slot)
        self._replacement.generation = self.generation + 1
        replaced = await self._replacement.replace_all("reload")
        self._respawner.unserved(self._slots)
        if replaced:
            self.generation += 1
            self.on_generation()
            _log.info("reload: generation {n} serves", n=self.generation)
        elif not self._replacement.stopping:
            _log.error("reload: given up; the workers of before go on")
        self._replacement.generation = self.generation

    async def _recycle(self, worker: WorkerProcess, reason: str) -> None:
        for slot in self._slots:
            # Another change may have replaced it meanwhile.
            if slot.serving is worker and slot.starting is None:
                await self._replacement.replace([slot], reason)
                self._respawner.unserved([slot])

    def add_slot(self) -> None:
        """Add a slot; about 1/N of the keys move to it."""
        self._in_turn(self._scaling.add)

    def remove_slot(self) -> None:
        """Remove the last slot."""
        self._in_turn(self._scaling.remove)

    # ---- events of workers and slots

    def misrouted(self, slot: int, named: int, source: str) -> None:
        """A worker has served a request whose key names another slot."""
        self._misroutes.note(slot, named, source)

    def recycle_requested(self, worker: WorkerProcess, reason: str) -> None:
        """A worker asks to be replaced."""
        self._in_turn(self._recycle, worker, reason)

    def drained(self, worker: WorkerProcess) -> None:
        """A worker that drains serves no key any more."""
        if worker.slot in {slot.number for slot in self._slots}:
            self._replacement.drained(self._slots[worker.slot], worker)

    def slot_served(self, slot: Slot) -> None:
        """A new worker serves; if the slot had been left out of the table, it returns."""
        if slot.number in self._slots.out and not slot.in_change:
            self._in_turn(self._publisher.include, slot)

    def worker_ended(self, slot: Slot, worker: WorkerProcess) -> None:
        """A worker process has ended: requeue its connections, and start another if it served."""
        self.ended_counters.fold(slot.number, worker.stats.counters)
        if worker.exit_status is not None:
            self.on_child_exit(worker.pid, slot.number, worker.exit_status)
        worker.leave(self._left_groups, self._context.settings.lifecycle.graceful_timeout)
        stopping = self._replacement.stopping
        guardian = self._context.guardian
        if guardian is not None:
            # During an upgrade the next program finds the connections in the inboxes.
            requeue = self._packing or not stopping
            guardian.worker_died(worker.owner, self._slots.heirs(slot) if requeue else [])
        self._context.connection_limit.settle(worker.stats)
        served = worker is slot.serving
        slot.remove_worker(worker)
        if stopping or not served:
            return
        slot.unserved_since = self._reactor.seconds()
        if not slot.in_change:
            self._context.counters.restarts[worker.killed_for or "crash"] += 1
            _log.warn("worker {slot} ended and is replaced", slot=slot.number)
            if slot.starting is None:
                self._respawner.now(slot)

    async def _fail_over(self, slot: Slot) -> None:
        """Leave a slot out of the table that has had no serving worker for too long."""
        alone = self._slots.taking_part() == [slot.number]
        if slot.serving is not None or slot.number in self._slots.out or alone:
            return
        _log.error("slot {slot} has no worker: its keys go to the next slot", slot=slot.number)
        await self._publisher.exclude(slot)
        self._publisher.requeue(slot)

    # ---- commands to all workers

    def close_idle(self, count: int) -> None:
        """Let the workers close ``count`` idle connections, in equal parts."""
        workers = [slot.serving for slot in self._slots if slot.serving is not None]
        for worker in workers:
            worker.link.close_idle(-(-count // len(workers)))

    def reopen_logs(self) -> None:
        """Let every worker reopen its access log."""
        _log.info("logs are reopened")
        for worker in self._slots.workers():
            worker.link.reopen_log()

    def report(self, idle: Mapping[int, int] | None) -> Report:
        """Slot states, and counters of all workers including those that have ended.

        :param idle: as of `MasterContext.idle`.
        """
        return report_on(self._context, self.ended_counters, self.generation, idle)

    # ---- stop

    async def stop(self, grace: float) -> None:
        """Retire every worker within ``grace`` seconds; returns when the last one has ended."""
        self._stop_changes()
        until = self._reactor.seconds() + grace
        workers = self._slots.workers()
        for slot in self._slots:
            for worker in slot.workers():
                if worker is slot.starting:
                    self._replacement.discard(worker, grace, "stop")
                else:
                    self._stop_worker(worker, grace)
        await defer.DeferredList([worker.ended for worker in workers])
        await self._left_groups.stop(max(until - self._reactor.seconds(), 0.0))
        await self._spawner.stop()

    def _stop_changes(self) -> None:
        self._replacement.stopping = True
        self._heartbeats.stop()
        self._spawner.close()
        for slot in self._slots:
            self._respawner.cancel(slot)

    def _stop_worker(self, worker: WorkerProcess, grace: float) -> None:
        worker.link.retire(grace, [], "stop")
        worker.kill(after=grace + KILL_AFTER)

    def hurry(self, grace: float) -> None:
        """During `stop`: shorten the grace to ``grace`` seconds from now."""
        self._left_groups.kill(grace)
        for worker in self._slots.workers():
            self._stop_worker(worker, grace)

    # ---- the master's program is replaced

    async def pack(self) -> Packed:
        """Detach all workers, for the program that replaces this one.

        Returns when no worker is starting, and every worker uses the channel that the next
        program will have. Pack the slots (`Slots.pack`) only after that: connections are
        put into them until then.
        """
        await self._turn.acquire()
        starting = [slot.starting.loaded for slot in self._slots if slot.starting is not None]
        await defer.DeferredList(starting)
        self._packing = True
        self._stop_changes()
        await self._spawner.stop()
        workers = self._slots.workers()
        relinks = [worker.link.relink(self._reactor, RELINK_PATIENCE) for worker in workers]
        channels = await defer.gatherResults(relinks)
        self._left_groups.abandon()
        return {
            "generation": self.generation,
            "gone": self.ended_counters.pack(),
            "told_misrouted": self._misroutes.told,
            "workers": {
                worker.pid: worker.pack(channel)
                for worker, channel in zip(workers, channels, strict=True)
                if not worker.ended.called
            },
        }

    def resume(self, packed: Packed, slots: list[Packed]) -> None:
        """Continue with what `pack` and `Slots.pack` of the previous program returned."""
        self.generation = self._replacement.generation = packed["generation"]
        self.ended_counters.resume(packed["gone"])
        self._misroutes.told = packed["told_misrouted"]
        for slot, of_slot in zip(self._slots, slots, strict=True):
            self._replacement.attach(slot, of_slot, packed["workers"])
            if slot.serving is None:
                self._respawner.later(slot)
        self._heartbeats.start()
