"""Adds and removes slots (SIGTTIN, SIGTTOU)."""

from twisted.internet import defer
from twisted.logger import Logger

from stickyd.master.supervisor.context import MasterContext
from stickyd.master.supervisor.replacement import Replacement
from stickyd.master.supervisor.respawn import Respawner
from stickyd.master.supervisor.slot_table import SlotTablePublisher
from stickyd.settings import MOST_WORKERS

_log = Logger("stickyd")


class Scaling:
    """Adds a slot, or removes the last one; the caller runs one change at a time."""

    def __init__(
        self,
        context: MasterContext,
        replacement: Replacement,
        publisher: SlotTablePublisher,
        respawner: Respawner,
    ) -> None:
        self._lifecycle = context.settings.lifecycle
        self._slots = context.slots
        self._replacement = replacement
        self._publisher = publisher
        self._respawner = respawner

    async def add(self) -> None:
        """Add a slot; it joins the slot table once its worker serves."""
        if len(self._slots) >= MOST_WORKERS:
            _log.warn("there are {n} slots already", n=MOST_WORKERS)
            return
        slot = self._slots.add()
        slot.in_change = True
        self._slots.out.add(slot.number)
        served = await self._replacement.replace([slot], "one slot more")
        if not served:
            self._slots.remove(slot)
            return
        slot.in_change = False
        if slot.serving is None:
            self._respawner.later(slot)
        await self._publisher.include(slot)
        _log.info("worker {slot} takes part: {n} slots", slot=slot.number, n=len(self._slots))

    async def remove(self) -> None:
        """Remove the last slot, once its inbox and its workers have no connection left."""
        slot = self._slots.last()
        if self._slots.taking_part() in ([], [slot.number]):
            _log.warn("one slot must be left to serve")
            return
        slot.in_change = True
        self._respawner.cancel(slot)
        await self._publisher.exclude(slot)
        emptied: defer.Deferred[None] = defer.Deferred()
        slot.outbox.when_empty(lambda: emptied.callback(None))
        await emptied
        for worker in slot.workers():
            if worker is slot.starting:
                grace = self._lifecycle.graceful_timeout
                self._replacement.discard(worker, grace, "one slot fewer")
            else:
                self._replacement.retire(slot, worker, "one slot fewer")
        await defer.DeferredList([worker.ended for worker in slot.workers()])
        # What a killed worker had not taken out of the inbox.
        self._publisher.requeue(slot)
        self._slots.remove(slot)
        _log.info("slot {slot} is gone: {n} slots", slot=slot.number, n=len(self._slots))
