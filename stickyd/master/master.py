"""What a running master consists of: the slots, the front before them, who staffs them."""

import os
from typing import Any

from stickyd import __version__
from stickyd.core.native import CORE
from stickyd.errors import StartFailed
from stickyd.master.exec_state import Packed, keep, pack_slots, taken, unpack_slots
from stickyd.master.frontend.frontend import Frontend
from stickyd.master.supervisor.connection_limit import ConnectionLimit
from stickyd.master.supervisor.slots import Slots, State
from stickyd.master.supervisor.supervisor import Supervisor
from stickyd.settings import Settings
from stickyd.shm.connection_table import ConnectionTable
from stickyd.shm.scoreboard import Scoreboard


class Master:
    """The parts of a master, made to fit each other; none of them runs yet.

    :param board: None if slots have no bound.
    :param ledger: of connections that the master guards; None if it does not.
    """

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        slots: Slots,
        board: Scoreboard | None,
        ledger: ConnectionTable | None,
    ) -> None:
        self._settings = settings
        self._places = ConnectionLimit(settings.limits.connections)
        self._board = board
        self.slots = slots
        common = reactor, settings, slots, self._places, board
        self.front = Frontend(*common, self._close_idle, ledger)
        self.supervisor = Supervisor(*common, self.front.take_table, self.front.guardian)

    @classmethod
    def create(cls, reactor: Any, settings: Settings) -> "Master":
        """For an ordinary start.

        :raise StartFailed: if there is no shared memory for what is asked.
        """
        board = ledger = None
        asked = ""
        try:
            if settings.routing.balance_factor:
                asked = "--hash-balance-factor"
                board = Scoreboard.create(settings.workers)
            if settings.lifecycle.guardian:
                asked = "--guardian"
                ledger = ConnectionTable.create(settings.limits.connections)
        except OSError as error:
            raise StartFailed(f"no shared memory for {asked}: {error}") from error
        return cls(reactor, settings, Slots(reactor, settings.workers, board), board, ledger)

    def _close_idle(self, count: int) -> None:
        self.supervisor.close_idle(count)

    # ---- what it tells

    def status(self) -> str:
        """For the service manager."""
        ready = sum(slot.state is State.READY for slot in self.slots)
        generation = self.supervisor.generation
        return f"{ready} of {len(self.slots)} workers ready, generation {generation}"

    async def report(self) -> dict[str, Any]:
        """Everything that ``--control`` tells."""
        front = self.front
        report = await self.supervisor.report()
        return {
            "version": __version__,
            "core": {"name": CORE.name, "why_not": CORE.why_not},
            "scope": self._settings.routing.scope,
            "master": {
                "pid": os.getpid(),
                **front.counters.as_json(),
                "open": front.waiting(),
            },
            "connections": {
                "open": self._places.open(),
                "most": self._places.most,
                "guarded": len(front.guardian or ()),
            },
            **report,
        }

    # ---- another program in our place

    def pack(self, workers: Packed) -> Packed:
        """Everything for the program after us; ``workers`` as the supervisor has packed them."""
        return {
            "front": self.front.pack(),
            "connections": self._places.open_in_master(),
            "workers": workers,
            "board": self._pack_board(),
            "slots": pack_slots(self.slots),
        }

    def _pack_board(self) -> Packed | None:
        if self._board is None:
            return None
        return {"fd": keep(self._board.descriptor), **self._board.pack()}

    @classmethod
    def unpack(cls, reactor: Any, settings: Settings, packed: Packed) -> "Master":
        """What the program before us packed, but for what `resume` takes up."""
        board = ledger = None
        if packed["board"] is not None:
            board = Scoreboard.resume(taken(packed["board"]["fd"]), packed["board"])
        guarded = packed["front"]["guarded"]
        if guarded is not None:
            ledger = ConnectionTable.again(taken(guarded["ledger"]))
        slots = unpack_slots(packed["slots"], reactor, board)
        household = cls(reactor, settings, slots, board, ledger)
        household._places.resume(packed["connections"])
        return household

    def resume(self, packed: Packed) -> None:
        """Take up workers and connections, once the front has its listeners."""
        slots = packed["slots"]["slots"]
        self.supervisor.resume(packed["workers"], slots)
        self.front.resume(packed["front"], slots)
        self.front.counters.upgrades += 1

    # ---- the end

    def close(self) -> None:
        """Give up what is left when the last worker has ended."""
        self.slots.close()
        self.front.close()
        if self._board is not None:
            self._board.close()
