"""Results that are computed once and then looked up, in bounded memory."""

from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Memo(dict[K, V]):
    """A dictionary that `remember` clears when it is full.

    Clearing keeps the hot path at one dictionary lookup: entries carry no age.
    Look up with ``get``; the caller bounds the size of keys and values.

    :param most: entries before the memo is cleared.
    """

    __slots__ = ("_most",)

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def remember(self, key: K, value: V) -> V:
        """Store ``value`` and return it."""
        if len(self) >= self._most:
            self.clear()
        self[key] = value
        return value
