"""What a worker counts, and the reports to the master that follow from it."""

from typing import Any, Protocol

from stickyd.routing.policy import Placement
from stickyd.shm.connection_table import Entry
from stickyd.shm.worker_stats import WorkerStats
from stickyd.stats import WorkerCounters


class WorkerEvents(Protocol):
    """What a worker reports to the master."""

    def misrouted(self, slot: int, placement: Placement) -> None:
        """A request is served in ``slot`` though its key names another one; reported once."""

    def request_replacement(self, reason: str) -> None:
        """The worker has served its number of requests, and goes on until it is replaced."""

    def drained(self) -> None:
        """The worker drains, and serves no key any more."""


class NoEvents:
    """Ignores what a worker reports."""

    def misrouted(self, slot: int, placement: Placement) -> None:
        """See `WorkerEvents`."""

    def request_replacement(self, reason: str) -> None:
        """See `WorkerEvents`."""

    def drained(self) -> None:
        """See `WorkerEvents`."""


class Accounting:
    """Counts connections and requests of one worker.

    :param stats: connections that the master does not guard, in memory that it shares.
    :param replace_at: requests after which a replacement is requested, 0 for never.
    :ivar counters: the worker's public counters.
    :ivar events: the reports to the master.
    """

    def __init__(
        self,
        slot: int,
        stats: WorkerStats,
        events: WorkerEvents,
        counters: WorkerCounters,
        replace_at: int,
    ) -> None:
        self._slot = slot
        self.events = events
        self._replace_at = replace_at
        self.stats = stats
        self.counters = counters

    def request(self) -> None:
        """A request is given to the app."""
        counters = self.counters
        counters.requests += 1
        if counters.requests == self._replace_at:
            self.events.request_replacement("max-requests")

    def misrouted(self, placement: Placement) -> None:
        """A request is served here though its key names another slot."""
        self.counters.misrouted += 1
        if self.counters.misrouted == 1:
            self.events.misrouted(self._slot, placement)

    def moved(self, entry: Entry | None) -> None:
        """A connection is in an inbox.

        :param entry: of the connection table; None if the master does not guard the connection.
        """
        if entry is None:
            self.stats.moved()

    def ended(self, entry: Entry | None) -> None:
        """A connection is closed; ``entry`` as for `moved`."""
        if entry is None:
            self.stats.ended()
        else:
            entry.end()

    def report(self, connections: int, log_dropped: int) -> dict[str, Any]:
        """The counters, JSON-ready.

        :param connections: that are open now.
        :param log_dropped: lines of the access log dropped since the last report.
        """
        self.counters.open = connections
        self.counters.log_dropped += log_dropped
        return self.counters.as_json()
