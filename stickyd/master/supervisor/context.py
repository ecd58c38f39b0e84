"""What the parts of the master share."""

from collections import Counter
from typing import Any

import attrs

from stickyd.core.native import CORE, Core
from stickyd.master.supervisor.connection_limit import ConnectionLimit
from stickyd.master.supervisor.guardian import Guardian
from stickyd.master.supervisor.slots import Slots
from stickyd.routing.affinity import parse_chain
from stickyd.routing.source_numbers import names_of
from stickyd.settings import Settings
from stickyd.shm.connection_table import ConnectionTable
from stickyd.shm.idle_connections import idle_by_owner
from stickyd.shm.scoreboard import Scoreboard
from stickyd.shm.shared_tables import SharedTables
from stickyd.stats import MasterCounters


@attrs.frozen(eq=False)
class MasterContext:
    """Shared by front end and supervisor.

    :ivar tables: what all processes share to decide by.
    :ivar guardian: None if the master keeps no copies of connections.
    :ivar core: accepts and places connections, if it is the compiled one.
    """

    reactor: Any
    settings: Settings
    slots: Slots
    connection_limit: ConnectionLimit
    counters: MasterCounters
    tables: SharedTables = attrs.field(factory=SharedTables)
    guardian: Guardian | None = None
    core: Core = CORE

    @property
    def scoreboard(self) -> Scoreboard | None:
        """None if no decision depends on loads."""
        return self.tables.scoreboard

    @property
    def sources(self) -> list[str]:
        """The name of each number of a key source (`stickyd.routing.source_numbers`)."""
        return names_of(source.text for source in parse_chain(self.settings.routing.affinity))

    def loads(self) -> dict[int, int]:
        """The loads by slot; empty if no decision depends on them."""
        numbers = [slot.number for slot in self.slots]
        return self.scoreboard.loads(numbers) if self.scoreboard is not None else {}

    def idle(self) -> Counter[int] | None:
        """Connections without a request, by owner; None if the master does not guard them."""
        return idle_by_owner(self.guardian.table) if self.guardian is not None else None

    @classmethod
    def build(
        cls,
        reactor: Any,
        settings: Settings,
        slots: Slots,
        tables: SharedTables | None = None,
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
        shared = tables or SharedTables()
        return cls(reactor, settings, slots, limit, counters, shared, guardian, core)
