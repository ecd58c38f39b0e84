"""Publishes which slots are in the slot table to every process that places connections."""

from collections.abc import Callable

from twisted.internet import defer

from stickyd.master.supervisor.context import MasterContext
from stickyd.master.supervisor.control_link import Senders
from stickyd.master.supervisor.requeue import requeue
from stickyd.master.supervisor.slots import Slot


class SlotTablePublisher:
    """Includes slots in the table and excludes them, one at a time.

    Each change is complete when every worker uses the new table and none of its
    connections waits for room in the inbox of an excluded slot.

    :param on_table: called when the master itself has to use the new table.
    """

    def __init__(self, context: MasterContext, on_table: Callable[[], None]) -> None:
        self._context = context
        self._slots = context.slots
        self._on_table = on_table

    async def exclude(self, slot: Slot) -> None:
        """Stop placing connections in a slot."""
        self._slots.out.add(slot.number)
        await self._publish({})

    async def include(self, slot: Slot) -> None:
        """Start placing connections in a slot."""
        self._slots.out.discard(slot.number)
        await self._publish({slot.number: slot.sender})

    async def _publish(self, added: Senders) -> None:
        """Send the new table to the master's front end and to all workers."""
        slots = self._slots
        slots.version += 1
        self._on_table()
        taking = slots.taking_part()
        # A starting worker gets the table when it begins to serve.
        sent = [
            worker.update_slots(slots.version, taking, added)
            for slot in slots
            for worker in slot.workers()
            if worker is not slot.starting
        ]
        await defer.DeferredList(sent)

    def requeue(self, slot: Slot) -> None:
        """Move the connections in the slot's inbox to the slots of the table."""
        others = [self._slots[number] for number in self._slots.taking_part()]
        context = self._context
        patience = context.settings.timeouts.inbox
        limit = context.connection_limit
        requeue(slot, others, patience, limit, context.guardian, context.scoreboard)
