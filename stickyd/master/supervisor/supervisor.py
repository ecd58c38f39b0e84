"""Keep every slot staffed: start, replace, reload, scale, retire.

Every change of staff is the same: a new worker loads the app beside the old
one, and when all that come together could serve, each takes over its slot's
inbox while the old one finishes what it has (`stickyd.master.supervisor.replacement`). A
reload is that for every slot, a worn worker for one, a crash without an old
one, a new slot likewise. Changes that are asked for take turns; deaths are
answered at once.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet import defer
from twisted.logger import Logger

from stickyd.errors import StartFailed
from stickyd.master.exec_state import Packed, pack_worker
from stickyd.master.supervisor.connection_limit import ConnectionLimit
from stickyd.master.supervisor.guardian import Guardian
from stickyd.master.supervisor.heartbeat import HeartbeatMonitor
from stickyd.master.supervisor.misroute_warning import MisrouteWarning
from stickyd.master.supervisor.replacement import KILL_AFTER, Replacement, log_traceback, why
from stickyd.master.supervisor.respawn import Respawner
from stickyd.master.supervisor.scaling import Scaling
from stickyd.master.supervisor.slot_table import SlotTablePublisher
from stickyd.master.supervisor.slots import Slot, Slots
from stickyd.master.supervisor.stats_report import Report, report_on
from stickyd.master.supervisor.worker_process import WorkerProcess
from stickyd.settings import Settings
from stickyd.shm.scoreboard import Scoreboard
from stickyd.stats import add_up

RELINK_PATIENCE = 5.0
"""Seconds that a worker may take to listen to another channel; one that is blocked longer ends."""

_log = Logger("stickyd")


class Supervisor:
    """Runs one worker in every slot.

    :param board: None if slots have no bound.
    :param on_table: called whenever other slots take part than before.
    :ivar on_reloaded: called when a reload is over, well or not, and no other waits.
    """

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        slots: Slots,
        places: ConnectionLimit,
        board: Scoreboard | None,
        on_table: Callable[[], None],
        guardian: Guardian | None,
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._slots = slots
        self._places = places
        self._board = board
        self._guardian = guardian
        self._misroutes = MisrouteWarning()
        self._membership = SlotTablePublisher(settings, slots, places, on_table, guardian, board)
        self._succession = Replacement(
            reactor,
            settings,
            slots,
            places,
            board,
            self._ended,
            self._served,
            self._misroutes.note,
            self._worn,
            guardian,
        )
        self._respawning = Respawner(reactor, self._succession)
        self._scaling = Scaling(
            settings, slots, self._succession, self._membership, self._respawning
        )
        self._turn = defer.DeferredLock()
        self._pulse = HeartbeatMonitor(reactor, settings, slots, self._fail_over)
        self._gone = add_up([])
        self._reload_waits = False
        self._packing = False
        self.generation = 1
        self.on_reloaded: Callable[[], None] = lambda: None

    # ---- start

    async def start(self) -> None:
        """Start every worker.

        :raise StartFailed: if one cannot be.
        """
        await self._turn.acquire()
        try:
            await self._start()
        finally:
            self._turn.release()

    async def _start(self) -> None:
        workers = [self._succession.bring(slot) for slot in self._slots]
        for failure in await self._succession.all_loaded(workers):
            log_traceback(failure)
            raise StartFailed(why(failure))
        for slot in self._slots:
            self._succession.hand_over(slot, "start")
        self._pulse.start()

    # ---- changes that are asked for, one at a time

    def _in_turn(self, change: Callable[..., Awaitable[None]], *arguments: Any) -> None:
        async def take_turn() -> None:
            await self._turn.acquire()
            try:
                if not self._succession.stopping:
                    await change(*arguments)
            except Exception:
                _log.failure("a change of staff failed")
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
            await self._load_anew()
        finally:
            # Whoever asked again meanwhile waits for that one's end.
            if not self._reload_waits:
                self.on_reloaded()

    async def _load_anew(self) -> None:
        _log.info("reload: loading the app anew")
        for slot in self._slots:
            self._respawning.cancel(slot)
        if await self._replace(list(self._slots), "reload"):
            self.generation += 1
            _log.info("reload: generation {n} serves", n=self.generation)
        elif not self._succession.stopping:
            _log.error("reload: given up; the workers of before go on")

    def _worn(self, worker: WorkerProcess, reason: str) -> None:
        self._in_turn(self._replace_worn, worker, reason)

    async def _replace_worn(self, worker: WorkerProcess, reason: str) -> None:
        for slot in self._slots:
            # Something else may have replaced it meanwhile.
            if slot.serving is worker and slot.coming is None:
                await self._replace([slot], reason)

    async def _replace(self, slots: list[Slot], reason: str) -> bool:
        replaced = await self._succession.replace(slots, reason)
        for slot in slots:
            if slot.serving is None:
                self._respawning.later(slot)
        return replaced

    def add_slot(self) -> None:
        """One slot more; about 1/N of the keys move to it."""
        self._in_turn(self._scaling.add)

    def remove_slot(self) -> None:
        """One slot fewer, the last."""
        self._in_turn(self._scaling.remove)

    def _served(self, slot: Slot) -> None:
        """A slot has a worker: if it was passed over, it takes part again."""
        if slot.number in self._slots.out and not slot.going:
            self._in_turn(self._membership.take_in, slot)

    # ---- deaths

    def _ended(self, slot: Slot, worker: WorkerProcess) -> None:
        self._gone = add_up([self._gone, {**worker.take_last_report(), "open": 0}])
        if self._guardian is not None:
            # The program after us finds in the inboxes what we put there.
            heirs = (
                self._slots.heirs(slot) if self._packing or not self._succession.stopping else []
            )
            self._guardian.worker_died(worker.owner, heirs)
        self._places.settle(worker.tally)
        served = worker is slot.serving
        slot.forget(worker)
        if self._succession.stopping:
            return
        if served:
            slot.empty_since = self._reactor.seconds()
            if not slot.going:
                _log.warn("worker {slot} ended and is replaced", slot=slot.number)
                if slot.coming is None:
                    self._respawning.now(slot)

    def _fail_over(self, slot: Slot) -> None:
        """For the pulse: nobody has served a slot for too long."""
        self._in_turn(self._pass_over, slot)

    async def _pass_over(self, slot: Slot) -> None:
        alone = self._slots.taking_part() == [slot.number]
        if slot.serving is not None or slot.number in self._slots.out or alone:
            return
        _log.error("slot {slot} has no worker: its keys go to the next slot", slot=slot.number)
        await self._membership.leave_out(slot)
        self._membership.place_anew(slot)

    def close_idle(self, count: int) -> None:
        """The daemon is full: let the workers make room for ``count`` more, in equal parts."""
        workers = [slot.serving for slot in self._slots if slot.serving is not None]
        for worker in workers:
            worker.close_idle(-(-count // len(workers)))

    def reopen_logs(self) -> None:
        """Logs have been moved away: let every worker go on in a new one."""
        _log.info("logs are reopened")
        for worker in self._slots.workers():
            worker.reopen_log()

    # ---- the end

    async def stop(self, grace: float) -> None:
        """Retire every worker; returns when the last one has ended."""
        self._succession.stopping = True
        self._pulse.stop()
        for slot in self._slots:
            self._respawning.cancel(slot)
        workers = self._slots.workers()
        for slot in self._slots:
            for worker in slot.workers():
                if worker is slot.coming:
                    self._succession.dismiss(worker, grace, "stop")
                else:
                    worker.retire(grace, [], "stop")
                    worker.kill(after=grace + KILL_AFTER)
        await defer.DeferredList([worker.ended for worker in workers])

    def hurry(self, grace: float) -> None:
        """While we stop: less time than was said before."""
        for worker in self._slots.workers():
            worker.retire(grace, [], "stop")
            worker.kill(after=grace + KILL_AFTER)

    async def report(self) -> Report:
        """Slot states and counters of all workers, those that have ended included."""
        report = await report_on(self._slots, self._gone, self._board)
        return {"generation": self.generation, **report}

    # ---- the master's own program is replaced

    async def pack(self) -> Packed:
        """Give up all workers, for another program in our place to take them up.

        Comes back when nobody is being brought, and every worker listens to the
        channel that the next program will have. The slots are still to be packed
        after that (`baggage.pack_slots`): they go on being filled.
        """
        await self._turn.acquire()
        await defer.DeferredList([s.coming.loaded for s in self._slots if s.coming is not None])
        self._packing = self._succession.stopping = True
        self._pulse.stop()
        for slot in self._slots:
            self._respawning.cancel(slot)
        workers = self._slots.workers()
        channels = await defer.gatherResults([w.relink(RELINK_PATIENCE) for w in workers])
        return {
            "generation": self.generation,
            "gone": self._gone,
            "told_misrouted": self._misroutes.told,
            "workers": {
                worker.pid: pack_worker(worker, channel)
                for worker, channel in zip(workers, channels, strict=True)
                if not worker.ended.called
            },
        }

    def resume(self, packed: Packed, slots: list[Packed]) -> None:
        """Take up what `pack` and `pack_slots` of the program before us have left."""
        self.generation = packed["generation"]
        self._gone = add_up([packed["gone"]])
        self._misroutes.told = packed["told_misrouted"]
        for slot, of_slot in zip(self._slots, slots, strict=True):
            self._succession.attach(slot, of_slot, packed["workers"])
            if slot.serving is None:
                self._respawning.later(slot)
        self._pulse.start()
