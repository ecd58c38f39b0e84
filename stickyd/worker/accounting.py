"""What a worker counts, and the reports to the master that follow from it."""

from time import monotonic
from typing import Protocol

from stickyd.ipc.queue_clock import since
from stickyd.routing.policy import Placement
from stickyd.shm.connection_table import Entry
from stickyd.shm.worker_stats import WorkerStats
from stickyd.stats import REQUESTS, WorkerCounters


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
    :param counters: the worker's public counters.
    :param replace_at: requests after which a replacement is requested, 0 for never.
    :param timed: whether the times of requests, and of connections in the inbox, are measured.
    :ivar cells: of ``counters``.
    :ivar timed: as given.
    :ivar events: the reports to the master.
    """

    def __init__(
        self,
        slot: int,
        stats: WorkerStats,
        events: WorkerEvents,
        counters: WorkerCounters,
        replace_at: int,
        timed: bool = False,
    ) -> None:
        self._slot = slot
        self.events = events
        self._replace_at = replace_at
        self.stats = stats
        self.counters = counters
        self.cells = counters.cells
        self.timed = timed
        self._requests = 0

    @property
    def only_counts(self) -> bool:
        """Whether `request` only counts in ``counters.requests_by`` and tells the time."""
        return not self._replace_at

    def request(self, source: int) -> float:
        """A request is given to the app.

        :param source: number of the source of its key (`stickyd.routing.source_numbers`).
        :return: when, for `begins_to_answer` and `answered`; 0 if times are not measured.
        """
        self.cells[REQUESTS + source] += 1
        self._requests += 1
        if self._requests == self._replace_at:
            self.events.request_replacement("max-requests")
        return monotonic() if self.timed else 0.0

    def begins_to_answer(self, began: float) -> None:
        """The first byte of the answer to a request that was given to the app then is written."""
        self.counters.first_bytes.observe(monotonic() - began)

    def answered(self, began: float) -> None:
        """A request that was given to the app then is answered, refused or lost."""
        self.counters.durations.observe(monotonic() - began)

    def came_out(self, put_at: int) -> None:
        """A connection is taken out of an inbox.

        :param put_at: of its frame.
        """
        if self.timed and put_at:
            self.counters.queued.observe(since(put_at))

    def upgraded(self, *, again: bool = False) -> None:
        """An app has taken a connection over.

        :param again: it had done so in another worker.
        """
        self.counters.pinned += not again
        self.counters.upgraded += 1

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

    def note(self, connections: int, log_dropped: int) -> None:
        """Count what is not counted as it happens; to be called every second.

        :param connections: that are open now.
        :param log_dropped: lines of the access log dropped since the last call.
        """
        self.counters.open = connections
        self.counters.log_dropped += log_dropped
