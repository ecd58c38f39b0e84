"""Which files have changed, and when it is time to say so. Decides, and does no I/O."""

from collections.abc import Iterable, Mapping

Stamp = tuple[int, int, int]
"""What tells one content of a file from another: time of the last change in ns, size, inode."""

Stamps = Mapping[str, Stamp]
"""Files that are there, by path."""

UNSETTLED_MOST = 10
"""Looks after which a change is told even if others keep following it."""

_SKIPPED = frozenset({"__pycache__", "node_modules"})


def is_source(name: str) -> bool:
    """Whether a file of this name, without its directory, belongs to an app."""
    return name.endswith(".py") and not name.startswith(".")


def is_searched(name: str, contents: Iterable[str]) -> bool:
    """Whether a directory below a watched one is searched.

    Not what is hidden, what tools keep their things in, or a virtual
    environment (PEP 405).

    :param name: its own, without the way to it.
    :param contents: names in it.
    """
    return not name.startswith(".") and name not in _SKIPPED and "pyvenv.cfg" not in contents


def changed(before: Stamps, after: Stamps) -> list[str]:
    """Paths of files that are new, gone or have another stamp, in order."""
    return sorted(
        path for path in before.keys() | after.keys() if before.get(path) != after.get(path)
    )


class FileChanges:
    """Tells of changes once they have come to rest.

    An editor, or a checkout, writes files one after the other; an app that is
    loaded in between is one that never was.

    :ivar unsettled: looks since a change was seen that has not been told yet.
    :param stamps: what the app is loaded from.
    """

    def __init__(self, stamps: Stamps) -> None:
        self._told = self._last = stamps
        self.unsettled = 0

    def look(self, stamps: Stamps) -> list[str]:
        """The files that have changed since the last ones told; none while they go on changing."""
        at_rest = stamps == self._last
        self._last = stamps
        found = changed(self._told, stamps)
        self.unsettled = self.unsettled + 1 if found else 0
        if not found or not (at_rest or self.unsettled > UNSETTLED_MOST):
            return []
        self._told = stamps
        self.unsettled = 0
        return found
