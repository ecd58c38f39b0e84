"""How many client connections the whole daemon has open, exactly and without asking anyone.

The master counts the connections it takes in, and those that end with it. The
others end in workers, so each worker notes what becomes of its connections in
memory that it shares with the master (memfd_create(2)). A worker that is
killed has ended whatever came to it and did not move on, and the note of that
outlives it. Connections that the master guards (`stickyd.shm.connection_table`) are not noted
here: the master keeps a copy of each and sees for itself when they have ended.
"""

import mmap
import os
from collections.abc import Callable

_CAME, _MOVED, _ENDED, _BEAT = range(4)
_SIZE = 4 * 8


class WorkerStats:
    """What one worker notes: connections that came, moved on and ended, and that it lives.

    Only the worker writes, one aligned machine word at a time, so that no half
    of a number is ever read.

    :param descriptor: of the shared memory, which is the tally's from now on;
        -1 for a tally of one's own.
    """

    def __init__(self, descriptor: int = -1) -> None:
        self.descriptor = descriptor
        self._map = mmap.mmap(descriptor, _SIZE)
        self._cells = memoryview(self._map).cast("Q")

    @classmethod
    def shared(cls) -> "WorkerStats":
        """A tally whose descriptor can be given to the process that writes it."""
        descriptor = os.memfd_create("stickyd-tally")
        os.ftruncate(descriptor, _SIZE)
        return cls(descriptor)

    def came(self) -> None:
        """A connection was taken out of the inbox."""
        self._cells[_CAME] += 1

    def moved(self) -> None:
        """A connection is in the inbox of another slot."""
        self._cells[_MOVED] += 1

    def ended(self) -> None:
        """A connection is closed."""
        self._cells[_ENDED] += 1

    def beat(self, seconds: float) -> None:
        """The worker lives; in the reactor's seconds, which all processes share."""
        self._cells[_BEAT] = int(seconds * 1e6)

    def last_beat(self) -> float:
        """When it last said so; 0 before it first does."""
        return self._cells[_BEAT] / 1e6

    def over(self) -> int:
        """Connections that have ended here, while the worker lives."""
        return self._cells[_ENDED]

    def over_with_worker(self) -> int:
        """Connections that have ended here, once the worker is gone."""
        return self._cells[_CAME] - self._cells[_MOVED]

    def close(self) -> None:
        """Let go of the memory, of its descriptor, and of the one that mmap keeps."""
        self._cells.release()
        self._map.close()
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class ConnectionLimit:
    """The places for client connections, ``most`` in the whole daemon.

    A connection has its place from `take` until its last descriptor is closed,
    wherever it is: in the master, in an inbox, in a worker, lingering.

    :ivar look: gives back the places of connections that have ended unnoticed so far.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.look: Callable[[], None] = lambda: None
        self._taken = 0
        self._over = 0
        self._tallies: set[WorkerStats] = set()
        # No less than what is taken; exact when it was last worked out.
        self._at_most = 0

    def take(self) -> bool:
        """Take a place; False if there is none."""
        if self._at_most >= self.most:
            self._at_most = self.open()
            if self._at_most >= self.most:
                return False
        self._taken += 1
        self._at_most += 1
        return True

    def give_back(self) -> None:
        """A connection has ended in this process."""
        self._over += 1
        self._at_most -= 1

    def open(self) -> int:
        """Connections that have a place."""
        self.look()
        return self._taken - self._over - sum(tally.over() for tally in self._tallies)

    def open_in_master(self) -> int:
        """What is not over as far as the master knows: places taken, less what it saw ending."""
        return self._taken - self._over

    def resume(self, taken: int) -> None:
        """Go on with `open_in_master` of the program before us; the tallies are as they were."""
        self._taken += taken

    def watch(self, tally: WorkerStats) -> None:
        """A worker begins."""
        self._tallies.add(tally)

    def settle(self, tally: WorkerStats) -> None:
        """The worker is gone, and every connection that it had."""
        self._tallies.discard(tally)
        self._over += tally.over_with_worker()
        tally.close()
