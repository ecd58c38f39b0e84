"""What the parts of the master share."""

from typing import Any

import attrs

from stickyd.core.native import CORE, Core
from stickyd.master.supervisor.connection_limit import ConnectionLimit
from stickyd.master.supervisor.guardian import Guardian
from stickyd.master.supervisor.slots import Slots
from stickyd.settings import Settings
from stickyd.shm.connection_table import ConnectionTable
from stickyd.shm.scoreboard import Scoreboard
from stickyd.stats import MasterCounters


@attrs.frozen(eq=False)
class MasterContext:
    """Shared by front end and supervisor.

    :ivar scoreboard: None if loads have no bound.
    :ivar guardian: None if the master keeps no copies of connections.
    :ivar core: accepts and places connections, if it is the compiled one.
    """

    reactor: Any
    settings: Settings
    slots: Slots
    connection_limit: ConnectionLimit
    counters: MasterCounters
    scoreboard: Scoreboard | None = None
    guardian: Guardian | None = None
    core: Core = CORE

    @classmethod
    def build(
        cls,
        reactor: Any,
        settings: Settings,
        slots: Slots,
        scoreboard: Scoreboard | None = None,
        connection_table: ConnectionTable | None = None,
        core: Core = CORE,
    ) -> "MasterContext":
        """A context with new counters and a new connection limit.

        :param connection_table: of the connections that the master guards, if it does.
        """
        limit = ConnectionLimit(settings.limits.connections)
        counters = MasterCounters()
        guardian = None
        if connection_table is not None:
            patience = settings.timeouts.keep_alive
            guardian = Guardian(reactor, connection_table, slots, limit, counters, patience, core)
        return cls(reactor, settings, slots, limit, counters, scoreboard, guardian, core)
