"""What the master knows of the daemon at one moment, without asking a worker."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Protocol

import attrs
from twisted.internet.defer import Deferred

from stickyd.master.supervisor.slot_states import SlotState
from stickyd.master.supervisor.slots import Slot
from stickyd.stats import MasterCounters, WorkerCounters


@attrs.frozen
class WorkerFacts:
    """One worker process.

    :ivar state: ``ready``, ``starting`` or ``retiring``, as in the report of ``--control``.
    :ivar generation: of the app's code: 1, and one more for each reload; 0 if it is not known.
    :ivar idle: connections without a request; None if the master does not guard them.
    """

    pid: int
    state: str
    generation: int
    idle: int | None = None


@attrs.frozen
class SlotFacts:
    """One slot.

    :ivar load: None if loads have no bound.
    :ivar waiting: connections for which the master waits for space in the inbox.
    :ivar state: as in the report of ``--control``.
    :ivar workers: the workers, the serving one first.
    """

    number: int
    load: int | None
    waiting: int
    spawned: int
    state: str = SlotState.READY.value
    workers: list[WorkerFacts] = attrs.field(factory=list)

    @property
    def ready(self) -> bool:
        """A worker serves."""
        return self.state == SlotState.READY.value


def slot_facts(
    slots: Iterable[Slot], loads: Mapping[int, int], idle: Mapping[int, int] | None
) -> list[SlotFacts]:
    """The slots as they are now.

    :param loads: by slot; of those that have none there is no load.
    :param idle: connections without a request, by owner; None if they are not guarded.
    """
    found = []
    for slot in slots:
        workers = [
            WorkerFacts(
                worker.pid,
                slot.state_of(worker).value,
                worker.generation,
                idle.get(worker.owner, 0) if idle is not None else None,
            )
            for worker in slot.workers()
            if worker.pid
        ]
        found.append(
            SlotFacts(
                slot.number,
                loads.get(slot.number),
                slot.outbox.waiting(),
                slot.spawned,
                slot.state.value,
                workers,
            )
        )
    return found


class Facts(NamedTuple):
    """The daemon.

    :ivar totals: by slot, of all the workers that it has had; removed slots included.
    :ivar sources: the name of each number of a key source.
    :ivar heads: connections in the master whose first head is not complete.
    :ivar idle: connections without a request; None if the master does not guard them.
    :ivar scope: ``--affinity-scope``.
    :ivar certificates: when each expires, in seconds since 1970, by its file.
    """

    version: str
    core: str
    generation: int
    table_version: int
    master_pid: int
    master: MasterCounters
    totals: dict[int, WorkerCounters]
    sources: list[str]
    slots: list[SlotFacts]
    heads: int
    open: int
    most: int
    idle: int | None
    certificates: dict[str, float]
    scope: str = "connection"


class Watched(Protocol):
    """The daemon, as the admin listener asks it."""

    def facts(self) -> Facts:
        """Now, without waiting."""

    def report(self) -> "Deferred[dict[str, Any]]":
        """The report of ``--control``."""

    def not_ready(self) -> str:
        """Why not every slot can serve, in one line; empty if every one can."""
