"""Garbage collection of a worker, by the growth of its memory."""

import gc
import resource
import time
from collections.abc import Callable

GROWTH = 32 * 2**20
"""Bytes by which a process may grow before a collection, besides a quarter of its size."""

REST = 20
"""A collection is followed by so many times its own duration without another: it stops the
process, and one with many live objects must not spend its time on that."""

_PAGE = resource.getpagesize()


def resident() -> int:
    """Bytes of memory that this process has (proc_pid_statm(5))."""
    with open("/proc/self/statm", "rb") as statm:
        return int(statm.read().split()[1]) * _PAGE


class GrowthCollector:
    """Collects when the process has grown.

    The collector counts objects and not bytes: a few hundred objects in reference cycles, which
    is far below its thresholds, may hold gigabytes. An app's cycles cannot be prevented.

    :param measure: tells the size of the process, in bytes.
    :param collect: collects every generation.
    :param clock: in seconds.
    """

    def __init__(
        self,
        measure: Callable[[], int] = resident,
        collect: Callable[[], object] = gc.collect,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._measure = measure
        self._collect = collect
        self._clock = clock
        self._least = measure()
        self._rest_until = 0.0

    def look(self) -> None:
        """Collect if the process has grown; to be called every second."""
        size = self._measure()
        self._least = min(self._least, size)
        began = self._clock()
        if size - self._least <= GROWTH + self._least // 4 or began < self._rest_until:
            return
        self._collect()
        ended = self._clock()
        self._rest_until = ended + REST * (ended - began)
        self._least = self._measure()
