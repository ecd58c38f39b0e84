"""How many client connections the daemon has open, exactly and without asking a worker.

The master counts the connections it accepts and those it closes. Each worker
counts the others in shared memory (`stickyd.shm.worker_stats`). When a worker is
killed, every connection that it received and did not move on has ended with it.
"""

from collections.abc import Callable

from stickyd.shm.worker_stats import WorkerStats


class ConnectionLimit:
    """Bounds the open connections of the daemon, ``most`` at a time.

    A connection counts from `take` until its last descriptor is closed, wherever
    it is: in the master, in an inbox, in a worker, lingering.

    :ivar look: called before counting, to `give_back` connections whose end the
        master has not noticed yet.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.look: Callable[[], None] = lambda: None
        self._taken = 0
        self._over = 0
        self._stats: set[WorkerStats] = set()
        # An upper bound of `open`, exact when it was computed.
        self._at_most = 0

    def take(self) -> bool:
        """Count a new connection; False if the limit is reached."""
        if self._at_most >= self.most:
            self._at_most = self.open()
            if self._at_most >= self.most:
                return False
        self._taken += 1
        self._at_most += 1
        return True

    def room(self) -> int:
        """How many connections `took` may count without a look for connections that have ended."""
        return max(0, self.most - self._at_most)

    def took(self, count: int) -> None:
        """Count new connections, at most as many as there is `room` for."""
        self._taken += count
        self._at_most += count

    def give_back(self, count: int = 1) -> None:
        """Count connections that have ended in the master."""
        self._over += count
        self._at_most -= count

    def open(self) -> int:
        """Connections that are open now."""
        self.look()
        return self._taken - self._over - sum(stats.over() for stats in self._stats)

    def open_in_master(self) -> int:
        """Connections accepted, less those that ended in the master or with a worker."""
        return self._taken - self._over

    def resume(self, taken: int) -> None:
        """Continue with `open_in_master` of the previous program; worker stats are unchanged."""
        self._taken += taken

    def watch(self, stats: WorkerStats) -> None:
        """Include the counts of a worker that starts."""
        self._stats.add(stats)

    def settle(self, stats: WorkerStats) -> None:
        """The worker has ended, and with it every connection that it had."""
        self._stats.discard(stats)
        self._over += stats.over_with_worker()
        stats.close()
