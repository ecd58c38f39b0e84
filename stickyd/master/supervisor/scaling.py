"""More and fewer slots (TTIN, TTOU)."""

from twisted.internet import defer
from twisted.logger import Logger

from stickyd.master.supervisor.replacement import Replacement
from stickyd.master.supervisor.respawn import Respawner
from stickyd.master.supervisor.slot_table import SlotTablePublisher
from stickyd.master.supervisor.slots import Slots
from stickyd.settings import MOST_WORKERS, Settings

_log = Logger("stickyd")


class Scaling:
    """Adds a slot, or takes the last one away; one change at a time."""

    def __init__(
        self,
        settings: Settings,
        slots: Slots,
        succession: Replacement,
        membership: SlotTablePublisher,
        respawning: Respawner,
    ) -> None:
        self._settings = settings
        self._slots = slots
        self._succession = succession
        self._membership = membership
        self._respawning = respawning

    async def add(self) -> None:
        """One slot more; it takes part once its worker serves."""
        if len(self._slots) >= MOST_WORKERS:
            _log.warn("there are {n} slots already", n=MOST_WORKERS)
            return
        slot = self._slots.add()
        slot.going = True
        self._slots.out.add(slot.number)
        served = await self._succession.replace([slot], "one slot more")
        if not served:
            self._slots.remove(slot)
            return
        slot.going = False
        if slot.serving is None:
            self._respawning.later(slot)
        await self._membership.take_in(slot)
        _log.info("worker {slot} takes part: {n} slots", slot=slot.number, n=len(self._slots))

    async def remove(self) -> None:
        """One slot fewer; it is gone once nothing is left in its inbox, nor in its workers."""
        slot = self._slots.last()
        if self._slots.taking_part() in ([], [slot.number]):
            _log.warn("one slot must be left to serve")
            return
        slot.going = True
        self._respawning.cancel(slot)
        await self._membership.leave_out(slot)
        emptied: defer.Deferred[None] = defer.Deferred()
        slot.outbox.when_empty(lambda: emptied.callback(None))
        await emptied
        for worker in slot.workers():
            if worker is slot.coming:
                grace = self._settings.lifecycle.graceful_timeout
                self._succession.dismiss(worker, grace, "one slot fewer")
            else:
                self._succession.retire(slot, worker, "one slot fewer")
        await defer.DeferredList([worker.ended for worker in slot.workers()])
        # What a worker that was killed had not taken.
        self._membership.place_anew(slot)
        self._slots.remove(slot)
        _log.info("slot {slot} is gone: {n} slots", slot=slot.number, n=len(self._slots))
