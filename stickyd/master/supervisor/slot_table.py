"""Which slots take part, told to everybody who places connections."""

from collections.abc import Callable
from typing import Any

from twisted.internet import defer

from stickyd.master.supervisor.connection_limit import ConnectionLimit
from stickyd.master.supervisor.guardian import Guardian
from stickyd.master.supervisor.requeue import place_anew
from stickyd.master.supervisor.slots import Slot, Slots
from stickyd.settings import Settings
from stickyd.shm.scoreboard import Scoreboard


class SlotTablePublisher:
    """Takes slots in and leaves slots out, one at a time.

    Each change is over when every worker decides by it and has nothing on its
    way into the inbox of a slot that is out.

    :param on_table: called when the master itself is to decide by it.
    :param board: None if slots have no bound.
    """

    def __init__(
        self,
        settings: Settings,
        slots: Slots,
        places: ConnectionLimit,
        on_table: Callable[[], None],
        guardian: Guardian | None,
        board: Scoreboard | None,
    ) -> None:
        self._settings = settings
        self._slots = slots
        self._places = places
        self._on_table = on_table
        self._guardian = guardian
        self._board = board

    async def leave_out(self, slot: Slot) -> None:
        """Place nothing in a slot any more."""
        self._slots.out.add(slot.number)
        await self._publish({})

    async def take_in(self, slot: Slot) -> None:
        """Place in a slot from now on."""
        self._slots.out.discard(slot.number)
        await self._publish({slot.number: slot.sender})

    async def _publish(self, added: dict[int, Any]) -> None:
        """Let master and workers decide by the slots that take part now."""
        slots = self._slots
        slots.version += 1
        self._on_table()
        taking = slots.taking_part()
        # Those that are still coming are told when they begin to serve.
        told = [
            worker.table(slots.version, taking, added)
            for slot in slots
            for worker in slot.workers()
            if worker is not slot.coming
        ]
        await defer.DeferredList(told)

    def place_anew(self, slot: Slot) -> None:
        """Give what waits in the slot's inbox to those that take part."""
        others = [self._slots[number] for number in self._slots.taking_part()]
        patience = self._settings.timeouts.inbox
        place_anew(slot, others, patience, self._places, self._guardian, self._board)
