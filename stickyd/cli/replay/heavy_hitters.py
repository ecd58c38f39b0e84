"""The most frequent keys, in bounded memory. Pure.

Misra and Gries (1982), in batches: mergeable summaries (Agarwal et al., 2012). Each count is
at most `HeavyHitters.error` too small, never too large. With no more distinct keys than room
it is exact.
"""

from collections import Counter
from collections.abc import Mapping

ROOM = 65536


class HeavyHitters:
    """Counts of the most frequent keys.

    :param room: keys that are kept; twice as many for a moment.
    :ivar error: by how much a count may be too small; at most total / (room + 1).
    """

    def __init__(self, room: int = ROOM) -> None:
        self._room = room
        self._counts: Counter[str] = Counter()
        self.error = 0

    def add(self, counts: Mapping[str, int]) -> None:
        """Add the counts of a batch."""
        kept = self._counts
        kept.update(counts)
        if len(kept) > 2 * self._room:
            less = sorted(kept.values(), reverse=True)[self._room]
            self.error += less
            self._counts = Counter({key: n - less for key, n in kept.items() if n > less})

    def most(self, number: int) -> list[tuple[str, int]]:
        """The most frequent keys, and how often each came at least."""
        return self._counts.most_common(number)
