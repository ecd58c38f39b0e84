"""Counters of one worker, and its heartbeat, in memory shared with the master.

The worker writes, the master reads. The memory outlives the worker: when a worker
is killed, the master still knows what it had counted, and how many connections ended with
it. The latter without those that the master guards (`stickyd.shm.connection_table`).
"""

import mmap
import os

from stickyd.shm.memory import create_memory
from stickyd.stats import COUNTER_CELLS, WorkerCounters

_RECEIVED, _MOVED, _ENDED, _HEARTBEAT = range(4)
_COUNTERS = 8
_SIZE = (_COUNTERS + COUNTER_CELLS) * 8


class WorkerStats:
    """Connections that a worker received, moved on and closed, and its last heartbeat.

    Only the worker writes, one aligned machine word at a time, so that a reader
    never sees half of a number.

    :param descriptor: of the shared memory, which this object closes;
        -1 for private memory.
    :ivar counters: the public counters, valid until `close`.
    """

    def __init__(self, descriptor: int = -1) -> None:
        self.descriptor = descriptor
        self._map = mmap.mmap(descriptor, _SIZE)
        self._cells = memoryview(self._map).cast("Q")
        self.counters = WorkerCounters(self._cells[_COUNTERS:])

    @classmethod
    def shared(cls) -> "WorkerStats":
        """New memory, whose descriptor can be passed to the worker.

        :raise OSError: if there is no memory for it.
        """
        return cls(create_memory("stickyd-worker-stats", _SIZE))

    def came(self) -> None:
        """Count a connection that was taken out of the inbox."""
        self._cells[_RECEIVED] += 1

    def moved(self) -> None:
        """Count a connection that is in the inbox of another slot."""
        self._cells[_MOVED] += 1

    def ended(self) -> None:
        """Count a connection that is closed."""
        self._cells[_ENDED] += 1

    def beat(self, seconds: float) -> None:
        """Store a heartbeat; ``seconds`` is time.monotonic(), which all processes share."""
        self._cells[_HEARTBEAT] = int(seconds * 1e6)

    def last_beat(self) -> float:
        """Time of the last heartbeat in seconds; 0 before the first."""
        return self._cells[_HEARTBEAT] / 1e6

    def over(self) -> int:
        """Connections that have ended in the worker while it runs."""
        return self._cells[_ENDED]

    def over_with_worker(self) -> int:
        """Connections that have ended in the worker, once its process has ended."""
        return self._cells[_RECEIVED] - self._cells[_MOVED]

    def close(self) -> None:
        """Unmap the memory and close its descriptor."""
        self.counters.release()
        self._cells.release()
        self._map.close()
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
