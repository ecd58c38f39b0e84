"""What the master knows of the daemon at one moment, without asking a worker."""

from typing import Any, NamedTuple, Protocol

import attrs
from twisted.internet.defer import Deferred

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
    :ivar pids: of its workers.
    :ivar state: as in the report of ``--control``.
    :ivar workers: the workers, the serving one first.
    """

    number: int
    ready: bool
    load: int | None
    waiting: int
    spawned: int
    pids: list[int]
    state: str = "ready"
    workers: list[WorkerFacts] = attrs.field(factory=list)


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
